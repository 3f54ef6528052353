"""The bad-input collection behaves as its index says, where that collection is at hand.

``STRUCTQ_DATA`` names its folder; the default is ``../shared/data`` beside the repository.
"""

import json
import os
from pathlib import Path

import pytest

from structq.data import EVOLVING, SCORING, read_rows
from structq.errors import RowError

FOLDER = Path(os.environ.get("STRUCTQ_DATA") or Path(__file__).parents[3] / "shared" / "data")
INDEX = FOLDER / "bad_input" / "index.json"
CASES = json.loads(INDEX.read_text(encoding="utf8")) if INDEX.exists() else []
CONTRACTS = {"evolving": EVOLVING, "scoring": SCORING}

pytestmark = pytest.mark.skipif(not CASES, reason=f"no {INDEX}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_a_bad_file_behaves_as_its_index_says(case):
    n_good, bad_lines = 0, []
    try:
        for row in read_rows(INDEX.parent / case["file"], CONTRACTS[case["contract"]]):
            n_good += row.error is None
            bad_lines += [row.line] if row.error else []
    except RowError as error:
        bad_lines.append(error.line)
    # A repeated id is a good row, and one response is one to score.
    fine = case["file"] in ("duplicate_ids.jsonl", "missing_responses.jsonl")
    n_bad = 0 if fine else len(case["bad_lines"])
    assert bad_lines == case["bad_lines"][:n_bad]
    assert n_good == case["good_rows"] + (case["file"] == "missing_responses.jsonl")


@pytest.mark.parametrize(("folder", "contract"), CONTRACTS.items(), ids=CONTRACTS)
def test_every_row_of_the_good_files_meets_its_contract(folder, contract):
    for path in sorted((FOLDER / folder).glob("*.jsonl")):
        assert [row.error for row in read_rows(path, contract) if row.error] == []
