"""Runs a decoder exported to ONNX on onnxruntime; knows nothing of schemas and DSPy.

A folder holds ``model.onnx``, ``tokenizer.json`` and ``model.json``, and ``model.data`` where the
graph keeps its numbers apart. The keys and values of all rows live in preallocated buffers
(`backends.onnx.cache`): each row owns one place and starts at column 0, and the graph writes
new columns there. So a pass copies no cache, rewinding is setting a length, and a row's bits do not
depend on its neighbours, as they would if shorter rows were padded on the left up to the longest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from structq.engines.backends.onnx.cache import RowCache
from structq.engines.backends.onnx.headless import without_head
from structq.engines.backends.onnx.session import PASS_TOKENS, open_session, passes
from structq.engines.chat import ChatFormat, ChatRuntime
from structq.engines.chat_template import chat_template, renderer
from structq.engines.model_files import file_of, fingerprint, read_json, read_tokenizer
from structq.errors import InputError, shorten

__all__ = ["FACTS", "GRAPHS", "OnnxRuntime"]

FACTS = "model.json"
"""The file by which a folder is known to hold a graph of structq's own form."""

GRAPHS = {"float32": "model.onnx", "int8": "model.int8.onnx"}
"""The graph of a folder for each kind of activations."""

_WINDOW = 8192
"""Longest row unless told otherwise: address space is taken for all slots."""


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What ``model.json`` says."""

    n_layers: int
    n_kv_heads: int
    head_dim: int
    window: int
    chat_template: str
    eos_token: str | int
    """The token that ends an answer, or its id."""
    form: str
    """How the LM writes answers best; see `structq.engines.scheduler.Runtime`."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Special tokens by the names that chat templates use."""
    start: str = ""
    """What every prompt begins with."""
    step_rows: int = 1
    """Fewest rows of a shared pass. With one row alone a product of 4 bits is summed in another
    order: such graphs get two, the second one idle, so that no row depends on the load."""
    pass_tokens: int = PASS_TOKENS
    """Tokens of a pass: more where each pass has to unpack the weights."""
    weights: str = ""
    """Names the weights; empty where the files have to be read for that."""


