"""The simulators: one truth for engine and template, the best is the best, and the null is null."""

from __future__ import annotations

import asyncio
from itertools import combinations
from typing import Any

import dspy
import pytest

from benchmarks.worlds import DEVELOPMENT, FAMILIES, JUDGES, PROPOSERS, world
from benchmarks.worlds.rules import TOPICS, reach
from benchmarks.worlds.sentences import WISHES, read_exactly, read_loosely, write


def gains(w: Any, templates: dict[str, str], n_rows: int) -> list[float]:
    """The gains that the metric reads of the LM's responses, each mutation on each row."""
    found = []
    for name, text in templates.items():
        module = w.student()
        module.mutations = {
            name: dspy.Predict(module.mutations[name].signature.with_instructions(text))
        }
        module.mutations[name].lm = w.lm
        for row in w.train[:n_rows]:
            answer = module(**row)
            found.append(2 * w.metric(dspy.Example(**row), answer) - 1)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_lm_writes_is_worth_what_the_truth_says(family: str) -> None:
    w = world(family, 1)
    for templates in (w.seeds, w.best_templates):
        seen = gains(w, templates, 60)
        assert sum(seen) / len(seen) == pytest.approx(w.true_gain(templates), abs=0.07)
    assert w.calls == w.engine.counts["evolve"] == 600


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_beats_the_seeds_and_all_that_is_near(family: str) -> None:
    w = world(family, 2)
    assert w.share(w.seeds) == 0
    assert w.share(w.best_templates) == pytest.approx(1)
    for sentence in w.bank:
        near = {name: write(text, [sentence]) for name, text in w.best_templates.items()}
        assert w.true_gain(near) <= w.best_reachable + 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_the_search_for_the_best_finds_what_full_enumeration_finds(family: str) -> None:
    rule = FAMILIES[family](3)
    bank = [*rule.helpful[:5], *rule.harmful[:2]]
    lead = next(iter(rule.seeds.values())).split(". ")[0].rstrip(".") + "."
    rule.seeds = {"one": lead}
    sets = [c for n in range(len(bank) + 1) for c in combinations(bank, n)]
    best = max(sum(rule.effect(write(lead, chosen))) for chosen in sets)
    assert sum(rule.effect(reach(rule, bank)["one"])) >= best - 1e-9


def test_the_additive_best_is_the_sum_of_what_helps() -> None:
    w = world("additive", 4)
    helps = [w.rule.amounts[read_exactly(s)[0]] for s in w.bank if s in w.rule.helpful]
    assert w.rule.effect(next(iter(w.best_templates.values())))[0] == pytest.approx(sum(helps))


@pytest.mark.parametrize("wish", WISHES)
def test_every_wording_is_read_as_its_wish(wish: str) -> None:
    for wording in WISHES[wish]:
        assert read_exactly(f"Do it: {wording.upper()}") == [wish]
        assert read_loosely(f"Rewrite it. {wording} And so on.") == [wish]


@pytest.mark.slow
@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_matters_in_a_null_world(family: str, judge: str) -> None:
    w = world(family, 5, judge=judge, null=True)
    longer = {name: write(text, w.bank) for name, text in w.seeds.items()}
    assert w.true_gain(longer) == w.seed_value == w.best_reachable == 0
    metric = w.quality_gain()
    pairs = []
    for text in (*w.seeds.values(), *longer.values()):
        module = w.student()
        module.mutations = {"one": dspy.Predict(module.mutations["details"].signature)}
        module.mutations["one"].signature = module.mutations["one"].signature.with_instructions(
            text
        )
        module.mutations["one"].lm = w.lm
        pairs.append([metric(dspy.Example(**row), module(**row)) for row in w.train[:50]])
    short, long = (sum(map(sum, part)) / 250 for part in (pairs[:5], pairs[5:]))
    assert long == pytest.approx(short, abs=0.12)


@pytest.mark.parametrize("kind", PROPOSERS)
def test_a_proposer_keeps_the_lead_and_writes_of_its_bank(kind: str) -> None:
    w = world("additive", 6, proposer=kind)
    lead = next(iter(w.seeds.values()))
    answers = [w.lm(f"The instruction now: {lead}\nWrite a better one.") for _ in range(40)]
    texts = [str(answer[0] if isinstance(answer, list) else answer) for answer in answers]
    assert w.calls == w.engine.counts["propose"] == 40
    known = {read_exactly(s)[0] for s in w.bank}
    for text in texts:
        assert text.split(" ", 1)[1].startswith(lead.split(" ", 1)[1])
        assert set(read_exactly(text)) <= known
    assert len(set(texts)) < 32 if kind == "repeats" else len(set(texts)) > 32


@pytest.mark.parametrize(("kind", "share"), [("good", 12 / 21), ("ignorant", 6 / 20)])
def test_a_bank_helps_as_often_as_it_says(kind: str, share: float) -> None:
    w = world("features", 7, proposer=kind)
    helps = [w.true_gain({n: write(t, [s]) for n, t in w.seeds.items()}) for s in w.bank]
    assert sum(gain > w.seed_value for gain in helps) / len(w.bank) == pytest.approx(share, abs=0.1)


def test_same_arguments_same_world_and_async_answers_alike() -> None:
    row = world("features", 8).train[0]
    first = world("features", 8).student()(**row).evolved_response
    assert asyncio.run(world("features", 8).student().acall(**row)).evolved_response == first
    others = {world("features", seed).student()(**row).evolved_response for seed in range(5)}
    assert len(others) == 5


@pytest.mark.parametrize(
    "wrong", [{"family": "none"}, {"proposer": "none"}, {"judge": "none"}], ids=str
)
def test_a_wrong_name_is_told(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"unknown .*: 'none' \(one of "):
        world(**{"family": DEVELOPMENT[0], "seed": 0, **wrong})


def test_every_topic_has_its_share_of_every_split() -> None:
    w = world("features", 9)
    for split, n in ((w.train, 100), (w.val, 100), (w.heldout, 200)):
        assert len({row["instruction"] for row in split}) == n
        for topic in TOPICS:
            assert sum(f" {topic}:" in row["instruction"] for row in split) == n // 4
