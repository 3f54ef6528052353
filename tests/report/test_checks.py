"""A judge check is drawn by its shape."""

import json
import re

from structq.report import write_report

CHECK = {
    "kind": "judge-check",
    "data": "labels.jsonl",
    "rows": 106,
    "warnings": ["lm A put the second response first in 106 of 106 rows: position alone."],
    "scorers": [
        {
            "scorer": "mean <b>",
            "accuracy": {"mean": 0.612, "low": 0.52, "high": 0.71},
            "swapped": 0.4,
            "reliability": [
                {"predicted": 0.1, "observed": 0.2},
                {"predicted": 0.9, "observed": 0.7},
            ],
        },
        {"scorer": "mode", "accuracy": {"mean": 0.5, "low": 0.4, "high": 0.6}, "swapped": None},
    ],
    "baselines": {"length": {"accuracy": 0.53, "n": 106}, "first": {"accuracy": 0.45, "n": 106}},
    "cost": {"calls": 212, "settings": {"window": 4}},
}


def page_of(tmp_path, check):
    path = tmp_path / "check.json"
    path.write_text(json.dumps(check, indent=1))
    write_report([path], tmp_path / "page.html")
    return (tmp_path / "page.html").read_text("utf8")


def test_warnings_come_first_and_numbers_have_their_intervals(tmp_path):
    text = page_of(tmp_path, CHECK)
    assert text.index("position alone.") < text.index("0.612 (0.52 to 0.71)")
    assert "mean &lt;b&gt;" in text
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</th>(.*?)</tr>", text)
    assert ("length", '<td class="n">0.53</td><td class="n">106</td>') in rows


def test_a_reliability_curve_is_drawn_with_its_numbers(tmp_path):
    text = page_of(tmp_path, CHECK)
    (figure,) = re.findall(r"<figure.*?</figure>", text, re.S)
    assert figure.count("<circle") == 2
    assert ">0.9</th>" in figure
    assert ">0.7</td>" in figure


def test_a_check_of_nothing_is_a_page(tmp_path):
    assert "Judge check: check.json" in page_of(tmp_path, {"kind": "judge-check"})
