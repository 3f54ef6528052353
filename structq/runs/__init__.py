"""A run over a dataset: rows in order, few in flight, each accounted for; knows no template."""

from structq.runs.rows import Finished, Task, finish_rows
from structq.runs.tally import Tally

__all__ = ["Finished", "Tally", "Task", "finish_rows"]
