import numpy as np
import pytest

from structq.optimize.credit import Observation, SentenceCredit

EFFECTS = np.array([0.3, -0.3, 0.0, 0.2])


def learned(n_cells=120, noise=0.3, *, extra=lambda m, ids: 0.0, seed=0, scale=1.0):
    rng, credit = np.random.default_rng(seed), SentenceCredit(2)
    for cell in range(n_cells):
        m, row = cell % 2, rng.normal()
        arms = {tuple(np.flatnonzero(rng.random(4) < 0.5).tolist()) for _ in range(6)}
        credit.learn(
            [
                Observation(
                    mutation=m,
                    sentences=ids,
                    gain=scale
                    * float(row + EFFECTS[list(ids)].sum() + extra(m, ids) + noise * rng.normal()),
                )
                for ids in sorted(arms)
            ]
        )
        if cell % 10 == 9:
            credit.believe()
    return credit


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_effects_are_found_whatever_the_scale_and_the_rows(scale):
    effects = learned(scale=scale).believe().expected(4)[0]
    assert [effects.worth([i]) / scale for i in range(4)] == pytest.approx(EFFECTS, abs=0.12)


def test_effects_of_one_mutation_are_kept_apart():
    posterior = learned(extra=lambda m, ids: 0.5 * (m == 1) * (2 in ids)).believe()
    first, second = (effects.worth([2]) for effects in posterior.expected(4))
    assert second - first > 0.2


def test_two_that_only_work_together_are_found():
    posterior = learned(300, extra=lambda m, ids: 0.8 * (1 in ids and 2 in ids)).believe()
    effects = posterior.expected(4)[0]
    assert effects.worth([1, 2]) > effects.worth([1]) + effects.worth([2]) + 0.3


def test_a_contrast_knows_how_sure_it_is():
    few, many = learned(10).believe(), learned(200).believe()
    good, bad = ((0,), (0,)), ((1,), (1,))
    assert many.contrast(good, bad).mean == pytest.approx(0.6, abs=0.15)
    assert many.contrast(good, bad).sd < few.contrast(good, bad).sd
    assert many.contrast(good, good).sd == 0


def test_draws_scatter_as_the_contrast_says():
    posterior = learned(30).believe()
    draws = posterior.draw(np.random.default_rng(0), 400, 4)
    found = np.array([effects[0].worth([0]) for effects in draws])
    assert found.mean() == pytest.approx(posterior.expected(4)[0].worth([0]), abs=0.03)
    assert found.std() > 0.01


def test_one_template_alone_says_nothing():
    credit = SentenceCredit(1)
    credit.learn([Observation(mutation=0, sentences=(0,), gain=9.0)])
    assert credit.believe().expected(1)[0].worth([0]) == 0


def test_votes_are_trusted_as_far_as_they_are_right():
    right = dict(enumerate(np.sign(EFFECTS)))
    credit = learned(60)
    for _ in range(3):
        credit._n_unlearned = credit._n_free
        posterior = credit.believe(right)
    assert posterior.hopes[0] >= 0 >= posterior.hopes[1]
    assert posterior.hopes[0] > 0
