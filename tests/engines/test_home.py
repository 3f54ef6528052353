from pathlib import Path

import pytest

from structq.engines.store import data_home


@pytest.mark.parametrize(
    ("own", "shared", "home"),
    [
        ("/own", "/shared", "/own"),
        (None, "/shared", "/shared/structq"),
        ("", "/shared", "/shared/structq"),
        (None, None, "/user/.local/share/structq"),
        (None, "", "/user/.local/share/structq"),
        (None, "relative", "/user/.local/share/structq"),
        ("~/models", None, "/user/models"),
    ],
)
def test_the_home_is_where_the_user_says(monkeypatch, own, shared, home):
    monkeypatch.setenv("HOME", "/user")
    for name, value in (("STRUCTQ_HOME", own), ("XDG_DATA_HOME", shared)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert data_home() == Path(home)


def test_a_relative_home_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRUCTQ_HOME", "models")
    assert data_home() == tmp_path / "models"
