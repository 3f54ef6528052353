"""What a report says equals what SQL finds in the journal; its sentences say no more than that."""

import sqlite3
from statistics import fmean, median

import pytest

from structq.optimize.acceptance import _t_quantile
from structq.report import write_report
from structq.report.answers import mean_of
from tests.report.made import FACTS, block, random_rows, row, sentences, write_journal

SCORED = """
WITH scored AS (
  SELECT row, json_extract(output, '$.id') AS id, s.key AS place, s.value AS score,
    json_extract(output, '$.responses[' || s.key || ']') AS text,
    CASE WHEN s.key > 0
      THEN json_extract(output, '$.mutations[' || (s.key - 1) || ']') END AS mutation
  FROM rows, json_each(output, '$.expected_scores') AS s WHERE cause IS NULL
),
best AS (
  SELECT e.row, e.id, MAX(e.score) AS score FROM scored AS e WHERE e.place > 0 GROUP BY e.row
),
gains AS (
  SELECT best.row, best.id, best.score - o.score AS gain,
    (SELECT length(text) FROM scored AS e WHERE e.row = best.row AND e.place > 0
     AND e.score = best.score ORDER BY place LIMIT 1) - length(o.text) AS added
  FROM best JOIN scored AS o ON o.row = best.row AND o.place = 0
  WHERE o.score IS NOT NULL AND best.score IS NOT NULL
)
"""
MUTATION = f"""{SCORED}
SELECT b.mutation, AVG(b.score - a.score) AS gain, COUNT(*)
FROM scored AS b JOIN scored AS a ON a.row = b.row AND a.place = b.place - 1
WHERE a.score IS NOT NULL AND b.score IS NOT NULL GROUP BY 1 ORDER BY gain DESC, 1"""
WORSE = f"{SCORED} SELECT id FROM gains WHERE gain < 0 ORDER BY row"
GAINS = f"{SCORED} SELECT added, gain FROM gains"
OUTCOMES = f"""{SCORED}
SELECT SUM(gain > 0), SUM(gain < 0), SUM(gain = 0),
  (SELECT COUNT(*) FROM rows WHERE cause IS NOT NULL), (SELECT COUNT(*) FROM rows) FROM gains"""
JUDGE = f"""{SCORED},
whole AS (
  SELECT row, MAX(score) AS top, MAX(place) AS last, MAX(length(text)) AS size FROM scored
  GROUP BY row HAVING COUNT(score) = COUNT(*) AND COUNT(*) > 1
)
SELECT COUNT(*),
  SUM((SELECT score FROM scored AS s WHERE s.row = w.row AND s.place = w.last) = top),
  SUM((SELECT score FROM scored AS s WHERE s.row = w.row AND length(s.text) = w.size
       ORDER BY place LIMIT 1) = top) FROM whole AS w"""
COST = """
SELECT COUNT(*), SUM(json_extract(c.value, '$.usage.input_tokens')),
  SUM(json_extract(c.value, '$.usage.output_tokens'))
FROM rows, json_each(output, '$.metadata.calls') AS c"""


@pytest.fixture(params=[0, 1, 2])
def made(request, tmp_path):
    """A page and a connection to the journal that it was made from."""
    journal = write_journal(tmp_path / "run.journal", random_rows(60, request.param))
    write_report([journal], tmp_path / "page.html")
    db = sqlite3.connect(journal)
    yield tmp_path / "page.html", lambda statement: db.execute(statement).fetchall()
    db.close()


def test_which_mutation_helps_most(made):
    page, sql = made
    found = block(page, "answers")["runs"][0]["mutations"]
    expected = {mutation: (gain, n) for mutation, gain, n in sql(MUTATION)}
    assert {one["mutation"]: one["n"] for one in found} == {m: n for m, (_, n) in expected.items()}
    for one in found:
        assert one["mean"] == pytest.approx(expected[one["mutation"]][0])
    said = sentences(page)["Which mutation helps most?"]
    best, least = said.split(" ", 1)[0], said.split("Least: ")[1].split(",")[0]
    gains = [gain for gain, _ in expected.values()]
    assert expected[best][0] == pytest.approx(max(gains))
    assert expected[least][0] == pytest.approx(min(gains))


def test_which_rows_got_worse(made):
    page, sql = made
    ids = [one for (one,) in sql(WORSE)]
    assert ids
    assert block(page, "answers")["runs"][0]["worse_rows"] == ids
    index = block(page, "index")["columns"]
    words = index["outcome"]["words"]
    shown = [
        key
        for key, code in zip(index["key"]["texts"], index["outcome"]["codes"], strict=True)
        if words[code] == "worse"
    ]
    assert shown == ids


def test_what_became_of_the_rows(made):
    page, sql = made
    ((improved, worse, same, failed, n),) = sql(OUTCOMES)
    found = block(page, "answers")["runs"][0]
    kinds = ("improved", "worse", "same", "failed", "rows")
    assert tuple(found[kind] for kind in kinds) == (improved, worse, same, failed, n)
    assert found["unscored"] == n - improved - worse - same - failed
    said = sentences(page)["What became of the rows?"]
    assert said.startswith(f"{improved} of {n} rows improved, {worse} got worse")


