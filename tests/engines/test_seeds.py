"""One seed: every row has random numbers of its own, the same ones whenever it is asked."""

import asyncio
import random

import dspy
import numpy as np
import pytest

import structq

ROWS = [
    {"instruction": f"Name a use of item {n}.", "responses": [f"Item {n} holds a door open."]}
    for n in range(40)
]


def scored(rows, n_in_flight=64, seed=0):
    lm = structq.lm("nano", temperature=1.0, seed=seed)
    program = structq.QualityScorer(lm=lm, scale=(1, 6), n_in_flight=n_in_flight)
    return [
        (row["scores"][0], row["score_distributions"][0]) for row in next(program.process(rows))
    ]


def in_order(distribution):
    return [p for _, p in sorted(distribution.items(), key=lambda pair: float(pair[0]))]


def test_no_single_number_explains_the_draws_of_many_rows():
    low, high = 0.0, 1.0
    for score, distribution in scored(ROWS):
        ends = np.concatenate([[0.0], np.cumsum(in_order(distribution))])
        low, high = max(low, ends[int(score) - 1]), min(high, ends[int(score)])
    assert low >= high


@pytest.mark.slow
def test_the_mean_score_varies_with_the_seed_as_that_of_independent_rows():
    means, variances = [], []
    for seed in range(12):
        found = scored(ROWS, seed=seed)
        means.append(np.mean([score for score, _ in found]))
        labels = np.arange(1, 7)
        for _, distribution in found:
            p = np.array(in_order(distribution))
            variances.append((p * labels**2).sum() - (p * labels).sum() ** 2)
    independent = np.sqrt(np.mean(variances) / len(ROWS))
    assert np.std(means, ddof=1) < 1.8 * independent


@pytest.mark.parametrize("n_in_flight", [1, 7, 64])
def test_draws_do_not_depend_on_order_and_concurrency(n_in_flight):
    expected = dict(zip(map(str, ROWS), scored(ROWS), strict=True))
    rows = random.Random(n_in_flight).sample(ROWS, len(ROWS))
    assert scored(rows, n_in_flight) == [expected[str(row)] for row in rows]


def test_n_answers_are_n_draws_and_the_same_ones_again():
    lm = structq.lm("nano", temperature=2.0, seed=0, max_tokens=12)
    prompts = [f"Name a colour, number {i}." for i in range(6)]
    first = [lm(prompt, n=4) for prompt in prompts]
    assert np.mean([len(set(answers)) for answers in first]) > 2.5
    assert [lm(prompt, n=4) for prompt in prompts] == first
    assert [lm(prompt)[0] for prompt in prompts] == [answers[0] for answers in first]

    async def together():
        return await asyncio.gather(*(lm.acall(prompt, n=4) for prompt in prompts))

    assert asyncio.run(together()) == first


@pytest.mark.parametrize("adapter", [structq.StructAdapter, dspy.JSONAdapter], ids=str)
def test_n_answers_of_a_predictor_are_n_draws(adapter):
    signature = dspy.Signature("question -> letter: Literal['a', 'b', 'c', 'd', 'e', 'f']")
    predict = dspy.Predict(signature)

    def ask(i):
        found = predict(question=f"Which one? {i}", config={"n": 4})
        return found.completions.letter

    lm = structq.lm("nano", temperature=2.0, seed=0)
    with dspy.context(lm=lm, adapter=adapter()):
        found = [ask(i) for i in range(6)]
        assert found == [ask(i) for i in range(6)]
    assert np.mean([len(set(letters)) for letters in found]) > 1.5


def test_another_rollout_is_another_draw():
    lm = structq.lm("nano", temperature=2.0, seed=0, max_tokens=12)
    found = [lm("Name a colour.", rollout_id=i)[0] for i in range(6)]
    assert len(set(found)) > 3
    assert found == [lm("Name a colour.", rollout_id=i)[0] for i in range(6)]
