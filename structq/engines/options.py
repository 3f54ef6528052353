"""What may be said about each kind of LM: the one declaration, read by the registry and by help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CALLS", "LOCAL", "OTHERS", "Option", "all_options"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of an LM, behind ``?`` in its spec or as a keyword of ``structq.lm``."""

    type: type
    """What its value is, and how text becomes one."""

    default: str
    """What holds where nothing is said, as shown to people."""

    help: str
    """What it does, in one line."""

    def parse(self, value: Any) -> Any:
        """The value, from one of its type or from text.

        Raises:
            ValueError: It is neither.
        """
        if self.type is not bool:
            return self.type(value)
        word = str(value).lower()
        if word not in _WORDS:
            raise ValueError(f"no truth value: {value!r}")
        return _WORDS[word]


_WORDS = {"true": True, "1": True, "false": False, "0": False}


def _slots(default: int) -> Option:
    return Option(type=int, default=str(default), help="Rows that share a pass.")


_WINDOW = Option(
    type=int,
    default="the model's own",
    help="Most tokens of a row, prompt and answer together.",
)
_THREADS = Option(type=int, default="2", help="Threads of one pass; 1 where there is one core.")
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
        "window": Option(type=int, default="the model's own, at most 8192", help=_WINDOW.help),
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
        ),
    },
    "onnx": {
        "file": Option(type=str, default="model", help="Which graph of the folder: model_q4, ..."),
        "revision": _REVISION,
        "window": _WINDOW,
        "n_slots": _slots(4),
        "n_threads": _THREADS,
    },
    "transformers": {
        "device": Option(type=str, default="auto", help="cpu, cuda, cuda:1, mps, ..."),
        "dtype": Option(type=str, default="auto", help="float32, bfloat16, float16."),
        "revision": _REVISION,
        "window": _WINDOW,
        "n_slots": _slots(32),
    },
}
"""By kind, of the LMs that the registry opens: these may also stand behind a ``?``."""

OTHERS: Mapping[str, Mapping[str, Option]] = {
    "llamacpp": {
        "window": Option(type=int, default="2048", help=_WINDOW.help),
        "n_slots": _slots(4),
        "n_threads": Option(type=int, default="half of the machine's", help="Threads of one pass."),
    },
    "servers": {
        "api_base": Option(
            type=str, default="the custom of its kind", help="Address: http://10.0.0.7:8000/v1."
        ),
        "api_key": Option(type=str, default="none", help="Key, where the server wants one."),
        "top_logprobs": Option(
            type=int,
            default="what its kind can show",
            help="Likely tokens to ask for at each place, to measure scores; 0 asks for none.",
        ),
        "timeout": Option(type=float, default="DSPy's", help="Seconds to wait for an answer."),
    },
}
"""By kind, of the LMs that a server answers; these are keywords alone."""

CALLS: Mapping[str, Option] = {
    "temperature": Option(type=float, default="0", help="0 is greedy."),
    "max_tokens": Option(type=int, default="DSPy's", help="Longest answer, in tokens."),
    "top_p": Option(type=float, default="1", help="Draws from the likeliest tokens of this mass."),
    "top_k": Option(type=int, default="all", help="Draws from so many likeliest tokens."),
    "min_p": Option(
        type=float, default="0", help="Leaves out tokens below this share of the likeliest (local)."
    ),
    "repetition_penalty": Option(
        type=float, default="1", help="Divides the logits of what the answer said (local)."
    ),
    "dry_multiplier": Option(
        type=float,
        default="0.8 (nano: 0)",
        help="The DRY penalty on repeated runs of tokens, in texts alone; 0 is none (local).",
    ),
    "dry_base": Option(
        type=float, default="1.75", help="How DRY grows with a run's length (local)."
    ),
    "dry_allowed_length": Option(
        type=int, default="2", help="Shorter runs than this are no repetition to DRY (local)."
    ),
    "seed": Option(type=int, default="none", help="Fixes the draw of tokens."),
    "cache": Option(
        type=bool, default="False (servers: DSPy's)", help="DSPy's own cache of responses."
    ),
    "num_retries": Option(
        type=int, default="0 (servers: DSPy's)", help="Tries again after an error of the network."
    ),
}
"""Keywords that every kind takes."""


def all_options() -> Mapping[str, Mapping[str, Option]]:
    """Every option by kind; what all kinds take stands under ``every LM``."""
    return {**LOCAL, **OTHERS, "every LM": CALLS}
