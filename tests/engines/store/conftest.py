import pytest

from tests.tiny_wheel import Watcher, make_client, make_entry, make_wheel


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Where models are kept; not made yet."""
    path = tmp_path / "home"
    monkeypatch.setenv("STRUCTQ_HOME", str(path))
    return path


@pytest.fixture
def wheel(tmp_path):
    return make_wheel(tmp_path / "tiny_model-1.0-py3-none-any.whl")


@pytest.fixture
def entry(wheel):
    return make_entry(wheel)


@pytest.fixture
def client(tmp_path, wheel):
    return make_client(tmp_path, wheel)
