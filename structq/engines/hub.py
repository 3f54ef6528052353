"""Models by their names on the hub of Hugging Face; its package is loaded when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from structq.errors import InputError, shorten

__all__ = ["hub_folder", "looks_like_hub_id"]


def looks_like_hub_id(place: str) -> bool:
    """Whether a place that is no folder can be meant for the hub: ``owner/name`` or a name."""
    return bool(place) and place[0] not in "./~" and place.count("/") <= 1


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
