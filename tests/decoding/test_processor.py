from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from structq.decoding import RowwiseProcessor
from structq.errors import InputError, LMError, SchemaError
from tests.decoding.walks import EOS, closed, grammars, read_strictly, score_schema

ROOM = grammars("single-digits")
N_VOCAB = ROOM.vocabulary.n_vocab
PROMPT = ROOM.vocabulary.tokenize("the response ")
PAD = 0
SCHEMAS = [
    score_schema(1, [1, 2]),
    closed(evolved_response={"type": "string", "maxLength": 9}),
    score_schema(4, [1, 10]),
    None,
]


def _library(name: str) -> Any:
    return np if name == "numpy" else pytest.importorskip("torch")


LIBRARIES = pytest.mark.parametrize(
    "library", ["numpy", pytest.param("torch", marks=pytest.mark.torch)]
)


def _generate(processor: RowwiseProcessor, library: Any, n_rows: int, seed: int) -> list[list[int]]:
    """What a generation loop in the manner of transformers does, on random logits."""
    rng = np.random.default_rng(seed)
    rows = [list(PROMPT) for _ in range(n_rows)]
    ended = [False] * n_rows
    for _ in range(60):
        logits = rng.normal(size=(n_rows, N_VOCAB)).astype(np.float32)
        tensor = library.asarray(logits)
        scores = np.asarray(processor(library.asarray(np.array(rows)), tensor))
        np.testing.assert_array_equal(np.asarray(tensor), logits)
        for row, score in enumerate(scores):
            token = PAD if ended[row] else int(score.argmax())
            ended[row] = ended[row] or token == EOS
            rows[row].append(token)
        if all(ended[:-1]):
            break
    return [row[len(PROMPT) :] for row in rows]


@LIBRARIES
def test_every_row_obeys_its_own_schema(library: str) -> None:
    module = _library(library)
    processor = RowwiseProcessor(ROOM, SCHEMAS, tensor_library_name=library)
    for seed in range(8):
        processor.reset()
        rows = _generate(processor, module, len(SCHEMAS), seed)
        answers = [read_strictly(ROOM.vocabulary.decode(row[: row.index(EOS)])) for row in rows[:3]]
        assert answers[0]["scores"][0] in {1, 2}
        assert len(answers[1]["evolved_response"]) <= 9
        assert len(answers[2]["scores"]) == 4
        assert set(answers[2]["scores"]) <= {1, 10}


@pytest.mark.torch
def test_numpy_and_torch_give_the_same_rows() -> None:
    torch = pytest.importorskip("torch")
    arrays = RowwiseProcessor(ROOM, SCHEMAS)
    tensors = RowwiseProcessor(ROOM, SCHEMAS, tensor_library_name="torch")
    assert _generate(arrays, np, 4, 3) == _generate(tensors, torch, 4, 3)


def test_a_free_row_is_not_masked() -> None:
    processor = RowwiseProcessor(ROOM, [None])
    logits = np.zeros((1, N_VOCAB), dtype=np.float32)
    assert np.isfinite(processor(np.array([PROMPT]), logits)).all()


def test_a_row_that_ended_can_only_end_again() -> None:
    processor = RowwiseProcessor(ROOM, [{"enum": [1, 2]}, None])
    one = ROOM.vocabulary.tokenize("1")
    rows = np.array([PROMPT, PROMPT])
    logits = np.zeros((2, N_VOCAB), dtype=np.float32)
    processor(rows, logits)
    rows = np.concatenate([rows, [[*one, EOS], [EOS, PAD]]], axis=1)
    masked = processor(rows, logits)
    assert [np.flatnonzero(np.isfinite(row)).tolist() for row in masked] == [[EOS], [EOS]]


def test_forced_runs_between_steps_are_consumed() -> None:
    processor = RowwiseProcessor(ROOM, [score_schema(1, [1, 2])])
    logits = np.zeros((1, N_VOCAB), dtype=np.float32)
    processor(np.array([PROMPT]), logits)
    run = ROOM.vocabulary.tokenize('{"scores": [')
    masked = processor(np.array([PROMPT + run]), logits)[0]
    allowed = {ROOM.vocabulary.tokens[at] for at in np.flatnonzero(np.isfinite(masked))}
    assert allowed == {b"1", b"2"}


def test_one_schema_serves_every_row_and_a_single_row_may_be_flat() -> None:
    processor = RowwiseProcessor(ROOM, [score_schema(1, [1, 2])])
    batch = processor(np.array([PROMPT] * 3), np.zeros((3, N_VOCAB), dtype=np.float32))
    processor.reset()
    flat = processor(np.array(PROMPT), np.zeros(N_VOCAB, dtype=np.float32))
    assert flat.shape == (N_VOCAB,)
    assert (batch == flat).all()


def test_reset_starts_another_generation() -> None:
    processor = RowwiseProcessor(ROOM, [score_schema(1, [1, 2])])
    first = _generate(processor, np, 2, 5)
    processor.reset()
    assert _generate(processor, np, 2, 5) == first


def test_a_second_generation_without_reset_is_an_error() -> None:
    processor = RowwiseProcessor(ROOM, SCHEMAS)
    _generate(processor, np, 4, 1)
    with pytest.raises(InputError, match="reset"):
        _generate(processor, np, 4, 1)


def test_a_token_against_the_schema_is_an_error() -> None:
    processor = RowwiseProcessor(ROOM, [score_schema(1, [1, 2])])
    logits = np.zeros((1, N_VOCAB), dtype=np.float32)
    processor(np.array([PROMPT]), logits)
    with pytest.raises(LMError, match="does not allow"):
        processor(np.array([[*PROMPT, *ROOM.vocabulary.tokenize("x")]]), logits)


@pytest.mark.parametrize(
    ("schemas", "library", "message"),
    [([], "numpy", "schemas is empty"), ([None], "jax", "unknown tensor library")],
)
def test_wrong_settings_fail_at_construction(schemas: Any, library: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RowwiseProcessor(ROOM, schemas, tensor_library_name=library)


def test_a_bad_schema_fails_at_construction() -> None:
    with pytest.raises(SchemaError, match="'not'"):
        RowwiseProcessor(ROOM, [None, {"not": {}}])


@pytest.mark.parametrize(("n_rows", "n_vocab"), [(3, N_VOCAB), (2, N_VOCAB + 1)])
def test_another_batch_than_expected_is_an_error(n_rows: int, n_vocab: int) -> None:
    processor = RowwiseProcessor(ROOM, [None, None])
    with pytest.raises(InputError, match=r"rows|shape"):
        processor(np.array([PROMPT] * n_rows), np.zeros((n_rows, n_vocab), dtype=np.float32))
