import shutil
import sys

import pytest

from structq.engines.store import client as clients
from structq.engines.store import find_client
from structq.engines.store.catalogue import CATALOGUE
from structq.errors import PullError


@pytest.fixture
def found(monkeypatch):
    """Says which package clients there are."""

    def only(*modules, programs=()):
        monkeypatch.setattr(clients, "find_spec", lambda name: name if name in modules else None)
        monkeypatch.setattr(
            shutil, "which", lambda name: f"/bin/{name}" if name in programs else None
        )

    return only


def test_pip_of_this_interpreter_comes_first(found):
    found("pip", "uv", programs=["uv"])
    client = find_client()
    assert client.name == "pip"
    assert client.arguments[:4] == (sys.executable, "-m", "pip", "download")
    assert {"--no-deps", "--only-binary=:all:"} <= set(client.arguments)
    assert client.arguments[-1] == "--dest"


@pytest.mark.parametrize(
    ("modules", "programs", "first"),
    [(["uv"], [], (sys.executable, "-m", "uv")), ([], ["uv"], ("/bin/uv",))],
)
def test_uv_comes_where_there_is_no_pip(found, modules, programs, first):
    found(*modules, programs=programs)
    client = find_client()
    assert client.name == "uv"
    assert client.arguments[: len(first)] == first
    assert {"--no-deps", "--only-binary=:all:"} <= set(client.arguments)
    assert client.arguments[-1] == "--target"


def test_without_either_the_way_by_a_file_is_named(found):
    found()
    with pytest.raises(PullError, match=r"--from FILE.whl"):
        find_client()


def test_the_catalogue_names_files_by_their_names():
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert "/" not in entry.file
        assert len(bytes.fromhex(entry.sha256)) == len(bytes.fromhex(entry.wheel_sha256)) == 32
