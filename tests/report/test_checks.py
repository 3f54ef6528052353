"""What a judge check found, as a page."""

import json
import re

import pytest

from structq.cli.commands import app
from structq.report import write_report
from tests.report.made import random_rows, sentences, write_journal


def figures(accuracy=(0.612, 0.52, 0.71), n_pairs=106):
    known = n_pairs > 0
    return {
        "n_rows": 106, "n_pairs": n_pairs, "ties": 0.1,
        "accuracy": list(accuracy) if known else [None] * 3,
        "minus_length": [0.08, -0.02, 0.18] if known else [None] * 3,
        "minus_chance": [a - 0.5 for a in accuracy] if known else [None] * 3,
        "spearman": 0.25, "kendall": None, "ndcg": 0.9,
    }  # fmt: skip


def check(warnings=(), n_pairs=106):
    points = [{"low": 0.1, "predicted": 0.15, "observed": 0.2, "n": 5},
              {"low": 0.8, "predicted": 0.85, "observed": 0.7, "n": 7}]  # fmt: skip
    judge = {
        "name": "nano <b>", "lm": "nano", "scoring": "joint", "warnings": list(warnings),
        "figures": {"mode": figures((0.5, 0.4, 0.6)), "mean": figures(n_pairs=n_pairs)},
        "baselines": {"length": figures((0.53, 0.43, 0.62)), "first": figures((0.45, 0.4, 0.5))},
        "groups": {"hhh": figures()},
        "order": {"sentence": "the order decides 10 of 106 rows", "first_wins": 0.3},
        "calibration": {"brier": 0.24, "ece": 0.05, "curve": points},
        "cost": {"lm_calls": 212}, "left_out": {"no labels": 3},
    }  # fmt: skip
    return {"kind": "judge-check", "data": "labels.jsonl", "judges": [judge]}


def page_of(tmp_path, values):
    path = tmp_path / "check.json"
    path.write_text(json.dumps(values, indent=1))
    write_report([path], tmp_path / "page.html")
    return (tmp_path / "page.html").read_text("utf8")


def test_a_judge_is_told_in_a_sentence_beside_its_baselines(tmp_path):
    text = page_of(tmp_path, check())
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', text)
    assert lead == (
        "nano &lt;b&gt; agrees with the labels in 0.612 (0.52 to 0.71) of 106 pairs (mean); chance "
        "would in 0.5, a rule by which the longer wins in 0.53, a rule by which the first wins in "
        "0.45. The order decides 10 of 106 rows."
    )


def test_warnings_come_first(tmp_path):
    text = page_of(tmp_path, check(["Position alone: the second won in all rows."]))
    assert text.index("Position alone") < text.index("agrees with the labels")


def test_every_reading_has_its_line_and_the_baselines_too(tmp_path):
    text = page_of(tmp_path, check())
    table = re.search(r'</figure><div class="wide"><table>(.*?)</table>', text, re.S)[1]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', table)
    assert [name for name, _ in rows] == [
        "nano &lt;b&gt;, mode", "nano &lt;b&gt;, mean", "the longer wins", "the first wins",
    ]  # fmt: skip
    assert "0.612 (0.52 to 0.71)" in rows[1][1]
    assert "0.08 (−0.02 to 0.18)" in rows[1][1]
    assert "<td>–</td>" in rows[1][1]


def test_a_reliability_curve_is_drawn_with_its_numbers(tmp_path):
    text = page_of(tmp_path, check())
    curve = re.search(r'<figure id="check-0-0-curve".*?</figure>', text, re.S)[0]
    assert curve.count("<circle") == 2
    assert "Brier score 0.24" in curve
    assert ">0.85</th>" in curve
    assert ">0.7</td>" in curve


@pytest.mark.parametrize(
    "values", [{"kind": "judge-check"}, check(n_pairs=0)], ids=["nothing", "no pairs"]
)
def test_a_check_of_nothing_is_a_page(tmp_path, values):
    assert "Judge check: check.json" in page_of(tmp_path, values)


def test_a_run_beside_it_points_to_it(tmp_path):
    page_of(tmp_path, check())
    journal = write_journal(tmp_path / "run.journal", random_rows(9, 1))
    write_report([journal, tmp_path / "check.json"], tmp_path / "both.html")
    said = sentences(tmp_path / "both.html")["Can this judge be trusted?"]
    assert said.endswith("The judge check below says how far judges agree with people.")


def test_what_judge_check_writes_is_what_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"instruction": f"Why {n}?", "responses": ["a word", "two words more"],
         "labels": {"best": n % 2}}
        for n in range(6)
    ]  # fmt: skip
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    for command in (
        ["judge-check", "labels.jsonl", "--lm", "nano", "--json", "check.json"],
        ["report", "check.json", "-o", "page.html"],
    ):
        with pytest.raises(SystemExit) as ended:
            app(command)
        assert ended.value.code == 0
    text = (tmp_path / "page.html").read_text("utf8")
    assert "nano joint agrees with the labels in" in text
