"""What smollm2's hidden states say of texts: edits are near, other texts are not."""

import pytest

from structq.engines.registry import open_lm
from structq.errors import InputError
from structq.runs.select import choose_rows
from structq.runs.select_settings import SelectSettings

pytestmark = pytest.mark.real

TEXTS = [
    "Two is the only even prime number, as every other one has 2 as a factor.",
    "Bread rises because yeast makes gas in the dough while it rests.",
    "A sonnet has fourteen lines, and its rhymes follow one of a few patterns.",
    "The river floods in spring, when the snow of the mountains melts.",
]
EDITED = [
    "Two is the sole even prime number, as each other one has 2 as a factor.",
    "Bread rises because the yeast makes gas in a dough while it rests.",
    "A sonnet has 14 lines, and its rhymes follow one of some patterns.",
    "The river floods in April, when the snow of the hills melts.",
]


@pytest.fixture(scope="module", autouse=True)
def smollm2():
    try:
        return open_lm("smollm2")
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("place", range(4), ids=["primes", "bread", "sonnets", "floods"])
def test_of_a_text_and_its_edit_one_is_kept_alone_and_among_others(place):
    for texts, n_kept in (
        ([TEXTS[place], EDITED[place]], 1),
        ([*TEXTS, EDITED[place]], 4),
    ):
        rows = [
            {"instruction": "Tell me something.", "response": text, "scores": [-number]}
            for number, text in enumerate(texts)
        ]
        kept = choose_rows(rows, SelectSettings(embed="smollm2")).kept
        assert kept == list(range(n_kept))
