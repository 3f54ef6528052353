import dspy
import pytest
from dspy import lm15
from dspy.utils.exceptions import ContextWindowExceededError
from dspy.utils.exceptions import LMError as DSPyLMError

from structq import EvolveResponse, InputError, LMError, PromptTooLongError, ScoreResponses
from structq.adapter import StructAdapter
from tests.scripted import ScriptedEngine, make_lm

ROW = {"instruction": "Why?", "response": "Because."}


def ask(engine, signature=EvolveResponse, lm_options=None, **inputs):
    with dspy.context(lm=make_lm(engine, **(lm_options or {})), adapter=StructAdapter()):
        return dspy.Predict(signature)(**(inputs or ROW))


def config_of(lm_options, **config):
    engine = ScriptedEngine()
    with dspy.context(lm=make_lm(engine, **lm_options), adapter=StructAdapter()):
        dspy.Predict(EvolveResponse)(**ROW, config=config)
    return engine.requests[0].config


def test_options_of_the_lm_and_of_the_call_reach_the_request():
    config = config_of({"temperature": 0.5, "max_tokens": 7}, max_tokens=9, seed=3)
    assert (config.temperature, config.max_tokens, config.seed) == (0.5, 9, 3)


def test_openai_spelling_is_read():
    config = config_of({"max_completion_tokens": 5, "stop": "END"})
    assert (config.max_tokens, config.stop) == (5, ("END",))
    assert config.response_format["type"] == "json_schema"


@pytest.mark.parametrize(
    "options", [{"regex": "a"}, {"temperature": 9}, {"max_tokens": 0}], ids=str
)
def test_option_that_cannot_be_carried_is_an_input_error(options):
    with pytest.raises(InputError, match="LM options"):
        config_of({}, **options)


def test_rollout_id_and_cache_are_settings_of_the_call():
    config = config_of({}, rollout_id=3, temperature=1.0, cache=False)
    assert config.temperature == 1.0


@pytest.mark.parametrize("measures", [True, False])
def test_measure_is_asked_only_of_engines_that_declare_it(measures):
    engine = ScriptedEngine(measures=measures)
    ask(engine, ScoreResponses, instruction="Why?", responses=["a"])
    asked = {"structq": {"measure": True}} if measures else None
    assert engine.requests[0].config.extensions == asked


def test_measure_is_not_asked_of_an_evolution():
    engine = ScriptedEngine(measures=True)
    ask(engine)
    assert engine.requests[0].config.extensions is None


def test_weaker_engines_get_a_weaker_format():
    engine = ScriptedEngine(lambda request: '{"evolved_response":"x"}')
    engine.supports_response_schema = False
    ask(engine)
    engine.supported_params = frozenset()
    ask(engine)
    formats = [request.config.response_format for request in engine.requests]
    assert formats == [{"type": "json_object"}, None]


@pytest.mark.parametrize(
    "error",
    [lm15.ServerError("down"), lm15.InvalidRequestError("bad"), ValueError("a bug")],
    ids=lambda error: type(error).__name__,
)
def test_failure_of_the_lm_is_an_lm_error_of_both_kinds(error):
    with pytest.raises(LMError, match=str(error)) as caught:
        ask(ScriptedEngine(lambda request: error))
    assert isinstance(caught.value, DSPyLMError)
    assert isinstance(caught.value.__cause__, DSPyLMError)
    assert caught.value.code == caught.value.__cause__.code


@pytest.mark.parametrize(
    "message",
    [
        "the prompt is too long: 900 tokens (at most 800 fit)",
        "This model's maximum context length is 800 tokens. However, you asked for 900 tokens.",
        "The decoder prompt (length 900) is longer than the maximum model length of 800.",
        "request (900 tokens) exceeds the available context size (800 tokens)",
    ],
    ids=["structq", "openai", "vllm", "llamacpp"],
)
def test_prompt_over_the_window_says_both_lengths(message):
    with pytest.raises(PromptTooLongError) as caught:
        ask(ScriptedEngine(lambda request: lm15.ContextLengthError(message)))
    assert (caught.value.n_tokens, caught.value.limit) == (900, 800)
    assert isinstance(caught.value, ContextWindowExceededError)


def test_lengths_are_read_from_attributes_of_the_cause():
    error = lm15.ContextLengthError("too long")
    error.n_tokens, error.limit = 900, 800
    with pytest.raises(PromptTooLongError) as caught:
        ask(ScriptedEngine(lambda request: error))
    assert (caught.value.n_tokens, caught.value.limit) == (900, 800)


def test_window_error_without_lengths_is_an_lm_error():
    with pytest.raises(LMError, match="too much") as caught:
        ask(ScriptedEngine(lambda request: lm15.ContextLengthError("too much")))
    assert not isinstance(caught.value, PromptTooLongError)
