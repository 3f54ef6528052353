import asyncio
import copy
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import dspy
import numpy as np
import pytest
from dspy import lm15
from dspy.lm15 import Config, Message, Request
from dspy.utils.exceptions import (
    ContextWindowExceededError,
    LMUnsupportedFeatureError,
)

from structq.engines import lm
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.calls import Call
from structq.engines.local import LocalLM
from structq.engines.pair import AsyncLocalEngine, LocalEngine
from structq.engines.registry import open_lm
from structq.texts import n_words
from tests.hub_export import write_hub

TEXT = {
    "type": "object",
    "properties": {"evolved_response": {"type": "string", "maxLength": 40}},
    "required": ["evolved_response"],
    "additionalProperties": False,
}


def scores(k):
    return {
        "type": "object",
        "properties": {
            "scores": {
                "type": "array",
                "items": {"enum": list(range(1, k + 2))},
                "minItems": k,
                "maxItems": k,
            }
        },
        "required": ["scores"],
        "additionalProperties": False,
    }


def request(
    text="hello", schema=None, *, model="structq/tiny", measure=False, system=None, **config
):
    if schema is not None:
        config["response_format"] = {
            "type": "json_schema",
            "name": "Outputs",
            "strict": True,
            "schema": schema,
        }
    if measure:
        config["extensions"] = {"structq": {"measure": True}}
    return Request(
        model=model,
        messages=(Message.user(text),),
        system=system,
        config=Config(**config),
    )


def mixed_requests(n):
    """Requests of every kind with prompts of many lengths."""
    kinds = [
        lambda i: request(f"row {i} " * (i % 13 + 1), scores(i % 5 + 1), measure=True),
        lambda i: request(f"row {i} " * (i % 7 + 1), TEXT, temperature=1.0, seed=i),
        lambda i: request(f"row {i} " * (i % 11 + 1), scores(3)),
        lambda i: request(f"row {i} " * (i % 3 + 1), TEXT, max_tokens=30),
        lambda i: request(f"row {i}", max_tokens=12, temperature=0.8, top_p=0.9, seed=i),
    ]
    return [kinds[i % len(kinds)](i) for i in range(n)]


@pytest.fixture(scope="module")
def engine(tiny_folder):
    engine = LocalEngine(LocalLM(OnnxRuntime(tiny_folder, n_threads=1)))
    yield engine
    engine.close()


@pytest.fixture
def spec(tiny_folder):
    return f"onnx:{tiny_folder}"


def own(response):
    return response.provider_data["structq"]


def test_a_measured_answer_carries_its_distributions(engine):
    response = engine.complete(request("score", scores(2), measure=True))
    data = own(response)
    taken = json.loads(response.text)["scores"]
    assert data["labels"] == [1, 2, 3]
    assert data["n_passes"] == 2
    assert [len(row) for row in data["distributions"]] == [3, 3]
    np.testing.assert_allclose(np.sum(data["distributions"], axis=1), 1, atol=1e-12)
    assert taken == [data["labels"][int(np.argmax(row))] for row in data["distributions"]]
    assert all(0 < mass <= 1 for mass in data["label_mass"])
    json.dumps(response.provider_data)


