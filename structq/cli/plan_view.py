"""What ``--dry-run`` shows: the first prompts, the calls, the tokens and their price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from structq.cli.terminal import cell, console, two_columns

if TYPE_CHECKING:
    from structq.modules.dry import Planned
    from structq.modules.rows import RowModule

__all__ = ["show_plan"]


def show_plan(task: RowModule, row: Mapping[str, Any], *, n_rows: int) -> None:
    """Shows on standard error what a run over so many rows like this one would ask."""
    from structq.modules.dry import planned_calls
    from structq.runs.prices import dollars

    screen = console()
    lines: list[tuple[str, str]] = [("rows", f"{n_rows:,}")]
    costs: list[float | None] = []
    for planned in planned_calls(task, row):
        for message in planned.messages:
            screen.print(cell(f"[{planned.kind}: {message['role']}]", style="bold"))
            screen.print(cell(message["content"]))
        n_calls = n_rows * planned.n_calls
        tokens = n_calls * _tokens(planned), n_calls * max(1, len(planned.answer) // 4)
        lines += [
            (f"{planned.kind} calls, to {planned.lm.model}", f"{n_calls:,}"),
            ("tokens in, about", f"{tokens[0]:,}"),
            ("tokens out, about", f"{tokens[1]:,}"),
        ]
        spec = getattr(planned.lm, "spec", planned.lm.model)
        costs.append(dollars(spec, input_tokens=tokens[0], output_tokens=tokens[1]))
    known = [cost for cost in costs if cost is not None]
    price = f"${sum(known):,.2f}" if len(known) == len(costs) else "no price is known"
    screen.print(two_columns([*lines, ("cost, about", price)], right=True))


def _tokens(planned: Planned) -> int:
    """Tokens of the first prompt: counted by a local LM, guessed for others."""
    local = getattr(getattr(planned.lm, "engine", None), "lm", None)
    turns = [(message["role"], message["content"]) for message in planned.messages]
    if local is not None and hasattr(local, "encode"):
        return len(local.encode(turns))
    return sum(len(text) for _, text in turns) // 4
