"""What `structq models --options` says about a default is what the code does."""

import inspect

import pytest

from structq.engines.backends.llamacpp import LlamaCppLM
from structq.engines.backends.onnx.growing import GrowingOnnxRuntime
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.backends.servers import ServerLM
from structq.engines.options import LOCAL, OTHERS, all_options

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
    own = set(inspect.signature(OnnxRuntime).parameters) - {"folder", "name"}
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


@pytest.mark.torch
def test_the_options_of_transformers_are_those_of_its_runtime():
    from structq.engines.backends.transformers.runtime import TransformersRuntime

    check(LOCAL["transformers"], TransformersRuntime)


def test_every_option_is_told_in_a_line():
    for options in all_options().values():
        for option in options.values():
            assert option.help.endswith((".", "..."))
            assert "\n" not in option.help


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), (True, True)])
def test_a_truth_value_may_be_said_in_a_word(text, value):
    assert LOCAL["gguf"]["reuse_prefixes"].parse(text) is value


def test_another_word_is_no_truth_value():
    with pytest.raises(ValueError, match="'perhaps'"):
        LOCAL["gguf"]["reuse_prefixes"].parse("perhaps")
