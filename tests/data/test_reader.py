import io
import json
import sys
import tracemalloc

import pytest

from structq.data import EVOLVING, SCORING, read_rows
from structq.errors import InputError, RowError

OAK = b'{"instruction": "Name a tree.", "response": "oak"}'
ASH = b'{"instruction": "Name another.", "response": "ash"}'


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a file; returns the rows."""

    def rows(content, contract=EVOLVING):
        path = tmp_path / "rows.jsonl"
        path.write_bytes(content)
        return list(read_rows(path, contract))

    return rows


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"\xef\xbb\xbf", []),
        (OAK + b"\n" + ASH + b"\n", [1, 2]),
        (OAK + b"\n" + ASH, [1, 2]),
        (OAK + b"\r\n" + ASH + b"\r\n", [1, 2]),
        (b"\xef\xbb\xbf" + OAK + b"\n", [1]),
        (OAK + b"\n\n \t\r\n" + ASH + b"\n\n", [1, 4]),
        (b"  " + OAK + b"  \n", [1]),
        (OAK + b"\n" + OAK + b"\n", [1, 2]),
    ],
    ids=[
        "empty file",
        "only blank lines",
        "only a byte order mark",
        "plain",
        "no final line end",
        "Windows line ends",
        "byte order mark",
        "blank lines between",
        "spaces around",
        "the same row twice",
    ],
)
def test_odd_but_good_files_load_whole(read, content, lines):
    rows = read(content)
    assert [row.line for row in rows] == lines
    assert all(row.error is None for row in rows)


@pytest.mark.parametrize(
    ("line", "field", "found", "columns"),
    [
        (b'{"instruction": "Name', None, "not JSON", []),
        (b"oak", None, "not JSON", []),
        (b'["Name a tree.", "oak"]', None, "not an object: ['Name a tree.', 'oak']", []),
        (b'"oak"', None, "not an object", []),
        (b"7", None, "not an object", []),
        (b"null", None, "not an object", []),
        (b'{"instruction": "caf\xe9", "response": ""}', None, "byte 0xE9 at byte 21", []),
        (b"\xef\xbb\xbf" + OAK, None, "not JSON", []),
        (b'{"instruction": "Name\ta tree."}', None, "control character", []),
        (b'{"n": ' + b"9" * 5000 + b"}", None, "not usable JSON", []),
        (b'{"n": ' + b"[" * 200_000, None, "nested", []),
        (b'{"instruction": "x", "id": 1}', "response", "missing", ["instruction", "id"]),
        (b'{"instruction": "x", "response": "\\ud83d"}', "response", "surrogate", ["instruction"]),
        (OAK[:-1] + b', "id": NaN}', "id", "nan", ["instruction", "response"]),
        (OAK[:-1] + b', "id": 1e999}', "id", "inf", ["instruction", "response"]),
        (OAK[:-1] + b', "response": "ash"}', "response", "twice", ["instruction"]),
        (OAK[:-1] + b', "a": {"b": 1, "b": 2}}', "b", "twice", ["instruction", "response", "a"]),
    ],
)
def test_a_bad_line_is_a_value_with_place_and_reason(read, line, field, found, columns):
    good, bad, last = read(OAK + b"\n" + line + b"\n" + ASH + b"\n")
    assert (good.error, last.error) == (None, None)
    assert isinstance(bad.error, RowError)
    assert (bad.error.line, bad.error.field) == (2, field)
    assert found in bad.error.reason
    assert str(bad.error).startswith(f"{bad.error.path}:2:")
    assert [name for name in bad.values if name != "unreadable"] == columns


@pytest.mark.parametrize("end", ["\u0085", "\u2028", "\u2029", "\u000b", "\u001c"])
def test_only_a_line_feed_ends_a_line(read, end):
    text = f"one{end}two"
    raw = json.dumps({"instruction": "Copy.", "response": text}, ensure_ascii=end < " ")
    (row,) = read(raw.encode() + b"\n")
    assert row.values["response"] == text


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'[\n  {"instruction": "x"}\n]\n', "one JSON array"),
        (b"[" + OAK + b",\n" + ASH + b"]\n", "one JSON array"),
        (b"[" + OAK + b", " + ASH + b"]", "one JSON array"),
        (b'\n{\n  "instruction": "x"\n}\n', "several lines"),
        (OAK.decode().encode("utf-16"), "UTF-16"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PAR1\x15\x04", "Parquet"),
    ],
)
def test_a_file_of_another_kind_is_refused_as_a_whole(read, content, found):
    with pytest.raises(RowError, match=found):
        read(content)


def test_a_list_in_first_place_is_one_bad_line(read):
    bad, good = read(b'["Name a tree.", "oak"]\n' + OAK)
    assert bad.error is not None
    assert good.error is None


@pytest.mark.parametrize("name", ["missing.jsonl", ""])
def test_a_file_that_cannot_be_opened_is_an_input_error(tmp_path, name):
    with pytest.raises(InputError, match="cannot read"):
        next(read_rows(tmp_path / name, EVOLVING))


def test_a_dash_reads_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(OAK + b"\n7\n")))
    good, bad = read_rows("-", EVOLVING)
    assert good.values["response"] == "oak"
    assert str(bad.error).startswith("<stdin>:2: ")


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "long.jsonl"
    line = json.dumps({"instruction": "Copy.", "response": "leaf " * 200}).encode() + b"\n"
    path.write_bytes(line * 3000)
    tracemalloc.start()
    n_rows = sum(row.error is None for row in read_rows(path, EVOLVING))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_rows == 3000
    assert peak < path.stat().st_size / 20


def test_scoring_rows_are_read_by_their_contract(read):
    good, bad = read(
        b'{"instruction": "x", "responses": ["a", "b"]}\n{"instruction": "x", "responses": [null]}',
        SCORING,
    )
    assert good.values["responses"] == ["a", "b"]
    assert bad.error is not None
    assert bad.error.field == "responses[0]"
