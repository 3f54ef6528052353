"""A GGUF file as an LM: one row's bits in every batch, what is reused, and the spec."""

import numpy as np
import pytest

import structq
from structq.engines.backends.gguf import convert
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.errors import InputError
from tests.tiny_gguf import add_scored_tokens, write_tiny_gguf
from tests.tiny_lm import CORPUS


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRUCTQ_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module", params=["Q4_1", "Q4_0", "Q8_0", "F32"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return convert(write_tiny_gguf(path, "gemma3", kind=request.param))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", "llama", kind="Q4_1")


def ids(n, seed=0):
    return np.random.default_rng(seed).integers(5, 380, n).tolist()


def row(runtime, slot, slots, prompt, tokens):
    """Logits of a row after its prompt and each of its tokens, among rows of other lengths."""
    rng = np.random.default_rng(len(slots))
    for other in slots:
        runtime.rewind(other, 0)
        runtime.extend(other, ids(int(rng.integers(1, 150)), other + 9), 1)
    runtime.rewind(slot, 0)
    seen = [runtime.extend(slot, prompt, 1)[0]]
    for token in tokens:
        said = rng.integers(5, 380, len(slots))
        said[slots.index(slot)] = token
        seen.append(runtime.step(slots, said.tolist())[slots.index(slot)])
    return np.array(seen)


@pytest.mark.parametrize("activations", ["float32", "int8"])
def test_a_row_has_the_same_bits_alone_and_among_others(folder, activations):
    runtime = OnnxRuntime(folder, n_slots=32, n_threads=1, activations=activations)
    prompt, tokens = ids(90, 1), ids(12, 2)
    alone = row(
        OnnxRuntime(folder, n_slots=1, n_threads=1, activations=activations), 0, [0], prompt, tokens
    )
    for slot, slots in (
        (0, [0]),
        (5, [5]),
        (1, [0, 1]),
        (3, range(8)),
        (0, range(8)),
        (31, range(32)),
    ):
        np.testing.assert_array_equal(row(runtime, slot, list(slots), prompt, tokens), alone)


def test_what_another_row_computed_changes_no_bit_and_is_not_computed_again(folder):
    plain = OnnxRuntime(folder, n_slots=2, n_threads=1, reuse_prefixes=False)
    saving = OnnxRuntime(folder, n_slots=2, n_threads=1)
    start, ends = ids(200), [ids(31, 1), ids(30, 2)]
    for slot, end in enumerate(ends):
        np.testing.assert_array_equal(
            saving.extend(slot, start + end, 2), plain.extend(slot, start + end, 2)
        )
    assert plain.n_computed == 461
    assert saving.n_computed == 231 + 30


def test_rounded_activations_are_near_those_in_float32(folder):
    exact, rounded = (
        OnnxRuntime(folder, n_slots=1, n_threads=1, activations=kind).extend(0, ids(50), 50)
        for kind in ("float32", "int8")
    )
    assert np.abs(exact - rounded).mean() < 0.05 * np.abs(exact).mean()


def test_scores_do_not_depend_on_batch_size_and_order(tiny):
    rows = [
        {"instruction": f"Name {n} primes.", "responses": ["2, 3, 5", "four " * (n % 7)]}
        for n in range(16)
    ]
    lm = structq.lm(f"gguf:{tiny}", n_threads=1)
    scorer = structq.QualityScorer(lm=lm)
    alone = [scorer(**row).expected_scores for row in rows]
    order = np.random.default_rng(0).permutation(16).tolist()
    together = next(scorer.process([rows[place] for place in order]))
    assert [found["expected_scores"] for found in together] == [alone[place] for place in order]


@pytest.mark.parametrize("prefix", [True, False], ids=["prefix", "no prefix"])
def test_pieces_with_scores_answer_in_a_schema(tmp_path, prefix):
    path = write_tiny_gguf(
        tmp_path / "pieces.gguf",
        "gemma3",
        tokenizer=lambda writer: add_scored_tokens(writer, CORPUS, prefix=prefix),
    )
    lm = structq.lm(f"gguf:{path}", n_threads=1)
    found = structq.QualityScorer(lm=lm)(instruction="Name a prime.", responses=["7", "eight"])
    assert all(score in (1, 2, 3) for score in found.scores)


def test_the_spec_names_the_weights_and_takes_options(tiny, tmp_path):
    lm = structq.lm(f"gguf:{tiny}?window=200", n_slots=2)
    assert lm.model.startswith("structq/tiny-")
    assert lm.engine.lm.window == 200
    other = write_tiny_gguf(tmp_path / "tiny.gguf", "llama", kind="Q4_1", seed=1)
    assert structq.lm(f"gguf:{other}").model != lm.model


@pytest.mark.parametrize(
    ("place", "options", "message"),
    [
        ("{}", {"window": 5000}, "window must be 2 to 4096: found 5000"),
        ("{}", {"n_slots": 0}, "n_slots must be 1 or more"),
        ("{}", {"n_threads": 0}, "n_threads must be 1 or more"),
        (
            "{}",
            {"reuse_prefixes": "perhaps"},
            "reuse_prefixes must be True or False: found 'perhaps'",
        ),
        ("{}", {"activations": "bfloat16"}, "found 'bfloat16' .float32, int8 allowed"),
        ("{}", {"file": "x.gguf"}, "is a file here"),
        ("{}?dtype=float16", {}, "unknown option of gguf LMs: 'dtype'"),
        ("missing.gguf", {}, "no such file"),
        ("owner/name", {}, "name the file"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_wrong_specs_are_named(tiny, monkeypatch, place, options, message):
    def no_network(name, revision):
        raise ConnectionError

    monkeypatch.setattr("huggingface_hub.list_repo_files", no_network)
    with pytest.raises(InputError, match=message):
        structq.lm("gguf:" + place.format(tiny), **options)


@pytest.fixture
def hub(tiny, monkeypatch):
    """A hub with one model of two files; what was asked of it."""
    asked = []

    def snapshot_download(name, *, revision, allow_patterns):
        asked.append((name, revision, allow_patterns))
        return str(tiny.parent)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr(
        "huggingface_hub.list_repo_files", lambda name, revision: ["tiny.gguf", "README.md"]
    )
    return asked


def test_a_file_of_the_hub_is_downloaded_alone(hub, tiny):
    lm = structq.lm("gguf:some/model?file=tiny.gguf&revision=main")
    assert hub == [("some/model", "main", ["tiny.gguf"])]
    assert lm.model == structq.lm(f"gguf:{tiny}").model


def test_the_only_file_of_a_model_need_not_be_named(hub, tiny):
    assert structq.lm("gguf:other/model").model == structq.lm(f"gguf:{tiny}").model


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("x.gguf", r"has no file 'x\.gguf' \(it has tiny\.gguf\)"),
        ("../tiny.gguf", "leaves the model's folder"),
    ],
)
def test_a_wrong_file_of_the_hub_is_named(hub, file, message):
    with pytest.raises(InputError, match=message):
        structq.lm("gguf:third/model", file=file)
