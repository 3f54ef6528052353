"""The kinds of servers: where they listen and what their wire carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from structq.errors import InputError, shorten

__all__ = ["SERVERS", "Server", "check_address", "is_server"]

_OPENAI = frozenset({
    "reasoning_effort", "verbosity", "max_completion_tokens", "logit_bias", "user", "service_tier",
    "store", "metadata", "prediction", "modalities",
})  # fmt: skip
_SAMPLING = frozenset({"top_k", "min_p", "repetition_penalty"})


@dataclass(frozen=True, kw_only=True)
class Server:
    """One kind of server."""

    address: str | None
    """Where it listens unless told otherwise; ``None`` where there is no custom."""
    top_logprobs: int = 0
    """Most likely tokens that it can show at each place; 0 where it may show none."""
    logprobs_masked: bool | None = None
    """Whether it takes log probabilities behind the mask of the schema, so that their mass on
    labels is 1 whatever the LM would have said; ``None`` where it is not known."""
    reads_text: bool = False
    """Whether it gives the log probabilities of a prompt."""
    lists_models: bool = True
    """Whether it refuses a model that it does not list."""
    extras: frozenset[str] = frozenset()
    """Options beyond OpenAI's that its wire carries."""
    names: Mapping[str, str] = ()  # type: ignore[assignment]
    """How it calls an option, where that is not the usual name."""
    key_variable: str | None = None
    """Variable of the environment with its key; ``None`` where it needs none."""


# vLLM refuses more than --max-logprobs, which is 20 unless set. vLLM V1 and SGLang mask the logits
# before they take log probabilities; llama.cpp shows as many as it is asked for, of the LM itself.
SERVERS: Mapping[str, Server] = {
    "vllm": Server(
        address="http://127.0.0.1:8000/v1",
        top_logprobs=20,
        logprobs_masked=True,
        reads_text=True,
        extras=_SAMPLING | {"chat_template_kwargs"},
    ),
    "sglang": Server(
        address="http://127.0.0.1:30000/v1",
        top_logprobs=20,
        logprobs_masked=True,
        extras=_SAMPLING | {"chat_template_kwargs"},
    ),
    "llamacpp-server": Server(
        address="http://127.0.0.1:8080/v1",
        top_logprobs=100,
        logprobs_masked=False,
        lists_models=False,
        extras=_SAMPLING | {"chat_template_kwargs"},
        names={"repetition_penalty": "repeat_penalty"},
    ),
    # Ollama shows log probabilities since 0.12.11; older ones leave them out. What is in `extras`
    # goes to its own wire: its OpenAI one passes over it.
    "ollama": Server(
        address="http://127.0.0.1:11434/v1",
        top_logprobs=20,
        extras=_SAMPLING | {"num_ctx"},
        names={"repetition_penalty": "repeat_penalty"},
    ),
    "openai-server": Server(address=None, lists_models=False, extras=_SAMPLING),
    # OpenAI's names at an address that is given: a proxy, or a server that takes any name.
    "openai": Server(
        address=None, lists_models=False, extras=_OPENAI, key_variable="OPENAI_API_KEY"
    ),
}
SERVERS = {**SERVERS, "hosted_vllm": SERVERS["vllm"], "ollama_chat": SERVERS["ollama"]}
"""What may stand before the ``/`` of a spec; the last two are DSPy's names for the same."""


def is_server(spec: str, api_base: object = None) -> bool:
    """Whether the spec names an LM behind such a server; OpenAI's names do with an address."""
    kind = spec.partition("/")[0]
    return kind in SERVERS and (kind != "openai" or api_base is not None)


def check_address(address: Any, kind: str) -> str:
    """The address without what people write behind it, and with ``/v1`` where it has no path.

    Raises:
        InputError: It is no address of a server.
    """
    allowed = "such as 'http://127.0.0.1:8000/v1'"
    if not isinstance(address, str) or not address.strip():
        raise InputError(f"api_base: {kind!r} needs one ({allowed})", field="api_base")
    try:
        parts = urlsplit(address.strip())
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # a port that is no number, a broken IPv6 address
        usable = False
    if not usable or parts.query or parts.fragment:
        raise InputError(
            f"api_base: {shorten(address)} is no address of a server ({allowed})", field="api_base"
        )
    if parts.username or parts.password:
        raise InputError("api_base: holds a user or a password (pass api_key=)", field="api_base")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"
