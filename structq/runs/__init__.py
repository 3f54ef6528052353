"""A run over a dataset: rows in order, few in flight, each accounted for; knows no template."""

from typing import TYPE_CHECKING

from structq.lazy import lazy_names

if TYPE_CHECKING:
    from structq.runs.rows import Finished, Task, finish_rows
    from structq.runs.settings import RunSettings
    from structq.runs.tally import Tally

__all__ = ["Finished", "RunSettings", "Tally", "Task", "finish_rows"]

__getattr__ = lazy_names(
    __name__,
    {
        "Finished": "rows",
        "RunSettings": "settings",
        "Tally": "tally",
        "Task": "rows",
        "finish_rows": "rows",
    },
)
