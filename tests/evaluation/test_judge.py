import pytest

from structq.evaluation import Judged, Labels, judge_report


def test_rows_of_one_response_have_a_correlation_and_no_pairs():
    rows = [
        Judged(labels=Labels(values=(label,), kind="model_scores"), lengths=[5], modes=[score])
        for label, score in ((1.0, 2.0), (2.0, 3.0), (4.0, 5.0), (3.0, 4.0))
    ]
    found = judge_report(rows, name="one")
    assert found["figures"]["mode"] == {"n_rows": 4, "n_pairs": 0, "spearman": 1.0, "kendall": 1.0}
    assert found["baselines"]["length"]["spearman"] is None
    assert found["order"] is None
    assert found["warnings"] == []


def pair(best, means, *, turned=None, group=""):
    """Two responses that got the same label, the first of which people prefer, or the second."""
    labels = Labels(values=(1.0, 0.0) if best == 0 else (0.0, 1.0), kind="best")
    shares = None if means is None else [{"1": 2 - mean, "2": mean - 1} for mean in means]
    return Judged(
        labels=labels, lengths=[5, 5], modes=[1.0, 1.0], means=means, distributions=shares,
        turned=turned, group=group,
    )  # fmt: skip


def test_a_row_without_a_mean_costs_itself_alone():
    rows = [pair(0, (1.4, 1.2)) for _ in range(6)] + [pair(1, (1.3, 1.2), group="g")]
    rows += [pair(0, None, group="g") for _ in range(3)]
    found = judge_report(rows, name="a server")
    assert found["unmeasured"] == 3
    assert found["figures"]["mode"]["n_rows"] == 10
    assert found["figures"]["mode"]["ties"] == 1.0
    assert found["figures"]["mean"]["n_rows"] == 7
    assert found["figures"]["mean"]["accuracy"][0] == pytest.approx(6 / 7)
    assert found["groups"]["g"]["n_rows"] == 1


def test_without_any_mean_the_labels_are_what_there_is():
    found = judge_report([pair(0, None) for _ in range(4)], name="sampled")
    assert list(found["figures"]) == ["mode"]
    assert found["figures"]["mode"]["n_rows"] == 4
    assert found["unmeasured"] == 0


def test_a_mean_is_not_held_against_a_label_of_the_other_order():
    back = pair(0, None)
    rows = [pair(0, (1.4, 1.2), turned=back) for _ in range(3)]
    rows += [pair(0, (1.4, 1.2), turned=pair(0, (1.4, 1.2))) for _ in range(5)]
    assert rows[0].over_orders == [1.0, 1.0]
    found = judge_report(rows, name="both")
    assert found["unmeasured"] == 3
    assert found["figures"]["mean over orders"]["n_rows"] == 5
    assert found["figures"]["mean over orders"]["accuracy"][0] == 1.0
    assert found["order"]["ties"] == 3
