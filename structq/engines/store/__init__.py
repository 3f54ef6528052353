"""Models that can be had by name: what they are, fetched on command, kept; knows no runtime.

Nothing is fetched unless `pull` is called.
"""

from structq.engines.store.catalogue import CATALOGUE, Entry
from structq.engines.store.client import Client, find_client
from structq.engines.store.fetch import Pulled, Watcher, pull
from structq.engines.store.library import (
    Kept,
    data_home,
    entry_of,
    kept,
    name_of,
    path_of,
    remove,
)

__all__ = [
    "CATALOGUE",
    "Client",
    "Entry",
    "Kept",
    "Pulled",
    "Watcher",
    "data_home",
    "entry_of",
    "find_client",
    "kept",
    "name_of",
    "path_of",
    "pull",
    "remove",
]
