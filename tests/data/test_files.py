import gzip
import io
import json
import os
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from structq.data import EVOLVING, SCORING, ColumnMap, Contract, format_of, read_rows, write_rows
from structq.errors import InputError, RowError

ANY = Contract(name="any", required={})
NAMES = ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst", "rows.json", "rows.json.gz", "rows.csv"]
TABLES = [*NAMES, "rows.csv.zst", "rows.parquet"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
# A busy machine is no failure.
patient = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ROWS = [
    {"instruction": "Why?", "responses": ["a, b", '"quoted"\nline'], "scores": [1.0, 2.5]},
    {"instruction": "你好 🌱", "responses": ["x", "[1]"], "scores": [3.0, None]},
]


def values_of(path, contract=ANY, **options):
    rows = list(read_rows(path, contract, **options))
    assert [row.error for row in rows] == [None] * len(rows)
    return [row.values for row in rows]


@patient
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.zst", "rows.json"])
@given(rows=st.lists(st.dictionaries(TEXT, JSON, max_size=4), max_size=5))
def test_what_is_written_is_read(tmp_path, name, rows):
    write_rows(lambda: rows, tmp_path / name)
    assert values_of(tmp_path / name) == rows


@patient
@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet"])
@given(rows=st.lists(st.fixed_dictionaries({"instruction": CELL, "b": CELL}), max_size=5))
def test_texts_in_a_table_are_read_as_they_were(tmp_path, name, rows):
    write_rows(lambda: rows, tmp_path / name)
    if rows or name.endswith("parquet"):
        assert values_of(tmp_path / name) == rows


@pytest.mark.parametrize("name", TABLES)
def test_lists_and_scores_come_back_in_every_format(tmp_path, name):
    write_rows(lambda: ROWS, tmp_path / name)
    assert values_of(tmp_path / name, SCORING) == ROWS


@pytest.mark.parametrize("name", TABLES)
def test_metadata_comes_back_in_every_format(tmp_path, name):
    rows = [
        {"a": "x", "metadata": {"calls": [{"n": 1}], "error": None}},
        {"a": "y", "metadata": {}},
    ]
    write_rows(lambda: rows, tmp_path / name)
    assert values_of(tmp_path / name) == rows


def test_a_text_that_is_json_stays_text(tmp_path):
    rows = [{"instruction": '["a", "b"]', "response": '{"calls": [], "error": 1}'}]
    for name in TABLES:
        write_rows(lambda: rows, tmp_path / name)
        assert values_of(tmp_path / name) == rows


def test_packed_files_are_packed_and_the_same_each_time(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    write_rows(lambda: ROWS, path)
    first = path.read_bytes()
    assert len(gzip.decompress(first).splitlines()) == 2
    write_rows(lambda: ROWS, path)
    assert path.read_bytes() == first


@patient
@given(rows=st.lists(st.fixed_dictionaries({"text": TEXT}), max_size=5))
def test_every_reader_sees_one_line_a_row(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    write_rows(lambda: rows, path)
    lines = path.read_text(encoding="utf8").splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_text_is_written_as_it_is(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(lambda: [{"text": "Grüße 你好 🌱"}], path)
    assert path.read_bytes() == '{"text": "Grüße 你好 🌱"}\n'.encode()


@pytest.mark.parametrize("value", [float("nan"), "\ud83d", {1, 2}, object()])
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_what_has_no_form_leaves_the_old_file_as_it_was(tmp_path, name, value):
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(InputError, match="no JSON form"):
        write_rows(lambda: [{"a": 1}, {"a": value}], path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("make", [os.link, os.symlink, lambda source, path: None])
def test_the_input_is_never_overwritten(tmp_path, make):
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"{}\n")
    make(source, tmp_path / "out.jsonl")
    out = tmp_path / "out.jsonl" if (tmp_path / "out.jsonl").exists() else source
    with pytest.raises(InputError, match="the output is the input"):
        write_rows(lambda: ROWS, out, source=source)
    assert source.read_bytes() == b"{}\n"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot write .*x\.jsonl"):
        write_rows(lambda: ROWS, tmp_path / "a" / "x.jsonl")


def test_missing_folders_are_made(tmp_path):
    write_rows(lambda: [{}], tmp_path / "a" / "b" / "rows.jsonl")
    assert (tmp_path / "a" / "b" / "rows.jsonl").read_bytes() == b"{}\n"


@pytest.mark.parametrize(
    ("path", "given", "found"),
    [
        ("a.jsonl", None, "jsonl"),
        ("a.ndjson.zst", None, "jsonl"),
        ("a.json", None, "json"),
        ("a.CSV", None, "csv"),
        ("a.parquet", None, "parquet"),
        ("-", None, "jsonl"),
        ("-", "csv", "csv"),
        ("hf:owner/name?split=test", None, "hf"),
        ("out", "hf", "hf"),
        ("a.txt", "jsonl", "jsonl"),
    ],
)
def test_the_suffix_says_the_format_or_the_option(path, given, found):
    assert format_of(path, given, writes=path != "hf:owner/name?split=test") == found


@pytest.mark.parametrize(
    ("path", "given", "match"),
    [
        ("a.txt", None, "its suffix is of no format"),
        ("a", None, "its suffix is of no format"),
        ("a.csv", "jsonl", "would hold jsonl under a name for csv"),
        ("a.parquet.gz", None, "packed by itself"),
        ("-", "parquet", "cannot go to standard output"),
        ("a.jsonl", "xml", "'xml' .jsonl, json, csv, parquet, hf are allowed"),
    ],
)
def test_nothing_is_written_under_a_suffix_that_it_is_not(path, given, match):
    with pytest.raises(InputError, match=match):
        format_of(path, given, writes=True)


@pytest.mark.parametrize(
    ("name", "content", "line", "match"),
    [
        ("a.jsonl.gz", b'{"a": 1}\n', None, "is not packed, although its name ends in .gz"),
        ("a.jsonl.zst", b'{"a": 1}\n', None, "is not packed"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-12], None, "cannot read"),
        ("a.jsonl", gzip.compress(b'{"a": 1}\n', mtime=0), 1, "gzip"),
        ("a.json", b'{"a": 1}', 1, "no JSON array"),
        ("a.json", b'[{"a": 1},\n{"a": 2}', 2, "neither , nor ]"),
        ("a.json", b'[{"a": 1},\n\n{"a": }]', 3, "not JSON"),
        ("a.json", b'[{"a": 1}]\nmore', 2, "text behind the array"),
        ("a.json", b'[{"a": "\xff"}]', 1, "not UTF-8: byte 0xFF"),
        ("a.csv", b"", 1, "no line of column names"),
        ("a.csv", b"a,b,a\n1,2,3\n", 1, "the column stands twice"),
        ("a.csv", b'a,b\n1,"2\n', 2, "not CSV"),
        ("a.parquet", b"PAR1 and no more", None, "no Parquet file"),
    ],
)
def test_a_file_that_is_something_else_is_refused_with_its_place(
    tmp_path, name, content, line, match
):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as caught:
        list(read_rows(path, ANY))
    if line is not None:
        assert isinstance(caught.value, RowError)
        assert (caught.value.path, caught.value.line) == (str(path), line)


def test_a_byte_that_is_not_utf8_costs_a_row_of_csv_and_not_the_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\nx\xff,3\n4,5\n")
    rows = list(read_rows(path, ANY))
    assert [row.error is None for row in rows] == [True, False, True]
    assert str(rows[1].error) == f"{path}:3:a: not UTF-8: byte 0xFF"
    assert rows[1].values == {"b": "3", "unreadable": "x\\xff"}


def test_a_row_of_csv_with_another_number_of_cells_is_bad_alone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,2\n3\n"x\ny",4\n5,6,7\n')
    rows = list(read_rows(path, ANY))
    assert [row.line for row in rows] == [2, 3, 4, 6]
    assert [row.error is None for row in rows] == [True, False, True, False]
    assert "1 cells (the first line names 2 columns)" in str(rows[1].error)


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"{oops", "{oops"),
        (b'{"a": 1', '{"a": 1'),
        (b'"text"', '"text"'),
        (b'{"a": "\xff"}', '{"a": "\\xff"}'),
        (b'{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
        (b'{"a": NaN}', '{"a": NaN}'),
    ],
)
def test_the_text_of_an_unreadable_line_is_kept(tmp_path, content, kept):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 0}\n' + content + b"\n")
    _, bad = read_rows(path, ANY)
    assert bad.error is not None
    assert bad.values["unreadable"] == kept


