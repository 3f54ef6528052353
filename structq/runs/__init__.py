"""A run over a dataset: many rows in flight, each accounted for, none lost; knows no template."""

from structq.runs.gate import Gate, GateSettings
from structq.runs.pacing import Pace, PaceLimits
from structq.runs.rows import Finished
from structq.runs.run import Run
from structq.runs.tally import Tally

__all__ = ["Finished", "Gate", "GateSettings", "Pace", "PaceLimits", "Run", "Tally"]
