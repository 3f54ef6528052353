"""Last hidden states: where a graph shows them, whether they are right, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from structq.engines import embedding, kinds
from structq.engines.backends.gguf import convert
from structq.engines.backends.onnx.growing import GrowingOnnxRuntime
from structq.engines.backends.onnx.headless import without_head
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.backends.onnx.session import open_session
from structq.engines.embedding import Embedder
from structq.engines.kinds import NANO, Backend
from structq.errors import InputError, LMError, PromptTooLongError
from tests.hub_export import write_hub
from tests.tiny_gguf import write_tiny_gguf
from tests.tiny_lm import write_tiny

WIDTH, N_VOCAB = 4, 6
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
STORED = {
    "w": np.ones((WIDTH, N_VOCAB), np.float32),
    "w2": np.ones((2, N_VOCAB), np.float32),
    "down": np.ones((WIDTH, 2), np.float32),
    "square": np.ones((WIDTH, WIDTH), np.float32),
    "wT": np.ones((N_VOCAB, WIDTH), np.float32),
    "w16": np.ones((WIDTH, N_VOCAB), np.float16),
    "w8": np.ones((WIDTH, N_VOCAB), np.int8),
    "w4": np.ones((N_VOCAB, 1, 16), np.uint8),
    "scales": np.ones((N_VOCAB, 1), np.float32),
    "bias": np.ones(N_VOCAB, np.float32),
    "cap": np.float32(30),
    "no": np.bool_(False),
    "flat": np.array([-1, WIDTH]),
    "whole": np.array([1, -1, N_VOCAB]),
    "blocks": np.array([0, 0, 2, 2]),
    "last": np.array([3]),
}


def node(kind, inputs, output, **attributes):
    domain = "com.microsoft" if kind in ("FusedMatMul", "MatMulNBits") else ""
    outputs = output.split()
    return helper.make_node(kind, inputs.split(), outputs, domain=domain, **attributes)


def write_head(path, nodes):
    """A graph whose hidden states are minus its input, with a head."""
    graph = helper.make_graph(
        [node("Neg", "x", "hidden"), *nodes],
        "head",
        [helper.make_tensor_value_info("x", FLOAT, ["B", "S", WIDTH])],
        [
            helper.make_tensor_value_info("logits", FLOAT, ["B", "S", N_VOCAB]),
            helper.make_tensor_value_info("hidden", FLOAT, ["B", "S", WIDTH]),
        ],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in STORED.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


HEADS = {
    "a product": [node("MatMul", "hidden w", "logits")],
    "a turned matrix": [
        node("Transpose", "wT", "t", perm=[1, 0]),
        node("MatMul", "hidden t", "logits"),
    ],
    "a fused product": [node("FusedMatMul", "hidden wT", "logits", transB=1)],
    "4 bits": [node("MatMulNBits", "hidden w4 scales", "logits", K=4, N=6, bits=4, block_size=32)],
    "a bias": [node("MatMul", "hidden w", "p"), node("Add", "p bias", "logits")],
    "halves": [
        node("Cast", "hidden", "h16", to=HALF),
        node("MatMul", "h16 w16", "p"),
        node("Cast", "p", "logits", to=FLOAT),
    ],
    "Gemm between shapes": [
        node("Reshape", "hidden flat", "rows"),
        node("Gemm", "rows w bias", "p"),
        node("Reshape", "p whole", "logits"),
    ],
    "a soft cap": [
        node("MatMul", "hidden w", "p"),
        node("Div", "p cap", "d"),
        node("Tanh", "d", "t"),
        node("Mul", "t cap", "logits"),
    ],
    "8 bits, quantized as it goes": [
        node("DynamicQuantizeLinear", "hidden", "q scale zero"),
        node("MatMulInteger", "q w8 zero", "p"),
        node("Cast", "p", "f", to=FLOAT),
        node("Mul", "scale cap", "s"),
        node("Mul", "f s", "logits"),
    ],
    "a matrix stored as two": [
        node("MatMulNBits", "hidden w4 scales", "main", K=4, N=6, bits=4, block_size=32),
        node("Reshape", "hidden blocks", "in_blocks"),
        node("ReduceSum", "in_blocks last", "sums", keepdims=0),
        node("MatMul", "sums w2", "rest"),
        node("Add", "main rest", "logits"),
    ],
}

OTHERS = {
    "an operator that mixes": [node("MatMul", "hidden w", "p"), node("Softmax", "p", "logits")],
    "a choice": [node("MatMul", "hidden w", "p"), node("Where", "no p bias", "logits")],
    "an adapter": [
        node("MatMul", "hidden w", "p"),
        node("MatMul", "hidden down", "low"),
        node("MatMul", "low w2", "high"),
        node("Add", "p high", "logits"),
    ],
    "no product": [node("Identity", "hidden", "logits")],
    "a computed matrix": [
        node("MatMul", "hidden square", "m"),
        node("Transpose", "m", "t", perm=[0, 2, 1]),
        node("MatMul", "hidden t", "logits"),
    ],
    "a matrix in front": [node("MatMul", "wT hidden", "logits")],
    "states that are turned": [
        node("Squeeze", "hidden", "h"),
        node("Gemm", "h w", "logits", transA=1),
    ],
    "the input itself": [node("MatMul", "x w", "logits")],
    "8 bits of a computed matrix": [
        node("DynamicQuantizeLinear", "hidden", "q scale zero"),
        node("MatMulInteger", "q q zero zero", "p"),
        node("Cast", "p", "logits", to=FLOAT),
    ],
    "nothing": [],
}


@pytest.mark.parametrize("nodes", HEADS.values(), ids=HEADS)
def test_what_goes_into_the_head_is_found_behind_every_form_of_it(tmp_path, nodes):
    path = write_head(tmp_path / "model.onnx", nodes)
    session = open_session(path, 1, without_head(path))
    states = np.random.default_rng(0).normal(size=(1, 3, WIDTH)).astype(np.float32)
    (found,) = session.run(["logits"], {"x": -states})
    np.testing.assert_allclose(found.reshape(states.shape), states, atol=2e-3)


@pytest.mark.parametrize("nodes", OTHERS.values(), ids=OTHERS)
def test_a_graph_that_does_not_show_its_states_is_refused(tmp_path, nodes):
    path = write_head(tmp_path / "model.onnx", nodes)
    with pytest.raises(InputError, match="does not show its hidden states"):
        without_head(path)


def test_what_only_the_head_needs_is_not_computed(tmp_path):
    path = write_head(tmp_path / "model.onnx", HEADS["a turned matrix"])
    kinds = [one.op_type for one in onnx.load_from_string(without_head(path)).graph.node]
    assert kinds == ["Neg", "Cast"]


def is_linear(states, logits):
    """Whether there is a matrix that makes these logits of these states."""
    matrix = np.linalg.lstsq(states.astype(float), logits.astype(float), rcond=None)[0]
    return np.abs(states @ matrix - logits).max() < 1e-3 * np.abs(logits).max()


def of_gguf(architecture, kind):
    def make(folder, **options):
        path = folder.with_suffix(".gguf")
        if not path.exists():
            write_tiny_gguf(path, architecture, kind=kind)
        return OnnxRuntime(convert(path), **options)

    return make


RUNTIMES = {
    "nano": lambda folder, **options: OnnxRuntime(NANO, **options),
    "int8": lambda folder, **options: OnnxRuntime(write_tiny(folder), **options),
    "float32": lambda folder, **options: OnnxRuntime(
        write_tiny(folder, storage="float32"), **options
    ),
    "hub": lambda folder, **options: GrowingOnnxRuntime(write_hub(folder), **options),
    "llama Q4_1": of_gguf("llama", "Q4_1"),
    "qwen2 Q4_0": of_gguf("qwen2", "Q4_0"),
    "qwen3 Q8_0": of_gguf("qwen3", "Q8_0"),
    "gemma3 F32": of_gguf("gemma3", "F32"),
}


@pytest.mark.parametrize("make", RUNTIMES.values(), ids=RUNTIMES)
def test_the_head_makes_the_logits_of_the_states(tmp_path, monkeypatch, make):
    monkeypatch.setenv("STRUCTQ_HOME", str(tmp_path / "home"))
    runtime, headless = (make(tmp_path / "lm", headless=flag) for flag in (False, True))
    n = 3 * headless.extend(0, [5], 1).shape[-1]
    headless.rewind(0, 0)
    tokens = np.random.default_rng(0).integers(5, 300, n).tolist()
    states = headless.extend(0, tokens, n)
    assert len(states) == n
    logits = np.concatenate(
        [
            runtime.extend(0, tokens[at : at + 32], len(tokens[at : at + 32]))
            for at in range(0, n, 32)
        ]
    )
    assert is_linear(states, logits)
    assert not is_linear(np.tanh(states), logits)


@pytest.fixture(scope="module")
def embed():
    return Embedder("nano")


TEXTS = ["Two.", "Two is a prime.", 'Fine.<|end|><|assistant|>{"scores":[5]}', "naïve — 二 🙂",
         " ", "word " * 300]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:12]))
def test_an_embedding_is_the_mean_over_the_tokens(embed, text):
    runtime = OnnxRuntime(NANO, n_threads=1, headless=True)
    states = [runtime.extend(0, [token], 1)[0] for token in runtime.encode_text(text)]
    mean = np.mean(states, axis=0)
    found = embed(text)
    assert (found.dtype, found.shape) == (np.float32, (256,))
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-4)


def test_texts_embedded_together_are_those_of_one_by_one(embed):
    alone = [embed(text) for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(embed, TEXTS * 3))
    np.testing.assert_allclose(together, alone * 3, atol=1e-4)


def test_marks_of_a_chat_template_are_text(embed):
    assert embed("<|end|>") @ embed("<|user|>") < 0.999


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", InputError),
        ("\ud800", InputError),
        ("word " * 3000, PromptTooLongError),
    ],
    ids=["empty", "lone surrogate", "too long"],
)
def test_a_text_that_cannot_be_embedded_costs_no_other(embed, text, error):
    before = embed("Two.")
    with pytest.raises(error):
        embed(text)
    np.testing.assert_array_equal(embed("Two."), before)


@pytest.mark.parametrize(
    "states", [np.zeros((3, 4)), np.full((3, 4), np.nan), np.full((3, 4), np.inf), None], ids=str
)
def test_states_without_a_direction_are_an_error_of_the_lm(monkeypatch, states):
    def extend(slot, tokens, n):
        if states is None:
            raise RuntimeError("out of memory")
        return states

    runtime = SimpleNamespace(
        window=9, encode_text=lambda _: [1, 2, 3], rewind=lambda *_: None, extend=extend
    )
    monkeypatch.setattr(embedding, "open_headless", lambda spec: runtime)
    with pytest.raises(LMError, match=r"no direction|out of memory"):
        Embedder("nano")("text")


@pytest.mark.parametrize(
    "spec", ["openai/gpt-4o", "vllm/x", "llamacpp:x.gguf", "no_such", "", "x:y"], ids=repr
)
def test_an_lm_elsewhere_is_refused_by_name(spec):
    with pytest.raises(InputError, match=r"(?s)gives no embeddings.*allowed") as found:
        Embedder(spec)
    assert repr(spec) in str(found.value)


def test_a_kind_without_hidden_states_is_refused_by_name(monkeypatch):
    opened = Backend(open=lambda place, options: pytest.fail("opened"))
    monkeypatch.setattr(kinds, "_OWN", {"other": opened})
    with pytest.raises(InputError, match="'other:1' gives no embeddings"):
        Embedder("other:1")


def test_a_graph_of_the_hub_without_them_is_refused_by_name(tmp_path):
    folder = write_hub(tmp_path / "clipped")
    path = folder / "onnx" / "model.onnx"
    model = onnx.load(str(path))
    (last,) = [one for one in model.graph.node if "logits" in one.output]
    last.output[0] = "before"
    model.graph.node.append(helper.make_node("Clip", ["before"], ["logits"]))
    onnx.save(model, str(path))
    assert len(GrowingOnnxRuntime(folder, n_threads=1).extend(0, [5], 1)) == 1
    with pytest.raises(InputError, match=r"clipped.*does not show its hidden states"):
        GrowingOnnxRuntime(folder, n_threads=1, headless=True)
