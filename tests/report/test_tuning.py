"""A search for templates: its verdict and its trials."""

import re

import pytest

from structq.optimize.journal import Journal
from structq.optimize.trials import Outcome, Trial
from structq.report import write_report
from structq.report.sources import open_sources
from structq.report.tuning import search_numbers
from tests.report.made import block

SEED = {"details": "Add an example.", "depth": "Say why <b>."}
BEST = {"details": "Add an example. Keep it short.", "depth": "Say why <b>."}


def outcome(text, row, gain, split="val", failure=None, mutation="details"):
    trial = Trial(mutation=mutation, text=text, split=split, row=row)
    evolved = None if failure else "x"
    return Outcome(trial=trial, gain=gain, n_calls=2, evolved=evolved, failure=failure)


def search(path, *, note=True):
    """Two rows on which the best template gains 0.5 and 1.5 more than the first one."""
    config = {"mutation_templates": SEED, "max_lm_calls": 50}
    with Journal(path, config) as journal:
        journal.add_reply(1, 0, ("Keep it short.", 1))
        journal.add_outcome(1, 1, outcome(SEED["details"], 0, 0.25, "train"))
        journal.add_outcome(1, 2, outcome(SEED["details"], 1, -1.0, "train", "cut off"))
        for place, (text, row, gain) in enumerate(
            ((SEED["details"], 0, 0.5), (SEED["details"], 1, 0.0), (SEED["details"], 2, 9.0),
             (BEST["details"], 0, 1.0), (BEST["details"], 1, 1.5))
        ):  # fmt: skip
            journal.add_outcome(2, place, outcome(text, row, gain))
        journal.end_step(2, seconds=1.0, stop=False)
        if note:
            journal.note(reason="better on 2 rows", accepted=True,
                         best={"templates": BEST, "weights": None})  # fmt: skip
    return str(path)


def numbers(path):
    with open_sources([path]) as found:
        return search_numbers(found.searches[0][1])


def test_gains_are_paired_on_the_rows_of_the_verdict(tmp_path):
    found = numbers(search(tmp_path / "tune"))
    ((gain),) = found["gains"]
    assert (gain["mutation"], gain["mean"], gain["n"]) == ("details", 1.0, 2)
    assert (found["n_trials"], found["n_calls"]) == (7, 15)
    assert found["failures"] == {"cut off": 1}


def test_every_template_is_there_with_its_trials(tmp_path):
    tried = numbers(search(tmp_path / "tune"))["templates"]
    found = [(t["template"], t["n_train"], t["n_val"], t["seed"], t["best"]) for t in tried]
    assert sorted(found) == [
        ("Add an example.", 2, 3, True, False),
        ("Add an example. Keep it short.", 0, 2, False, True),
    ]


@pytest.mark.parametrize(
    ("note", "said"),
    [(True, "Proven better. Better on 2 rows. Changed: details."), (False, "No verdict yet")],
    ids=["ended", "goes on"],
)
def test_the_verdict_is_told_in_a_sentence(tmp_path, note, said):
    write_report([search(tmp_path / "tune", note=note)], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf8")
    lead = re.search(r'<p class="lead">(.*?)</p>', text)[1]
    assert lead.startswith(said)
    assert "15 LM calls of 50" in lead
    assert "<b>" not in text
    assert block(tmp_path / "page.html", "answers")["searches"][0]["accepted"] is (note or None)
