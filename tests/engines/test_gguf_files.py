"""GGUF files that are cut off, garbled or not for structq; and what is made of good ones."""

from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
import pytest

from structq.engines.backends.gguf import convert
from structq.engines.backends.gguf.blocks import Blocks, read_floats, read_matrix
from structq.engines.backends.gguf.header import GgufFile
from structq.engines.store import data_home
from structq.errors import InputError
from tests.tiny_gguf import HIDDEN, add_byte_tokens, write_tiny_gguf


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STRUCTQ_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", "llama", kind="Q4_1")


# The folder of a converted file.


def test_a_file_is_converted_once(tiny):
    said = []
    folder = convert(tiny, progress=said.append)
    assert said == ["converting tiny.gguf"]
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert convert(tiny, progress=said.append) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert len(said) == 1


def test_the_content_and_not_the_name_decides_about_the_folder(tiny, tmp_path):
    copy = tmp_path / "other name.gguf"
    copy.write_bytes(tiny.read_bytes())
    other = write_tiny_gguf(tmp_path / "other.gguf", "llama", kind="Q4_1", seed=1)
    assert convert(copy) == convert(tiny) != convert(other)


def test_several_may_convert_one_file_at_once(tiny, home):
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(convert, [tiny] * 4))
    assert len(folders) == 1
    assert list((home / "converted").iterdir()) == list(folders)


def test_a_file_that_cannot_be_run_leaves_nothing(tmp_path, home):
    broken = {"output_norm.weight": np.full(HIDDEN, np.nan, np.float32)}
    path = write_tiny_gguf(tmp_path / "nan.gguf", "llama", tensors=broken)
    with pytest.raises(InputError, match="holds numbers that are not finite"):
        convert(path)
    assert list((home / "converted").iterdir()) == []


