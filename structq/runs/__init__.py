"""A run over a dataset: many rows in flight, each accounted for, none lost; knows no template."""

from typing import TYPE_CHECKING

from structq.lazy import lazy_names

if TYPE_CHECKING:
    from structq.runs.gate import Gate, GateSettings
    from structq.runs.pacing import Pace, PaceLimits
    from structq.runs.ray import map_ray
    from structq.runs.rows import Finished
    from structq.runs.run import Run
    from structq.runs.settings import RunSettings
    from structq.runs.tally import Tally

__all__ = [
    "Finished",
    "Gate",
    "GateSettings",
    "Pace",
    "PaceLimits",
    "Run",
    "RunSettings",
    "Tally",
    "map_ray",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Finished": "rows",
        "Gate": "gate",
        "GateSettings": "gate",
        "Pace": "pacing",
        "PaceLimits": "pacing",
        "Run": "run",
        "RunSettings": "settings",
        "Tally": "tally",
        "map_ray": "ray",
    },
)
