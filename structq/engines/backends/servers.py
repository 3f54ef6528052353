"""LMs behind a server of one's own: vLLM, SGLang, llama.cpp, Ollama, or another of OpenAI's kind.

DSPy knows their names but not what they can do, and then asks them for JSON of any form. Here each
address becomes a provider of its own that is stated to obey a strict ``json_schema``, so that DSPy
sends one and looks nothing up on the network.
"""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import dspy
from dspy.lm15 import (
    AccessPolicy,
    ModelSupport,
    OpenAIChatCompat,
    ProviderDefinition,
    register_provider,
)

from structq.errors import InputError, LMError, shorten

__all__ = ["SERVERS", "Server", "ServerLM", "is_server"]

_PARAMS = frozenset({
    "max_tokens", "temperature", "top_p", "stop", "seed", "frequency_penalty", "presence_penalty",
    "response_format", "logprobs", "top_logprobs",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Server:
    """One kind of server."""

    address: str | None
    """Where it listens unless told otherwise; ``None`` where there is no custom."""
    dialect: str
    """Name of its wire habits in ``dspy.lm15``."""
    top_logprobs: int = 0
    """Most likely tokens that it can show at each place; 0 where it may show none."""
    lists_models: bool = True
    """Whether it refuses a model that it does not list."""


SERVERS: Mapping[str, Server] = {
    # vLLM refuses more than --max-logprobs, which is 20 unless set.
    "vllm": Server(address="http://127.0.0.1:8000/v1", dialect="vllm", top_logprobs=20),
    "sglang": Server(address="http://127.0.0.1:30000/v1", dialect="sglang", top_logprobs=20),
    # Its habits have no name in dspy.lm15: those of SGLang are OpenAI's with nothing of its own.
    "llamacpp-server": Server(
        address="http://127.0.0.1:8080/v1", dialect="sglang", top_logprobs=20, lists_models=False
    ),
    # Ollama shows log probabilities since 0.12.11; older ones leave them out.
    "ollama": Server(address="http://127.0.0.1:11434/v1", dialect="ollama", top_logprobs=20),
    "openai-server": Server(address=None, dialect="sglang", lists_models=False),
}
SERVERS = {**SERVERS, "hosted_vllm": SERVERS["vllm"], "ollama_chat": SERVERS["ollama"]}
"""What may stand before the ``/`` of a spec; the last two are DSPy's names for the same."""


def is_server(spec: str) -> bool:
    """Whether the spec names an LM behind a server of one's own."""
    return spec.partition("/")[0] in SERVERS


class ServerLM(dspy.LM):  # type: ignore[misc]
    """A ``dspy.LM`` that sends a strict schema to one address; see `structq.lm`.

    Its model string holds the kind of server, a mark of the address and the model, so that DSPy's
    cache never answers for one server with what another one said.

    Args:
        spec: ``"vllm/<model>"``, ``"llamacpp-server/<model>"``, ...; see `SERVERS`.
        api_base: Address, such as ``"http://10.0.0.7:8000/v1"``; ``/v1`` is added to a bare host.
        top_logprobs: Likely tokens to ask for at each place of an answer with scores, from which
            their distributions are read; 0 asks for none. By default what such servers can show.
        options: Of ``dspy.LM``: ``api_key``, ``temperature`` (0 by default), ``max_tokens``,
            ``timeout``, ``num_retries``, ...

    Raises:
        InputError: The spec, the address or ``top_logprobs`` is wrong.
    """

    def __init__(
        self,
        spec: str,
        *,
        api_base: str | None = None,
        top_logprobs: int | None = None,
        **options: Any,
    ) -> None:
        kind, _, name = spec.partition("/")
        if kind not in SERVERS or not name:
            kinds = ", ".join(f"'{kind}/<model>'" for kind in SERVERS)
            raise InputError(f"not an LM of a server: {spec!r} ({kinds} are allowed)", field="lm")
        server = SERVERS[kind]
        self.spec = spec
        self.address = _check_address(server.address if api_base is None else api_base, kind)
        self.top_logprobs = _check_top(
            server.top_logprobs if top_logprobs is None else top_logprobs
        )
        # Greedy unless told otherwise, as LMs of this process are: servers would sample. And never
        # LiteLLM behind the scenes: what this wire cannot carry is refused by name.
        options = {"temperature": 0.0, "engine": "lm15", **options}
        super().__init__(f"{_register(kind, server, self.address)}/{name}", **options)

    @property
    def supports_response_schema(self) -> bool:
        """True: that is what the provider is registered for."""
        return True

    @property
    def supports_function_calling(self) -> bool:
        """False: unknown, and structq needs none."""
        return False

    @property
    def supports_reasoning(self) -> bool:
        """False: unknown, and structq needs none."""
        return False

    @property
    def supported_params(self) -> set[str]:
        """Options that the wire carries."""
        return set(_PARAMS)

    def load(self) -> None:
        """Asks the server for its models: a wrong address or key shows before the first row.

        Raises:
            LMError: The server does not answer, or refuses the key.
            InputError: It does not serve the model.
        """
        kind, _, name = self.spec.partition("/")
        served = _served(self.address, self.kwargs.get("api_key"))
        if served and SERVERS[kind].lists_models and not _is_among(name, served):
            raise InputError(
                f"the server at {self.address} has no model {name!r} (it has {_some(served)})",
                field="lm",
            )

    def dump_state(self) -> dict[str, Any]:
        """What the LM is made of, the key apart."""
        state: dict[str, Any] = super().dump_state()
        del state["model"]
        own = {"spec": self.spec, "api_base": self.address, "top_logprobs": self.top_logprobs}
        return {**state, **own}

    @classmethod
    def load_state(cls, state: dict[str, Any], *, allow_custom_lm_class: bool = False) -> ServerLM:
        """The LM of a state, its provider registered again."""
        return cls(**state)


def _register(kind: str, server: Server, address: str) -> str:
    """The name of the provider for one address."""
    name = f"{kind.replace('_', '-')}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
    register_provider(
        ProviderDefinition.chat(
            AccessPolicy(provider=name, env_keys=(), base_url=address),
            compat=OpenAIChatCompat.preset(server.dialect),
            placeholder_key="EMPTY",  # such servers want no key unless told one
        ),
        supports=ModelSupport(response_schema=True, function_calling=False, reasoning=False),
    )
    return name


def _check_address(address: Any, kind: str) -> str:
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


def _check_top(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(
            f"top_logprobs: must be an integer of at least 0, found {shorten(value)}",
            field="top_logprobs",
        )
    return value


# The models of a server.

_TIMEOUT_S = 10


def _served(address: str, key: str | None) -> list[str]:
    """Names of the models; none where the server has no list."""
    request = urllib.request.Request(f"{address}/models")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:
            listed = json.load(reply)
        return [str(entry["id"]) for entry in listed["data"]]
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise LMError(f"the server at {address} refuses the key (pass api_key=)") from error
        return []
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise LMError(
            f"the server at {address} does not answer: {reason} (is it running?)"
        ) from error
    except (ValueError, KeyError, TypeError):  # no list, or not OpenAI's
        return []


def _is_among(name: str, served: list[str]) -> bool:
    # Ollama lists "llama3:latest" and answers to "llama3".
    return name in served or f"{name}:latest" in served


def _some(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
