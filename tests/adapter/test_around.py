"""What DSPy has around a call reaches it: advice, other people's adapters, callbacks, listeners."""

import asyncio
import json

import dspy
import pytest
from dspy.utils.callback import BaseCallback

from structq import EvolQuality, EvolveAndScore, InputError, QualityScorer
from tests.scripted import ScriptedEngine, make_lm, prompt_of

ROW = {"instruction": "Why is the sky blue?", "response": "The air."}
ASK = {"instruction": "Why is the sky blue?", "responses": ["The air.", "It scatters blue light."]}
KINDS = [(EvolQuality, ROW), (QualityScorer, ASK), (EvolveAndScore, ROW)]
NAMES = ["EvolQuality", "QualityScorer", "EvolveAndScore"]


def advising(request):
    """Gives every module the advice MARKER, in the form of the adapter that asks."""
    prompt = prompt_of(request)
    names = sorted({"score", "scorer.score"} | {
        f"{prefix}mutations['{name}']"
        for prefix in ("", "evolve.")
        for name in ("helpfulness", "relevance", "deepening", "creativity", "details")
    })  # fmt: skip
    advice = dict.fromkeys(names, "MARKER")
    if "<discussion>" in str(request.system) + prompt:
        return f"<discussion>d</discussion>\n<advice>{json.dumps(advice)}</advice>"
    if request.config.response_format or "JSON" in prompt:
        return json.dumps({"discussion": "d", "advice": advice})
    return f"[[ ## discussion ## ]]\nd\n[[ ## advice ## ]]\n{json.dumps(advice)}\n"


@pytest.mark.parametrize("adapter", [None, dspy.ChatAdapter, dspy.JSONAdapter, dspy.XMLAdapter])
@pytest.mark.parametrize(("make", "inputs"), KINDS, ids=NAMES)
def test_the_advice_of_refine_arrives(adapter, make, inputs):
    engine = ScriptedEngine()
    program = make(lm=make_lm(engine))
    with dspy.context(lm=make_lm(ScriptedEngine(advising)), adapter=adapter and adapter()):
        refine = dspy.Refine(module=program, N=3, reward_fn=lambda args, pred: 0.0, threshold=1)
        assert refine(**inputs) is not None
    marked = ["MARKER" in prompt_of(request) for request in engine.requests]
    a_try = len(marked) // 3
    assert marked == [False] * a_try + [True] * 2 * a_try


class InPlace(dspy.ChatAdapter):
    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        inputs["note"] = "MARKER"
        signature = signature.append("note", dspy.InputField(desc="A note"))
        return super().__call__(lm, lm_kwargs, signature, demos, inputs)


class ByCopy(dspy.JSONAdapter):
    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        signature = signature.append("note", dspy.InputField(desc="A note"))
        return super().__call__(lm, lm_kwargs, signature, demos, {**inputs, "note": "MARKER"})


class ByHand(dspy.ChatAdapter):
    """Hands the call to another adapter."""

    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        signature = signature.append("note", dspy.InputField(desc="A note"))
        inputs = {**inputs, "note": "MARKER"}
        return dspy.XMLAdapter()(lm, lm_kwargs, signature, demos, inputs)


class Instructing(dspy.ChatAdapter):
    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        signature = signature.with_instructions(signature.instructions + " MARKER")
        return super().__call__(lm, lm_kwargs, signature, demos, inputs)


class Rewriting(dspy.ChatAdapter):
    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        inputs = {**inputs, "instruction": inputs["instruction"] + " MARKER"}
        return super().__call__(lm, lm_kwargs, signature, demos, inputs)


class Awaiting(InPlace):
    async def acall(self, lm, lm_kwargs, signature, demos, inputs):
        signature = signature.append("note", dspy.InputField(desc="A note"))
        inputs = {**inputs, "note": "MARKER"}
        return await super().acall(lm, lm_kwargs, signature, demos, inputs)


ADAPTERS = [InPlace, ByCopy, ByHand, Instructing, Rewriting, Awaiting]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("way", ["call", "acall", "process"])
@pytest.mark.parametrize(("make", "inputs"), KINDS, ids=NAMES)
def test_what_another_adapter_adds_arrives(adapter, way, make, inputs):
    engine = ScriptedEngine()
    program = make(lm=make_lm(engine))
    with dspy.context(adapter=adapter()):
        if way == "process":
            (row,) = next(program.process([inputs]))
            assert row["metadata"]["error"] is None
        else:
            asyncio.run(program.acall(**inputs)) if way == "acall" else program(**inputs)
    assert all("MARKER" in prompt_of(request) for request in engine.requests)


class Answering(dspy.ChatAdapter):
    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        return [{"evolved_response": "mine"}]


def test_an_adapter_that_answers_by_itself_is_refused():
    with dspy.context(adapter=Answering()), pytest.raises(InputError, match="Answering"):
        EvolQuality(lm=make_lm(ScriptedEngine()))(**ROW)


class Formatting(dspy.ChatAdapter):
    def format(self, signature, demos, inputs):
        return [{"role": "user", "content": "mine"}]


