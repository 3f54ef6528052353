"""Models by their names on the hub of Hugging Face; its package is loaded when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from structq.errors import InputError, shorten

__all__ = ["hub_file", "hub_folder", "looks_like_hub_id"]


def looks_like_hub_id(place: str) -> bool:
    """Whether a place that is no folder can be meant for the hub: ``owner/name`` or a name."""
    return bool(place) and place[0] not in "./~" and place.count("/") <= 1


def hub_file(name: str, *, file: str | None, ending: str, revision: str | None) -> Path:
    """A file of a model; it is downloaded on first use.

    Args:
        name: Of the model.
        file: Its path in the model; ``None`` takes the only one with the ``ending``.
        ending: Of files that may be meant.
        revision: Branch, tag or commit.

    Raises:
        InputError: There is no such file or the choice is open, or as in `hub_folder`.
    """
    found = [] if file else _listed(name, ending, revision)
    if not file and len(found) != 1:
        raise InputError(
            f"{name!r} is no file here: of a model on the hub name the file with file="
            + _choice(found),
            field="file",
        )
    file = file or found[0]
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise InputError(f"file leaves the model's folder: {file!r}", field="file")
    path = hub_folder(name, patterns=[file], revision=revision) / file
    if not path.is_file():
        choice = _choice(_listed(name, ending, revision))
        raise InputError(f"the model {name!r} has no file {file!r}{choice}", field="file")
    return path


def _listed(name: str, ending: str, revision: str | None) -> list[str]:
    """The files of a model that may be meant; none where the hub cannot be asked."""
    try:
        from huggingface_hub import list_repo_files

        files = list_repo_files(name, revision=revision)
    except Exception:  # of the network or the hub: what is missing is said by who asks
        return []
    return [file for file in files if file.endswith(ending)]


def _choice(files: Sequence[str]) -> str:
    return f" (it has {', '.join(files[:8])})" if files else ""


def hub_folder(name: str, *, patterns: Sequence[str], revision: str | None) -> Path:
    """The folder in which huggingface_hub keeps a model; files are downloaded on first use.

    Raises:
        InputError: The package is missing, or the model cannot be had.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise InputError(
            f"{name!r} is no folder here, and models of the hub need another package: "
            "pip install huggingface_hub",
            field="lm",
        ) from error
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # of the network, the hub, or the disk
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{name!r} is no folder here, and no model that the hub can give: "
            f"{shorten(reason, 160)}",
            field="lm",
        ) from error
