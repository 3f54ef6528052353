import numpy as np
import onnxruntime as ort
import pytest

from tests.tiny_lm import random_weights, tiny_config
from training.graph import DecoderConfig, quantize_rows, write_onnx

CONFIG = tiny_config(300)


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def weights():
    return random_weights(CONFIG)


@pytest.fixture(scope="module")
def exact(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    write_onnx(weights, CONFIG, path, storage="float32")
    return session(path)


@pytest.fixture(scope="module")
def stored_int8(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph8") / "model.onnx"
    write_onnx(weights, CONFIG, path)
    return session(path)


def empty_past(rows=1, columns=0):
    shape = (rows, CONFIG.n_kv_heads, columns, CONFIG.head_dim)
    return [np.zeros(shape, np.float32) for _ in range(2 * CONFIG.n_layers)]


def cache_names(kind):
    return [f"{kind}.{i}.{part}" for i in range(CONFIG.n_layers) for part in ("key", "value")]


def run(sess, ids, lengths, past, keep):
    """Logits and present of rows whose lengths, the new tokens included, are ``lengths``."""
    columns = max(lengths)
    mask = (np.arange(columns)[None] < np.asarray(lengths)[:, None]).astype(np.int64)
    feeds = {
        "input_ids": np.asarray(ids, np.int64),
        "attention_mask": mask,
        "num_logits_to_keep": np.asarray(keep, np.int64),
        **dict(zip(cache_names("past_key_values"), past, strict=True)),
    }
    logits, *present = sess.run(["logits", *cache_names("present")], feeds)
    return logits, present


def rms(x, scale):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + CONFIG.rms_eps) * scale


def rotate(x):
    """Rotary positions on halves, ``x`` of shape (heads, positions, head_dim)."""
    half = CONFIG.head_dim // 2
    angles = np.arange(x.shape[1])[:, None] / CONFIG.rope_theta ** (np.arange(half) / half)
    cos, sin = np.cos(angles), np.sin(angles)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def heads(x, n):
    return x.reshape(len(x), n, CONFIG.head_dim).transpose(1, 0, 2)


def llama(weights, ids):
    """Logits (positions, n_vocab) in float64, written from the paper's formulas."""
    table = weights["model.embed_tokens.weight"].astype(np.float64)
    x, group = table[list(ids)], CONFIG.n_heads // CONFIG.n_kv_heads
    future = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for layer in range(CONFIG.n_layers):
        w = {
            k.split(f"layers.{layer}.")[1]: v for k, v in weights.items() if f"layers.{layer}." in k
        }
        h = rms(x, w["input_layernorm.weight"])
        q = rotate(heads(h @ w["self_attn.q_proj.weight"].T, CONFIG.n_heads))
        k = rotate(heads(h @ w["self_attn.k_proj.weight"].T, CONFIG.n_kv_heads))
        v = heads(h @ w["self_attn.v_proj.weight"].T, CONFIG.n_kv_heads)
        k, v = np.repeat(k, group, 0), np.repeat(v, group, 0)
        s = q @ k.transpose(0, 2, 1) / np.sqrt(CONFIG.head_dim) + future
        p = np.exp(s - s.max(-1, keepdims=True))
        a = (p / p.sum(-1, keepdims=True)) @ v
        x = x + a.transpose(1, 0, 2).reshape(len(ids), -1) @ w["self_attn.o_proj.weight"].T
        h = rms(x, w["post_attention_layernorm.weight"])
        gate = h @ w["mlp.gate_proj.weight"].T
        up = h @ w["mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w["mlp.down_proj.weight"].T
    return rms(x, weights["model.norm.weight"]) @ table.T


def tokens(n, seed=0):
    return np.random.default_rng(seed).integers(0, CONFIG.n_vocab, n).tolist()


def test_prefill_agrees_with_the_formulas(exact, weights):
    ids = tokens(40)
    logits, _ = run(exact, [ids], [40], empty_past(), 40)
    np.testing.assert_allclose(logits[0], llama(weights, ids), atol=1e-4)


def test_int8_agrees_with_the_formulas_on_the_rounded_weights(stored_int8, weights):
    def rounded(w):
        q, scale = quantize_rows(w)
        return q * scale[:, None]

    ids = tokens(40)
    logits, _ = run(stored_int8, [ids], [40], empty_past(), 40)
    near = {k: rounded(w) if w.ndim == 2 else w for k, w in weights.items()}
    np.testing.assert_allclose(logits[0], llama(near, ids), atol=1e-4)


def test_extending_in_two_chunks_agrees_with_one(exact, weights):
    ids = tokens(30, 1)
    _, past = run(exact, [ids[:19]], [19], empty_past(), 1)
    logits, _ = run(exact, [ids[19:]], [30], past, 11)
    np.testing.assert_allclose(logits[0], llama(weights, ids)[19:], atol=1e-4)


def test_rows_of_different_lengths_decode_in_one_batch(exact, weights):
    rows = [tokens(n, n) for n in (5, 23, 11)]
    past = empty_past(rows=3, columns=32)
    for row, ids in enumerate(rows):
        _, present = run(exact, [ids[:-1]], [len(ids) - 1], empty_past(), 1)
        for buffer, new in zip(past, present, strict=True):
            buffer[row, :, : len(ids) - 1] = new[0]
    logits, _ = run(exact, [[ids[-1]] for ids in rows], [len(ids) for ids in rows], past, 1)
    for row, ids in enumerate(rows):
        np.testing.assert_allclose(logits[row, 0], llama(weights, ids)[-1], atol=1e-4)


@pytest.mark.parametrize(("keep", "n"), [(1, 1), (3, 3), (0, 12)], ids=["one", "three", "all"])
def test_num_logits_to_keep_gives_the_last_positions(exact, keep, n):
    ids = tokens(12)
    everything, _ = run(exact, [ids], [12], empty_past(), 12)
    kept, _ = run(exact, [ids], [12], empty_past(), keep)
    assert kept.shape == (1, n, CONFIG.n_vocab)
    np.testing.assert_array_equal(kept[0], everything[0, -n:])


def test_int8_is_stored_once_and_a_quarter_of_the_size(tmp_path, weights):
    write_onnx(weights, CONFIG, tmp_path / "a.onnx")
    write_onnx(weights, CONFIG, tmp_path / "b.onnx", storage="float32")
    n_weights = sum(w.size for w in weights.values())
    assert (tmp_path / "a.onnx").stat().st_size < 1.4 * n_weights + 10_000
    assert (tmp_path / "b.onnx").stat().st_size > 4 * n_weights


def test_a_weight_of_the_wrong_shape_is_named(tmp_path, weights):
    bad = weights | {"model.norm.weight": np.ones(3, np.float32)}
    with pytest.raises(ValueError, match=r"model\.norm\.weight has the wrong shape: \(3,\)"):
        write_onnx(bad, CONFIG, tmp_path / "m.onnx")


@pytest.mark.parametrize("bad", [{"n_kv_heads": 3}, {"head_dim": 31}], ids=["heads", "odd"])
def test_a_shape_that_cannot_work_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        DecoderConfig(**bad)