def test_a_long_array_is_read_with_the_lines_of_its_objects(tmp_path):
    path = tmp_path / "a.json"
    rows = [{"n": i, "text": "x\ny" * 700} for i in range(3000)]
    write_rows(lambda: rows, path)
    read = list(read_rows(path, ANY))
    assert [row.values for row in read] == rows
    assert [row.line for row in read] == list(range(2, 3002))


def test_standard_input_is_read_as_it_comes(monkeypatch):
    stdin = io.BytesIO(b'{"instruction": "a", "response": "b"}\n')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
    assert values_of("-", EVOLVING) == [{"instruction": "a", "response": "b"}]


@pytest.mark.parametrize(
    ("row", "responses"),
    [
        ({"response": "r"}, ["r"]),
        ({"response": "r", "evolved_response": "e"}, ["r", "e"]),
        ({"response": "r", "evolved_responses": ["e", "f"]}, ["r", "e", "f"]),
        ({"response": "r", "evolved_responses": ["r", "e"]}, ["r", "e"]),
        ({"evolved_response": "e"}, ["e"]),
        ({"response": "r", "evolved_response": None}, ["r"]),
        ({"response": "r", "responses": ["x"]}, ["x"]),
    ],
)
def test_a_row_to_score_holds_responses_or_one_or_what_evolved(tmp_path, row, responses):
    path = tmp_path / "a.jsonl"
    write_rows(lambda: [{"instruction": "i", **row}], path)
    (found,) = values_of(path, SCORING)
    assert found["responses"] == responses


