"""An option is declared once: what is shown of it is what the code does, and a wrong one fails."""

import inspect

import pytest

import structq
from structq.engines.backends.llamacpp import LlamaCppLM
from structq.engines.backends.onnx.growing import GrowingOnnxRuntime
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.backends.servers import ServerLM
from structq.engines.kinds import all_options
from structq.engines.options import LOCAL, LOCAL_CALL, OTHERS
from structq.engines.sampling import PENALTIES, Sampling
from structq.errors import InputError

OF_THE_REGISTRY = {"revision", "file"}


def check(options, made_by):
    known = inspect.signature(made_by).parameters
    for name, option in options.items():
        if name in OF_THE_REGISTRY:
            continue
        default = known[name].default
        assert option.default == str(default) or default is None, name


def test_the_options_of_gguf_are_those_of_its_runtime():
    check(LOCAL["gguf"], OnnxRuntime)
    own = set(inspect.signature(OnnxRuntime).parameters) - {"folder", "name", "headless"}
    assert own == set(LOCAL["gguf"]) - OF_THE_REGISTRY


def test_the_options_of_onnx_are_those_of_its_runtime():
    check(LOCAL["onnx"], GrowingOnnxRuntime)


def test_the_options_of_llamacpp_are_those_of_its_lm():
    check(OTHERS["llamacpp"], LlamaCppLM)
    own = set(inspect.signature(LlamaCppLM).parameters) - {"spec", "options"}
    assert own == set(OTHERS["llamacpp"])


def test_the_options_of_servers_are_those_of_their_lm():
    own = set(inspect.signature(ServerLM).parameters) - {"spec", "options"}
    assert own <= set(OTHERS["servers"])


def test_the_keywords_of_local_lms_are_the_penalties_of_sampling():
    assert set(LOCAL_CALL) == PENALTIES
    for name, option in LOCAL_CALL.items():
        for value in (option.least, option.most):
            assert value is None or Sampling(**{name: type(getattr(Sampling, name))(value)})


@pytest.mark.torch
def test_the_options_of_transformers_are_those_of_its_runtime():
    from structq.engines.backends.transformers.runtime import TransformersRuntime

    check(LOCAL["transformers"], TransformersRuntime)


def test_every_option_is_told_in_a_line():
    for options in all_options().values():
        for option in options.values():
            assert option.help.endswith((".", "..."))
            assert "\n" not in option.help


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("False", False)])
def test_a_truth_value_may_be_said_in_a_word(text, value):
    assert LOCAL["gguf"]["reuse_prefixes"].parse("x", text) is value


WRONG = [
    ("nano", {"max_tokens": 0}, "max_tokens must be 1 or more: found 0"),
    ("nano", {"max_tokens": True}, "max_tokens must be an integer, 1 or more: found True"),
    ("nano", {"max_tokens": "9"}, "max_tokens must be an integer, 1 or more: found '9'"),
    ("nano", {"temperature": 9}, "temperature must be 0 to 2: found 9"),
    ("nano", {"temperature": float("nan")}, "temperature must be 0 to 2: found nan"),
    ("nano", {"top_p": 2}, "top_p must be above 0, at most 1: found 2"),
    ("nano", {"top_p": 0.0}, "top_p must be above 0, at most 1: found 0.0"),
    ("nano", {"top_k": 0}, "top_k must be 1 or more: found 0"),
    ("nano", {"n": 0}, "unknown option of nano LMs: 'n'"),
    ("nano", {"seed": -1}, "seed must be 0 or more: found -1"),
    ("nano", {"stop": 3}, "stop must be a text that is not empty, or a list of such: found 3"),
    ("nano", {"stop": ["a", ""]}, "or a list of such: found ''"),
    ("nano", {"dry_base": float("inf")}, "dry_base must be 1 or more: found inf"),
    ("nano", {"temprature": 1}, "'temprature': did you mean 'temperature'? (temperature, "),
    ("nano", {"window": 9}, "unknown option of nano LMs: 'window'"),
    ("nano", {"cache": "yes"}, "cache must be True or False: found 'yes'"),
    ("nano", {"num_retries": -1}, "num_retries must be 0 or more: found -1"),
    ("onnx:x?n_slots=0", {}, "n_slots must be 1 or more: found 0"),
    ("onnx:x?n_slots=wide", {}, "n_slots must be an integer, 1 or more: found 'wide'"),
    ("onnx:x?slots=3", {}, "unknown option of onnx LMs: 'slots': did you mean 'n_slots'?"),
    ("gguf:x?reuse_prefixes=perhaps", {}, "reuse_prefixes must be True or False: found 'perhaps'"),
    ("gguf:x", {"activations": "int4"}, "activations: found 'int4' (float32, int8 allowed)"),
    ("llamacpp:x", {"windw": 9}, "unknown option of llamacpp LMs: 'windw': did you mean 'window'?"),
    ("vllm/m", {"temperature": -1}, "temperature must be 0 to 2: found -1"),
    ("vllm/m", {"n": 0}, "n must be 1 or more: found 0"),
    ("vllm/m", {"min_pp": 1}, "unknown option of vllm LMs: 'min_pp'"),
    ("vllm/m", {"timeout": 0}, "timeout must be above 0, at most 86400: found 0"),
    ("openai/m", {"api_key": "k", "temprature": 1}, "did you mean 'temperature'?"),
    ("openai/m", {"api_key": "k", "presence_penalty": 3}, "presence_penalty must be -2 to 2"),
]


@pytest.mark.parametrize(
    ("spec", "given", "message"), WRONG, ids=[f"{spec} {given}" for spec, given, _ in WRONG]
)
def test_a_wrong_option_fails_where_it_is_given(spec, given, message):
    with pytest.raises(InputError) as caught:
        structq.lm(spec, **given)
    assert message in str(caught.value)
    assert caught.value.field in (*given, "n_slots", "slots", "reuse_prefixes")


@pytest.mark.parametrize(
    ("spec", "given"),
    [
        ("nano", {"temperature": 0, "top_p": 1, "stop": "x", "seed": 0, "max_tokens": None}),
        ("vllm/m", {"temperature": 2.0, "n": 2, "stop": ["a", "b"], "timeout": 0.5}),
        ("openai/m", {"api_base": "http://127.0.0.1:9/v1", "reasoning_effort": "low"}),
        ("bedrock/m", {"aws_region_name": "x", "extra_headers": {}}),
    ],
)
def test_what_is_allowed_reaches_the_lm(spec, given):
    made = structq.lm(spec, **given)
    for name, value in given.items():
        if name in made.kwargs:
            assert made.kwargs[name] == value


KEYS = [("openai/m", "OPENAI_API_KEY"), ("anthropic/m", "ANTHROPIC_API_KEY"), ("groq/m", "GROQ")]


@pytest.mark.parametrize(("spec", "variable"), KEYS, ids=[spec for spec, _ in KEYS])
def test_a_key_that_is_nowhere_is_missed_at_once(monkeypatch, spec, variable):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=f"found neither api_key nor {variable}"):
        structq.lm(spec)
    structq.lm(spec, api_key="k")
    structq.lm(spec, api_base="http://127.0.0.1:9/v1")
