"""What `structq models --options` says about a default is what the code does."""

import inspect

import pytest

from structq.engines.llamacpp import LlamaCppLM
from structq.engines.onnx_growing import GrowingOnnxRuntime
from structq.engines.options import LOCAL, OTHERS, all_options
from structq.engines.servers import ServerLM

OF_THE_REGISTRY = {"revision"}


def check(options, made_by):
    known = inspect.signature(made_by).parameters
    for name, option in options.items():
        if name in OF_THE_REGISTRY:
            continue
        default = known[name].default
        assert option.default == str(default) or default is None, name


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
    from structq.engines.transformers import TransformersRuntime

    check(LOCAL["transformers"], TransformersRuntime)


def test_every_option_is_told_in_a_line():
    for options in all_options().values():
        for option in options.values():
            assert option.help.endswith((".", "..."))
            assert "\n" not in option.help