class OnnxRuntime(ChatRuntime):
    """A `structq.engines.scheduler.Runtime` over an ONNX graph with in-place attention.

    Args:
        folder: Holds ``model.onnx``, ``tokenizer.json`` and ``model.json``.
        name: Of the LM; by default that of the folder.
        n_slots: Most rows that can run at once. Memory of a slot is taken as its columns are first
            written.
        window: Most tokens of a row; ``None`` takes what the graph is made for, at most 8,192.
        n_threads: Threads of one pass; ``None`` takes two, or one where there is only one core.
        reuse_prefixes: Whether what other rows computed of a prompt is taken from them.
        activations: ``"float32"``, or ``"int8"`` where the folder has a graph for it: activations
            are then rounded to 8 bits in blocks of 32 before each product with stored integers, as
            llama.cpp does. Batches of many rows are quicker; probabilities are a little off.
        headless: Whether there are last hidden states in the place of logits.

    Raises:
        InputError: A file is missing or is not what its name says, or a setting is out of range.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str | None = None,
        n_slots: int = 32,
        window: int | None = None,
        n_threads: int | None = None,
        reuse_prefixes: bool = True,
        activations: str = "float32",
        headless: bool = False,
    ) -> None:
        if n_slots < 1:
            raise InputError(f"n_slots must be 1 or more: found {n_slots}", field="n_slots")
        self.folder = Path(folder)
        graph = _graph_name(self.folder, activations)
        files = [file_of(self.folder, name) for name in (graph, "tokenizer.json", FACTS)]
        facts = _read_facts(files[2])
        tokenizer = read_tokenizer(files[1])
        self.window = _window(window, facts.window)
        self.eos_token_id = _end(tokenizer, facts.eos_token)
        own = without_head(files[0]) if headless else None
        self._session = open_session(files[0], n_threads, own)
        _check_inputs(files[0], self._session, facts)
        render = renderer(facts.chat_template, facts.tokens, start=facts.start)
        self._chat = ChatFormat(tokenizer, render)
        # How wide hidden states are, no graph says.
        self.n_vocab = 0 if headless else int(self._session.get_outputs()[0].shape[-1])
        self.n_slots = n_slots
        self.form = facts.form
        mark = facts.weights or fingerprint(files)
        kind = "" if activations == "float32" else f"-{activations}"
        self.name = f"{name or self.folder.resolve().name}{kind}-{mark}"
        self.n_computed = 0
        """Prompt tokens that were computed so far; those taken from other rows are not among them.
        """
        self._reuse_prefixes = reuse_prefixes
        self._step_rows, self._pass_tokens = facts.step_rows, facts.pass_tokens
        self._rows = RowCache(
            max(n_slots, facts.step_rows),
            self.window,
            n_layers=facts.n_layers,
            n_kv_heads=facts.n_kv_heads,
            head_dim=facts.head_dim,
        )
        self._bindings: dict[tuple[int, int], ort.IOBinding] = {}

    def extend(self, slot: int, tokens: Sequence[int], n_logits: int) -> NDArray[np.float32]:
        """Appends tokens to one slot; logits ``(n_logits, n_vocab)`` after the last ones.

        What the slot, or for a new row any slot, holds of them already is not computed again. That
        changes no bit: at least two tokens are left over, and `passes` gives these the bits that
        they have behind the others.
        """
        rows, place = self._rows, self._rows.place(slot)
        start = int(rows.lengths[place])
        end = start + len(tokens)
        if end > self.window:
            raise ValueError(f"slot {slot} overflows: {end} tokens (at most {self.window} fit)")
        known = tokens[: max(0, len(tokens) - max(2, n_logits))]
        n_known = self._known(place, start, known)
        rows.held.write(place, start + n_known, ())  # of a pass that fails no column counts
        kept: list[NDArray[np.float32]] = []
        left = tokens[n_known:]
        self.n_computed += len(left)
        for first, past in passes(len(left), self._pass_tokens):
            # Logits wanted of this pass: those of the last n_logits tokens; one at least.
            wanted = max(1, past - max(first, len(left) - n_logits))
            lengths = np.array([start + n_known + past])
            kept.append(
                self._run(place, np.asarray([left[first:past]], np.int64), lengths, wanted)[0]
            )
        if len(left) > 1:
            rows.held.write(place, start + n_known, left)
        rows.lengths[place] = end
        return np.concatenate(kept)[-n_logits:] if len(kept) > 1 else kept[0]

    def step(self, slots: Sequence[int], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Appends one token to each slot; logits ``(len(slots), n_vocab)``, in order.

        The pass covers the rows that are asked for, moved side by side. Where a graph needs more
        rows another one takes part idly: it writes one column behind its text, where nothing reads.
        """
        rows, places = self._rows, self._rows.gather(slots)
        if rows.lengths[places].max() >= self.window:
            raise ValueError(f"a slot overflows: at most {self.window} tokens fit")
        n_rows = max(len(slots), self._step_rows)
        ids = np.zeros((n_rows, 1), np.int64)
        ids[places, 0] = tokens
        # What a step writes is not kept for other rows: its bits are those of a lone token.
        rows.held.cut(rows.lengths[:n_rows])
        logits = self._run(0, ids, rows.lengths[:n_rows] + 1, 1)[:, 0]
        rows.lengths[places] += 1
        return logits if places.tolist() == list(range(n_rows)) else logits[places]

    def length(self, slot: int) -> int:
        """Tokens that the slot holds."""
        return int(self._rows.lengths[self._rows.place(slot)])

    def rewind(self, slot: int, length: int) -> None:
        """Forgets the tokens of the slot from ``length`` on."""
        if not 0 <= length <= self.length(slot):
            raise ValueError(f"slot {slot} holds {self.length(slot)} tokens, not {length}")
        self._rows.lengths[self._rows.place(slot)] = length

    def _known(self, place: int, start: int, tokens: Sequence[int]) -> int:
        """How many of the tokens need not be computed, once what other rows hold is copied."""
        if not self._reuse_prefixes:
            return 0
        return self._rows.held.reuse(place, start, tokens, self._rows.copy)

    def _run(
        self, first: int, ids: NDArray[np.int64], lengths: NDArray[np.int64], n_logits: int
    ) -> NDArray[np.float32]:
        """One pass over ``len(ids)`` neighbouring places; ``lengths`` count the new tokens too."""
        n_rows = len(ids)
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        keep = np.array(n_logits, np.int64)
        binding = self._bind_cache(first, n_rows)
        # The binding keeps pointers, not references: these arrays live until the pass is over.
        binding.bind_cpu_input("input_ids", ids)
        binding.bind_cpu_input("attention_mask", mask)
        binding.bind_cpu_input("num_logits_to_keep", keep)
        if not self.n_vocab:
            binding.bind_output("logits")
            self._session.run_with_iobinding(binding)
            states: NDArray[np.float32] = binding.get_outputs()[-1].numpy()
            return states
        logits = np.empty((n_rows, n_logits, self.n_vocab), np.float32)
        _bind(binding.bind_output, "logits", logits)
        self._session.run_with_iobinding(binding)
        return logits

    def _bind_cache(self, first: int, n_rows: int) -> ort.IOBinding:
        """A binding whose past and present are the same places of the buffers; kept for reuse."""
        binding = self._bindings.get((first, n_rows))
        if binding is None:
            binding = self._bindings[first, n_rows] = self._session.io_binding()
            for name, buffer in self._rows.buffers.items():
                rows = buffer[first : first + n_rows]
                _bind(binding.bind_input, f"past_key_values.{name}", rows)
                _bind(binding.bind_output, f"present.{name}", rows)
        return binding


