"""Programs that earlier versions of structq saved are the same programs now."""

from pathlib import Path

import structq
from structq.modules.settings import EvolSettings, ScorerSettings

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


def test_a_program_of_0_2_0_is_the_same_in_every_setting():
    both = structq.EvolveAndScore()
    both.load(SAVED / "both_0_2_0.json")
    evolve, scorer = both.evolve, both.scorer
    assert evolve.settings.values == EvolSettings(
        num_evolutions=2, seed=7, preserve="blocks", min_added_words=3, max_added_words=30,
        max_growth=None, form="json", check_answers=False, max_attempts=3, system_prompt="Be kind.",
        mutation_weights={"details": 2.0, "creativity": 1.0},
    )  # fmt: skip
    assert scorer.settings.values == ScorerSettings(
        scale={1: "bad", 5: "good"}, scoring="independent", max_attempts=2
    )
    assert scorer.criteria == "Judge by brevity."
