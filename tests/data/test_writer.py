import io
import json
import os
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from structq.data import Contract, JsonlWriter, read_jsonl, write_jsonl
from structq.errors import InputError

ANY = Contract(name="any", required={})
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
# A busy machine is no failure.
patient = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("rows") / "rows.jsonl"


@patient
@given(rows=st.lists(st.dictionaries(TEXT, JSON, max_size=4), max_size=5))
def test_what_is_written_is_read(path, rows):
    assert write_jsonl(rows, path) == len(rows)
    read = list(read_jsonl(path, ANY))
    assert [row.values for row in read] == rows
    assert [row.error for row in read] == [None] * len(rows)


@patient
@given(rows=st.lists(st.fixed_dictionaries({"text": TEXT}), max_size=5))
def test_every_reader_sees_one_line_a_row(path, rows):
    write_jsonl(rows, path)
    lines = path.read_text(encoding="utf8").splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_text_is_written_as_it_is(path):
    write_jsonl([{"text": "Grüße 你好 🌱"}], path)
    assert path.read_bytes() == '{"text": "Grüße 你好 🌱"}\n'.encode()


def test_each_row_is_in_the_file_at_once(path):
    with JsonlWriter(path) as writer:
        writer.write({"a": 1})
        assert path.read_bytes() == b'{"a": 1}\n'


@pytest.mark.parametrize("value", [float("nan"), "\ud83d", {1, 2}, object()])
def test_a_row_without_a_json_form_leaves_the_file_whole(path, value):
    with JsonlWriter(path) as writer:
        writer.write({"a": 1})
        with pytest.raises(InputError, match="no JSON form"):
            writer.write({"a": value})
        writer.write({"a": 2})
    assert path.read_bytes() == b'{"a": 1}\n{"a": 2}\n'


@pytest.mark.parametrize("make", [os.link, os.symlink, lambda source, path: None])
def test_the_input_is_never_overwritten(tmp_path, make):
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"{}\n")
    make(source, tmp_path / "out.jsonl")
    out = tmp_path / "out.jsonl" if (tmp_path / "out.jsonl").exists() else source
    with pytest.raises(InputError, match="the output is the input"):
        JsonlWriter(out, source=source)
    assert source.read_bytes() == b"{}\n"


def test_missing_folders_are_made(tmp_path):
    write_jsonl([{}], tmp_path / "a" / "b" / "rows.jsonl")
    assert (tmp_path / "a" / "b" / "rows.jsonl").read_bytes() == b"{}\n"


def test_a_folder_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        JsonlWriter(tmp_path)


def test_a_dash_writes_standard_output_and_leaves_it_open(monkeypatch):
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer))
    write_jsonl([{"a": "é"}], "-")
    assert buffer.getvalue() == '{"a": "é"}\n'.encode()
