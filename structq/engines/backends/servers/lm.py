"""A `dspy.LM` for one address: its engine pair, its options, and what is kept of it."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

import dspy
import orjson
from dspy import lm15
from dspy.lm15 import Request, Response

from structq.engines.backends.servers.client import Limits, get, post
from structq.engines.backends.servers.faults import masked
from structq.engines.backends.servers.kinds import SERVERS, Server, check_address
from structq.engines.backends.servers.wire import Reasoning, Wire
from structq.errors import InputError, LMError, shorten
from structq.loops import is_ours, loop_of_caller

__all__ = ["ServerLM"]

_LIST_TIMEOUT_S = 10.0
_LIMIT_OPTIONS = {
    "timeout": "timeout_s",
    "deadline_s": "deadline_s",
    "max_retry_after_s": "max_retry_after_s",
    "num_retries": "n_retries",
}


class ServerLM(dspy.LM):  # type: ignore[misc]
    """A ``dspy.LM`` that sends a strict schema to one address; see `structq.lm`.

    Its model string holds the kind of server, a mark of the address and the model, so that no cache
    ever answers for one server with what another one said.

    Args:
        spec: ``"vllm/<model>"``, ``"llamacpp-server/<model>"``, ...; see `SERVERS`.
        api_base: Address, such as ``"http://10.0.0.7:8000/v1"``; ``/v1`` is added to a bare host.
        api_key: Sent as a bearer token; never saved, and masked wherever the server repeats it.
        top_logprobs: Likely tokens to ask for at each place of an answer with scores, from which
            their distributions are read; 0 asks for none. By default what such servers can show.
        timeout: Seconds of one attempt, from the first byte sent to the last one read.
        deadline_s: Seconds of a call, with all its attempts and the waits between them.
        num_retries: Attempts after the first one, for what passes: 429, 5xx, a broken connection,
            an answer that is no JSON.
        max_retry_after_s: Most that a server may ask to wait; more is an error at once.
        reasoning: Whether text that comes as reasoning where the answer should be is kept apart
            (``"drop"``) or read as the answer (``"parse"``).
        extra_body: Put into every request as it is.
        extra_headers: The same for its headers; never saved, as they may hold keys.
        options: Of ``dspy.LM``: ``temperature`` (0 by default), ``max_tokens``, ...; and what the
            wire of this kind carries: ``top_k``, ``min_p``, ``repetition_penalty``,
            ``chat_template_kwargs``, ``num_ctx`` (of Ollama, asked on its own wire then).

    Raises:
        InputError: The spec, the address or an option is wrong.
    """

    _grammars = False

    def __init__(
        self,
        spec: str,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        top_logprobs: int | None = None,
        timeout: float = Limits.timeout_s,
        deadline_s: float = Limits.deadline_s,
        num_retries: int = Limits.n_retries,
        max_retry_after_s: float = Limits.max_retry_after_s,
        reasoning: Reasoning = "drop",
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        kind, _, name = spec.partition("/")
        if kind not in SERVERS or not name:
            kinds = ", ".join(f"'{kind}/<model>'" for kind in SERVERS)
            raise InputError(f"not an LM of a server: {spec!r} ({kinds} are allowed)", field="lm")
        server = SERVERS[kind]
        self.spec = spec
        self.address = check_address(server.address if api_base is None else api_base, kind)
        self.top_logprobs = server.top_logprobs if top_logprobs is None else top_logprobs
        self.logprobs_masked = server.logprobs_masked
        self.connection: dict[str, Any] = {
            "timeout": timeout,
            "deadline_s": deadline_s,
            "num_retries": num_retries,
            "max_retry_after_s": max_retry_after_s,
            "reasoning": reasoning,
            "extra_body": _check_body(extra_body),
        }
        extras = _extras(kind, server, options)
        self.connection |= {given: options.pop(given) for given in extras}
        self.client = Client(
            address=self.address,
            wire=Wire(
                model=name,
                extras={dict(server.names or {}).get(n, n): v for n, v in extras.items()},
                body=self.connection["extra_body"] or {},
                native="num_ctx" in extras,
                grammars=self._grammars,
                reasoning=self.connection["reasoning"],
                key=api_key or (os.environ.get(server.key_variable or "") or None),
                headers=dict(extra_headers or {}),
            ),
            limits=Limits(**{_LIMIT_OPTIONS[n]: self.connection[n] for n in _LIMIT_OPTIONS}),
        )
        # Greedy unless told otherwise, as LMs of this process are: servers would sample.
        options = {"temperature": 0.0, **options}
        super().__init__(
            f"{_mark(kind, self.address)}/{name}",
            engine=ServerEngine(self.client, reads_text=server.reads_text),
            async_engine=AsyncServerEngine(self.client, reads_text=server.reads_text),
            num_retries=0,  # the client's own affair, which knows what a server asks for
            **options,
        )

    def load(self) -> None:
        """Asks the server for its models: a wrong address or key shows before the first row.

        Raises:
            LMError: The server does not answer, or refuses the key.
            InputError: It does not serve the model.
        """
        kind, _, name = self.spec.partition("/")
        served = self.client.served()
        if served and SERVERS[kind].lists_models and not _is_among(name, served):
            raise InputError(
                f"the server at {self.address} has no model {name!r} (it has {_some(served)})",
                field="lm",
            )

    def dump_state(self) -> dict[str, Any]:
        """What the LM is made of, the key apart."""
        state: dict[str, Any] = super().dump_state()
        for name in ("model", "engine", "async_engine", "num_retries"):
            state.pop(name, None)
        own = {"spec": self.spec, "api_base": self.address, "top_logprobs": self.top_logprobs}
        given = {n: v for n, v in self.connection.items() if v is not None}
        return {**state, **given, **own}

    @classmethod
    def load_state(cls, state: dict[str, Any], *, allow_custom_lm_class: bool = False) -> ServerLM:
        """The LM of a state."""
        return cls(**state)


@dataclass(frozen=True, kw_only=True)
class Client:
    """One LM at one address; shared by all copies of the LM."""

    address: str
    """Where it listens."""
    wire: Wire
    """How it is asked."""
    limits: Limits
    """How long and how often."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        # A key is for this process: whoever opens a pickle brings a key of their own.
        wire = {f.name: getattr(self.wire, f.name) for f in fields(self.wire)}
        wire |= {"key": None, "headers": {}}
        return {"address": self.address, "wire": wire, "limits": asdict(self.limits)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        own = {"wire": Wire(**state["wire"]), "limits": Limits(**state["limits"])}
        for name, value in {**state, **own}.items():
            object.__setattr__(self, name, value)

    async def ask(self, request: Request) -> Response:
        """The response, from whichever attempt got one."""
        base = self.address.removesuffix("/v1") if self.wire.native else self.address
        outcome = await post(
            base + self.wire.path,
            self.wire.write(request),
            key=self.wire.key,
            headers=self.wire.headers,
            limits=self.limits,
            read=lambda content: self.wire.read(content, request),
            name=request.model,
        )
        response: Response = outcome.value
        if outcome.n_requests > 1:
            facts = (response.provider_data or {}).get("structq", {})
            data = {"structq": {**facts, "n_requests": outcome.n_requests}}
            object.__setattr__(response, "provider_data", data)
        return response

    def served(self) -> list[str]:
        """Names of the models; none where the server has no list.

        Raises:
            LMError: It does not answer, or refuses the key.
        """
        asked = get(
            f"{self.address}/models",
            key=self.wire.key,
            headers=self.wire.headers,
            timeout_s=_LIST_TIMEOUT_S,
            limits=self.limits,
        )
        try:
            listed = orjson.loads(_wait_for(asked))
            return [str(entry["id"]) for entry in listed["data"]]
        except lm15.AuthError as error:
            raise LMError(
                f"the server at {self.address} refuses the key (pass api_key=)"
            ) from error
        except (lm15.TransportError, lm15.TimeoutError) as error:
            said = masked(str(error), self.wire.key)
            raise LMError(
                f"the server at {self.address} does not answer: {said} (is it running?)"
            ) from error
        except (lm15.LM15Error, ValueError, KeyError, TypeError):  # no list, or not OpenAI's
            return []


class _Engine:
    """What the two engines share."""

    supports_response_schema: ClassVar[bool] = True
    """Every request carries its schema."""
    measures_labels: ClassVar[bool] = False
    """Distributions are read from log probabilities."""
    constrains_text: ClassVar[bool] = False
    """A text is whatever the LM says."""
    supported_params: ClassVar[frozenset[str]] = frozenset({
        "max_tokens", "temperature", "top_p", "stop", "seed", "frequency_penalty",
        "presence_penalty", "response_format", "logprobs", "top_logprobs", "top_k",
    })  # fmt: skip
    """Options that a call may set."""

    def __init__(self, client: Client, *, reads_text: bool = False) -> None:
        self.client = client
        self.reads_text = reads_text

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def dump_state(self) -> dict[str, Any]:
        """Nothing: the LM is saved, and makes its engines."""
        return {}

    @classmethod
    def load_state(cls, state: Mapping[str, Any]) -> Self:
        """Never has a state to load.

        Raises:
            InputError: Always.
        """
        raise InputError("the engine of a server is opened by structq.lm", field="lm")


class ServerEngine(_Engine):
    """Answers requests of threads."""

    def complete(self, request: Request) -> Response:
        """The server's answer; blocks."""
        response: Response = _wait_for(self.client.ask(request))
        return response


class AsyncServerEngine(_Engine):
    """Answers requests of coroutines, on whatever loop they run."""

    async def complete(self, request: Request) -> Response:
        """The server's answer."""
        if is_ours(asyncio.get_running_loop()):
            return await self.client.ask(request)
        asked = asyncio.run_coroutine_threadsafe(self.client.ask(request), loop_of_caller())
        return await asyncio.wrap_future(asked)


def _wait_for(coroutine: Any) -> Any:
    future = asyncio.run_coroutine_threadsafe(coroutine, loop_of_caller())
    try:
        return future.result()
    except BaseException:  # an interrupt of the caller must not leave the request running
        future.cancel()
        raise


def _mark(kind: str, address: str) -> str:
    """The name of one address of a kind."""
    return f"{kind.replace('_', '-')}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def _extras(kind: str, server: Server, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options beyond OpenAI's, checked against what the wire of this kind carries."""
    known = frozenset().union(*(each.extras for each in SERVERS.values()))
    given = {name: options[name] for name in known & options.keys() if options[name] is not None}
    if refused := sorted(given.keys() - server.extras):
        carried = ", ".join(sorted(server.extras)) or "none of the kind"
        raise InputError(
            f"{refused[0]}: the wire of {kind!r} does not carry it (it carries {carried}; "
            "extra_body= puts anything into a request)",
            field=refused[0],
        )
    return given


def _check_body(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        if isinstance(value, Mapping):
            orjson.dumps(dict(value))
            return dict(value)
    except TypeError as error:
        raise InputError(f"extra_body: has no JSON form: {error}", field="extra_body") from error
    raise InputError(
        f"extra_body: must map names to JSON values, found {shorten(value)}", field="extra_body"
    )


def _is_among(name: str, served: list[str]) -> bool:
    # Ollama lists "llama3:latest" and answers to "llama3".
    return name in served or f"{name}:latest" in served


def _some(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