def test_whether_the_length_was_worth_it(made):
    page, sql = made
    pairs = sql(GAINS)
    middle = median(added for added, _ in pairs)
    long = [gain for added, gain in pairs if added > middle]
    short = [gain for added, gain in pairs if added <= middle]
    found = block(page, "answers")["runs"][0]["length"]
    assert found["n"] == len(pairs)
    assert found["median_added"] == middle
    assert found["difference"] == pytest.approx(fmean(long) - fmean(short))
    assert found["low"] < found["difference"] < found["high"]


def test_what_is_known_of_the_judge_and_the_cost(made):
    page, sql = made
    found = block(page, "answers")["runs"][0]
    ((n, last, longest),) = sql(JUDGE)
    judge = found["judge"]
    assert (judge["n"], judge["last_first"], judge["longest_first"]) == (n, last, longest)
    ((calls, tokens_in, tokens_out),) = sql(COST)
    cost = found["cost"]
    assert (cost["calls"], cost["tokens_in"], cost["tokens_out"]) == (calls, tokens_in, tokens_out)
    assert f"{calls} LM calls, {tokens_in:,} tokens in" in sentences(page)["What did it cost?"]


def said_of(tmp_path, rows, **notes):
    journal = write_journal(tmp_path / "run.journal", rows, **notes)
    write_report([journal], tmp_path / "page.html", overwrite=True)
    return sentences(tmp_path / "page.html")


def test_what_chance_alone_would_improve_is_told(tmp_path):
    """Of K random scores the first is the highest once in K rows."""
    rows = [row(i, ["a", "b", "c"][:k], [1.0, 2.0, 3.0][:k], ["details"] * (k - 1))
            for i, k in enumerate([2, 2, 3, 3, 3])]  # fmt: skip
    said = said_of(tmp_path, rows)["What became of the rows?"]
    assert "would improve about 3 rows" in said


def clear_rows(n=24):
    """Deepening gains two a row for ten characters, relevance loses one for a hundred."""
    for i in range(n):
        name, gain, size = (("deepening", 2.0, 10), ("relevance", -1.0, 100))[i % 2]
        wobble = 0.01 * (i // 2)
        yield row(i, ["a" * 20, "b" * (20 + size + i)], [2.0, 2.0 + gain + wobble], [name])


def test_a_clear_lead_and_a_harm_are_told_without_doubt(tmp_path):
    said = said_of(tmp_path, clear_rows())["Which mutation helps most?"]
    assert said.startswith("deepening helps most: +2.0")
    assert "chance" not in said
    assert "Harmful: relevance." in said


def test_length_that_brought_less_is_told_so(tmp_path):
    said = said_of(tmp_path, clear_rows())["Was the length worth it?"]
    assert "the length was not worth it" in said


def test_a_lead_within_chance_is_told_so(tmp_path):
    rows = [
        row(i, ["a", "bb"], [2.0, 2.0 + (i * 7 % 5)], [("details", "relevance")[i % 2]])
        for i in range(10)
    ]
    assert "may be chance" in said_of(tmp_path, rows)["Which mutation helps most?"]


@pytest.mark.parametrize(
    ("texts", "scores", "doubt"),
    [
        (["a", "bbb", "cc"], [1.0, 3.0, 2.0], "So length alone"),
        (["aaa", "b", "cc"], [1.0, 2.0, 3.0], "So place alone"),
        (["a", "bb", "ccc"], [1.0, 2.0, 3.0], "So length or place alone"),
        (["aaa", "b", "cc"], [1.0, 3.0, 2.0], None),
    ],
    ids=["longest", "last", "both", "neither"],
)
def test_a_judge_that_may_look_at_length_or_place_alone_is_doubted(tmp_path, texts, scores, doubt):
    rows = [row(i, texts, scores, ["details", "details"]) for i in range(10)]
    said = said_of(tmp_path, rows)["Can this judge be trusted?"]
    assert (doubt in said) if doubt else ("So " not in said)
    assert "judged what it had written itself" in said


def test_who_only_scored_is_not_said_to_have_written(tmp_path):
    facts = {**FACTS, "module": "QualityScorer"}
    journal = write_journal(tmp_path / "run.journal", clear_rows(), facts)
    write_report([journal], tmp_path / "page.html")
    said = sentences(tmp_path / "page.html")["Can this judge be trusted?"]
    assert "written itself" not in said


def test_who_was_not_scored_has_no_judge(tmp_path):
    rows = [row(i, ["a", "bb"], None, ["details"]) for i in range(3)]
    said = said_of(tmp_path, rows)
    assert said["What became of the rows?"] == "3 rows, none of which failed."
    assert "Can this judge be trusted?" not in said


def test_a_judge_check_of_the_run_itself_is_told(tmp_path):
    summary = {"judge_check": {"sentence": "Position alone: it put the second first in all."}}
    said = said_of(tmp_path, clear_rows(), summary=summary)["Can this judge be trusted?"]
    assert said.startswith("Position alone: ")
    assert "No labels were at hand" not in said


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 7, 11, 30, 200])
def test_intervals_are_students(df):
    values = [float(i % 2) for i in range(df + 1)] if df % 2 else [*[0.0, 1.0] * (df // 2), 0.5]
    found = mean_of(values)
    spread = (sum((v - found.mean) ** 2 for v in values) / df / (df + 1)) ** 0.5
    assert found.high - found.mean == pytest.approx(_t_quantile(0.975, df) * spread, rel=2e-3)


def test_one_number_has_no_interval():
    assert str(mean_of([1.5])) == "+1.50"