@pytest.mark.parametrize(
    ("columns", "row", "found"),
    [
        ("instruction=prompt,response=completion", {"prompt": "p", "completion": "c"}, ("p", "c")),
        (
            "instruction=messages[0].content, response=messages[-1].content",
            {"messages": [{"content": "p"}, {"content": "c"}]},
            ("p", "c"),
        ),
        ("instruction=a.b,response=c[0][1]", {"a": {"b": "p"}, "c": [["x", "c"]]}, ("p", "c")),
        ("instruction=a.b,response=c", {"a.b": "p", "c": "c"}, ("p", "c")),
        (
            "",
            {"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}]},
            ("p", "c"),
        ),
        (
            "",
            {"conversations": [{"from": "human", "value": "p"}, {"from": "gpt", "value": "c"}]},
            ("p", "c"),
        ),
        (
            "",
            {
                "messages": [
                    {"role": "user", "content": "1"},
                    {"role": "assistant", "content": "2"},
                    {"role": "user", "content": "3"},
                    {"role": "assistant", "content": "c"},
                ]
            },
            ("User: 1\n\nAssistant: 2\n\nUser: 3", "c"),
        ),
    ],
)
def test_columns_of_other_names_are_mapped(tmp_path, columns, row, found):
    path = tmp_path / "a.jsonl"
    write_rows(lambda: [row], path)
    (values,) = values_of(path, EVOLVING, columns=ColumnMap.parse(columns))
    assert (values["instruction"], values["response"]) == found
    assert row.items() <= values.items()


def test_a_system_message_is_the_system_prompt(tmp_path):
    path = tmp_path / "a.jsonl"
    turns = [("system", "s"), ("user", "p"), ("assistant", "c")]
    write_rows(lambda: [{"messages": [{"role": r, "content": t} for r, t in turns]}], path)
    assert values_of(path, EVOLVING)[0]["system_prompt"] == "s"


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ({"prompt": "p", "completion": "c"}, "--map instruction=prompt,response=completion"),
        ({"question": "p", "answer": "c"}, "--map instruction=question,response=answer"),
        ({"Instruction": "p", "Response": "c"}, "--map instruction=Instruction,response=Response"),
        ({"instruction": "p", "output": "c"}, "--map response=output"),
        ({"input": "p", "output": "c"}, "--map instruction=input,response=output"),
    ],
)
def test_near_names_are_proposed_as_a_mapping(tmp_path, row, hint):
    path = tmp_path / "a.jsonl"
    write_rows(lambda: [row], path)
    (found,) = read_rows(path, EVOLVING)
    assert f"did you mean {hint}?" in str(found.error)
    mapped = ColumnMap.parse(hint.removeprefix("--map "))
    (found,) = read_rows(path, EVOLVING, columns=mapped)
    assert found.error is None


@pytest.mark.parametrize("text", ["instruction", "=a", "a=", "a=b[", "a=[x]", "a=b..c"])
def test_a_mapping_that_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match="must be COLUMN=PLACE"):
        ColumnMap.parse(text)


@pytest.mark.parametrize(
    ("turns", "match"),
    [
        ([{"role": "user", "content": "p"}], "no answer at the end"),
        ([], "no answer at the end"),
        ("text", "must be a list of messages"),
        ([{"role": "user"}], r"messages\[0\]"),
        ([{"role": "tool", "content": "x"}], r"messages\[0\]"),
    ],
)
def test_messages_without_an_answer_are_bad_rows(tmp_path, turns, match):
    path = tmp_path / "a.jsonl"
    write_rows(lambda: [{"messages": turns}], path)
    (row,) = read_rows(path, EVOLVING)
    with pytest.raises(RowError, match=match):
        raise row.error


def test_a_dataset_on_disk_is_read_and_written(tmp_path):
    pytest.importorskip("datasets")
    write_rows(lambda: ROWS, tmp_path / "set", format="hf")
    assert values_of(tmp_path / "set", SCORING) == ROWS
