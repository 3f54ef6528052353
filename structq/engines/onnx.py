"""Runs a decoder exported to ONNX on onnxruntime; knows nothing of schemas and DSPy.

A folder holds ``model.onnx``, ``tokenizer.json`` and ``model.json``. The keys and values of all
rows live in preallocated buffers, two a layer, of shape ``(n_slots, n_kv_heads, window + 1,
head_dim)``. Each row owns one slot and starts at column 0; the graph writes new columns in place.
So a pass copies no cache, rewinding is setting a length, and a row's bits do not depend on its
neighbours, as they would if shorter rows were padded on the left up to the longest one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from structq.engines.model_files import file_of, fingerprint, read_tokenizer
from structq.engines.onnx_session import open_session, passes
from structq.engines.prefixes import HeldTokens
from structq.errors import InputError, shorten

__all__ = ["FACTS", "OnnxRuntime"]

FACTS = "model.json"
"""The file by which a folder is known to hold a graph of structq's own form."""


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What ``model.json`` says."""

    n_layers: int
    n_kv_heads: int
    head_dim: int
    window: int
    chat: Mapping[str, str] = field(default_factory=dict)


class OnnxRuntime:
    """A `structq.engines.scheduler.Runtime` over an ONNX graph with in-place attention.

    Args:
        folder: Holds ``model.onnx``, ``tokenizer.json`` and ``model.json``.
        n_slots: Most rows that can run at once. Memory of a slot is taken as its columns are first
            written.
        n_threads: Threads of one pass; ``None`` takes two, or one where there is only one core.

    Raises:
        InputError: A file is missing or is not what its name says.
    """

    def __init__(
        self, folder: str | Path, *, n_slots: int = 32, n_threads: int | None = None
    ) -> None:
        if n_slots < 1:
            raise InputError(f"n_slots must be 1 or more: found {n_slots}", field="n_slots")
        self.folder = Path(folder)
        files = [file_of(self.folder, name) for name in ("model.onnx", "tokenizer.json", FACTS)]
        facts = _read_facts(files[2])
        self._tokenizer = read_tokenizer(files[1])
        self._session = open_session(files[0], n_threads)
        _check_inputs(files[0], self._session, facts)
        self._chat = _Chat(self._tokenizer, facts.chat)
        self.n_vocab = int(self._session.get_outputs()[0].shape[-1])
        self.window = facts.window
        self.n_slots = n_slots
        self.eos_token_id = self._chat.end
        self.name = f"{self.folder.resolve().name}-{fingerprint(files)}"
        self._lengths = np.zeros(n_slots, np.int64)
        self._held = HeldTokens(n_slots, facts.window)
        # calloc: pages that no row has written take no memory.
        shape = (n_slots, facts.n_kv_heads, facts.window + 1, facts.head_dim)
        self._cache = {
            f"{layer}.{part}": np.zeros(shape, np.float32)
            for layer in range(facts.n_layers)
            for part in ("key", "value")
        }
        self._bindings: dict[tuple[int, int], ort.IOBinding] = {}

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, for building grammars; do not change its settings."""
        return self._tokenizer

    def encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Tokens of ``(role, text)`` turns, up to and including the assistant's header.

        Raises:
            InputError: A role is unknown, or a text has no UTF-8 form.
        """
        tokens: list[int] = []
        for role, text in messages:
            tokens += [self._chat.header(role), *self.encode_text(text), self._chat.end]
        return [*tokens, self._chat.header("assistant")]

    def encode_text(self, text: str) -> list[int]:
        """Tokens of plain text; markers of the chat template inside it stay text.

        Raises:
            InputError: The text holds a lone surrogate.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"the text has no UTF-8 form: a lone surrogate at character {error.start} of "
                f"{shorten(text)}",
                field="prompt",
            ) from error
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens, without special tokens."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def extend(self, slot: int, tokens: Sequence[int], n_logits: int) -> NDArray[np.float32]:
        """Appends tokens to one slot; logits ``(n_logits, n_vocab)`` after the last ones.

        What the slot, or for a new row any slot, holds of them already is not computed again. That
        changes no bit: at least two tokens are left over, and `passes` gives these the bits that
        they have behind the others.
        """
        start, end = int(self._lengths[slot]), int(self._lengths[slot]) + len(tokens)
        if end > self.window:
            raise ValueError(f"slot {slot} overflows: {end} tokens (at most {self.window} fit)")
        known = tokens[: max(0, len(tokens) - max(2, n_logits))]
        n_known = self._held.reuse(slot, start, known, self._copy)
        self._held.write(slot, start + n_known, ())  # should a pass fail, its columns do not count
        kept: list[NDArray[np.float32]] = []
        left = tokens[n_known:]
        for first, past in passes(len(left)):
            # Logits wanted of this pass: those of the last n_logits tokens; one at least.
            wanted = max(1, past - max(first, len(left) - n_logits))
            lengths = np.array([start + n_known + past])
            kept.append(
                self._run(slot, np.asarray([left[first:past]], np.int64), lengths, wanted)[0]
            )
        if len(left) > 1:
            self._held.write(slot, start + n_known, left)
        self._lengths[slot] = end
        return np.concatenate(kept)[-n_logits:] if len(kept) > 1 else kept[0]

    def step(self, slots: Sequence[int], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Appends one token to each slot; logits ``(len(slots), n_vocab)``, in order.

        The pass covers the slots from 0 to the highest one. A slot that is not asked for takes part
        idly: it writes one column behind its text, where nothing reads.
        """
        index = np.asarray(slots)
        if self._lengths[index].max() >= self.window:
            raise ValueError(f"a slot overflows: at most {self.window} tokens fit")
        n_rows = int(index.max()) + 1
        ids = np.zeros((n_rows, 1), np.int64)
        ids[index, 0] = tokens
        # What a step writes is not kept for other rows: its bits are those of a lone token.
        self._held.cut(self._lengths[:n_rows])
        logits = self._run(0, ids, self._lengths[:n_rows] + 1, 1)[:, 0]
        self._lengths[index] += 1
        return logits if list(slots) == list(range(n_rows)) else logits[index]

    def length(self, slot: int) -> int:
        """Tokens that the slot holds."""
        return int(self._lengths[slot])

    def rewind(self, slot: int, length: int) -> None:
        """Forgets the tokens of the slot from ``length`` on."""
        if not 0 <= length <= self._lengths[slot]:
            raise ValueError(f"slot {slot} holds {self._lengths[slot]} tokens, not {length}")
        self._lengths[slot] = length

    def _copy(self, source: int, target: int, n_columns: int) -> None:
        for buffer in self._cache.values():
            buffer[target, :, :n_columns] = buffer[source, :, :n_columns]

    def _run(
        self, first: int, ids: NDArray[np.int64], lengths: NDArray[np.int64], n_logits: int
    ) -> NDArray[np.float32]:
        """One pass over ``len(ids)`` neighbouring slots; ``lengths`` count the new tokens too."""
        n_rows = len(ids)
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        keep = np.array(n_logits, np.int64)
        logits = np.empty((n_rows, n_logits, self.n_vocab), np.float32)
        binding = self._bind_cache(first, n_rows)
        # The binding keeps pointers, not references: these arrays live until the pass is over.
        binding.bind_cpu_input("input_ids", ids)
        binding.bind_cpu_input("attention_mask", mask)
        binding.bind_cpu_input("num_logits_to_keep", keep)
        _bind(binding.bind_output, "logits", logits)
        self._session.run_with_iobinding(binding)
        return logits

    def _bind_cache(self, first: int, n_rows: int) -> ort.IOBinding:
        """A binding whose past and present are the same slots of the buffers; kept for reuse."""
        binding = self._bindings.get((first, n_rows))
        if binding is None:
            binding = self._bindings[first, n_rows] = self._session.io_binding()
            for name, buffer in self._cache.items():
                rows = buffer[first : first + n_rows]
                _bind(binding.bind_input, f"past_key_values.{name}", rows)
                _bind(binding.bind_output, f"present.{name}", rows)
        return binding


class _Chat:
    """Turns roles into the special tokens of a chat format."""

    def __init__(self, tokenizer: Tokenizer, names: Mapping[str, str]) -> None:
        roles = ("system", "user", "assistant", "end")
        found = {role: tokenizer.token_to_id(names.get(role, f"<|{role}|>")) for role in roles}
        self._headers = {role: token for role, token in found.items() if token is not None}
        if missing := [role for role in roles if role not in self._headers]:
            raise InputError(
                f"the tokenizer has no special token for {', '.join(missing)}: model.json names "
                "them under 'chat' (default <|role|>)",
                field="lm",
            )
        self.end = self._headers.pop("end")

    def header(self, role: str) -> int:
        if role not in self._headers:
            allowed = ", ".join(self._headers)
            raise InputError(f"unknown role: {role!r} ({allowed} are allowed)", field="role")
        return self._headers[role]


def _bind(bind: Any, name: str, array: NDArray[np.float32]) -> None:
    bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)


def _read_facts(path: Path) -> _Facts:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {name: values[name] for name in ("n_layers", "n_kv_heads", "head_dim", "window")}
        return _Facts(
            **{name: int(value) for name, value in known.items()}, chat=values.get("chat", {})
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not describe an LM: {error!r}", field="lm") from error


def _check_inputs(path: Path, session: ort.InferenceSession, facts: _Facts) -> None:
    found = {value.name for value in session.get_inputs()}
    needed = {"input_ids", "attention_mask", "num_logits_to_keep"} | {
        f"past_key_values.{layer}.{part}"
        for layer in range(facts.n_layers)
        for part in ("key", "value")
    }
    if found != needed:
        raise InputError(
            f"{path} has other inputs than structq's graphs: {sorted(found ^ needed)} differ",
            field="lm",
        )
