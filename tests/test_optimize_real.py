"""The benchmark of optimizers on a real LM, on a scripted one: calls, stores, tables, rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import dspy
import pytest

import structq
from structq.optimize.proposers import library
from tests.scripted import ScriptedEngine, body_of, make_lm, prompt_of, schema_of

GOOD = library.SENTENCES["details"][0]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend("benchmarks")
    import optimize_real

    yield optimize_real
    for name in [n for n in sys.modules if n == "real" or n.startswith("real.")]:
        del sys.modules[name]


NEW = (
    " Warm rivers carry gravel through {0} every autumn. "
    "Farmers near {0} measure that gravel with wooden poles."
)


def answer(request: Any) -> str:
    """Adds two sentences where the template asks for an example; writes a template when asked."""
    prompt = prompt_of(request)
    form = request.config.response_format
    if form is None and ("```" in prompt or "Below is an instruction" in prompt):
        return f"```\n{GOOD}\n```"
    if form is None and "You improve an instruction" in prompt:
        return GOOD
    fields = {} if form is None else schema_of(request)
    if "proposed_instruction" in fields:
        return json.dumps(dict.fromkeys(fields, f"Rewrite the response. {GOOD}"))
    if "scores" in fields:
        return json.dumps({"scores": [2, 1]})
    response = body_of(prompt, "response")
    name = response.split()[0]
    evolved = response + (NEW.format(name) if GOOD in prompt else " More is to be said.")
    return json.dumps({"evolved_response": evolved}) if fields else evolved


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    engine = ScriptedEngine(answer)
    monkeypatch.setattr(structq, "lm", lambda spec, **_: make_lm(engine))
    return engine


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder, names in (
        ("evolving", ("vicuna80", "gpteacher_roleplay", "self_instruct_seed", "gsm8k", "ifeval")),
        ("scoring", ("pandalm", "llmbar", "hhh")),
    ):
        (tmp_path / folder).mkdir()
        for name in names:
            rows = [row(name, i) for i in range(12)]
            text = "".join(json.dumps(one) + "\n" for one in rows)
            (tmp_path / folder / f"{name}.jsonl").write_text(text)
    return tmp_path


def row(name: str, i: int) -> dict[str, Any]:
    place = f"Town{chr(97 + i)}ville{name}"
    said = f"{place} lies between two old hills, where people have been growing pears since long."
    return {
        "id": f"{name}-{i}", "instruction": f"Where does {place} lie?", "response": said,
        "responses": [said, "It is far."], "labels": {"best": i % 2},
        "constraints": [{"kind": "punctuation:no_comma"}],
    }  # fmt: skip


def run(script: Any, data: Path, store: Path, *options: str) -> None:
    script.main(["--data", str(data), "--store", str(store), "--lm", "x", *options])


FEW = ("--calls", "80", "--seeds", "0", "--rows", "20")


@pytest.mark.slow
def test_the_table_tells_every_method_and_goes_on(
    script: Any, engine: Any, data: Path, tmp_path: Path, capsys: Any
) -> None:
    store = tmp_path / "kept" / "results.jsonl"
    run(script, data, store, "--metrics", "adds", *FEW)
    first = capsys.readouterr().out
    for method in ("structq", "copro", "gepa"):
        assert f"adds        {method:9}" in first
    records = [json.loads(line) for line in store.read_text().splitlines()]
    runs = {one["of"]["method"]: one for one in records if "method" in one["of"]}
    assert all(20 < one["n_calls"] <= 80 for one in runs.values())
    assert {one["ended"] for one in runs.values()} <= {
        "by itself", "calls spent", runs["structq"]["ended"]
    }  # fmt: skip
    assert runs["gepa"]["n_calls"] == 80
    assert any(GOOD in text for text in runs["copro"]["templates"].values())
    n_asked = len(engine.requests)
    run(script, data, store, "--metrics", "adds", *FEW)
    assert capsys.readouterr().out == first
    assert len(engine.requests) == n_asked
    # A run that was lost is made again from the answers, at no time.
    kept = [one for one in records if one["of"].get("method") != "structq"]
    store.write_text("".join(json.dumps(one) + "\n" for one in kept))
    run(script, data, store, "--metrics", "adds", *FEW)
    assert len(engine.requests) == n_asked


def test_texts_of_ones_own_are_measured_beside_the_defaults(
    script: Any, engine: Any, data: Path, tmp_path: Path, capsys: Any
) -> None:
    store = tmp_path / "results.jsonl"
    texts = [f"{{template}} {GOOD}", "Rewrite the response."]
    run(script, data, store, "--metrics", "adds", *FEW, "--texts", *texts)
    told = capsys.readouterr().out.splitlines()
    assert [line.split(": ", 1)[1] for line in told] == ["{template}", *texts]
    differences = [float(line.split()[2]) for line in told]
    assert differences[0] == differences[2] == 0
    assert differences[1] > 0.3
    assert all("0 failed, 0 unchanged" in line for line in told)
    tuning, _ = script.evolving_rows(data, "adds", (12, 45), 20)
    records = [json.loads(line) for line in store.read_text().splitlines()]
    assert {one["of"]["row"] for one in records} == {one["id"] for one in tuning}


def test_rows_are_held_out_by_their_ids(script: Any, data: Path) -> None:
    for metric in script.SETS:
        tuning, rest = script.evolving_rows(data, metric, (5, 40), 30)
        ids = [{one["id"] for one in part} for part in (tuning, rest)]
        assert all(ids)
        assert not ids[0] & ids[1]
        assert script.evolving_rows(data, metric, (5, 40), 30)[1] == rest
        assert script.evolving_rows(data, metric, (50, 60), 30) == ([], [])


def test_criteria_get_a_verdict(
    script: Any, engine: Any, data: Path, tmp_path: Path, capsys: Any
) -> None:
    run(script, data, tmp_path / "r.jsonl", "--criteria", *FEW)
    told = capsys.readouterr().out
    assert "default criteria: 0.500 of" in told
    assert "refused by its own test" in told


def test_without_data_nothing_is_measured(script: Any, tmp_path: Path, capsys: Any) -> None:
    run(script, tmp_path, tmp_path / "r.jsonl")
    assert "nothing measured" in capsys.readouterr().out


def test_calls_are_counted_once_a_question_and_end(script: Any, tmp_path: Path) -> None:
    from real.answers import Answers, Spent, counted

    engine = ScriptedEngine(lambda request: f"{prompt_of(request)}!")
    answers = Answers(tmp_path / "answers")
    lm = counted(make_lm(engine), answers, calls=2)
    for text in ("a", "a", "b"):
        assert said(lm(text)) == f"{text}!"
    assert (lm.engine.calls, len(engine.requests)) == (2, 2)
    with pytest.raises(Spent):
        lm("c")
    again = counted(make_lm(engine), Answers(tmp_path / "answers"), calls=2)
    assert said(again("a")) == "a!"
    assert (again.engine.calls, len(engine.requests)) == (1, 2)


def test_draws_of_one_question_differ_and_come_again(script: Any, tmp_path: Path) -> None:
    from real.answers import Answers, counted

    engine = ScriptedEngine(lambda request: str(request.config.seed))
    first = [
        [said(counted_lm("a", temperature=0.7)) for _ in range(3)]
        for counted_lm in (
            counted(make_lm(engine), Answers(tmp_path / "k"), seed=s) for s in (0, 0, 1)
        )
    ]
    assert first[0] == first[1] == ["1", "2", "3"]
    assert first[2] == ["1001", "1002", "1003"]
    assert len(engine.requests) == 6


def said(answers: Any) -> str:
    return str(answers[0]["text"] if isinstance(answers[0], dict) else answers[0])


def test_an_interval_covers_the_mean(script: Any) -> None:
    mean, low, high = script.interval([0.1, 0.3] * 20)
    assert (mean, low < mean < high) == (pytest.approx(0.2), True)
    assert script.interval([0.0] * 9) == (0, 0, 0)


CONSTRAINED = {
    "no comma": ({"kind": "punctuation:no_comma"}, "One and two.", "One, two."),
    "words": (
        {"kind": "length_constraints:number_words", "relation": "less than", "num_words": 4},
        "One two three.", "One two three four.",
    ),
    "sentences": (
        {"kind": "length_constraints:number_sentences", "relation": "at least",
         "num_sentences": 2},
        "One. Two.", "One and two.",
    ),
    "paragraphs": (
        {"kind": "length_constraints:number_paragraphs", "num_paragraphs": 2},
        "One.\n\n***\n\nTwo.", "One.\nTwo.",
    ),
    "forbidden": (
        {"kind": "keywords:forbidden_words", "forbidden_words": ["bad"]}, "Badly.", "It is Bad."
    ),
    "keywords": ({"kind": "keywords:existence", "keywords": ["land"]}, "Land ho!", "An island."),
    "frequency": (
        {"kind": "keywords:frequency", "relation": "less than", "keyword": "a", "frequency": 2},
        "a and b", "a and a",
    ),
    "letter": (
        {"kind": "keywords:letter_frequency", "let_relation": "at least", "letter": "q",
         "let_frequency": 2},
        "Quiet queen", "quiet",
    ),
    "highlights": (
        {"kind": "detectable_format:number_highlighted_sections", "num_highlights": 1},
        "so *very* good", "so very good",
    ),
    "bullets": (
        {"kind": "detectable_format:number_bullet_lists", "num_bullets": 2},
        "* a\n* b", "* a\n* b\n* c",
    ),
    "title": ({"kind": "detectable_format:title"}, "<<Pears>>\nThey grow.", "Pears\nThey grow."),
    "json": ({"kind": "detectable_format:json_format"}, '```json\n{"a": 1}\n```', "{a: 1}"),
    "postscript": (
        {"kind": "detectable_content:postscript", "postscript_marker": "P.P.S"},
        "Bye.\nP.P.S. Write!", "Bye.\nP.S. Write!",
    ),
    "placeholders": (
        {"kind": "detectable_content:number_placeholders", "num_placeholders": 2},
        "[name] of [town]", "[name] of York",
    ),
    "quotation": ({"kind": "startend:quotation"}, '"All of it."', '"Half" of it.'),
    "end": (
        {"kind": "startend:end_checker", "end_phrase": "The end."}, "So. The end.", "The end. So."
    ),
    "prompt": (
        {"kind": "combination:repeat_prompt", "prompt_to_repeat": "Why?"}, "Why? So.", "So. Why?"
    ),
    "two": ({"kind": "combination:two_responses"}, "One ****** Two", "One ****** One"),
    "lower": ({"kind": "change_case:english_lowercase"}, "all low 7", "All low"),
    "capital": ({"kind": "change_case:english_capital"}, "ALL UP 7", "ALL Up"),
    "capitals": (
        {"kind": "change_case:capital_word_frequency", "capital_relation": "at least",
         "capital_frequency": 1},
        "so GOOD", "so good",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTRAINED)
def test_a_constraint_that_is_met_is_worth_more(script: Any, name: str) -> None:
    from real.constraints import CHECKS, met

    one, right, wrong = CONSTRAINED[name]
    assert met(right, [one]) == 1
    assert met(wrong, [one]) < 1
    assert met("", [one]) == 0
    assert met(right, [{"kind": "language:response_language", "language": "vi"}]) is None
    assert {value[0]["kind"] for value in CONSTRAINED.values()} == set(CHECKS)


@pytest.mark.parametrize(
    ("evolved", "low", "high"),
    [
        ("Ada lives in Paris and she likes reading novels about ancient history there.", 0.85, 1),
        ("Ada lives in Paris and she likes reading novels, histories, stories.", 0, 0.1),
        ("Ada lives in Paris and she likes reading.", 0.5, 0.5),
        ("Bob stays in Rome because everything there tastes better.", 0, 0.4),
        ("", 0, 0),
        (None, 0, 0),
    ],
    ids=["better", "comma", "unchanged", "unrelated", "empty", "none"],
)
def test_constraints_are_worth_keeping_with_what_is_new(
    script: Any, evolved: str | None, low: float, high: float
) -> None:
    from real.constraints import keeps_constraints

    example = dspy.Example(
        instruction="Who is Ada? No commas.", response="Ada lives in Paris and she likes reading.",
        constraints=[{"kind": "punctuation:no_comma"}, {"kind": "language:response_language"}],
    )  # fmt: skip
    score = keeps_constraints(example, dspy.Prediction(evolved_response=evolved)).score
    assert low <= score <= high
