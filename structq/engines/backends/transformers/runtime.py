"""Runs a causal LM of transformers as a runtime; knows nothing of schemas and DSPy.

The rows, schemas and measured slots are those of every other runtime: `structq.engines.scheduler`
drives it. Keys and values are in `backends.transformers.slot_cache`.

A row's numbers are those of the row alone up to rounding, not to the bit: torch picks another
kernel for another batch size. Needs ``pip install "structq[transformers]"``.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

from structq.engines.backends.transformers.chat import chat_format, window_of
from structq.engines.backends.transformers.slot_cache import ATTENTION, Pass, SlotCache
from structq.engines.chat import ChatRuntime
from structq.engines.hub import looks_like_hub_id
from structq.engines.model_files import digest as file_digest
from structq.engines.prefixes import HeldTokens
from structq.errors import InputError, shorten

__all__ = ["TransformersRuntime"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class TransformersRuntime(ChatRuntime):
    """A `structq.engines.scheduler.Runtime` over a causal LM with standard attention.

    Args:
        model: A folder as ``save_pretrained`` writes it, or the id of a model on the Hugging Face
            hub, whose files are downloaded on first use.
        n_slots: Most rows that can run at once.
        device: ``"auto"`` takes CUDA, then Apple's MPS, then the CPU; or a name that torch knows.
        dtype: ``"auto"`` takes float32 on the CPU and the checkpoint's own type elsewhere; or
            ``"float32"``, ``"bfloat16"``, ``"float16"``.
        revision: Branch, tag or commit on the hub.
        window: Most tokens of a row; ``None`` takes what the LM was made for.
        headless: Whether there are last hidden states in the place of logits.

    Raises:
        InputError: No such folder or model, an LM that keeps other memory than keys and values, a
            tokenizer without a chat template or without a ``tokenizer.json`` form, or a setting
            that is not allowed.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        n_slots: int = 32,
        device: str = "auto",
        dtype: str = "auto",
        revision: str | None = None,
        window: int | None = None,
        headless: bool = False,
    ) -> None:
        if n_slots < 1:
            raise InputError(f"n_slots must be 1 or more: found {n_slots}", field="n_slots")
        source, where = _source(model), _device(device)
        kind = _dtype(dtype, where)
        tokenizer = _load(AutoTokenizer, source, revision)
        self._model = _load(
            AutoModelForCausalLM, source, revision, dtype=kind, attn_implementation="eager"
        )
        self._model.to(where).eval().requires_grad_(False)
        config = self._model.config.get_text_config()
        self._windows = _sliding_windows(config, source)
        self._fused = _use_fused_attention(self._model)
        self._keep = _logits_argument(self._model, source)
        self._memory = _cache_argument(self._model)
        self._chat = chat_format(tokenizer, source)
        self._cache = SlotCache(config.num_hidden_layers)
        self.window = window_of(config, window)
        self._lengths = [0] * n_slots
        self._held = HeldTokens(n_slots, self.window)
        self.n_slots = n_slots
        self.n_vocab = int(self._model.get_output_embeddings().weight.shape[0])
        self.eos_token_id = int(tokenizer.eos_token_id)
        facts = [str(self._model.dtype), str(tokenizer.chat_template)]
        commit = getattr(self._model.config, "_commit_hash", None)
        self.name = f"{Path(source).name}-{_fingerprint(source, commit, facts)}"
        self._told = "logits"
        if headless:
            self.n_vocab = int(self._model.get_output_embeddings().weight.shape[1])
            self._model, self._keep, self._told = _body(self._model), None, "last_hidden_state"

    def extend(self, slot: int, tokens: Sequence[int], n_logits: int) -> NDArray[np.float32]:
        """Appends tokens to one slot; logits ``(n_logits, n_vocab)`` after the last ones.

        What the slot, or for a new row any slot, holds of them already is not computed again.
        """
        logits: NDArray[np.float32] = self.extend_many([slot], [tokens], n_logits)[0]
        return logits

    def extend_many(
        self, slots: Sequence[int], tokens: Sequence[Sequence[int]], n_logits: int
    ) -> NDArray[np.float32]:
        """Appends tokens to each slot in one pass; logits ``(len(slots), n_logits, n_vocab)``.

        A row of fewer than ``n_logits`` tokens has logits of no meaning in its first places.
        """
        self._check_room(slots, tokens)
        left = [
            row[self._reuse(slot, row[: max(0, len(row) - n_logits)]) :]
            for slot, row in zip(slots, tokens, strict=True)
        ]
        return self._run(slots, left, n_logits)

    def step(self, slots: Sequence[int], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Appends one token to each slot; logits ``(len(slots), n_vocab)``, in order."""
        rows = [[token] for token in tokens]
        self._check_room(slots, rows)
        return self._run(slots, rows, 1)[:, 0]

    def length(self, slot: int) -> int:
        """Tokens that the slot holds."""
        return self._lengths[slot]

    def rewind(self, slot: int, length: int) -> None:
        """Forgets the tokens of the slot from ``length`` on."""
        if not 0 <= length <= self._lengths[slot]:
            raise ValueError(f"slot {slot} holds {self._lengths[slot]} tokens, not {length}")
        self._lengths[slot] = length

    def _run(
        self, slots: Sequence[int], tokens: Sequence[Sequence[int]], n_logits: int
    ) -> NDArray[np.float32]:
        """One pass over rows of different lengths; logits ``(n_rows, n_logits, n_vocab)``."""
        starts, counts = [self._lengths[slot] for slot in slots], [len(row) for row in tokens]
        device, dtype = self._model.device, self._model.dtype
        where = Pass(slots, starts, counts, device=device, dtype=dtype)
        self._cache.begin(where)
        for slot, start in zip(slots, starts, strict=True):
            self._held.write(slot, start, ())  # should the pass fail, its columns are not trusted
        filled = [[0] * (where.n_new - len(row)) + list(row) for row in tokens]
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor(filled, device=device),
                attention_mask=self._masks(where),
                position_ids=where.positions,
                use_cache=True,
                **{self._memory: self._cache},
                **({self._keep: n_logits} if self._keep else {}),
            )
            logits: NDArray[np.float32] = output[self._told][:, -n_logits:].float().cpu().numpy()
        for slot, start, row in zip(slots, starts, tokens, strict=True):
            self._held.write(slot, start, row)
            self._lengths[slot] = start + len(row)
        return logits

    def _check_room(self, slots: Sequence[int], tokens: Sequence[Sequence[int]]) -> None:
        end = max(self._lengths[slot] + len(row) for slot, row in zip(slots, tokens, strict=True))
        if end > self.window:
            raise ValueError(f"a slot overflows: {end} tokens (at most {self.window} fit)")

    def _reuse(self, slot: int, tokens: Sequence[int]) -> int:
        """Appends those of the first tokens whose columns some slot holds; how many these are."""
        start = self._lengths[slot]
        n_kept = self._held.reuse(slot, start, tokens, self._cache.copy)
        self._lengths[slot] = start + n_kept
        return n_kept

    def _masks(self, where: Pass) -> Any:
        """``None``, one mask, or one for each kind of layer."""
        longest = min((window for window in self._windows.values() if window), default=None)
        if self._fused and where.is_fresh_row and (longest is None or where.n_new <= longest):
            return None
        masks = {kind: where.mask(window) for kind, window in self._windows.items()}
        return masks if len(masks) > 1 else next(iter(masks.values()))


def _source(model: str | Path) -> str:
    """A folder, or something that can only be meant for the hub."""
    path = Path(model).expanduser()
    if path.is_dir():
        return str(path.resolve())
    text = str(model)
    if isinstance(model, Path) or not looks_like_hub_id(text):
        raise InputError(f"no such folder: {text!r}", field="lm")
    return text


def _load(factory: Any, source: str, revision: str | None, **options: Any) -> Any:
    try:
        return factory.from_pretrained(source, revision=revision, **options)
    except Exception as error:  # transformers raises whatever its parts raise
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{source!r} is not an LM that transformers can open: {shorten(reason, 200)}",
            field="lm",
        ) from error


def _body(model: Any) -> Any:
    """The LM without its head."""
    if model.base_model is model:
        raise InputError(
            f"{type(model).__name__} gives no embeddings: it does not show its hidden states",
            field="lm",
        )
    return model.base_model


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise InputError(f"no such device here: {name!r}", field="device") from error
    return device


def _dtype(name: str, device: torch.device) -> Any:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if name not in _DTYPES:
        raise InputError(
            f"unknown dtype: {name!r} (auto, {', '.join(_DTYPES)} are allowed)", field="dtype"
        )
    return _DTYPES[name]


def _sliding_windows(config: Any, source: str) -> Mapping[str, int | None]:
    """The kinds of layers with how far back each looks, ``None`` for all the way."""
    kinds = getattr(config, "layer_types", None)
    sliding = getattr(config, "sliding_window", None)
    if kinds is None:
        kinds = ["full_attention" if sliding is None else "sliding_attention"]
    windows = {"full_attention": None, "sliding_attention": sliding}
    if others := sorted(set(kinds) - windows.keys()):
        raise InputError(
            f"{source!r} has layers of other memory than keys and values: {', '.join(others)} "
            f"({' and '.join(windows)} are allowed)",
            field="lm",
        )
    return {kind: windows[kind] for kind in windows if kind in kinds}


def _use_fused_attention(model: Any) -> bool:
    """Switches to structq's attention where the LM's own is the plain scaled dot product."""
    config = model.config.get_text_config()
    plain = not getattr(config, "attn_logit_softcapping", None)
    if not (plain and model._supports_sdpa and model._supports_attention_backend):
        return False
    model.set_attn_implementation(ATTENTION)
    return True


def _logits_argument(model: Any, source: str) -> str | None:
    """Name of the argument that limits the logits to the last positions."""
    known = inspect.signature(model.forward).parameters
    if "position_ids" not in known:
        raise InputError(
            f"{source!r} cannot run rows of different lengths: {type(model).__name__} takes no "
            "positions",
            field="lm",
        )
    return "logits_to_keep" if "logits_to_keep" in known else None


def _cache_argument(model: Any) -> str:
    """Name of the argument for keys and values; transformers 5.24 renamed it."""
    known = inspect.signature(model.forward).parameters
    return "cache" if "cache" in known else "past_key_values"


def _fingerprint(source: str, commit: str | None, facts: Sequence[str]) -> str:
    """Twelve hex digits that change with the weights, their type, the tokenizer or the template."""
    digest = hashlib.sha256("\0".join([*facts, commit or ""]).encode())
    folder = Path(source)
    if folder.is_dir():
        kinds = {".json", ".safetensors", ".bin", ".model", ".txt", ".jinja"}
        for path in sorted(folder.iterdir()):
            if path.suffix in kinds and path.is_file():
                digest.update(path.name.encode() + file_digest(path))
    else:
        digest.update(source.encode())
    return digest.hexdigest()[:12]
