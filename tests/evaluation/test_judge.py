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
