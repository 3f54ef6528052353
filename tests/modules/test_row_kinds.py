"""What a row may be, what stays of it, and what happens when its LM goes away."""

import asyncio
import collections
import json

import dspy
import pytest

from structq import EvolQuality, EvolveAndScore, InputError, QualityScorer
from tests.scripted import ScriptedEngine, default_script, make_lm

ROW = {"instruction": "Why is the sky blue?", "response": "The air."}
ASK = {"instruction": "Why?", "responses": ["The air.", "It scatters blue light."]}
KINDS = [(EvolQuality, ROW), (QualityScorer, ASK), (EvolveAndScore, ROW)]
NAMES = ["EvolQuality", "QualityScorer", "EvolveAndScore"]

ROWS = {
    "a dict": dict,
    "an Example": lambda row: dspy.Example(**row),
    "an Example with inputs": lambda row: dspy.Example(**row).with_inputs("instruction"),
    "an Example of a data set": lambda row: dspy.Example(dspy_uuid="1", dspy_split="a", **row),
    "a Prediction": lambda row: dspy.Prediction(**row),
    "an ordered dict": collections.OrderedDict,
    "a UserDict": collections.UserDict,
    "a ChainMap": lambda row: collections.ChainMap({}, row),
    "a defaultdict": lambda row: collections.defaultdict(str, row),
}


@pytest.mark.parametrize("as_row", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize(("make", "row"), KINDS, ids=NAMES)
def test_rows_of_any_kind_come_back_as_dicts(as_row, make, row):
    module = make(lm=make_lm(ScriptedEngine()))
    (expected,) = next(module.process([row]))
    (found,) = next(module.process([as_row(row)]))
    assert type(found) is dict
    assert found == expected
    assert list(module.stream([as_row(row)])) == [expected]
    assert asyncio.run(module.aprocess_row(as_row(row))) == expected


class Frame:
    """A table with the methods of pandas."""

    def __init__(self, method):
        setattr(self, method, lambda *_: None)

    def __iter__(self):
        return iter(["instruction", "response"])


Point = collections.namedtuple("Point", ["instruction", "response"])

WRONG_ROWS = {
    "text": ("instruction", "'instruction'"),
    "a number": (3, "3"),
    "nothing": (None, "None"),
    "a list": ([1], r"\[1\]"),
    "a named tuple": (Point("Why?", "x"), "_asdict"),
    "a row of pandas": (Frame("to_dict"), "to_dict"),
}
WRONG_TABLES = {
    "one row": (ROW, "iterable of rows"),
    "one Example": (dspy.Example(**ROW), "iterable of rows"),
    "text": ("rows.jsonl", "iterable of rows"),
    "a table of pandas": (Frame("iterrows"), "to_dict"),
    "a table of pyarrow": (Frame("to_pylist"), "to_pylist"),
    "a table of polars": (Frame("iter_rows"), "to_dicts"),
}


@pytest.mark.parametrize(("row", "said"), WRONG_ROWS.values(), ids=WRONG_ROWS)
@pytest.mark.parametrize("make", [EvolQuality, QualityScorer, EvolveAndScore])
def test_what_is_no_row_is_said(row, said, make):
    with pytest.raises(InputError, match=said):
        next(make(lm=make_lm(ScriptedEngine())).process([row]))


@pytest.mark.parametrize(("rows", "said"), WRONG_TABLES.values(), ids=WRONG_TABLES)
def test_what_is_no_collection_of_rows_is_said(rows, said):
    with pytest.raises(InputError, match=said):
        next(EvolQuality(lm=make_lm(ScriptedEngine())).process(rows))


class Closing(ScriptedEngine):
    """Gives up every call after the first ones, as an engine does that is closed."""

    def __init__(self, n, error):
        super().__init__()
        self.n_left, self.error = n, error

    def _leave(self, request):
        self.n_left -= 1
        if self.n_left < 0:
            raise self.error()
        return super()._leave(request)


@pytest.mark.parametrize("n_done", [0, 1, 3, 7])
@pytest.mark.parametrize("in_thread", [False, True])
def test_rows_that_were_done_outlive_their_lm(n_done, in_thread):
    from concurrent.futures import CancelledError

    engine = Closing(n_done, CancelledError if in_thread else asyncio.CancelledError)
    lm = dspy.LM("scripted/lm", engine=engine, cache=False) if in_thread else make_lm(engine)
    rows = next(EvolQuality(lm=lm, n_in_flight=2).process([ROW] * 8))
    errors = [row["metadata"]["error"] for row in rows]
    assert errors.count(None) == n_done
    assert {error["type"] for error in errors if error} == {"LMError"}
    assert all("closed" in error["message"] for error in errors if error)


def test_a_row_that_its_caller_cancels_is_cancelled():
    module = EvolQuality(lm=make_lm(ScriptedEngine(delay_s=lambda request: 30.0)))

    async def give_up():
        task = asyncio.create_task(module.aprocess_row(ROW))
        await asyncio.sleep(0.05)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(give_up())


def test_a_timeout_of_the_caller_holds():
    module = EvolQuality(lm=make_lm(ScriptedEngine(delay_s=lambda request: 30.0)))

    async def wait():
        async with asyncio.timeout(0.05):
            await module.aprocess_row(ROW)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())


@pytest.mark.parametrize(("make", "row"), KINDS, ids=NAMES)
def test_rows_leave_nothing_behind_and_calls_by_hand_do(make, row):
    lm = make_lm(ScriptedEngine())
    module = make(lm=lm)
    with dspy.context(trace=None):
        pass
    before = len(dspy.settings.trace)
    next(module.process([row] * 5))
    assert (len(lm.history), len(module.history), len(dspy.settings.trace)) == (0, 0, before)
    module(**row)
    assert lm.history
    assert module.history


def test_an_optimizer_that_collects_a_trace_gets_it():
    with dspy.context(trace=[]):
        next(EvolQuality(lm=make_lm(ScriptedEngine())).process([ROW] * 3))
        assert len(dspy.settings.trace) == 3


def test_answers_are_kept_on_disk_and_not_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(dspy, "cache", dspy.cache)  # as it was, afterwards
    dspy.configure_cache(disk_cache_dir=str(tmp_path))
    cache, engine = dspy.cache, ScriptedEngine()
    module = EvolQuality(lm=make_lm(engine, cache=True))
    for _ in range(2):
        next(module.process([ROW]))
    assert (len(cache.memory_cache), len(engine.requests)) == (0, 1)
    assert cache.enable_memory_cache
    cache.disk_cache.close()


HOSTILE = [
    "<script>alert(1)</script>", "</td></tr></table><b>", '"><img src=x onerror=alert(1)>', "&amp;",
    "\x1b]52;c;x\x07", "<!--", "' onload='x", "\u202e<i>", "<style>*{display:none}</style>",
    "x" * 10**5,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_the_view_for_notebooks_shows_text_as_text(text):
    answer = f"{text} More."

    def script(request):
        found = default_script(request)
        return json.dumps({"evolved_response": answer}) if "evolved" in str(found) else found

    row = {"instruction": "Why?", "response": text}
    module = EvolveAndScore(EvolQuality(check_answers=False), lm=make_lm(ScriptedEngine(script)))
    shown = module(**row)._repr_html_()
    tags = {part.split(">")[0].split()[0].strip("/") for part in shown.split("<")[1:]}
    assert tags == {"table", "tr", "th", "td", "div"}
    assert "best_response" in shown
    assert len(shown) < 30_000