def test_prompts_of_another_adapter_are_not_used_and_that_is_said(caplog):
    with dspy.context(adapter=Formatting()):
        for _ in range(2):
            EvolQuality(lm=make_lm(ScriptedEngine()))(**ROW)
    assert caplog.text.count("Formatting.format is not used") == 1


class Hearing(BaseCallback):
    def __init__(self):
        self.heard = []

    def on_adapter_format_end(self, call_id, outputs, exception=None):
        self.heard.append(("format", outputs[-1]["content"]))

    def on_adapter_parse_end(self, call_id, outputs, exception=None):
        self.heard.append(("parse", outputs))

    def on_lm_start(self, call_id, instance, inputs):
        self.heard.append(("lm", None))

    def on_module_start(self, call_id, instance, inputs):
        self.heard.append(("module", type(instance).__name__))


@pytest.mark.parametrize("way", ["call", "acall"])
@pytest.mark.parametrize("form", ["text", "json", "compact"])
@pytest.mark.parametrize("where", ["settings", "adapter"])
def test_callbacks_are_called(way, form, where):
    hearing, engine = Hearing(), ScriptedEngine(form=form)
    program = EvolQuality(lm=make_lm(engine), mutation_templates={"only": "Be clear."})
    told = (
        {"callbacks": [hearing]}
        if where == "settings"
        else {"adapter": dspy.ChatAdapter(callbacks=[hearing])}
    )
    with dspy.context(lm=make_lm(ScriptedEngine(form="json")), **told):
        asyncio.run(program.acall(**ROW)) if way == "acall" else program(**ROW)
    heard = dict(hearing.heard)
    assert heard["format"] == prompt_of(engine.requests[0])
    assert heard["parse"] == {"evolved_response": "The air. More."}


def only(lm, **options):
    return EvolQuality(lm=lm, mutation_templates={"only": "Be clear."}, **options)


def streamed(program, listener, inputs, *, is_async=False):
    stream = dspy.streamify(
        program, stream_listeners=[listener], is_async_program=is_async, async_streaming=True
    )

    async def read():
        return [value async for value in stream(**inputs)]

    return asyncio.run(read())


@pytest.mark.parametrize("adapter", [None, dspy.ChatAdapter, dspy.JSONAdapter, dspy.XMLAdapter])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_listener_hears_the_answer(adapter, is_async, form):
    program = only(make_lm(ScriptedEngine(form=form)))
    listener = dspy.streaming.StreamListener("evolved_response")
    with dspy.context(adapter=adapter and adapter()):
        chunk, found = streamed_both(program, listener, ROW, is_async)
    assert (chunk.chunk, chunk.is_last_chunk) == ("The air. More.", True)
    assert chunk.predict_name == "mutations['only']"
    assert found.evolved_response == "The air. More."


def streamed_both(program, listener, inputs, is_async):
    values = streamed(program, listener, inputs, is_async=is_async)
    chunks = [v for v in values if isinstance(v, dspy.streaming.StreamResponse)]
    results = [v for v in values if isinstance(v, dspy.Prediction)]
    return chunks[0], results[0]


@pytest.mark.parametrize("permutations", [1, 2])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_listener_hears_scores(permutations, is_async):
    program = QualityScorer(lm=make_lm(ScriptedEngine()), permutations=permutations)
    listener = dspy.streaming.StreamListener("scores")
    chunk, found = streamed_both(program, listener, ASK, is_async)
    assert chunk.chunk == "[1, 2]"
    assert found.scores == [1.0, 2.0]


def test_a_listener_of_one_part_hears_that_part_alone():
    program = EvolveAndScore(only(make_lm(ScriptedEngine())), lm=make_lm(ScriptedEngine()))
    listener = dspy.streaming.StreamListener("evolved_response")
    chunk, found = streamed_both(program, listener, ROW, False)
    assert chunk.chunk == found.evolved_response


def test_a_listener_hears_each_step_where_it_may():
    program = only(make_lm(ScriptedEngine()), num_evolutions=3)
    listener = dspy.streaming.StreamListener("evolved_response", allow_reuse=True)
    chunks = [v for v in streamed(program, listener, ROW) if not isinstance(v, dspy.Prediction)]
    assert [chunk.chunk.count("More") for chunk in chunks] == [1, 2, 3]


def test_a_broken_answer_is_not_streamed():
    answers = iter(["{", json.dumps({"evolved_response": "Blue light scatters."})])
    program = only(make_lm(ScriptedEngine(lambda request: next(answers))), max_attempts=2)
    listener = dspy.streaming.StreamListener("evolved_response")
    chunk, _ = streamed_both(program, listener, ROW, False)
    assert chunk.chunk == "Blue light scatters."


def test_a_field_of_five_predictors_is_refused_by_name():
    with pytest.raises(ValueError, match="not unique"):
        dspy.streamify(
            EvolQuality(), stream_listeners=[dspy.streaming.StreamListener("evolved_response")]
        )
