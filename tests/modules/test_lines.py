"""Scores as lines of text: measured at their slots on a local LM, read by index elsewhere."""

import pytest

import structq

ROW = {"instruction": "Why is the sky blue?", "responses": ["Because of the air.", "No.", ""]}


@pytest.mark.parametrize("scale", [None, (1, 6), (1, 10)], ids=str)
def test_a_local_lm_measures_the_lines(scale):
    scorer = structq.QualityScorer(lm="nano", scale=scale, use_default_structured_output=False)
    found = scorer(**ROW)
    lines = found.metadata["calls"][0]["raw_output"].splitlines()
    assert lines == [f"[{i}] Score: {score:.0f}" for i, score in enumerate(found.scores, 1)]
    assert all(abs(sum(row.values()) - 1) < 1e-6 for row in found.score_distributions)
    assert found.metadata["calls"][0]["n_passes"] <= 6
    assert len(found.metadata["calls"][0]["label_mass"]) == 3


def test_json_and_lines_say_how_they_were_held_to():
    for structured in (True, False):
        scorer = structq.QualityScorer(lm="nano", use_default_structured_output=structured)
        assert scorer(**ROW).metadata["calls"][0]["constrained"] is True
