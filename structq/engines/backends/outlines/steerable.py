"""Outlines' steerable models as runtimes of rows: tokens in, one generation out.

Outlines' own ``Generator`` makes a processor by the name of a backend out of three, and refuses
models that it does not know; ``SteerableGenerator.from_processor`` takes any processor, and is the
way here. The prompt is encoded by structq, so that nothing in a row's text becomes a marker of the
chat template: a copy of the model's wrapper, with a type adapter and a tokenizer that hand tokens
on, shares the weights with the caller's.

Processors that a model adds of its own (penalties, banned words, a minimum of tokens) run before
structq's and would shift the logits of a slot. Each call sets every one of them to nothing.
"""

from __future__ import annotations

import copy
import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from outlines.generator import SteerableGenerator
from outlines.models import MLXLM, LlamaCpp, Transformers, TransformersMultiModal
from outlines.models.base import Model, ModelTypeAdapter
from outlines.processors import OutlinesLogitsProcessor

from structq.engines.backends.transformers.chat import chat_format, window_of
from structq.engines.chat import ChatFormat, ChatRuntime
from structq.errors import InputError

__all__ = ["SteerableRuntime", "is_steerable", "steerable"]


class SteerableRuntime(ChatRuntime):
    """What the steerable models have in common; see `backends.outlines.driven.Generator`.

    Args:
        model: The caller's; never changed.
    """

    window: int
    """Most tokens of a row."""
    n_vocab: int
    """Width of the logits."""
    eos_token_id: int
    """The token by which the LM ends its answer."""
    name: str
    """Names the weights."""

    def __init__(self, model: Model, chat: ChatFormat) -> None:
        self._chat = chat
        self.tensor_library_name = model.tensor_library_name
        self.model = model
        self._model: Any = copy.copy(model)
        self._model.type_adapter = _TokensIn(model.type_adapter)

    @abstractmethod
    def generate(
        self, prompt: Sequence[int], processor: OutlinesLogitsProcessor, n_most: int
    ) -> None:
        """Runs one generation of at most ``n_most`` tokens; ``processor`` says what they are."""

    def _generate(
        self, prompt: list[int] | _Tokens, processor: OutlinesLogitsProcessor, **settings: Any
    ) -> None:
        SteerableGenerator.from_processor(self._model, processor)(prompt, **settings)


class _Transformers(SteerableRuntime):
    """``outlines.from_transformers``."""

    # Whatever the model's own generation_config says: these have the last word.
    _NEUTRAL: Any = {
        "do_sample": False,
        "num_beams": 1,
        "num_return_sequences": 1,
        "renormalize_logits": False,
        "remove_invalid_values": False,
        "return_dict_in_generate": False,
    } | dict.fromkeys((
        "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
        "repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size", "bad_words_ids", "sequence_bias", "guidance_scale",
        "min_length", "min_new_tokens", "forced_bos_token_id", "forced_eos_token_id",
        "suppress_tokens", "begin_suppress_tokens", "exponential_decay_length_penalty",
        "watermarking_config", "stop_strings", "max_time", "max_length",
        "prompt_lookup_num_tokens", "penalty_alpha", "dola_layers",
    ))  # fmt: skip

    def __init__(self, model: Transformers) -> None:
        inner, tokenizer = model.model, model.hf_tokenizer
        source = str(getattr(inner, "name_or_path", "") or type(inner).__name__)
        if model.tensor_library_name != "torch" or getattr(
            inner.config, "is_encoder_decoder", False
        ):
            raise InputError(
                f"{source!r} is no decoder on torch: Outlines cannot steer it as one", field="lm"
            )
        if inner.training:
            raise InputError(f"{source!r} is in training mode: call its eval() first", field="lm")
        super().__init__(model, chat_format(tokenizer, source))
        config = inner.config.get_text_config()
        self.window = window_of(config)
        self.n_vocab = int(inner.get_output_embeddings().weight.shape[0])
        self.eos_token_id = int(tokenizer.eos_token_id)
        self.name = f"outlines-{Path(source).name}-{_torch_fingerprint(inner)}"
        self._model.tokenizer = _TensorsIn()

    def generate(
        self, prompt: Sequence[int], processor: OutlinesLogitsProcessor, n_most: int
    ) -> None:
        """See `SteerableRuntime.generate`."""
        ends = {"eos_token_id": self.eos_token_id, "pad_token_id": self.eos_token_id}
        self._generate(list(prompt), processor, max_new_tokens=n_most, **ends, **self._NEUTRAL)