def test_an_interrupted_conversion_leaves_nothing(tiny, home, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("structq.engines.backends.gguf.conversion.write_graphs", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert(tiny)
    assert list((home / "converted").iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"STRUCTQ_HOME": "/a/b", "XDG_DATA_HOME": "/c"}, "/a/b"),
        ({"XDG_DATA_HOME": "/c"}, "/c/structq"),
        ({"HOME": "/d"}, "/d/.local/share/structq"),
    ],
    ids=["own", "XDG", "home"],
)
def test_the_data_folder_is_the_users(monkeypatch, variables, expected):
    for name in ("STRUCTQ_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(data_home()) == expected


# Numbers.


@pytest.mark.parametrize(
    "kind", ["Q4_0", "Q4_1", "Q4_K", "Q8_0", "Q6_K", "Q5_0", "Q5_K", "Q3_K", "F16", "BF16"]
)
def test_matrices_hold_the_numbers_of_the_file(tmp_path, kind):
    """Bytes at random: all that a format can say. Only the rounded ones may be off."""
    number = gguf.GGMLQuantizationType[kind]
    per_block, n_bytes = gguf.GGML_QUANT_SIZES[number]
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (6, 512 // per_block, n_bytes)).astype(np.uint8)
    for place in range(0, n_bytes - n_bytes % 2, 2):  # no infinities among halves
        data[..., place + 1] &= 0x3F
    writer = gguf.GGUFWriter(str(tmp_path / "x.gguf"), "llama")
    writer.add_tensor("x", data.reshape(6, -1), raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = GgufFile(tmp_path / "x.gguf")
    wanted, found = read_floats(file, "x"), values_of(read_matrix(file, "x"))
    exact = kind in ("Q4_0", "Q4_1", "Q4_K", "Q8_0", "Q6_K", "F16", "BF16")
    peak = np.abs(wanted.reshape(6, -1, 32)).max(axis=2, keepdims=True)
    allowed = peak * (1e-6 if exact else 1.01 / 254)
    assert (np.abs(wanted - found).reshape(6, -1, 32) <= allowed).all()


def values_of(matrix):
    if not isinstance(matrix, Blocks):
        return matrix
    q = matrix.q if matrix.bits == 8 else np.stack([matrix.q & 15, matrix.q >> 4], axis=-1)
    q = q.reshape(*matrix.scale.shape, -1).astype(np.float32) - 2 ** (matrix.bits - 1)
    offset = 0 if matrix.offset is None else matrix.offset[..., None]
    return (matrix.scale[..., None] * q + offset).reshape(len(q), -1)


# Files that are no LM for structq.


def test_a_file_cut_off_anywhere_is_refused(tiny, tmp_path):
    data = tiny.read_bytes()
    path = tmp_path / "cut.gguf"
    for size in [*range(0, 64, 3), *range(64, len(data), 997), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(InputError, match="not a GGUF file that structq can read"):
            convert(path)


@pytest.mark.parametrize("seed", range(40))
def test_a_garbled_head_is_refused_or_harmless(tiny, tmp_path, seed):
    data = bytearray(tiny.read_bytes())
    start = min(tensor.offset for tensor in GgufFile(tiny).tensors.values())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, start, 3):
        data[place] = int(rng.integers(0, 256))
    path = tmp_path / "garbled.gguf"
    path.write_bytes(data)
    try:
        folder = convert(path)
    except InputError:
        return
    assert (folder / "model.json").is_file()


def patched(data, old, new):
    assert data.count(old) == 1
    return data.replace(old, new)


def number(value):
    return value.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"GGML" + data[4:], "does not begin with GGUF"),
        (lambda data: data[:4] + b"\x01\0\0\0" + data[8:], r"version is 1 \(2 and 3 are allowed\)"),
        (lambda data: data[:8] + number(1 << 60) + data[16:], "tensors do not fit"),
        (lambda data: data[:16] + number(1 << 60) + data[24:], "values do not fit"),
        (lambda data: data[:24] + number(1 << 60) + data[32:], "it is cut off"),
        (lambda data: patched(data, b"llama.block_count", b"general.file_type"), "block_count"),
        (lambda data: patched(data, b"output_norm.weight", b"output_nork.weight"), "missing"),
    ],
    ids=["magic", "version", "tensors", "values", "text", "no layers", "tensor"],
)
def test_what_contradicts_itself_is_named(tiny, tmp_path, change, message):
    path = tmp_path / "bad.gguf"
    path.write_bytes(change(tiny.read_bytes()))
    with pytest.raises(InputError, match=message):
        convert(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        convert(tmp_path / "missing.gguf")


CASES = {
    "architecture": ("falcon", {}, "cannot run the architecture 'falcon' (llama, qwen2"),
    "experts": ("llama", {"add": lambda w: w.add_expert_count(8)}, "llama.expert_count"),
    "soft caps": (
        "gemma3",
        {"add": lambda w: w.add_final_logit_softcapping(30.0)},
        "gemma3.final_logit_softcapping of the GGUF file: found 30.0",
    ),
    "a value nobody knows": (
        "llama",
        {"add": lambda w: w.add_uint32("llama.attention.surprise", 1)},
        "llama.attention.surprise",
    ),
    "rope": (
        "llama",
        {"add": lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)},
        "found 'longrope' (none, linear, yarn are allowed)",
    ),
    "a part of a head turned": (
        "qwen3",
        {"add": lambda w: w.add_rope_dimension_count(8)},
        "qwen3.rope.dimension_count of the GGUF file: found 8 (32 is allowed)",
    ),
    "a width of heads": (
        "llama",
        {"add": lambda w: w.add_head_count(5)},
        "llama.attention.head_count_kv of the GGUF file: found 2 (a divisor of 5 is allowed)",
    ),
    "qwen's window": (
        "qwen2",
        {"add": lambda w: w.add_sliding_window(64)},
        "qwen2.attention.sliding_window",
    ),
    "another tensor": (
        "llama",
        {"tensors": {"blk.0.attn_sinks.weight": np.zeros(4, np.float32)}},
        "llama LMs have no tensor 'blk.0.attn_sinks.weight'",
    ),
    "a shape": (
        "llama",
        {"tensors": {"output_norm.weight": np.ones(32, np.float32)}},
        "the tensor 'output_norm.weight' has the shape (32,) ((64,) is allowed)",
    ),
    "pre-tokenizer": (
        "llama",
        {"tokenizer": lambda w: add_byte_tokens(w, "viking")},
        "tokenizer.ggml.pre of the GGUF file is not known: 'viking'",
    ),
}


@pytest.mark.parametrize(("architecture", "options", "message"), CASES.values(), ids=CASES)
def test_what_structq_cannot_run_is_named(tmp_path, architecture, options, message):
    path = write_tiny_gguf(tmp_path / "tiny.gguf", architecture, **options)
    with pytest.raises(InputError) as caught:
        convert(path)
    assert message in str(caught.value)


def test_a_file_without_a_chat_template_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf.GGUFWriter, "add_chat_template", lambda *_: None)
    path = write_tiny_gguf(tmp_path / "base.gguf", "llama")
    with pytest.raises(InputError, match=r"'base\.gguf' has no chat template"):
        convert(path)