def _bind(bind: Any, name: str, array: NDArray[np.float32]) -> None:
    bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)


_COUNTS = {
    "n_layers": 1000, "n_kv_heads": 1024, "head_dim": 4096, "window": 1 << 22, "step_rows": 64,
    "pass_tokens": 1 << 14,
}  # fmt: skip
"""The most of each; one is the least."""


def _read_facts(path: Path) -> _Facts:
    values = read_json(path)
    counts = {name: values[name] for name in _COUNTS if name in values}
    for name, found in counts.items():
        if type(found) is not int or not 1 <= found <= _COUNTS[name]:
            raise InputError(
                f"{path} does not describe an LM: {name} is {shorten(found)} "
                f"(1 to {_COUNTS[name]} are allowed)",
                field="lm",
            )
    try:
        return _Facts(
            # Roles of one token each, as structq 0.1 wrote them, are a template too.
            chat_template=str(values.get("chat_template") or chat_template(values["chat"])),
            eos_token=values["eos_token_id"] if "eos_token_id" in values else values["chat"]["end"],
            # What was trained for structq 0.1 was trained on its compact JSON.
            form=str(values.get("form", "text" if "chat_template" in values else "compact")),
            tokens=dict(values.get("tokens", {})),
            start=str(values.get("start", "")),
            weights=str(values.get("weights", "")),
            **counts,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not describe an LM: {error!r}", field="lm") from error


def _graph_name(folder: Path, activations: str) -> str:
    name = GRAPHS.get(activations)
    if name is None or (activations != "float32" and not (folder / name).is_file()):
        allowed = [kind for kind, file in GRAPHS.items() if (folder / file).is_file()]
        raise InputError(
            f"activations: found {activations!r} ({', '.join(allowed)} allowed)",
            field="activations",
        )
    return name


def _window(wanted: int | None, most: int) -> int:
    window = min(most, _WINDOW) if wanted is None else wanted
    if not 2 <= window <= most:
        raise InputError(f"window must be 2 to {most}: found {window}", field="window")
    return window


def _end(tokenizer: Tokenizer, token: str | int) -> int:
    found = token if isinstance(token, int) else tokenizer.token_to_id(str(token))
    if found is None or not 0 <= found < tokenizer.get_vocab_size():
        raise InputError(f"the tokenizer has no token {token!r} to end an answer with", field="lm")
    return int(found)


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
