"""Programs that structq 0.1.0 saved are the same programs now."""

from pathlib import Path

import structq

SAVED = Path(__file__).parent / "saved"


def test_an_evolver_keeps_its_settings_and_templates():
    evolve = structq.EvolQuality()
    evolve.load(SAVED / "evol_0_1_0.json")
    assert (evolve.num_evolutions, evolve.seed, evolve.preserve) == (2, 7, "blocks")
    assert evolve.max_added_words == 30
    assert evolve.mutation_weights == {"details": 2.0, "creativity": 1.0}
    assert evolve.mutation_templates["details"].startswith("Rewrite the response with more detail")


def test_what_0_1_0_did_not_know_is_as_it_is_by_default():
    evolve = structq.EvolQuality()
    evolve.load(SAVED / "evol_0_1_0.json")
    assert (evolve.form, evolve.min_added_words, evolve.max_growth) == (None, None, 3.0)


def test_a_program_of_both_keeps_its_settings():
    both = structq.EvolveAndScore()
    both.load(SAVED / "both_0_1_0.json")
    assert both.evolve.num_evolutions == 3
    assert (both.scorer.scale, both.scorer.permutations, both.scorer.form) == ((1, 6), 2, None)
