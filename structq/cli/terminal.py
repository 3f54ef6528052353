"""What goes to a terminal: all of it as text, whatever a row, an LM or a server said.

`rich` is loaded when something is shown, not for ``--help``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from structq.errors import InputError, StructqError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_LIMIT",
    "EXIT_ROWS_FAILED",
    "EXIT_UNUSABLE",
    "View",
    "cell",
    "console",
    "exit_code",
    "one_line",
    "say",
    "two_columns",
    "visible",
]

EXIT_ROWS_FAILED = 1
EXIT_UNUSABLE = 2
EXIT_LIMIT = 3
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141

_JOINERS = "\u200c\u200d"  # no space of their own, and parts of words and signs in many scripts
_SPACES = "\u00a0\u202f\u2009\u3000"


def visible(text: str) -> str:
    """The text with escapes in place of what would move a cursor or turn a line around."""
    return "".join(map(_visible, text.replace("\r\n", "\n").replace("\t", "    ")))


def one_line(text: str) -> str:
    """The same on one line."""
    return visible(" ".join(text.split("\n")))


def _visible(char: str) -> str:
    if char.isprintable() or char == "\n" or char in _JOINERS:
        return char
    return " " if char in _SPACES else ascii(char)[1:-1]


def cell(text: object, style: str = "") -> Text:
    """Text for a table or a console: no markup in it is obeyed, no code is sent."""
    from rich.text import Text

    return Text(visible(str(text)), style=style)


def say(text: str) -> None:
    """One line on standard error."""
    typer.echo(one_line(text), err=True)


def console(*, stderr: bool = True) -> Console:
    """Where views go: standard error, so that standard output stays free for results."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=stderr)


def two_columns(rows: Iterable[tuple[str, str]], *, right: bool = False) -> Table:
    """A table of names and values without lines."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right" if right else "left")
    for row in rows:
        table.add_row(*map(cell, row))
    return table


class View:
    """A bar that is there on a terminal only, and goes when its ``with`` ends.

    Args:
        columns: What the bar shows.
        fields: Of its one task, as `rich` takes them.
    """

    def __init__(self, *columns: Any, **fields: Any) -> None:
        from rich.progress import Progress

        self._console = console()
        self._progress = Progress(
            *columns,
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(fields.pop("title", ""), **fields)

    def __enter__(self) -> Any:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


def exit_code(
    action: Callable[[], int | None], *, options: Iterable[str] = (), interrupted: str = ""
) -> int:
    """Runs a command: its own code, or that of what ended it, which is told in a sentence.

    Args:
        action: The command.
        options: Settings that are options of it, and are called so in errors.
        interrupted: What to say after Ctrl-C.
    """
    try:
        return action() or 0
    except BrokenPipeError:  # the reader of standard output has gone: nothing left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE_CLOSED
    except (StructqError, OSError) as error:
        say(f"structq: {_message(error, options)}")
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        say(f"structq: interrupted{interrupted}")
        return EXIT_INTERRUPTED


def _message(error: Exception, options: Iterable[str]) -> str:
    """What was wrong; a setting is named as its option."""
    message = str(error)
    field = (error.field or "") if isinstance(error, InputError) else ""
    if field in options and message.startswith(f"{field}:"):
        return f"--{field.replace('_', '-')}{message.removeprefix(field)}"
    return message
