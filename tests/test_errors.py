"""Errors travel: they are pickled, copied and sent between processes with all that they know."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cloudpickle
import dspy
import pytest
from dspy import lm15
from dspy.utils.exceptions import AdapterParseError, ContextWindowExceededError
from dspy.utils.exceptions import LMError as DSPyLMError

import structq
from structq import EvolQuality, EvolveAndScore, QualityScorer, errors
from structq.adapter import AnswerError
from structq.errors import describe_error, shorten
from tests.scripted import ScriptedEngine, default_script, make_lm, respond

ROW = {"instruction": "Why?", "response": "The air."}
ASK = {"instruction": "Why?", "responses": ["The air.", "Light."]}


class Unpicklable:
    def __reduce__(self):
        raise RuntimeError("no")


def by_hand(kind, **facts):
    error = kind("wrong: 1 (2 is allowed)", **facts)
    error.calls = ({"mutation": "details", "raw_output": "x"},)
    return error


BY_HAND = {
    "StructqError": by_hand(errors.StructqError),
    "InputError": by_hand(errors.InputError, field="seed"),
    "RowError": errors.RowError(path="a.jsonl", line=3, field="response", reason="is missing"),
    "TemplateError": by_hand(errors.TemplateError, field="details"),
    "SchemaError": by_hand(errors.SchemaError, keyword="not", pointer="/properties/a"),
    "LMError": by_hand(errors.LMError),
    "ClosedError": errors.ClosedError(),
    "PromptTooLongError": errors.PromptTooLongError(n_tokens=5000, limit=4096),
    "OutputError": by_hand(errors.OutputError, raw="{", finish_reason="length"),
    "PullError": by_hand(errors.PullError),
    "BudgetExceededError": by_hand(errors.BudgetExceededError),
    "ResumeError": by_hand(errors.ResumeError, differs=("seed", "lm")),
}


def raised(call):
    try:
        call()
    except errors.StructqError as error:
        return error
    raise AssertionError("nothing was raised")


def raising(error):
    """A call of EvolQuality whose LM fails so."""
    return lambda: EvolQuality(lm=make_lm(ScriptedEngine(lambda request: error)))(**ROW)


def half_way(request):
    """Evolves, and then gives scores that break the schema."""
    answer = default_script(request)
    return answer if isinstance(answer, str) and "evolved" in answer else "no"


class Judged(dspy.Signature):
    """Judge."""

    text: str = dspy.InputField()
    verdict: bool = dspy.OutputField()


def plain():
    with dspy.context(
        lm=make_lm(ScriptedEngine(lambda r: "maybe")), adapter=structq.StructAdapter()
    ):
        dspy.Predict(Judged)(text="x")


BY_CALL = {
    "an answer that is no JSON": raising("nonsense"),
    "an answer cut off": lambda: EvolQuality(
        lm=make_lm(ScriptedEngine(lambda r: respond(r, '{"evolved', "length")))
    )(**ROW),
    "an answer that is no evolution": raising('{"evolved_response": ""}'),
    "scores out of range": lambda: QualityScorer(
        lm=make_lm(ScriptedEngine(lambda r: '{"scores": [9, 9]}'))
    )(**ASK),
    "scores of one order": lambda: QualityScorer(
        permutations=2, lm=make_lm(ScriptedEngine(lambda r: "no"))
    )(**ASK),
    "scores behind evolutions": lambda: EvolveAndScore(lm=make_lm(ScriptedEngine(half_way)))(**ROW),
    "a signature of the user": plain,
    "a server error": raising(lm15.ServerError("busy")),
    "a rate limit": raising(lm15.RateLimitError("slow down")),
    "a wrong key": raising(lm15.AuthError("no")),
    "a bug in an engine": raising(KeyError("x")),
    "a cause that cannot travel": raising(ValueError(Unpicklable())),
    "a long prompt": raising(lm15.ContextLengthError("5000 tokens (at most 4096 fit)")),
    "a blank instruction": lambda: EvolQuality(lm=make_lm(ScriptedEngine()))(
        instruction=" ", response=""
    ),
    "a template": lambda: EvolQuality(mutation_templates={"a": "{{ response }} {{ nobody }}"}),
    "nano's window": lambda: QualityScorer(lm="nano")(
        instruction="Why?", responses=["word " * 5000]
    ),
    "a scale": lambda: QualityScorer(scale=(3, 1)),
    "an unknown LM": lambda: structq.lm("gpt"),
}

TRIPS = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "cloudpickle": lambda error: cloudpickle.loads(cloudpickle.dumps(error)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "twice": lambda error: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(error)))),
}


def facts(error):
    return {name: value for name, value in vars(error).items() if name != "signature"}


def same(again, error):
    return (type(again), str(again), again.args, facts(again), again.calls) == (
        type(error), str(error), error.args, facts(error), error.calls,
    )  # fmt: skip


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS)
@pytest.mark.parametrize("error", BY_HAND.values(), ids=BY_HAND)
def test_an_error_made_by_hand_travels(error, trip):
    assert same(trip(error), error)


@pytest.mark.parametrize("trip", TRIPS.values(), ids=TRIPS)
@pytest.mark.parametrize("call", BY_CALL.values(), ids=BY_CALL)
def test_an_error_of_a_real_call_travels(call, trip):
    error = raised(call)
    again = trip(error)
    assert same(again, error)
    assert describe_error(again) == describe_error(error)
    if isinstance(error, AnswerError):
        assert again.signature.equals(error.signature)


def test_every_error_is_in_the_table():
    kinds = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert kinds == BY_HAND.keys()


@pytest.mark.parametrize(
    ("call", "base"),
    [
        ("an answer cut off", AdapterParseError),
        ("a server error", DSPyLMError),
        ("a long prompt", ContextWindowExceededError),
    ],
)
def test_what_arrives_is_still_the_error_that_dspy_looks_for(call, base):
    assert isinstance(pickle.loads(pickle.dumps(raised(BY_CALL[call]))), base)


def test_an_answer_error_has_its_calls_and_its_text():
    error = TRIPS["pickle"](raised(BY_CALL["scores behind evolutions"]))
    assert [call["mutation"] is None for call in error.calls] == [False, True]
    assert (error.raw, error.finish_reason) == ("no", "stop")


def work(name):
    BY_CALL[name]()


def test_an_error_crosses_a_pool_of_processes():
    names = ["an answer cut off", "a server error", "a long prompt", "scores behind evolutions"]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(work, name) for name in names]
        for name, future in zip(names, futures, strict=True):
            assert same(future.exception(timeout=120), raised(BY_CALL[name]))


HOSTILE = {
    "a large integer": 10**5000,
    "a list of one": [10**5000],
    "a list of itself": (lambda one: one.append(one) or one)([]),
    "long text": "x" * 10**6,
    "long bytes": b"x" * 10**6,
    "deep nesting": eval("[" * 90 + "]" * 90),
    "an object that cannot show itself": type("Mute", (), {"__repr__": lambda s: 1 / 0})(),
    "surrogates": "\ud800",
    "nothing": None,
    "escapes": "\x1b]52;c;\x07",
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_anything_is_shown_shortly(value):
    assert len(shorten(value)) <= 70
    assert shorten(value).isprintable()
