"""Calibration: curves on data whose truth is known, refusals, files, shift."""

import json

import numpy as np
import pytest

from structq.errors import InputError
from structq.evaluation import CalibratedScorer, Calibration, Labelled, Labels, fit_calibration
from tests.scripted import ScriptedEngine, extensions_of, make_lm, prompt_of, respond


def graded(n_rows, seed=0, noise=0.5, levels=5):
    """Rows of one response with people's scores, and an LM's score that is off their scale."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(0, 1, n_rows)
    raw = 3 + 0.4 * quality + rng.normal(0, 0.4 * noise, n_rows)
    labels = np.clip(np.round(quality * 1.2 + (levels + 1) / 2), 1, levels)
    return [
        Labelled(raw=[x], labels=Labels(values=(y,), kind="human_scores"))
        for x, y in zip(raw.tolist(), labels.tolist(), strict=True)
    ]


def compared(n_rows, seed=0, signal=1.0):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n_rows):
        quality = rng.normal(0, 1, 2)
        best = int(quality[1] > quality[0])
        raw = 50 * rng.normal() + signal * quality + rng.normal(0, 0.5, 2)
        labels = Labels(values=(float(best == 0), float(best == 1)), kind="best")
        rows.append(Labelled(raw=raw.tolist(), labels=labels))
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_held_out_labels_are_predicted_better_than_by_base_rate_or_as_it_is(seed):
    found = fit_calibration(graded(300, seed), scale=(1, 6))
    scores = found.held_out_brier
    assert scores[found.method] < scores["base rate"]
    assert scores[found.method] < scores["uncalibrated"]


def stepped(n_rows, seed=0):
    """Labels of two steps, which no logistic curve follows."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, n_rows)
    right = rng.random(n_rows) < np.where(x < 1, 0.02, np.where(x < 9, 0.5, 0.98))
    return [
        Labelled(raw=[a], labels=Labels(values=(float(b),), kind="correct"))
        for a, b in zip(x.tolist(), right.tolist(), strict=True)
    ]


@pytest.mark.parametrize("seed", range(2))
def test_the_freer_curve_is_taken_where_many_labels_show_that_it_is_better(seed):
    found = fit_calibration(stepped(1_500, seed))
    assert found.method == "isotonic"
    assert found.held_out_brier["isotonic"] < found.held_out_brier["ordinal"]
    assert fit_calibration(graded(150, seed)).method == "ordinal"


def test_the_curve_holds_on_rows_that_nobody_saw():
    found = fit_calibration(graded(400, 1))
    fresh = graded(400, 2)
    means = [found.means(row.raw)[0] for row in fresh]
    labels = [row.labels.values[0] for row in fresh]
    assert np.corrcoef(means, labels)[0, 1] > 0.8
    assert np.mean(means) == pytest.approx(np.mean(labels), abs=0.15)
    for row in fresh[:20]:
        [shares] = found.distributions(row.raw)
        assert list(shares) == ["1", "2", "3", "4", "5"]
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares.values()) >= 0


def test_labels_that_compare_are_about_the_difference_within_a_row():
    found = fit_calibration(compared(200))
    assert found.within_row
    better = found.distributions([104.0, 100.0])
    assert better[0]["1"] > 0.8 > 0.2 > better[1]["1"]
    assert better == found.distributions([4.0, 0.0])
    with pytest.raises(InputError, match="the row has one"):
        found.distributions([1.0])


REFUSED = {
    "too few": (graded(99), "99 labelled responses are too few for a curve"),
    "nothing at all": ([], "of one kind, found none"),
    "two kinds": (graded(100) + compared(100), "of one kind, found best, human_scores"),
    "one level": (
        [Labelled(raw=[1.0], labels=Labels(values=(1.0,), kind="correct"))] * 150,
        "1 different values",
    ),
    "too many levels": (
        [Labelled(raw=[1.0], labels=Labels(values=(float(i),), kind="human_scores"))
         for i in range(150)],
        "150 different values",
    ),
    "noise": (compared(150, signal=0.0), "this scorer says nothing about them"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_calibrated_is_refused_with_its_reason(rows, told):
    with pytest.raises(InputError, match=told):
        fit_calibration(rows)


def test_a_calibration_is_a_file(tmp_path):
    found = fit_calibration(graded(150), about={"scoring": "joint"})
    found.save(tmp_path / "c.json")
    loaded = Calibration.load(tmp_path / "c.json")
    assert loaded.distributions([3.2]) == found.distributions([3.2])
    assert loaded.about == {"scoring": "joint"}


def broken(change):
    def write(path):
        fit_calibration(graded(120)).save(path)
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))

    return write


