"""What the forms promise about text, on smollm2."""

import asyncio

import pytest

import structq
from structq.engines import store
from structq.texts import content_words, n_words

KEPT = store.kept(store.CATALOGUE["smollm2"]).path
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(KEPT is None, reason="smollm2 is not here (structq pull smollm2)"),
]
ROWS = [
    {
        "instruction": "How do I clean a wooden table?",
        "response": "Use a damp cloth and mild soap.",
    },
    {"instruction": "Why do cats purr?", "response": "They purr when they are content."},
    {"instruction": "Name a use of salt.", "response": "Salt keeps food from going bad."},
    {"instruction": "How do I sleep better?", "response": "Go to bed at the same time each day."},
    {"instruction": "What is a glacier?", "response": "A glacier is a slow river of ice."},
]


@pytest.fixture(scope="module")
def lm():
    return structq.lm("smollm2", n_slots=8)


def evolve(lm, rows, **settings):
    task = structq.EvolQuality(lm=lm, max_attempts=2, max_growth=1.5, **settings)
    return [row for batch in task.process([dict(row) for row in rows]) for row in batch]


@pytest.mark.parametrize("form", ["text", "json"])
def test_evolutions_keep_words_of_the_original_and_add_some(lm, form):
    rows = evolve(lm, ROWS, form=form, check_answers=True)
    good = [row for row in rows if row["metadata"]["error"] is None]
    assert len(good) >= 4
    for row in good:
        old, new = (set(content_words(row[k])) for k in ("response", "evolved_response"))
        assert len(new - old) >= 5
        assert 2 * n_words(row["evolved_response"]) >= n_words(row["response"])
        assert row["metadata"]["calls"][-1]["constrained"] is True
    kept = [
        set(content_words(r["response"])) & set(content_words(r["evolved_response"])) for r in good
    ]
    assert sum(map(len, kept)) > 0.4 * sum(len(set(content_words(r["response"]))) for r in good)


def test_a_kept_original_is_the_beginning_and_something_follows(lm):
    for row in evolve(lm, ROWS[:3], preserve="all"):
        assert row["metadata"]["error"] is None
        assert row["evolved_response"].startswith(row["response"])
        assert n_words(row["evolved_response"]) >= n_words(row["response"]) + 5


def test_a_bound_on_added_words_fails_no_row(lm):
    for row in evolve(lm, ROWS[:3], preserve="all", max_added_words=12):
        assert row["metadata"]["error"] is None
        assert n_words(row["evolved_response"]) <= n_words(row["response"]) + 12


def test_batches_orders_and_coroutines_change_no_answer(lm):
    together = [row["evolved_response"] for row in evolve(lm, ROWS)]
    task = structq.EvolQuality(lm=lm, max_attempts=2, max_growth=1.5, n_in_flight=1)
    alone = [row for batch in task.process([dict(row) for row in ROWS]) for row in batch]
    turned = evolve(lm, ROWS[::-1])[::-1]

    async def every():
        calls = (task.acall(**row) for row in ROWS)
        return await asyncio.gather(*calls, return_exceptions=True)

    coroutines = [getattr(one, "evolved_response", None) for one in asyncio.run(every())]
    assert [row["evolved_response"] for row in alone] == together
    assert [row["evolved_response"] for row in turned] == together
    assert coroutines == together


def test_score_slots_are_a_natural_place_for_labels(lm):
    scorer = structq.QualityScorer(lm=lm)
    masses = []
    for row in ROWS:
        found = scorer(instruction=row["instruction"], responses=[row["response"], "I like tea."])
        masses += found.metadata["calls"][0]["label_mass"]
    assert sum(masses) / len(masses) > 0.7
