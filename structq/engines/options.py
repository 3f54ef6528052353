"""What may be said about each kind of LM, declared once: read by the checks and by help."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

from structq.errors import InputError, shorten

__all__ = [
    "ANY_CALL",
    "DRY_MULTIPLIER",
    "DSPY",
    "LOCAL",
    "LOCAL_CALL",
    "OTHERS",
    "REMOTE_CALL",
    "Option",
    "check_options",
    "closest",
]

DRY_MULTIPLIER = 0.8
"""Of local LMs that were not made for structq: small ones loop without it."""

_NAMES = {
    int: "an integer",
    float: "a number",
    bool: "True or False",
    str: "a text that is not empty",
    dict: "names and values",
}
_WORDS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of an LM, behind ``?`` in its spec or as a keyword of ``structq.lm``."""

    type: type
    """What its value is: ``int``, ``float``, ``bool``, ``str``, or ``object`` for anything."""
    default: str
    """What holds where nothing is said, as shown to people."""
    help: str
    """What it does, in one line."""
    least: float | None = None
    """The smallest number that is allowed."""
    most: float | None = None
    """The largest one."""
    above: bool = False
    """Whether a number has to be above ``least``."""
    choices: tuple[str, ...] = ()
    """The texts that are allowed; all, where none is named."""
    many: bool = False
    """Whether it may be a list, or a tuple, of what it is."""

    def check(self, name: str, value: Any) -> Any:
        """The value, if it is allowed.

        Raises:
            InputError: It is not; says what is.
        """
        if self.many and isinstance(value, list | tuple):
            return [self.check(name, one) for one in value]
        if not self._fits(value):
            if self.choices:
                choices = ", ".join(self.choices)
                raise InputError(f"{name}: found {shorten(value)} ({choices} allowed)", field=name)
            raise InputError(
                f"{name} must be {self._allowed(value)}: found {shorten(value)}", field=name
            )
        return value

    def parse(self, name: str, text: str) -> Any:
        """The value that a text behind a ``?`` means.

        Raises:
            InputError: None that is allowed.
        """
        read: Callable[[str], Any] = _WORDS.get if self.type is bool else self.type
        try:
            value = read(text.lower() if self.type is bool else text)
        except ValueError:
            value = None
        return self.check(name, text if value is None else value)

    def _allowed(self, value: Any) -> str:
        """The values that are allowed, in words; their type too, where ``value`` is of another."""
        known = _NAMES.get(self.type, self.type.__name__) + (", or a list of such" * self.many)
        if self.least is None or not self._is_typed(value):
            return known + (f", {self._range()}" if self.least is not None else "")
        return self._range()

    def _range(self) -> str:
        if self.above:
            return f"above {self.least:g}" + (
                "" if self.most is None else f", at most {self.most:g}"
            )
        return f"{self.least:g} " + ("or more" if self.most is None else f"to {self.most:g}")

    def _is_typed(self, value: Any) -> bool:
        if self.type is bool or isinstance(value, bool):
            return isinstance(value, bool) and self.type in (bool, object)
        abstract = {int: Integral, float: Real}.get(self.type, self.type)
        return isinstance(value, abstract)

    def _fits(self, value: Any) -> bool:
        if not self._is_typed(value) or (self.type is str and not value):
            return False
        if self.choices:
            return value in self.choices
        if self.least is None:
            return True
        low = value > self.least if self.above else value >= self.least  # false for NaN
        return bool(low and value <= (float("inf") if self.most is None else self.most)) and (
            value != float("inf")
        )