FILES = {
    "no JSON": lambda path: path.write_text("{"),
    "a list": lambda path: path.write_text("[]"),
    "another file": lambda path: path.write_text('{"a": 1}'),
    "another format": broken(lambda v: v.update(structq_calibration=99)),
    "no levels": broken(lambda v: v.update(levels=[])),
    "a level that is none": broken(lambda v: v.update(levels=["a"])),
    "a curve that falls back": broken(lambda v: v["curve"][0].update(x=[2.0, 1.0], p=[0.1, 0.2])),
    "a probability that is none": broken(lambda v: v["curve"][0].update(x=[2.0], p=[7.0])),
    "a number that is none": broken(lambda v: v.update(raw=[None])),
    "more than there is": broken(lambda v: v.update(extra=1)),
}


@pytest.mark.parametrize("write", FILES.values(), ids=FILES)
def test_a_file_that_is_no_calibration_is_refused(write, tmp_path):
    path = tmp_path / "c.json"
    write(path)
    with pytest.raises(InputError, match="is no calibration"):
        Calibration.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*none\.json"):
        Calibration.load(tmp_path / "none.json")


def test_data_of_another_kind_are_told():
    found = fit_calibration(graded(200))
    same = [found.features(row.raw)[0] for row in graded(200, 7)]
    assert found.shift(same) is None
    assert "distributed otherwise" in found.shift([one + 1 for one in same])
    assert found.shift([99.0]) is None  # one row says nothing


def test_the_mean_of_a_data_set_has_an_interval_that_knows_of_the_error():
    found = fit_calibration(graded(200, 1))
    rows = graded(3000, 8)
    mean = found.mean_of([found.means(row.raw)[0] for row in rows])
    truth = np.mean([row.labels.values[0] for row in rows])
    assert mean.low <= truth <= mean.high


def test_a_calibrated_scorer_speaks_on_peoples_scale():
    def script(request):
        text = extensions_of(request)["read"]
        gain = {"good": 3.0, "bad": -3.0}[text] if prompt_of(request) else 0.0
        found = {"logprob": -9.0 + gain, "n_tokens": 1}
        return respond(request, "", data={"structq": {"read": found}})

    engine = ScriptedEngine(script)
    engine.reads_text = True
    scorer = CalibratedScorer(
        fit_calibration(compared(200)), scoring="likelihood", lm=make_lm(engine)
    )
    [row] = next(scorer.process([{"instruction": "Why?", "responses": ["good", "bad"]}]))
    assert row["scores"] == [1.0, 0.0]
    assert row["expected_scores"][0] > 0.9
    assert row["score_distributions"][1]["0"] > 0.9
    assert row["metadata"]["uncalibrated_scores"] == row["metadata"]["raw_scores"] == [3.0, -3.0]
    assert "uncalibrated" not in row["metadata"]


@pytest.mark.slow
def test_noise_is_calibrated_at_most_once_in_twenty_times():
    rng, n_fitted = np.random.default_rng(3), 0
    for _ in range(60):
        rows = [
            Labelled(
                raw=rng.normal(size=2).tolist(),
                labels=Labels(values=tuple(rng.permutation([0.0, 1.0]).tolist()), kind="best"),
            )
            for _ in range(60)
        ]
        try:
            fit_calibration(rows)
        except InputError:
            continue
        n_fitted += 1
    assert n_fitted <= 7  # more have a chance below 1 in 50 where the rate is a twentieth
