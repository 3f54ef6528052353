"""Two runs side by side."""

import pytest

from structq.report import write_report
from structq.report.compare import compare, pair_rows, row_names
from structq.report.facts import facts_of_row
from structq.report.sources import RunSource
from tests.report.made import FACTS, block, row, sentences, write_journal


def run(rows, name="a", **facts):
    found = [facts_of_row(number, values) for number, values in enumerate(rows)]
    return RunSource(name=name, path=name, journal=None, facts={**FACTS, **facts}, rows=found)


def scored(number, score, text="b", **columns):
    return row(number, ["a", text], [1.0, score], ["details"], **columns)


PAIRS = {
    "same order": ([0, 1], [0, 1], [("r0", True, True), ("r1", True, True)]),
    "other order": ([0, 1], [1, 0], [("r0", True, True), ("r1", True, True)]),
    "one is missing": ([0, 1], [1], [("r0", True, False), ("r1", True, True)]),
    "one is more": ([0], [0, 2], [("r0", True, True), ("r2", False, True)]),
    "none in common": ([0], [1], [("r0", True, False), ("r1", False, True)]),
    "twice": ([0, 0], [0], [("r0", True, True), ("r0 (2)", True, False)]),
}


@pytest.mark.parametrize(("first", "second", "expected"), PAIRS.values(), ids=PAIRS)
def test_rows_are_paired_by_id(first, second, expected):
    runs = [run([scored(n, 2.0) for n in numbers]) for numbers in (first, second)]
    pairs = pair_rows(runs)
    names = row_names([pair.row for pair in pairs])
    found = [
        (n, p.first is not None, p.second is not None) for n, p in zip(names, pairs, strict=True)
    ]
    assert found == expected


def test_an_id_with_another_instruction_is_another_row():
    runs = [run([scored(0, 2.0)]), run([scored(0, 2.0, instruction="Else?")])]
    pairs = pair_rows(runs)
    assert [(p.first is None, p.second is None) for p in pairs] == [(False, True), (True, False)]
    assert row_names([pair.row for pair in pairs]) == ["r0", "r0 (2)"]


def test_without_ids_rows_are_paired_by_place():
    runs = [run([scored(n, 2.0, id=None) for n in range(2)]) for _ in range(2)]
    pairs = pair_rows(runs)
    assert all(p.first is not None and p.second is not None for p in pairs)
    assert row_names([pair.row for pair in pairs]) == ["0", "1"]


def test_deltas_and_rows_that_differ_are_counted():
    first = run([scored(0, 2.0), scored(1, 2.0), scored(2, 3.0), scored(3, 2.0)], "a.jsonl")
    second = run(
        [scored(0, 3.0, "c"), scored(1, 2.0), scored(2, 2.0, "c"), scored(3, 2.0, error="cut")],
        "b.jsonl",
    )
    found = compare([first, second], pair_rows([first, second]))
    told = {name: found.numbers[name] for name in ("shared", "differ", "better", "equal", "worse")}
    assert told == {"shared": 4, "differ": 3, "better": 1, "equal": 1, "worse": 1}
    assert found.numbers["delta"]["mean"] == 0.0
    assert "higher in 1 rows, equal in 1, lower in 1" in found.sentences[0][1]


COMPARABLE = {
    "same": ({}, {}, "With care"),
    "other judge": ({}, {"lm": {"model": "other"}}, "Not as they are: made/up judged the first"),
    "other way": (
        {"scorer.settings.permutations": 1},
        {"scorer.settings.permutations": 2},
        "Not as they are: they were scored in other ways (scorer.settings.permutations)",
    ),
    "other number of responses": (
        {"evolve.settings.num_evolutions": 1},
        {"evolve.settings.num_evolutions": 2},
        "Not as they are: the list-wise scale",
    ),
    "each alone": (
        {"scorer.settings.scoring": "independent"},
        {"scorer.settings.scoring": "independent"},
        "Yes",
    ),
}


@pytest.mark.parametrize(("first", "second", "said"), COMPARABLE.values(), ids=COMPARABLE)
def test_it_says_whether_the_scores_can_be_compared(first, second, said):
    runs = [run([scored(0, 2.0)], "a", **first), run([scored(0, 3.0)], "b", **second)]
    answers = compare(runs, pair_rows(runs))
    assert answers.sentences[1][1].startswith(said)


def test_a_page_of_two_runs_has_both(tmp_path):
    one = write_journal(tmp_path / "one.journal", [scored(n, 2.0) for n in range(4)])
    facts = {**FACTS, "evolve.settings.seed": 7}
    other = write_journal(tmp_path / "other.journal", [scored(n, 2.5) for n in range(3)], facts)
    write_report([one, other], tmp_path / "page.html")
    index = block(tmp_path / "page.html", "index")
    assert index["runs"] == ["one", "other"]
    assert index["columns"]["delta"] == {"numbers": [0.5, 0.5, 0.5, None]}
    said = sentences(tmp_path / "page.html")["How do the two runs differ?"]
    assert "3 rows are in both" in said
    assert "1 are in one alone" in said
    text = (tmp_path / "page.html").read_text("utf8")
    assert "evolve.settings.seed" in text