def test_label_lists_differ_where_the_slots_do(engine):
    schema = {
        "type": "object",
        "properties": {"a": {"enum": ["x", "y"]}, "b": {"type": "boolean"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    data = own(engine.complete(request("judge", schema, measure=True)))
    assert data["labels"] == [["x", "y"], [False, True]]


def test_a_generated_answer_obeys_its_schema(engine):
    response = engine.complete(request("evolve", TEXT))
    value = json.loads(response.text)
    assert list(value) == ["evolved_response"]
    assert len(value["evolved_response"]) <= 40
    assert response.finish_reason == "stop"
    assert "distributions" not in own(response)


def test_forced_tokens_cost_no_passes(engine):
    # The same scores token by token: text between the slots is forced and rides along.
    data = own(engine.complete(request("score", scores(4))))
    assert data["n_passes"] == 4
    assert data["n_forced_tokens"] > 4


def test_usage_counts_the_template_and_the_answer(engine):
    response = engine.complete(request("hello", scores(1), measure=True))
    assert response.usage.input_tokens == len(engine.lm.encode([("user", "hello")]))
    assert response.usage.output_tokens == own(response)["n_forced_tokens"] + 1
    assert response.model == "structq/tiny"


def test_max_tokens_cuts_the_answer_and_says_so(engine):
    response = engine.complete(request("evolve", TEXT, max_tokens=6))
    assert response.finish_reason == "length"
    assert response.usage.output_tokens == 6


def test_the_window_cuts_the_answer_and_says_so(engine):
    prompt = "a b c d e f g " * 70
    response = engine.complete(request(prompt, temperature=2.0, seed=0))
    window = engine.lm.window
    assert response.finish_reason == "length"
    assert response.usage.input_tokens + response.usage.output_tokens == window


def test_free_text_ends_before_a_stop_string(engine):
    whole = engine.complete(request("go on", temperature=1.0, seed=7, max_tokens=60)).text
    part = whole[12:15]
    assert part.strip()
    response = engine.complete(
        request("go on", temperature=1.0, seed=7, max_tokens=60, stop=(part, "\u0000never"))
    )
    assert response.text == whole[: whole.index(part)]
    assert response.finish_reason == "stop"


def test_free_text_has_no_special_tokens(engine):
    # Random weights would say them all the time.
    for seed in range(5):
        response = engine.complete(request("x", temperature=2.0, seed=seed, max_tokens=40))
        tokens = engine.lm.grammars.vocabulary.tokenize(response.text)
        assert response.finish_reason == "stop" or len(tokens) > 10


def test_the_system_text_reaches_the_prompt(engine):
    plain = engine.complete(request("x", scores(2), measure=True))
    told = engine.complete(request("x", scores(2), measure=True, system="Be strict."))
    assert told.usage.input_tokens > plain.usage.input_tokens


def test_answers_do_not_depend_on_the_batch(engine):
    requests = mixed_requests(40)
    alone = [engine.complete(one) for one in requests]
    for batch in (8, 32, 40):
        for first in range(0, len(requests), batch):
            futures = engine_futures(engine, requests[first : first + batch])
            assert [future.result() for future in futures] == alone[first : first + batch]
    assert max(engine.lm.scheduler.batch_sizes) > 8


def engine_futures(engine, requests):
    with ThreadPoolExecutor(len(requests)) as pool:
        return [pool.submit(engine.complete, one) for one in requests]


def test_coroutines_and_threads_share_one_batch(engine):
    requests = mixed_requests(24)
    expected = [engine.complete(one) for one in requests]
    other = AsyncLocalEngine(engine.lm)

    async def both():
        threads = [asyncio.to_thread(engine.complete, one) for one in requests[::2]]
        coroutines = [other.complete(one) for one in requests[1::2]]
        done = await asyncio.gather(*threads, *coroutines)
        return done[: len(threads)], done[len(threads) :]

    even, odd = asyncio.run(both())
    assert even == expected[::2]
    assert odd == expected[1::2]


def test_cancelling_a_coroutine_drops_its_row(engine):
    other = AsyncLocalEngine(engine.lm)

    async def cancel():
        task = asyncio.create_task(other.complete(request("x" * 50, temperature=2.0, seed=1)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert engine.complete(request("still here", scores(1), measure=True)).text
    deadline = time.monotonic() + 60
    while engine.lm.scheduler._running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not engine.lm.scheduler._running


def test_a_prompt_over_the_window_is_refused_with_both_lengths(engine):
    with pytest.raises(
        lm15.ContextLengthError, match=r"the prompt is too long: \d+ tokens \(at most 1023 fit\)"
    ):
        engine.complete(request("word " * 900))


def test_a_measured_prompt_needs_room_for_its_slots(engine):
    need = engine.lm.window - len(engine.lm.encode([("user", "")])) - 8
    engine.complete(request("7" * (need - 20), scores(1), measure=True))
    with pytest.raises(lm15.ContextLengthError, match="too long"):
        engine.complete(request("7" * need, scores(4), measure=True))


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (request(schema=TEXT, measure=True), lm15.UnsupportedFeatureError, "only labels"),
        (request(measure=True), lm15.UnsupportedFeatureError, "only labels"),
        (
            request(schema={"type": "array", "uniqueItems": True}),
            lm15.UnsupportedFeatureError,
            "uniqueItems",
        ),
        (request(frequency_penalty=0.5), lm15.UnsupportedFeatureError, "frequency_penalty"),
        (request(logprobs=3), lm15.UnsupportedFeatureError, "logprobs"),
        (
            request(extensions={"min_p": 0.1}),
            lm15.UnsupportedFeatureError,
            "unknown extensions: .'min_p'",
        ),
        (
            request(extensions={"structq": {"mesure": True}}),
            lm15.UnsupportedFeatureError,
            "structq.mesure",
        ),
        (
            request(response_format={"type": "json_object"}),
            lm15.UnsupportedFeatureError,
            "'json_object'",
        ),
        (request("a\ud800b"), lm15.InvalidRequestError, "lone surrogate at character 1"),
    ],
    ids=[
        "free",
        "none",
        "keyword",
        "penalty",
        "logprobs",
        "extension",
        "typo",
        "json_object",
        "surrogate",
    ],
)
def test_what_cannot_be_done_is_refused_by_name(engine, bad, error, message):
    with pytest.raises(error, match=message):
        engine.complete(bad)


def test_a_stream_gives_the_whole_answer(engine):
    events = list(engine.stream(request("x", scores(1), measure=True)))
    assert events[0].type == "start"
    text = "".join(event.delta.text for event in events if event.type == "delta")
    assert text == engine.complete(request("x", scores(1), measure=True)).text


def test_a_closed_engine_says_so(tiny_folder):
    engine = LocalEngine(LocalLM(OnnxRuntime(tiny_folder, n_slots=2)))
    engine.close()
    engine.close()
    with pytest.raises(lm15.NotConfiguredError, match="closed"):
        engine.complete(request())


def test_copies_share_the_engine(engine):
    assert copy.deepcopy({"lm": engine})["lm"] is engine


def test_dspy_calls_it_sync_and_async(spec):
    model = lm(spec, cache=False)
    adapter = dspy.JSONAdapter()

    class Judge(dspy.Signature):
        """Judge the text."""

        text: str = dspy.InputField()
        good: bool = dspy.OutputField()
        stars: Literal[1, 2, 3] = dspy.OutputField()

    judge = dspy.Predict(Judge)
    with dspy.context(lm=model, adapter=adapter):
        first = judge(text="fine")
        second = asyncio.run(judge.acall(text="fine"))
    assert isinstance(first.good, bool)
    assert first.stars in (1, 2, 3)
    assert first.toDict() == second.toDict()


def test_dspy_users_see_canonical_errors(spec):
    model = lm(spec, cache=False)
    with pytest.raises(ContextWindowExceededError, match=r"at most 1023 fit"):
        model(request("word " * 900, model=model.model))
    with pytest.raises(LMUnsupportedFeatureError, match="uniqueItems"):
        model(request(schema={"type": "array", "uniqueItems": True}, model=model.model))


def test_a_saved_lm_comes_back_on_the_same_weights(spec, tmp_path):
    model = lm(spec, cache=False, max_tokens=50)
    program = dspy.Predict("text -> good: bool")
    program.set_lm(model)
    program.save(tmp_path / "program.json")
    loaded = dspy.Predict("text -> good: bool")
    loaded.load(tmp_path / "program.json", allow_unsafe_lm_state=True)
    assert loaded.lm.model == model.model
    assert loaded.lm.engine.lm is model.engine.lm
    assert asyncio.run(loaded.acall(text="x")).good == program(text="x").good


def test_an_lm_that_writes_text_is_kept_from_loops_unless_told_otherwise(tmp_path):
    spec = f"onnx:{write_hub(tmp_path / 'hub')}"
    assert lm(spec).engine.form == "text"
    assert lm(spec).engine.penalties["dry_multiplier"] > 0
    assert lm(spec, dry_multiplier=0).engine.penalties["dry_multiplier"] == 0
    lm(spec).engine.close()
    nano = lm("nano").engine
    assert (nano.form, nano.penalties) == ("compact", {})


def test_penalties_are_saved_with_the_lm_and_come_back(spec):
    model = lm(spec, min_p=0.1, repetition_penalty=1.2, temperature=0.5)
    assert "min_p" not in model.kwargs
    again = LocalEngine.load_state(json.loads(json.dumps(model.engine.dump_state())))
    assert again.lm is model.engine.lm
    assert again.penalties == model.engine.penalties
    assert (again.penalties["min_p"], again.penalties["repetition_penalty"]) == (0.1, 1.2)


@pytest.mark.parametrize("bad", [{"min_p": 2}, {"dry_base": 0.5}, {"repetition_penalty": 0}])
def test_a_penalty_out_of_range_is_named_when_the_lm_is_made(spec, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        lm(spec, **bad)


def test_an_engine_that_was_not_opened_by_spec_cannot_be_saved(engine):
    with pytest.raises(ValueError, match="cannot be saved"):
        engine.dump_state()


def test_specs_share_one_copy_and_name_the_weights(spec):
    first, second = lm(spec), lm(spec, temperature=0.5)
    assert first.engine.lm is second.engine.lm is open_lm(spec)
    assert first.model == f"structq/{first.engine.lm.name}"
    assert first.num_retries == 0


def test_a_closed_spec_opens_again(spec):
    first = open_lm(spec)
    first.close()
    assert open_lm(spec) is not first


def test_other_strings_go_to_dspy(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    model = lm("openai/gpt-4o-mini", temperature=0.3)
    assert model.model == "openai/gpt-4o-mini"
    assert model.kwargs["temperature"] == 0.3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("", "the LM is missing"),
        ("  ", "the LM is missing"),
        (None, "the LM is missing: found None"),
        ("nanoo", r"unknown LM: 'nanoo': did you mean 'nano'\? .*'onnx:<folder or hub id>'"),
        ("gpt-4o", "unknown LM: 'gpt-4o'"),
        ("llamacpp:model.gguf", "no such file"),
        ("onnx:", "not a local LM: 'onnx:'"),
        ("onnx:/no/such/folder", "no such folder: '/no/such/folder'"),
    ],
)
def test_a_wrong_spec_gets_one_clear_sentence(bad, message):
    with pytest.raises(ValueError, match=message) as caught:
        lm(bad)
    assert "\n" not in str(caught.value)


def test_a_process_ends_cleanly_while_rows_run(tiny_folder):
    code = f"""
import time
from structq.engines.calls import Call
from structq.engines.local import LocalLM
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.sampling import Sampling
lm = LocalLM(OnnxRuntime({str(tiny_folder)!r}))
sampling = Sampling(temperature=9.0, seed=1)
for _ in range(64):
    lm.submit(Call(messages=[("user", "x" * 40)], sampling=sampling))
time.sleep(0.05)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=180
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_forgotten_lm_ends_its_worker(tiny_folder):
    model = LocalLM(OnnxRuntime(tiny_folder, n_slots=2))
    model.submit(request_call()).result()
    worker = model.scheduler._worker
    del model
    worker.join(60)
    assert not worker.is_alive()
    assert worker not in threading.enumerate()


def request_call():
    return Call(messages=[("user", "x")], max_tokens=2)


FENCE = '```py\nprint("{{ x }}\\n")\n```'
FREE_TEXT = {
    "type": "object",
    "properties": {"evolved_response": {"type": "string"}},
    "required": ["evolved_response"],
    "additionalProperties": False,
}


WIRES = ("text", "json", "compact")
every_wire = pytest.mark.parametrize("wire", WIRES)


def ruled(wire, rules, **config):
    """A request whose answer is one text, as it stands or as the value of a property."""
    own = {"text": dict(rules)}
    if wire == "text":
        return request("evolve", extensions={"structq": own}, **config)
    own["text"]["field"] = "evolved_response"
    own["spaced"] = wire == "json"
    return request("evolve", FREE_TEXT, extensions={"structq": own}, **config)


def literals(wire, *texts, anchored=False, **config):
    return ruled(wire, {"literals": list(texts), "anchored": anchored}, **config)


def said(wire, response):
    """The text of a whole answer, which is spaced as its wire says."""
    if wire == "text":
        return response.text
    value = json.loads(response.text)
    separators = (", ", ": ") if wire == "json" else (",", ":")
    assert response.text.startswith(json.dumps(value, separators=separators)[:20])
    return value["evolved_response"]


@every_wire
@pytest.mark.parametrize("seed", range(6))
def test_an_answer_holds_its_literals_or_is_cut_off(engine, wire, seed):
    asked = literals(wire, FENCE, "$$x$$", temperature=2.0, seed=seed, max_tokens=500)
    response = engine.complete(asked)
    if response.finish_reason == "stop":
        text = said(wire, response)
        assert FENCE in text
        assert "$$x$$" in text.partition(FENCE)[2]


@every_wire
def test_an_anchored_literal_costs_no_passes_of_its_own(engine, wire):
    response = engine.complete(literals(wire, FENCE * 3, anchored=True, temperature=2.0, seed=1))
    assert own(response)["n_forced_tokens"] > 60
    if response.finish_reason == "stop":
        assert said(wire, response).startswith(FENCE * 3)


@every_wire
def test_literals_that_do_not_fit_the_window_are_refused(engine, wire):
    with pytest.raises(lm15.ContextLengthError):
        engine.complete(literals(wire, "many words " * 400))


@every_wire
@pytest.mark.parametrize("seed", range(4))
def test_an_answer_keeps_to_its_bounds_and_says_what_was_cut(engine, wire, seed):
    rules = {"min_words": 5, "max_words": 12, "max_chars": 90}
    response = engine.complete(ruled(wire, rules, temperature=2.0, seed=seed))
    assert response.finish_reason == "stop"
    text = said(wire, response)
    assert n_words(text) <= 12
    assert len(text) <= 90
    cut = own(response).get("cut")
    assert cut is None or cut["reason"] == "length"
    assert cut is not None or n_words(text) >= 5


@pytest.mark.parametrize(
    "rules",
    [
        None,
        3,
        ["text"],
        {"literals": "text"},
        {"literals": [1]},
        {"literals": None},
        {"literals": [], "anchored": 1},
        {"field": 3},
        {"max_words": "9"},
        {"min_words": None},
        {"known": None},
        {"longest": 3},
    ],
    ids=str,
)
def test_malformed_rules_are_refused(engine, rules):
    asked = request("x", extensions={"structq": {"text": rules}})
    with pytest.raises(lm15.InvalidRequestError, match=r"structq\.text: found"):
        engine.complete(asked)


def test_rules_need_a_schema_of_one_text(engine):
    rules = {"literals": ["b"], "field": "evolved_response"}
    for schema in (None, TEXT, scores(2)):
        asked = request("x", schema, extensions={"structq": {"text": rules}})
        with pytest.raises(lm15.UnsupportedFeatureError, match="closed object of one text"):
            engine.complete(asked)
    asked = request("x", FREE_TEXT, extensions={"structq": {"text": {"max_words": 3}}})
    with pytest.raises(lm15.UnsupportedFeatureError, match="closed object of one text"):
        engine.complete(asked)


@pytest.mark.parametrize("spaced", [True, False])
def test_json_is_spaced_as_it_is_asked_for(engine, spaced):
    for measure in (True, False):
        extensions = {"structq": {"spaced": spaced, "measure": measure}}
        text = engine.complete(request("x", scores(3), extensions=extensions)).text
        separators = (", ", ": ") if spaced else (",", ":")
        assert text == json.dumps(json.loads(text), separators=separators)


def test_what_a_schema_repeats_of_itself_is_no_loop(engine):
    kinds = {"dry_multiplier": 9.0, "dry_allowed_length": 1, "repetition_penalty": 9.0}
    told = LocalEngine(engine.lm, penalties=kinds)
    asked = request("score", scores(8))
    assert told.complete(asked).text == engine.complete(asked).text
    free = request("go on", max_tokens=60)
    assert told.complete(free).text != engine.complete(free).text
