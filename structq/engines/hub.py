"""Models by their names on the hub of Hugging Face; its package is loaded when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from structq.errors import InputError, shorten

__all__ = ["hub_file", "hub_folder", "looks_like_hub_id"]


def looks_like_hub_id(place: str) -> bool:
    """Whether a place that is no folder can be meant for the hub: ``owner/name`` or a name."""
    return bool(place) and place[0] not in "./~" and place.count("/") <= 1


def hub_file(name: str, *, file: str | None, revision: str | None) -> Path:
    """A file of a model; it is downloaded on first use.

    Raises:
        InputError: No file is named, or as in `hub_folder`.
    """
    if not file:
        raise InputError(
            f"{name!r} is no file here: of a model on the hub name the file "
            f"(gguf:{name}?file=...{_choice(name, revision)})",
            field="file",
        )
    path = hub_folder(name, patterns=[file], revision=revision) / file
    if not path.is_file():
        raise InputError(
            f"the model {name!r} has no file {file!r}{_choice(name, revision)}", field="file"
        )
    return path


def _choice(name: str, revision: str | None) -> str:
    """What the hub has, for an error; nothing where it cannot be asked."""
    try:
        from huggingface_hub import list_repo_files

        names = list_repo_files(name, revision=revision)
    except Exception:  # it is about to be said that something is missing; this is only a hint
        return ""
    files = [file for file in names if file.endswith(".gguf")]
    return f"; it has {', '.join(files[:8])}" if files else "; it has no GGUF file"


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
