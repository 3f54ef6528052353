"""One process at a time: a file that the operating system lets go of whatever ends its holder."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["locked"]

_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


@contextmanager
def locked(path: Path, *, on_wait: Callable[[], None], pause_s: float = 0.2) -> Iterator[bool]:
    """Holds the lock of a file, which is made and stays.

    Args:
        path: The file.
        on_wait: Called once where another process holds it.
        pause_s: Seconds between two tries.

    Yields:
        Whether it is held: some network drives know no locks.
    """
    with path.open("a+b") as file:
        waits = False
        while (held := _try(file)) is None:
            if not waits:
                on_wait()
            waits = True
            time.sleep(pause_s)
        yield held  # closing the file lets go


def _try(file: IO[bytes]) -> bool | None:
    """Whether the lock is held now; ``None`` where someone else holds it."""
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in _HELD else False
    return True
