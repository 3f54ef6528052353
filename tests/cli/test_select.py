"""``structq select --embed``: an LM of this machine, the rows it costs, and what is refused."""

import json
from pathlib import Path

import pytest

from structq.cli.commands import app

TEXTS = ["Two is the only even prime number.", "Bread rises because yeast makes gas in the dough."]


@pytest.fixture
def call(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            app(["select", "in.jsonl", "-o", "out.jsonl", *arguments])
        return ended.value.code

    return run


def write(*texts):
    rows = [
        {"id": place, "instruction": "Tell.", "response": text, "scores": [5 - place]}
        for place, text in enumerate(texts)
    ]
    Path("in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf8")


def kept():
    lines = Path("out.jsonl").read_text(encoding="utf8").splitlines()
    return [json.loads(line)["id"] for line in lines]


@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["told", "quiet"])
def test_near_copies_go_and_a_text_that_is_too_long_is_counted(call, capsys, quiet):
    write(TEXTS[0], f"{TEXTS[0]}!", "word " * 3000, TEXTS[1])
    assert call("--embed", "nano", *quiet) == 0
    assert kept() == [0, 3]
    told = capsys.readouterr().err
    assert ("left out: a text longer than the LM's window" in told) == (not quiet)


def test_n_and_the_bound_hold_for_it_too(call):
    write(*TEXTS, TEXTS[0])
    assert call("--embed", "nano", "--max-similarity", "1") == 0
    assert kept() == [0, 1, 2]
    assert call("--embed", "nano", "--n", "1", "--overwrite") == 0
    assert kept() == [0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--embed", "openai/gpt-4o"), "'openai/gpt-4o' gives no embeddings"),
        (("--embed", "vllm/x"), "'vllm/x' gives no embeddings"),
        (("--embed", "nanno"), "'nanno' gives no embeddings"),
        (("--embed", "gguf:/no/such.gguf"), "such.gguf"),
        (
            ("--embed", "nano", "--embeddings", "v"),
            "--embed: 'nano' and embeddings='v' are two ways",
        ),
    ],
    ids=["remote", "server", "unknown", "no file", "two ways"],
)
def test_what_cannot_embed_is_refused_and_nothing_is_written(call, capsys, options, told):
    write(*TEXTS)
    assert call(*options) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not Path("out.jsonl").exists()
