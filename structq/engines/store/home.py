"""Where structq keeps models between runs; the one place that reads the environment for it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["data_home"]


def data_home() -> Path:
    """The folder of structq's data; it need not exist yet.

    ``$STRUCTQ_HOME``, else ``$XDG_DATA_HOME/structq``, else ``~/.local/share/structq``.
    """
    if own := os.environ.get("STRUCTQ_HOME"):
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_DATA_HOME", "")
    # The XDG rule: a relative path there is to be ignored.
    base = Path(shared) if os.path.isabs(shared) else Path.home() / ".local" / "share"
    return base / "structq"
