"""Sentences, recombination, races and the policy."""

import itertools

import numpy as np
import pytest

from structq.optimize.policy import FixedWeights, GainWeights
from structq.optimize.racing import Race
from structq.optimize.recombine import Effects, recombine
from structq.optimize.sentences import Pool, frame_of, split_sentences
from structq.templates import default_mutations


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Use e.g. Python. Stop.", ["Use e.g. Python.", "Stop."]),
        ("- One\n- Two\n3. Three", ["One", "Two", "Three"]),
        ("Keep 3.5 kg. Go", ["Keep 3.5 kg.", "Go"]),
        ("", []),
    ],
)
def test_a_text_falls_into_sentences(text, parts):
    assert split_sentences(text) == parts


@pytest.mark.parametrize(
    "text", [*default_mutations().values(), "A. B.", "A.\n\nB {x}", "<PROMPT>\n<RESPONSE>"]
)
def test_a_template_comes_back_letter_by_letter(text):
    frame, own = frame_of(text)
    assert frame.render(own) == text


def test_a_sentence_has_one_number_and_a_purpose_has_none():
    frame, _ = frame_of("Make it better.")
    pool = Pool({"m": frame})
    assert pool.add(["Be short.", "be  SHORT", "Make it better."]) == (0,)
    assert pool.add(["Give one number.", "Be short."]) == (0, 1)
    assert pool.render(0, (1,)) == "Make it better. Give one number."


@pytest.mark.parametrize("seed", range(8))
def test_recombination_finds_what_trying_all_finds(seed):
    rng = np.random.default_rng(seed)
    together = np.triu(rng.normal(0, 0.5, (7, 7)), 1)
    effects = Effects(alone=rng.normal(size=7), together=together + together.T, bend=-0.05)
    sets = [s for k in range(5) for s in itertools.combinations(range(7), k)]
    best = max(effects.worth(s) for s in sets)
    starts = [(), *((i,) for i in range(7))]
    assert effects.worth(recombine(effects, starts, max_sentences=4)) == pytest.approx(best)


def test_nothing_to_recombine():
    empty = Effects(alone=np.zeros(0), together=np.zeros((0, 0)))
    assert recombine(empty, [()], max_sentences=3) == ()


def test_a_race_drops_losers_and_keeps_the_incumbent():
    rng = np.random.default_rng(0)
    race = Race([0.0, 0.0, 0.0], [0.3] * 3, noise=0.04)
    for _ in range(30):
        true = [0.0, 0.5, -0.5]
        race.add([true[arm] + rng.normal(0, 0.2) for arm in race.alive])
        race.drop()
    assert race.leader() == 1
    assert race.alive[0] == 0
    assert 2 not in race.alive
    assert race.standing(1)[0] == pytest.approx(0.5, abs=0.15)


def test_the_incumbent_wins_a_tie():
    assert Race([0.0, 0.0], [0.1, 0.1], noise=1.0).leader() == 0


def test_weights_follow_gains_within_bounds():
    rng = np.random.default_rng(0)
    gains = {
        "a": rng.normal(0.5, 0.1, 60),
        "b": rng.normal(0.1, 0.1, 60),
        "c": rng.normal(0.3, 0.1, 60),
    }
    before = dict.fromkeys("abc", 1.0)
    after = GainWeights().weigh(gains, before)
    assert after["a"] > after["c"] > after["b"]
    assert sum(after.values()) == pytest.approx(3, abs=1e-3)
    assert after["a"] / after["b"] <= 4.01
    assert FixedWeights().weigh(gains, before) == before


def test_noise_changes_no_weight_by_much():
    rng = np.random.default_rng(1)
    gains = {name: rng.normal(0.2, 0.5, 20) for name in "abc"}
    after = GainWeights().weigh(gains, dict.fromkeys("abc", 1.0))
    assert all(0.3 < weight < 2 for weight in after.values())


def test_a_mutation_that_harms_is_dropped_but_never_the_last_two():
    rng = np.random.default_rng(2)
    gains = {n: rng.normal(m, 0.1, 50) for n, m in {"a": 0.3, "b": 0.3, "c": -0.4}.items()}
    assert GainWeights().weigh(gains, dict.fromkeys("abc", 1.0))["c"] == 0
    harmful = {n: rng.normal(-0.4, 0.1, 50) for n in "abc"}
    after = GainWeights().weigh(harmful, dict.fromkeys("abc", 1.0))
    assert sum(weight > 0 for weight in after.values()) >= 2
