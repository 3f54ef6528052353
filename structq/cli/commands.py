"""The command line: arguments in, exit code out; knows nothing of how anything works.

Exit codes: 0 every row is good; 1 some rows failed and are in the output with their error (or,
with ``--on-error stop``, ended the run); 2 wrong usage, unreadable input, unwritable output, no
such LM, one that refuses every row, or more failures than allowed; 3 a limit of calls or cost ended
the run; 130 interrupted; 141 the reader of standard output has gone.

A command is imported when it is called: ``--help`` waits for none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = {
    "run": ("rows", "Evolve each response, score all of them side by side, keep the best."),
    "evolve": ("rows", "Rewrite each response, each time with one of the mutations."),
    "score": ("rows", "Score the responses of each row against one another."),
    "select": ("export", "Keep the best rows that are unlike one another."),
    "export": ("export", "Write rows as trainers read them, with a card."),
    "merge": ("export", "Put the parts of a run with --shard together."),
    "judge-check": (
        "judge",
        "How far an LM's scores agree with labels, beside length and position.",
    ),
    "calibrate": ("judge", "Fit the curve from an LM's scores to people's labels."),
    "optimize": ("optimize", "Tune the mutation templates for your rows, LM and judge."),
    "report": ("report", "Show what runs did in one HTML file, with every row."),
    "pull": ("models", "Fetch a model by its name, check it, and keep it on this machine."),
    "models": ("models", "List the models that structq knows by name, and what of them is here."),
    "demo": ("demo", "Evolve and score the dozen example rows in this package, and show some."),
}
"""By name: the file in this folder that has it, and what it does."""
_PLAIN: dict[str, Any] = {
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}


class _Commands(TyperGroup):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or ``None``."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(
            import_module(f"structq.cli.{COMMANDS[cmd_name][0]}"), cmd_name.replace("-", "_")
        )
        alone = typer.Typer(**_PLAIN)
        alone.command(cmd_name)(command)
        return typer.main.get_command(alone)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes what there is, without importing it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


app = typer.Typer(
    cls=_Commands,
    help="Evolve and score instruction/response rows; every answer obeys its schema.",
    no_args_is_help=True,
    **{**_PLAIN, "add_completion": True},
)


def _version(wanted: bool) -> None:
    if wanted:
        import structq

        typer.echo(f"structq {structq.__version__}")
        raise typer.Exit


@app.callback()
def _structq(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Evolve and score instruction/response rows; every answer obeys its schema."""


def main() -> None:
    """Entry point of the ``structq`` command."""
    app()
