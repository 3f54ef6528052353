import numpy as np
import pytest

from structq.optimize.credit import Observation, SentenceCredit
from structq.optimize.votes import Hopes, Votes

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
            credit.believe(4)
    return credit


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_effects_are_found_whatever_the_scale_and_the_rows(scale):
    effects = learned(scale=scale).believe(4).expected()[0]
    assert [effects.worth([i]) / scale for i in range(4)] == pytest.approx(EFFECTS, abs=0.12)


def test_effects_of_one_mutation_are_kept_apart():
    posterior = learned(extra=lambda m, ids: 0.5 * (m == 1) * (2 in ids)).believe(4)
    first, second = (effects.worth([2]) for effects in posterior.expected())
    assert second - first > 0.2


def test_two_that_only_work_together_are_found():
    posterior = learned(300, extra=lambda m, ids: 0.8 * (1 in ids and 2 in ids)).believe(4)
    effects = posterior.expected()[0]
    assert effects.worth([1, 2]) > effects.worth([1]) + effects.worth([2]) + 0.3


def test_a_contrast_knows_how_sure_it_is():
    few, many = learned(10).believe(4), learned(200).believe(4)
    good, bad = ((0,), (0,)), ((1,), (1,))
    assert many.contrast(good, bad).mean == pytest.approx(0.6, abs=0.15)
    assert many.contrast(good, bad).sd < few.contrast(good, bad).sd
    assert many.contrast(good, good).sd == 0


def test_draws_scatter_as_the_contrast_says():
    posterior = learned(30).believe(4)
    draws = posterior.draw(np.random.default_rng(0), 400)
    found = np.array([effects[0].worth([0]) for effects in draws])
    assert found.mean() == pytest.approx(posterior.expected()[0].worth([0]), abs=0.03)
    assert found.std() > 0.01


def test_one_template_alone_says_nothing():
    credit = SentenceCredit(1)
    credit.learn([Observation(mutation=0, sentences=(0,), gain=9.0)])
    assert credit.believe(1).expected()[0].worth([0]) == 0


def test_proposers_are_trusted_as_far_as_they_are_right():
    right = Hopes(alone=dict(enumerate((1.0, 0.0, 0.5, 0.9))))
    wrong = Hopes(alone=dict(enumerate((0.0, 1.0, 0.5, 0.1))))
    none, helped, misled = (learned(4).believe(4, hopes) for hopes in (Hopes(), right, wrong))
    unseen = Hopes(alone={**right.alone, 4: 1.0})

    def lead(posterior):
        effects = posterior.expected()[0]
        return effects.worth([0]) - effects.worth([1])

    assert lead(helped) > lead(none) > lead(misled)
    posterior = learned(200).believe(5, unseen)
    assert posterior.expected()[0].worth([4]) > posterior.expected()[0].worth([1])
    assert lead(learned(200).believe(4, wrong)) == pytest.approx(0.6, abs=0.2)


def test_readings_of_the_original_are_taken_out_of_the_noise():
    rng = np.random.default_rng(0)
    spreads = []
    for known in (False, True):
        credit = SentenceCredit(1)
        for _ in range(60):
            readings = rng.normal(size=4)
            credit.learn([
                Observation(
                    mutation=0, sentences=(i,), gain=float(0.1 * rng.normal() - readings[i]),
                    original=float(readings[i]) if known else None,
                )
                for i in range(4)
            ])  # fmt: skip
        spreads.append(credit.believe(4).noise ** 0.5)
    assert spreads[0] > 0.8
    assert spreads[1] < 0.2


def test_a_whole_text_is_credited_beside_its_sentences():
    extra = 1.0
    posterior = learned(200, extra=lambda m, ids: extra * (ids == (0, 1, 2))).believe(4)
    whole, other = ((0, 1, 2),) * 2, ((0, 1, 2, 3),) * 2
    worths = posterior.worths([whole, other], [1.0, 1.0])
    assert worths[0] > worths[1] + 0.3


def test_many_sentences_get_no_more_columns():
    credit = SentenceCredit(2)
    for i in range(200):
        credit.learn([
            Observation(mutation=i % 2, sentences=s, gain=float(len(s))) for s in ((i,), (i, i + 1))
        ])  # fmt: skip
    posterior = credit.believe(300)
    assert len(posterior.expected()[0].alone) == 300
    assert len(posterior._mean) < 400


def test_votes_count_what_is_added_and_not_what_is_shown():
    votes = Votes()
    for _ in range(4):
        votes.add((0, 1, 5), shown=(5,))
    votes.add((2, 5), shown=(5,))
    votes.add((3, 5), shown=(5,))
    hopes = votes.hopes()
    assert hopes.alone[0] == hopes.alone[1] > hopes.alone[2] == hopes.alone[3]
    assert 5 not in hopes.alone
    assert set(hopes.together) == {(0, 1)}
    assert 0 < hopes.together[0, 1] < 1


def test_without_proposals_there_are_no_hopes():
    assert Votes().hopes() == Hopes()
