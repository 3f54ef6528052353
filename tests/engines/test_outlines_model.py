import json
import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from outlines.generator import SteerableGenerator
from outlines.inputs import Chat
from outlines.models.base import Model
from outlines.processors import OutlinesLogitsProcessor
from outlines.types import JsonSchema
from pydantic import BaseModel, Field

from structq.decoding import RowwiseProcessor
from structq.decoding.processor import MatcherProcessor, json_schema
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.calls import Call
from structq.engines.local import LocalLM
from structq.errors import InputError, PromptTooLongError, SchemaError, StructqError


class Rating(BaseModel):
    stars: int = Field(ge=1, le=5)
    note: str = Field(max_length=12)


RATING = {**Rating.model_json_schema(), "additionalProperties": False}


@dataclass
class Verdict:
    good: bool
    kind: Literal["long", "short"]


@pytest.fixture(scope="module")
def model(tiny_folder):
    model = LocalLM(OnnxRuntime(tiny_folder))
    yield model
    model.close()


def test_a_local_lm_is_an_outlines_model(model):
    assert isinstance(model, Model)
    assert model.tensor_library_name == "numpy"


def test_a_pydantic_model_keeps_its_bounds(model):
    for seed in range(8):
        text = model(f"rate {seed}", Rating, temperature=2.0, seed=seed)
        Rating.model_validate_json(text)


@pytest.mark.parametrize(
    "output_type",
    [
        Verdict,
        JsonSchema(Rating),
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"enum": ["red", "blue"]},
    ],
    ids=["dataclass", "JsonSchema", "object", "enum"],
)
def test_output_types_give_json(model, output_type):
    json.loads(model("answer", output_type))


def test_a_batch_gives_what_single_calls_give(model):
    prompts = [f"prompt {i} " * (i + 1) for i in range(9)]
    alone = [model(prompt, Rating) for prompt in prompts]
    assert model.batch(prompts, Rating) == alone
    assert max(model.scheduler.batch_sizes) > 1


def test_a_stream_adds_up_to_the_answer(model):
    whole = model("go on", temperature=1.0, seed=3, max_tokens=40)
    pieces = list(model.stream("go on", temperature=1.0, seed=3, max_tokens=40))
    assert "".join(pieces) == whole
    assert len(pieces) > 3


def test_leaving_a_stream_cancels_its_row(model):
    stream = model.stream("go on", Rating)
    next(stream)
    stream.close()
    assert model("still here", Verdict)


def test_a_generator_holds_the_output_type(model):
    generator = model.generator(Verdict)
    assert generator("x") == model("x", Verdict)
    assert generator.batch(["x", "y"]) == model.batch(["x", "y"], Verdict)


def test_a_chat_becomes_turns(model):
    chat = Chat([{"role": "system", "content": "be brief"}, {"role": "user", "content": "x"}])
    assert model(chat, Verdict)
    assert model.type_adapter.format_input(chat) == [("system", "be brief"), ("user", "x")]


def test_stop_and_seed_are_settings(model):
    settings = {"temperature": 1.0, "seed": 3, "max_tokens": 40}
    whole = model("go on", **settings)
    part = whole[5:8]
    assert model("go on", stop=part, **settings) == whole[: whole.index(part)]


class OnlyDigits(OutlinesLogitsProcessor):
    """Three tokens out of five, then the end."""

    def __init__(self, digits, end):
        super().__init__("numpy")
        self.digits, self.end, self.n = digits, end, 0

    def reset(self):
        self.n = 0

    def process_logits(self, input_ids, logits):
        self.n += 1
        allowed = [self.end] if self.n > 3 else self.digits
        masked = np.full_like(logits, -np.inf)
        masked[:, allowed] = logits[:, allowed]
        return masked


def test_any_numpy_logits_processor_steers_a_row(model):
    tokens = [model.grammars.vocabulary.tokenize(digit)[0] for digit in "01234"]
    processor = OnlyDigits(tokens, model.grammars.vocabulary.eos_token_id)
    generator = SteerableGenerator.from_processor(model, processor)
    text = generator("count")
    assert len(text) == 3
    assert set(text) <= set("01234")
    assert generator.batch(["count", "count"]) == [text, text]


def test_structqs_own_processor_steers_a_row(model):
    schema = {"enum": ["red", "blue"]}
    processor = RowwiseProcessor(model.grammars, [schema])
    assert json.loads(model("colour", processor)) in ("red", "blue")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m("x", int), InputError, "unknown output type"),
        (lambda m: m(["x"]), InputError, "a string or a Chat: found list"),
        (lambda m: m("x", repetition_penalty=2), InputError, r"unknown settings: \['repet"),
        (lambda m: m("x", None, "outlines_core"), InputError, "unknown backend"),
        (lambda m: m("x", {"type": "array", "uniqueItems": True}), SchemaError, "uniqueItems"),
        (lambda m: m("word " * 900), PromptTooLongError, "at most 1023 fit"),
        (lambda m: m("x", max_tokens=0), InputError, "max_tokens"),
        (
            lambda m: m(Chat([{"role": "user", "content": ["x"]}])),
            InputError,
            "must be text",
        ),
    ],
    ids=["type", "input", "setting", "backend", "schema", "long", "zero", "image"],
)
def test_what_cannot_be_done_is_refused_by_name(model, call, error, message):
    with pytest.raises(error, match=message):
        call(model)


def test_threads_share_the_model(model):
    texts = {}

    def work(n):
        texts[n] = model(f"prompt {n}", Verdict)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {n: model(f"prompt {n}", Verdict) for n in range(8)}


class Count:
    """Counts the calls of processors; with ``mask`` off it lets every token through."""

    def __init__(self, monkeypatch, mask=True):
        self.n = 0
        real = MatcherProcessor.process_logits

        def process(processor, input_ids, logits):
            self.n += 1
            if mask:
                return real(processor, input_ids, logits)
            processor._n_seen = input_ids.shape[1]
            return logits

        monkeypatch.setattr(MatcherProcessor, "process_logits", process)


def test_the_processor_is_asked_for_each_sampled_token(model, monkeypatch):
    count = Count(monkeypatch)
    call = Call(messages=[("user", "x")], output_type=json_schema(RATING), spaced=True)
    answer = model.submit(call).result()
    n_sampled = answer.n_output_tokens - answer.n_forced_tokens
    assert count.n == answer.n_passes
    assert n_sampled <= count.n <= n_sampled + 1  # the end of the answer may be sampled too


@pytest.mark.parametrize("mask", [True, False])
def test_without_the_processor_random_weights_break_the_schema(model, monkeypatch, mask):
    Count(monkeypatch, mask=mask)
    good = 0
    for seed in range(5):
        try:
            text = model("rate", Rating, temperature=2.0, seed=seed, max_tokens=60)
            Rating.model_validate_json(text)
            good += 1
        except (StructqError, ValueError):
            continue
    assert good == (5 if mask else 0)
