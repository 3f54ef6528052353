"""Where structq keeps what it made for its user: converted models, pulled weights."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["data_home"]


def data_home() -> Path:
    """The user's data folder of structq; it need not exist.

    ``$STRUCTQ_HOME``, else ``$XDG_DATA_HOME/structq``, else ``~/.local/share/structq``.
    """
    if own := os.environ.get("STRUCTQ_HOME"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "structq"
