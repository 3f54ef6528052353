"""Runs decoders as the hub exports them to ONNX; knows nothing of schemas and DSPy.

Such a graph takes ``past_key_values.{i}.key`` and ``.value`` of so many columns and returns
``present.{i}.key`` and ``.value`` with those of the new tokens behind them. What attention is made
of, and which kind of integers its products use, is the graph's business.

Every pass serves one row. Rows of different lengths could only share one if the shorter were filled
up, which shifts their sums (and is wrong where positions are counted in the graph), and exports in
8 bits scale the activations of a batch together: an answer would depend on its neighbours. For the
same reason nothing is reused from the rows before. The cost is that the weights are read once a row
and not once a batch, and that common beginnings are computed again. `backends.onnx.runtime` has no
such cost, for graphs that write in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from structq.engines.backends.onnx.headless import without_head
from structq.engines.backends.onnx.session import open_session, passes
from structq.engines.chat import ChatRuntime
from structq.engines.hub_files import HubFiles
from structq.engines.model_files import fingerprint
from structq.errors import InputError, shorten

__all__ = ["GrowingOnnxRuntime", "graph_file", "graph_patterns"]

_INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_PAST, _PRESENT = "past_key_values.", "present."
_KEPT = "num_logits_to_keep"
_SETTINGS = ("tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json")


def graph_patterns(file: str) -> list[str]:
    """What of a model on the hub has to be downloaded."""
    return [f"onnx/{file}.onnx*", f"{file}.onnx*", *_SETTINGS, "chat_template.*"]


class GrowingOnnxRuntime(ChatRuntime):
    """A `structq.engines.scheduler.Runtime` over a graph whose cache grows from pass to pass.

    Args:
        folder: As the hub lays it out: ``onnx/<file>.onnx`` or ``<file>.onnx``, and the settings
            that `structq.engines.hub_files.HubFiles` reads.
        file: Which of the graphs, such as ``"model_q4"``.
        name: Of the LM; by default that of the folder.
        n_slots: Most rows that can run at once. More of them take more memory and no less time.
        window: Most tokens of a row; ``None`` takes what the LM was made for.
        n_threads: As in `backends.onnx.runtime.OnnxRuntime`.
        headless: As there.

    Raises:
        InputError: A file is missing or is not what its name says, or the graph is no decoder of
            this form.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        file: str = "model",
        name: str | None = None,
        n_slots: int = 4,
        window: int | None = None,
        n_threads: int | None = None,
        headless: bool = False,
    ) -> None:
        if n_slots < 1:
            raise InputError(f"n_slots must be 1 or more: found {n_slots}", field="n_slots")
        folder = Path(folder)
        path = graph_file(folder, file)
        files = HubFiles(folder)
        self._chat = files.chat
        own = without_head(path) if headless else None
        self._graph = _Graph(path, open_session(path, n_threads, own), files.config)
        self.window = files.window(window)
        self.n_slots = n_slots
        self.n_vocab = self._graph.n_vocab
        self.eos_token_id = files.eos_token_id
        settings = [path for name in _SETTINGS if (path := folder / name).is_file()]
        mark = fingerprint([*_parts(path), *settings], files.template)
        self.name = f"{(name or folder.resolve().name).rpartition('/')[2]}-{mark}"
        self._lengths = [0] * n_slots
        self._caches: list[_Cache] = [self._graph.empty] * n_slots

    def extend(self, slot: int, tokens: Sequence[int], n_logits: int) -> NDArray[np.float32]:
        """Appends tokens to one slot; logits ``(n_logits, n_vocab)`` after the last ones."""
        end = self._lengths[slot] + len(tokens)
        if end > self.window:
            raise ValueError(f"slot {slot} overflows: {end} tokens (at most {self.window} fit)")
        cache = self._graph.cut(self._caches[slot], self._lengths[slot])
        kept: list[NDArray[np.float32]] = []
        for first, past in passes(len(tokens)):
            wanted = max(1, past - max(first, len(tokens) - n_logits))
            logits, cache = self._graph.run(cache, tokens[first:past], wanted)
            if past > len(tokens) - n_logits:
                kept.append(logits)
        self._caches[slot], self._lengths[slot] = cache, end
        return np.concatenate(kept) if len(kept) > 1 else kept[0]

    def step(self, slots: Sequence[int], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Appends one token to each slot, one after the other; logits ``(len(slots), n_vocab)``."""
        if max(self._lengths[slot] for slot in slots) >= self.window:
            raise ValueError(f"a slot overflows: at most {self.window} tokens fit")
        rows = zip(slots, tokens, strict=True)
        return np.concatenate([self.extend(slot, [token], 1) for slot, token in rows])

    def length(self, slot: int) -> int:
        """Tokens that the slot holds."""
        return self._lengths[slot]

    def rewind(self, slot: int, length: int) -> None:
        """Forgets the tokens of the slot from ``length`` on."""
        if not 0 <= length <= self._lengths[slot]:
            raise ValueError(f"slot {slot} holds {self._lengths[slot]} tokens, not {length}")
        self._lengths[slot] = length
        if not length:
            self._caches[slot] = self._graph.empty


_Cache = tuple[ort.OrtValue, ...]
"""Keys and values of one row, in the order of the graph's inputs; never written over."""


class _Graph:
    """One graph with its names, types and shapes checked.

    Args:
        path: Named in errors.
        session: On the graph.
        config: Of the LM; consulted where the graph leaves a shape open.
    """

    def __init__(self, path: Path, session: ort.InferenceSession, config: Mapping[str, Any]):
        self._path, self._session = path, session
        inputs = {value.name: value for value in session.get_inputs()}
        outputs = [value.name for value in session.get_outputs()]
        _check_names(path, set(inputs), outputs)
        self._past = [name for name in inputs if name.startswith(_PAST)]
        self._outputs = ["logits", *(name.replace(_PAST, _PRESENT) for name in self._past)]
        self._integers = {
            name: self._type(value, _INTEGERS)
            for name, value in inputs.items()
            if name not in self._past
        }
        self._ranks = {name: len(inputs[name].shape) for name in self._integers}
        self.empty: _Cache = tuple(
            _ort(np.zeros(_cache_shape(inputs[name].shape, config), self._type(inputs[name])))
            for name in self._past
        )
        """The cache of a row without tokens."""
        self.n_vocab = self._probe()

    def run(
        self, cache: _Cache, tokens: Sequence[int], n_logits: int
    ) -> tuple[NDArray[np.float32], _Cache]:
        """Logits ``(n_logits, n_vocab)`` after the last tokens, and the cache with all of them."""
        start, n_new = _columns(cache), len(tokens)
        values: dict[str, Any] = {
            "input_ids": [tokens],
            "attention_mask": np.ones((1, start + n_new)),
            "position_ids": np.arange(start, start + n_new)[None],
            _KEPT: np.full([1] * self._ranks.get(_KEPT, 0), n_logits),
        }
        feeds = {
            name: _ort(np.asarray(values[name], kind)) for name, kind in self._integers.items()
        }
        feeds |= dict(zip(self._past, cache, strict=True))
        logits, *present = self._session.run_with_ort_values(self._outputs, feeds)
        rows = logits.numpy().reshape(-1, logits.shape()[-1])
        return rows[-n_logits:].astype(np.float32), tuple(present)

    def cut(self, cache: _Cache, n_columns: int) -> _Cache:
        """The first columns of a cache."""
        if _columns(cache) == n_columns:
            return cache
        return tuple(_ort(np.ascontiguousarray(part.numpy()[:, :, :n_columns])) for part in cache)

    def _type(self, value: Any, known: Mapping[str, Any] = _FLOATS) -> Any:
        if value.type not in known:
            raise self._fault(
                f"its input {value.name} is a {value.type} ({', '.join(known)} are allowed)"
            )
        return known[value.type]

    def _probe(self) -> int:
        """The width of the logits, after two passes that show whether the cache grows."""
        cache = self.empty
        try:
            for n_new in (1, 2):
                before = _columns(cache)
                logits, cache = self.run(cache, [0] * n_new, n_new)
                if len(logits) != n_new:
                    raise self._fault(f"it gave {len(logits)} rows of logits for {n_new} tokens")
                if {part.shape()[2] for part in cache} != {before + n_new}:
                    raise self._fault("its cache does not grow by a column a token")
        except InputError:
            raise
        except Exception as error:  # onnxruntime has no common base for its errors
            raise self._fault(f"a first pass failed: {shorten(str(error), 200)}") from error
        return int(logits.shape[-1])

    def _fault(self, reason: str) -> InputError:
        return InputError(
            f"{self._path} is not a decoder that structq can run: {reason}", field="lm"
        )


def _check_names(path: Path, inputs: set[str], outputs: Sequence[str]) -> None:
    """That the graph is a decoder with a cache, and one that needs nothing else."""
    problem = None
    past = {name for name in inputs if name.startswith(_PAST)}
    others = inputs - past - {"input_ids", "attention_mask", "position_ids", _KEPT}
    missing = [name.replace(_PAST, _PRESENT) for name in sorted(past)]
    missing = [name for name in ["logits", *missing] if name not in outputs]
    if "use_cache_branch" in inputs:
        problem = (
            "it merges a branch with a cache and one without (use_cache_branch): "
            "take decoder_with_past_model.onnx, or a newer export, as onnx-community has them"
        )
    elif not past:
        problem = "it has no past_key_values inputs: export it with its cache"
    elif "input_ids" not in inputs:
        problem = "it has no input_ids"
    elif others:
        problem = f"it needs inputs that are none of a text decoder's: {', '.join(sorted(others))}"
    elif missing:
        problem = f"it has no outputs {', '.join(missing[:4])}"
    if problem:
        raise InputError(f"{path} is not a decoder that structq can run: {problem}", field="lm")


def _cache_shape(shape: Sequence[Any], config: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """One row without columns; what the graph leaves open is in the configuration."""
    heads = config.get("num_attention_heads", config.get("n_head", 0))
    width = config.get("hidden_size", config.get("n_embd", 0)) // max(1, heads)
    n_kv = shape[1] if isinstance(shape[1], int) else config.get("num_key_value_heads", heads)
    head = shape[3] if isinstance(shape[3], int) else config.get("head_dim") or width
    return 1, int(n_kv), 0, int(head)


def _columns(cache: _Cache) -> int:
    return int(cache[0].shape()[2])


def _ort(array: NDArray[Any]) -> ort.OrtValue:
    return ort.OrtValue.ortvalue_from_numpy(array)


def graph_file(folder: Path, file: str) -> Path:
    """The path of a graph in a folder as the hub lays it out.

    Raises:
        InputError: There is no such folder, or no such graph in it.
    """
    if not folder.is_dir():
        raise InputError(f"no such folder: {str(folder)!r}", field="lm")
    places = [folder / "onnx" / f"{file}.onnx", folder / f"{file}.onnx"]
    for path in places:
        if path.is_file():
            return path
    others = sorted({path.stem for place in places for path in place.parent.glob("*.onnx")})
    raise InputError(
        f"{str(folder)!r} is not an LM that structq can run: it has no {file}.onnx, nor "
        f"onnx/{file}.onnx" + (f" (file may be {', '.join(others)})" if others else ""),
        field="lm",
    )


def _parts(path: Path) -> list[Path]:
    """The graph and the files beside it that hold its weights."""
    return sorted(found for found in path.parent.glob(f"{path.name}*") if found.is_file())