def check_options(
    kind: str, known: Mapping[str, Option], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The options that were given, each checked; ``None`` stands for one that was not.

    Args:
        kind: Of the LM, for the message.
        known: Its options.
        given: Values by name.

    Raises:
        InputError: An option is not known or its value is not allowed.
    """
    found = {name: value for name, value in given.items() if value is not None}
    for name in found:
        if name not in known:
            close = closest(name, known)
            hint = f": did you mean {close!r}?" if close else ""
            raise InputError(
                f"unknown option of {kind} LMs: {name!r}{hint} "
                f"({', '.join(known) or 'none'} allowed)",
                field=name,
            )
    return {name: known[name].check(name, value) for name, value in found.items()}


def closest(name: str, known: Collection[str]) -> str | None:
    """The known name that a mistyped one was probably meant to be."""
    return next(iter(get_close_matches(name.lower(), known, n=1)), None)


def _slots(default: int) -> Option:
    return Option(type=int, default=str(default), help="Rows that share a pass.", least=1)


def _window(default: str = "the model's own", least: int = 2) -> Option:
    told = "Most tokens of a row, prompt and answer together."
    return Option(type=int, default=default, help=told, least=least)


def _threads(default: str, told: str = "Threads of one pass.") -> Option:
    return Option(type=int, default=default, help=told, least=1)


_THREADS = _threads("2", "Threads of one pass; 1 where there is one core.")
_REVISION = Option(
    type=str, default="the newest", help="Branch, tag or commit, where the model is on the hub."
)

LOCAL: Mapping[str, Mapping[str, Option]] = {
    "nano": {},
    "gguf": {
        "file": Option(
            type=str, default="the only one", help="Which GGUF file, where the model is on the hub."
        ),
        "revision": _REVISION,
        "window": _window("the model's own, at most 8192"),
        "n_slots": _slots(32),
        "n_threads": _THREADS,
        "reuse_prefixes": Option(
            type=bool,
            default="True",
            help="Whether a prompt's beginning that another row has computed is taken from it.",
        ),
        "activations": Option(
            type=str,
            default="float32",
            help="float32, or int8: quicker in batches and a little off, as llama.cpp is.",
            choices=("float32", "int8"),
        ),
    },
    "onnx": {
        "file": Option(type=str, default="model", help="Which graph of the folder: model_q4, ..."),
        "revision": _REVISION,
        "window": _window(),
        "n_slots": _slots(4),
        "n_threads": _THREADS,
    },
    "transformers": {
        "device": Option(type=str, default="auto", help="cpu, cuda, cuda:1, mps, ..."),
        "dtype": Option(
            type=str,
            default="auto",
            help="float32 on the CPU, the checkpoint's own elsewhere.",
            choices=("auto", "float32", "bfloat16", "float16"),
        ),
        "revision": _REVISION,
        "window": _window(),
        "n_slots": _slots(32),
    },
}
"""By kind, of the LMs that the registry opens: these may also stand behind a ``?``."""

_KEY = Option(type=object, default="of the environment", help="Key, where the server wants one.")

LOCAL_CALL: Mapping[str, Option] = {
    "min_p": Option(
        type=float,
        default="0",
        help="Leaves out tokens below this share of the likeliest.",
        least=0,
        most=1,
    ),
    "repetition_penalty": Option(
        type=float, default="1", help="Divides the logits of what the answer said.", least=1
    ),
    "dry_multiplier": Option(
        type=float,
        default="0.8 (nano: 0)",
        help="The DRY penalty on repeated runs of tokens, in texts alone; 0 is none.",
        least=0,
    ),
    "dry_base": Option(
        type=float, default="1.75", help="How DRY grows with a run's length.", least=1
    ),
    "dry_allowed_length": Option(
        type=int, default="2", help="Shorter runs than this are no repetition to DRY.", least=1
    ),
}
"""Keywords of LMs in this process."""


def _seconds(default: str, told: str) -> Option:
    told = f"Seconds. {told}"
    return Option(type=float, default=default, help=told, least=0, most=86_400, above=True)


OTHERS: Mapping[str, Mapping[str, Option]] = {
    "llamacpp": {
        "window": _window("2048", 1),
        "n_slots": _slots(4),
        "n_threads": _threads("half of the machine's"),
    },
    "servers": {
        "api_base": Option(
            type=object, default="the custom of its kind", help="Address: http://10.0.0.7:8000/v1."
        ),
        "api_key": _KEY,
        "top_logprobs": Option(
            type=int,
            default="what its kind can show",
            help="Likely tokens to ask for at each place, to measure scores; 0 asks for none.",
            least=0,
        ),
        "timeout": _seconds("300", "Of one attempt, until its answer is read."),
        "deadline_s": _seconds("900", "Of a call, with all attempts and the waits between them."),
        "max_retry_after_s": _seconds("60", "Most that a server may ask to wait; more fails."),
        "num_retries": Option(
            type=int, default="3", help="Attempts after the first, for what passes.", least=0
        ),
        "reasoning": Option(
            type=str,
            default="drop",
            help="parse: text that comes as reasoning in place of an answer is the answer.",
            choices=("drop", "parse"),
        ),
        "extra_body": Option(type=dict, default="none", help="Into every request, as it is."),
        "chat_template_kwargs": Option(type=dict, default="none", help="For the chat template."),
        "num_ctx": Option(type=int, default="the server's", help="Window of Ollama.", least=1),
        "extra_headers": Option(type=dict, default="none", help="Into every request, as they are."),
        "min_p": LOCAL_CALL["min_p"],
        "repetition_penalty": LOCAL_CALL["repetition_penalty"],
        **dict.fromkeys(
            (
                "reasoning_effort",
                "verbosity",
                "max_completion_tokens",
                "logit_bias",
                "user",
                "service_tier",
                "store",
                "metadata",
                "prediction",
                "modalities",
            ),
            Option(type=object, default="none", help="As OpenAI means it, for openai/ names."),
        ),
    },
    "Outlines": {
        "backend": Option(
            type=str,
            default="structq's",
            help="outlines_core, xgrammar or llguidance: Outlines' own, to compare.",
        ),
        "allow_unsound": Option(
            type=bool, default="False", help="Answer schemas that such a backend does not enforce."
        ),
        "settings": Option(
            type=object, default="none", help="For the model's client, in its own words."
        ),
    },
}
"""By kind, of the LMs that a server answers or that Outlines has opened; keywords alone."""

ANY_CALL: Mapping[str, Option] = {
    "temperature": Option(type=float, default="0", help="0 is greedy.", least=0, most=2),
    "max_tokens": Option(type=int, default="DSPy's", help="Longest answer, in tokens.", least=1),
    "top_p": Option(
        type=float,
        default="1",
        help="Draws from the likeliest tokens of this mass.",
        least=0,
        most=1,
        above=True,
    ),
    "top_k": Option(type=int, default="all", help="Draws from so many likeliest tokens.", least=1),
    "seed": Option(type=int, default="none", help="Fixes the draw of tokens.", least=0),
    "stop": Option(
        type=str, default="none", help="Free text ends before the first of these.", many=True
    ),
    "cache": Option(
        type=bool, default="False (servers: DSPy's)", help="DSPy's own cache of responses."
    ),
    "num_retries": Option(
        type=int,
        default="0 (servers: DSPy's)",
        help="Tries again after an error of the network.",
        least=0,
    ),
    "response_format": Option(type=object, default="none", help="A JSON Schema, as OpenAI's API."),
    "rollout_id": Option(type=int, default="none", help="Tells apart what DSPy's cache holds."),
    "callbacks": Option(type=object, default="none", help="DSPy's callbacks."),
}
"""Keywords that every kind takes."""


def _penalty(what: str) -> Option:
    return Option(type=float, default="0", help=f"Lowers {what}.", least=-2, most=2)


REMOTE_CALL: Mapping[str, Option] = {
    "n": Option(type=int, default="1", help="Answers a call.", least=1),
    "presence_penalty": _penalty("what was said at all"),
    "frequency_penalty": _penalty("what was said often"),
    "logprobs": Option(type=object, default="none", help="Log probabilities of the tokens."),
}
"""Keywords of LMs behind a server, whoever runs it."""

DSPY: Mapping[str, Option] = {
    "api_base": OTHERS["servers"]["api_base"],
    "api_key": _KEY,
    "timeout": Option(type=object, default="DSPy's", help="Seconds to wait for an answer."),
    "top_logprobs": Option(
        type=int, default="none", help="Likely tokens to show at each place.", least=0
    ),
    **dict.fromkeys(
        (
            "base_url", "api_version", "organization", "project", "custom_llm_provider", "headers",
            "extra_headers", "extra_body", "extra_query", "azure_ad_token_provider", "engine",
            "async_engine", "model_type", "provider", "finetuning_model", "launch_kwargs",
            "train_kwargs", "use_developer_role", "prompt_cache", "max_completion_tokens",
            "reasoning", "reasoning_effort", "verbosity", "thinking", "logit_bias", "user",
            "service_tier", "store", "metadata", "safety_settings", "parallel_tool_calls", "tools",
            "tool_choice", "allowed_openai_params", "drop_params", "modalities", "prediction",
        ),
        Option(type=object, default="none", help="As DSPy and the provider mean it."),
    ),
}  # fmt: skip
"""Keywords of DSPy's model strings; those of one cloud begin with ``aws_``, ``azure_``, ..."""
