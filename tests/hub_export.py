"""The tiny decoder as the hub exports such: plain attention, a growing cache, settings in JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from structq.engines.chat_template import chat_template
from tests.tiny_lm import CHAT, random_weights, tiny_config, tiny_tokenizer
from training.graph import DecoderConfig

FLOAT, HALF, INT = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64


class PlainGraph:
    """A Llama-shaped decoder of MatMul, Softmax and Concat, in the order of the data."""

    def __init__(
        self,
        weights: dict[str, Any],
        config: DecoderConfig,
        *,
        positions: bool = True,
        cache: int = FLOAT,
        window: int | None = None,
    ) -> None:
        self.weights, self.config, self.positions, self.cache = weights, config, positions, cache
        self.window = window
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def model(self) -> Any:
        config = self.config
        self._tables()
        stream = self.op("Gather", self.weight("model.embed_tokens"), "input_ids")
        for layer in range(config.n_layers):
            prefix = f"model.layers.{layer}"
            normed = self._norm(f"{prefix}.input_layernorm", stream)
            stream = self.op("Add", stream, self._attention(layer, normed))
            normed = self._norm(f"{prefix}.post_attention_layernorm", stream)
            gate, up = (
                self._linear(f"{prefix}.mlp.{name}_proj", normed) for name in ("gate", "up")
            )
            opened = self.op("Mul", self.op("Mul", gate, self.op("Sigmoid", gate)), up)
            stream = self.op("Add", stream, self._linear(f"{prefix}.mlp.down_proj", opened))
        normed = self._norm("model.norm", stream)
        self._linear("model.embed_tokens", normed, output="logits")
        inputs = [value("input_ids", INT, ["B", "S"]), value("attention_mask", INT, ["B", "T"])]
        inputs += [value("position_ids", INT, ["B", "S"])] if self.positions else []
        inputs += self._caches("past_key_values", "P")
        outputs = [
            value("logits", FLOAT, ["B", "S", config.n_vocab]),
            *self._caches("present", "Q"),
        ]
        graph = helper.make_graph(
            self.nodes, "plain", inputs, outputs, list(self.constants.values())
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        return model

    def _caches(self, kind: str, columns: str) -> list[Any]:
        shape = ["B", self.config.n_kv_heads, columns, self.config.head_dim]
        layers = range(self.config.n_layers)
        return [
            value(f"{kind}.{layer}.{part}", self.cache, shape)
            for layer in layers
            for part in ("key", "value")
        ]

    def _tables(self) -> None:
        """Angles of the new positions, and what is added to the attention scores."""
        config = self.config
        n_new = self.op("Gather", self.op("Shape", "input_ids"), self.ints("one", 1))
        n_all = self.op("Gather", self.op("Shape", "attention_mask"), self.ints("one", 1))
        n_past = self.op("Sub", n_all, n_new)
        here = self.op("Range", n_past, n_all, self.ints("one", 1))
        exponents = np.arange(0, config.head_dim, 2) / config.head_dim
        angles = np.arange(config.window)[:, None] / config.rope_theta**exponents
        for name, table in (("cos", np.cos(angles)), ("sin", np.sin(angles))):
            both = self.const(name, np.concatenate([table, table], 1).astype(np.float32))
            where = "position_ids" if self.positions else here
            rows = self.op("Gather", both, where)
            shape = self.ints(f"{name}_shape", [0, 1, -1, config.head_dim])
            if not self.positions:
                shape = self.ints(f"{name}_shape", [1, 1, -1, config.head_dim])
            setattr(self, name, self.op("Reshape", rows, shape))
        columns = self.op("Range", self.ints("zero", 0), n_all, self.ints("one", 1))
        behind = self.op("Greater", columns, self.op("Unsqueeze", here, self.ints("last", [1])))
        absent = self.op("Equal", "attention_mask", self.ints("zero", 0))
        absent = self.op("Unsqueeze", absent, self.ints("three", [1, 2, 3]))
        hidden = self.op("Or", absent, behind)
        low = self.const("low", np.float32(np.finfo(np.float32).min))
        self.mask = self.op("Where", hidden, low, self.const("nothing", np.float32(0)))

    def _attention(self, layer: int, normed: str) -> str:
        config, prefix = self.config, f"model.layers.{layer}.self_attn"
        group = config.n_heads // config.n_kv_heads
        query, key, value_ = (self._linear(f"{prefix}.{name}_proj", normed) for name in "qkv")
        query = self._turned(self._heads(query, config.n_heads))
        query = self.op(
            "Reshape",
            query,
            self.ints("grouped", [0, config.n_kv_heads, group, -1, config.head_dim]),
        )
        key = self._turned(self._heads(key, config.n_kv_heads))
        key = self._grown(layer, "key", key)
        value_ = self._grown(layer, "value", self._heads(value_, config.n_kv_heads))
        scores = self.op("MatMul", query, self.op("Transpose", key, perm=[0, 1, 2, 4, 3]))
        scale = self.const("scale", np.float32(config.head_dim**-0.5))
        scores = self.op("Add", self.op("Mul", scores, scale), self.mask)
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value_)
        mixed = self.op(
            "Reshape", mixed, self.ints("flat", [0, config.n_heads, -1, config.head_dim])
        )
        mixed = self.op("Transpose", mixed, perm=[0, 2, 1, 3])
        joined = self.ints("joined", [0, 0, config.n_heads * config.head_dim])
        return self._linear(f"{prefix}.o_proj", self.op("Reshape", mixed, joined))

    def _grown(self, layer: int, part: str, new: str) -> str:
        """The cache with the new columns behind it; of shape (B, n_kv_heads, 1, T, head_dim)."""
        past, present = f"past_key_values.{layer}.{part}", f"present.{layer}.{part}"
        if self.cache != FLOAT:
            new = self.op("Cast", new, to=self.cache)
        grown = self.op("Concat", past, new, axis=2, output=None if self.window else present)
        if self.window:
            ends = [self.ints("back", [-self.window]), self.ints("end", [2**62])]
            self.op("Slice", grown, *ends, self.ints("columns", [2]), output=present)
        if self.cache != FLOAT:
            grown = self.op("Cast", grown, to=FLOAT)
        return self.op("Unsqueeze", grown, self.ints("group_axis", [2]))

    def _heads(self, states: str, n: int) -> str:
        split = self.op("Reshape", states, self.ints(f"split{n}", [0, 0, n, self.config.head_dim]))
        return self.op("Transpose", split, perm=[0, 2, 1, 3])

    def _turned(self, states: str) -> str:
        half, axis = self.config.head_dim // 2, self.ints("width_axis", [3])
        low, middle = self.ints("start", [0]), self.ints("half", [half])
        left = self.op("Slice", states, low, middle, axis)
        right = self.op("Slice", states, middle, self.ints("end", [2**62]), axis)
        swapped = self.op("Concat", self.op("Neg", right), left, axis=3)
        return self.op("Add", self.op("Mul", states, self.cos), self.op("Mul", swapped, self.sin))

    def _norm(self, name: str, stream: str) -> str:
        squares = self.op("ReduceMean", self.op("Mul", stream, stream), axes=[-1], keepdims=1)
        epsilon = self.const("epsilon", np.float32(self.config.rms_eps))
        root = self.op("Sqrt", self.op("Add", squares, epsilon))
        return self.op("Mul", self.op("Div", stream, root), self.weight(name))

    def _linear(self, name: str, states: str, output: str | None = None) -> str:
        right = self.const(f"{name}.T", np.ascontiguousarray(self.weights[f"{name}.weight"].T))
        return self.op("MatMul", states, right, output=output)

    def weight(self, name: str) -> str:
        return self.const(name, self.weights[f"{name}.weight"])

    def ints(self, name: str, found: int | list[int]) -> str:
        return self.const(f"int_{name}", np.asarray(found, np.int64))

    def const(self, name: str, array: Any) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output


def value(name: str, kind: int, shape: Sequence[Any]) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def write_settings(folder: Path) -> None:
    """The tokenizer and the three files of settings."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    shape = tiny_config(tokenizer.get_vocab_size())
    end = tokenizer.token_to_id(CHAT["end"])
    config = {
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "hidden_size": shape.hidden,
        "max_position_embeddings": shape.window,
    }
    settings = {"chat_template": chat_template(CHAT), "eos_token": {"content": CHAT["end"]}}
    for name, found in {
        "config.json": config,
        "tokenizer_config.json": settings,
        "generation_config.json": {"eos_token_id": [end, 0]},
    }.items():
        (folder / name).write_text(json.dumps(found), encoding="utf-8")


def write_hub(folder: Path, *, file: str = "onnx/model.onnx", **options: Any) -> Path:
    """A folder of the hub's layout with the weights of ``write_tiny(..., storage="float32")``."""
    write_settings(folder)
    config = tiny_config(tiny_tokenizer().get_vocab_size())
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(PlainGraph(random_weights(config), config, **options).model(), str(path))
    return folder