class _LlamaCpp(SteerableRuntime):
    """``outlines.from_llamacpp``; tokenizer and chat template are those of the file."""

    def __init__(self, model: LlamaCpp) -> None:
        from structq.engines.model_files import fingerprint

        llama = model.model
        path = Path(llama.model_path)
        super().__init__(model, _gguf_chat(path))
        self.window = int(llama.n_ctx())
        self.n_vocab = int(llama.n_vocab())
        self.eos_token_id = int(llama.token_eos())
        self.name = f"outlines-{path.stem}-{fingerprint([path])}"
        self._model.model = _LlamaByTokens(llama)

    def generate(
        self, prompt: Sequence[int], processor: OutlinesLogitsProcessor, n_most: int
    ) -> None:
        """See `SteerableRuntime.generate`."""
        self._generate(
            _Tokens(prompt),
            processor,
            max_tokens=n_most,
            temperature=0.0,
            repeat_penalty=1.0,
            frequency_penalty=0.0,
            presence_penalty=0.0,
        )


class _Mlx(SteerableRuntime):
    """``outlines.from_mlxlm``."""

    def __init__(self, model: MLXLM) -> None:
        tokenizer = model.tokenizer.tokenizer
        args = getattr(model.model, "args", None)
        source = str(getattr(tokenizer, "name_or_path", "") or type(model.model).__name__)
        n_vocab = getattr(args, "vocab_size", None)
        if not isinstance(n_vocab, int):
            raise InputError(f"{source!r} does not say how many tokens it knows", field="lm")
        super().__init__(model, chat_format(tokenizer, source))
        self.window = window_of(args)
        self.n_vocab = n_vocab
        self.eos_token_id = int(tokenizer.eos_token_id)
        # Its weights have no name: no answer of another process may pass for one of these.
        self.name = f"outlines-{Path(source).name}-{uuid4().hex[:12]}"

    def generate(
        self, prompt: Sequence[int], processor: OutlinesLogitsProcessor, n_most: int
    ) -> None:
        """See `SteerableRuntime.generate`."""
        self._generate(list(prompt), processor, max_tokens=n_most)


def is_steerable(model: Any) -> bool:
    """Whether the logits of a model of Outlines can be seen and masked."""
    return isinstance(model, Transformers | LlamaCpp | MLXLM)


def steerable(model: Any) -> SteerableRuntime:
    """The runtime of a steerable model.

    Raises:
        InputError: Its tokenizer or chat template cannot be read, or it takes more than text.
    """
    if isinstance(model, TransformersMultiModal):
        raise InputError(
            "found TransformersMultiModal (models of text alone are allowed)", field="lm"
        )
    if isinstance(model, Transformers):
        return _Transformers(model)
    return _LlamaCpp(model) if isinstance(model, LlamaCpp) else _Mlx(model)


class _Tokens(str):
    """A prompt in tokens that passes for a text: Outlines' wrapper of llama.cpp takes no other."""

    def __new__(cls, tokens: Sequence[int]) -> _Tokens:
        made = super().__new__(cls)
        made.tokens = list(tokens)
        return made

    tokens: list[int]


class _TokensIn(ModelTypeAdapter):
    """Lets prompts that are tokens pass, and leaves the rest to the model's own adapter."""

    def __init__(self, own: ModelTypeAdapter) -> None:
        self._own = own

    def format_input(self, model_input: Any) -> Any:
        return model_input

    def format_output_type(self, output_type: Any = None) -> Any:
        return self._own.format_output_type(output_type)


class _TensorsIn:
    """The tokenizer of a model of transformers, for prompts that are tokens already."""

    def encode(self, prompt: list[int], **_: Any) -> tuple[Any, Any]:
        import torch

        ids = torch.tensor([prompt])
        return ids, torch.ones_like(ids)

    def decode(self, token_ids: Any) -> list[str]:
        # The row knows its text.
        return ["" for _ in token_ids]


class _LlamaByTokens:
    """A ``llama_cpp.Llama`` that is called with tokens."""

    def __init__(self, llama: Any) -> None:
        self._llama = llama

    def __call__(self, prompt: _Tokens, **settings: Any) -> Any:
        return self._llama.create_completion(prompt.tokens, **settings)

    def reset(self) -> None:
        self._llama.reset()


def _gguf_chat(path: Path) -> ChatFormat:
    from structq.engines.backends.gguf.header import GgufFile
    from structq.engines.backends.gguf.tokenizer import build_tokenizer, read_tokens
    from structq.engines.chat_template import renderer

    file = GgufFile(path)
    tokens = read_tokens(file.values)
    template = file.values.get("tokenizer.chat_template")
    if not isinstance(template, str) or not template.strip():
        raise InputError(
            f"{path.name!r} has no chat template: take the LM's chat version", field="lm"
        )
    start = tokens.special["bos_token"] if tokens.starts_with_bos else ""
    tokenizer = build_tokenizer(tokens, file.values)
    return ChatFormat(tokenizer, renderer(template, tokens.special, start=start))


def _torch_fingerprint(model: Any) -> str:
    """Twelve hex digits that change with the configuration and with any weight matrix."""
    digest = hashlib.sha256(model.config.to_json_string().encode())
    for name, weights in model.named_parameters():
        some = weights.detach().flatten()[:64].float().cpu().numpy()
        digest.update(f"{name} {tuple(weights.shape)} {weights.dtype}".encode())
        digest.update(np.ascontiguousarray(some).tobytes())
    return digest.hexdigest()[:12]
