from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from structq.errors import InputError
from structq.export import ExportSettings, write_export
from structq.export.card import code_span

from .run_rows import run_row

DPO = ExportSettings(to="dpo")


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def header(path: Path) -> dict[str, Any]:
    _, text, _ = path.read_text(encoding="utf8").split("---\n", 2)
    return dict(yaml.safe_load(text))


def test_an_export_is_a_folder_of_data_and_card(tmp_path: Path) -> None:
    tally = write_export([run_row()], tmp_path / "out", DPO)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == ["README.md", "train.jsonl"]
    assert len(read(tmp_path / "out" / "train.jsonl")) == tally.n_records == 1
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_the_header_names_every_column(tmp_path: Path) -> None:
    write_export([run_row()], tmp_path / "out", DPO)
    found = header(tmp_path / "out" / "README.md")
    columns = [one["name"] for one in found["dataset_info"]["features"]]
    assert columns == list(read(tmp_path / "out" / "train.jsonl")[0])
    assert found["configs"][0]["data_files"] == [{"split": "train", "path": "train.jsonl"}]
    assert found["size_categories"] == ["n<1K"]


def test_the_card_says_where_rows_came_from_and_went(tmp_path: Path) -> None:
    rows = [run_row(), run_row(expected_scores=[1.0] * 3), run_row(scores=None, responses=None)]
    write_export(rows, tmp_path / "out", DPO, about={"Source": "run.jsonl", "Seed": "42"})
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
    for line in [
        "- `Source`: `run.jsonl`",
        "- `Seed`: `42`",
        "- Written by: `lm-a` (1 row)",
        "- Mutation templates: `creativity` (1), `details` (1)",
        "- read: 3 rows",
        "- used: 1 row, as 1 record",
        "- dropped, a tie: 1 row (the first is row 2)",
        "- dropped, no responses: 1 row (the first is row 3)",
        "- mean margin: 1.500",
    ]:
        assert line in card.splitlines()


def test_llama_factory_gets_its_entry(tmp_path: Path) -> None:
    settings = ExportSettings(to="kto", trainer="llama-factory")
    write_export([run_row()], tmp_path / "my set, v2", settings)
    info = json.loads((tmp_path / "my set, v2" / "dataset_info.json").read_text())
    assert info["my_set_v2"]["columns"] == {"messages": "completion", "kto_tag": "label"}


HOSTILE = {
    "markup": "<img src=x onerror=alert(1)> **bold** [a](http://b)",
    "backticks": "``` a `b` ```",
    "line ends": "a\n---\n# b\r\u2028c",
    "terminal": "\x1b]52;c;aGk=\x07",
    "bidi": "\u202egpj.exe",
    "pipes": "a|b\\|c",
    "edges": " a ",
    "empty": "",
    "tag characters": "\U000e0041",
    "long": "x" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_in_a_card_are_code(text: str) -> None:
    markdown = pytest.importorskip("markdown_it")
    (block, *_) = markdown.MarkdownIt("gfm-like", {"linkify": False}).parse(
        f"- x: {code_span(text)}"
    )[3:4] or [None]
    kinds = [one.type for one in block.children]
    assert kinds == ["text", "code_inline"]
    assert block.children[1].content.isprintable()
    assert len(block.children[1].content) <= 2100


def test_hostile_names_leave_the_header_and_the_lines_alone(tmp_path: Path) -> None:
    texts = list(HOSTILE.values())
    rows = [run_row(model_name=text, mutations=[text], instruction=text or "?") for text in texts]
    settings = ExportSettings(to="dpo", system_prompt="---\n`<b>`")
    write_export(rows, tmp_path / "out", settings, about=dict(zip(texts, texts, strict=True)))
    write_export(rows[:1], tmp_path / "calm", settings)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
    assert header(tmp_path / "out" / "README.md") == header(tmp_path / "calm" / "README.md")
    assert all(line.isprintable() for line in card.split("\n"))
    assert [one for one in card.split("\n") if one.startswith("# ")] == ["# `out`"]
    assert len(read(tmp_path / "out" / "train.jsonl")) == len(rows)


def test_counts_of_names_do_not_grow_with_the_rows(tmp_path: Path) -> None:
    rows = (run_row(model_name=f"lm-{i}", mutations=None) for i in range(1_000))
    tally = write_export(rows, tmp_path / "out", DPO)
    assert len(tally.models) == 51
    assert tally.models["others"] == 950


def test_what_is_there_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_export([run_row()], out, DPO)
    with pytest.raises(InputError, match="is not empty"):
        write_export([run_row()] * 2, out, DPO)
    assert len(read(out / "train.jsonl")) == 1
    write_export([run_row()] * 2, out, DPO, overwrite=True)
    assert len(read(out / "train.jsonl")) == 2


def test_only_an_export_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes.txt'"):
        write_export([run_row()], tmp_path, DPO, overwrite=True)
    with pytest.raises(InputError, match="is a file"):
        write_export([run_row()], tmp_path / "notes.txt", DPO)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["d.jsonl", "d.JSON", "d.parquet", "d.jsonl.gz", "d.csv"])
def test_a_folder_is_made_under_no_name_of_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="ends like a file"):
        write_export([run_row()], tmp_path / name, DPO)
    assert not list(tmp_path.iterdir())


def test_an_export_without_records_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of 2 can be used \(a tie: 2, first"):
        write_export([run_row(expected_scores=[1.0] * 3)] * 2, tmp_path / "out", DPO)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_half_way_keeps_the_earlier_export(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_export([run_row()], out, DPO)

    def broken() -> Any:
        yield run_row()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_export(broken(), out, DPO, overwrite=True)
    assert len(read(out / "train.jsonl")) == 1
    assert list(tmp_path.iterdir()) == [out]
