"""Whatever way DSPy runs a program concurrently: one engine, one batch, one set of weights."""

import asyncio
import copy
from typing import Annotated

import dspy
import pytest
from pydantic import Field

from structq import QualityScorer, StructAdapter, lm
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.registry import open_lm


class Note(dspy.Signature):
    """Write a note."""

    text: str = dspy.InputField()
    note: Annotated[str, Field(min_length=40, max_length=40)] = dspy.OutputField()


class Writer(dspy.Module):
    def __init__(self):
        super().__init__()
        self.write = dspy.Predict(Note)

    def forward(self, text):
        return self.write(text=text)


@pytest.fixture
def opened(monkeypatch):
    """Folders of the runtimes that were opened, each once a copy of the weights."""
    folders = []
    start = OnnxRuntime.__init__

    def count(self, folder, **options):
        folders.append(folder)
        start(self, folder, **options)

    monkeypatch.setattr(OnnxRuntime, "__init__", count)
    return folders


@pytest.fixture
def model(tiny_folder, opened):
    """A fresh LM: its weights are loaded once, and its batches are its own."""
    spec = f"onnx:{tiny_folder}"
    open_lm(spec).close()
    opened.clear()
    model = lm(spec)
    with dspy.context(lm=model, adapter=StructAdapter()):
        yield model
    model.engine.close()


def batches(model):
    return model.engine.lm.scheduler.batch_sizes


def mean(sizes):
    return sum(sizes) / len(sizes)


def texts(n):
    return [f"row {i} " * (i % 5 + 1) for i in range(n)]


def test_256_concurrent_acalls_share_wide_batches(model, opened):
    write = dspy.Predict(Note)

    async def call_all():
        return await asyncio.gather(*(write.acall(text=text) for text in texts(256)))

    found = asyncio.run(call_all())
    assert all(len(one.note) == 40 for one in found)
    assert mean(batches(model)) >= 24
    assert len(opened) == 1


def test_a_batch_changes_no_answer(model):
    write = dspy.Predict(Note)
    alone = [write(text=text).note for text in texts(5)]

    async def call_all():
        return await asyncio.gather(*(write.acall(text=text) for text in texts(40)))

    assert [one.note for one in asyncio.run(call_all())[:5]] == alone


def test_parallel_threads_share_batches(model, opened):
    write = dspy.Predict(Note)
    pairs = [(write, dspy.Example(text=text).with_inputs("text")) for text in texts(48)]
    found = dspy.Parallel(num_threads=16, disable_progress_bar=True)(pairs)
    assert all(len(one.note) == 40 for one in found)
    assert max(batches(model)) > 1
    assert len(opened) == 1


def test_asyncified_programs_share_batches(model, opened):
    write = dspy.asyncify(Writer())

    async def call_all():
        return await asyncio.gather(*(write(text=text) for text in texts(24)))

    assert len(asyncio.run(call_all())) == 24
    assert max(batches(model)) > 1
    assert len(opened) == 1


def test_module_batch_shares_batches(model, opened):
    examples = [dspy.Example(text=text).with_inputs("text") for text in texts(24)]
    found = Writer().batch(examples, num_threads=8, disable_progress_bar=True)
    assert len(found) == 24
    assert max(batches(model)) > 1
    assert len(opened) == 1


@pytest.mark.parametrize(
    "again",
    [copy.deepcopy, lambda program: program.deepcopy(), lambda program: program.reset_copy()],
    ids=["copy.deepcopy", "deepcopy", "reset_copy"],
)
def test_copies_of_a_program_share_the_engines(model, opened, again):
    program = Writer()
    program.set_lm(model)
    copied = again(program)
    if copied.write.lm is None:  # a reset forgets the LM of a predictor
        copied.set_lm(model)
    assert copied.write.lm.engine is model.engine
    assert copied(text="x").note == program(text="x").note
    assert asyncio.run(copied.write.acall(text="x")).note == program(text="x").note
    assert len(opened) == 1


def test_a_loaded_program_shares_the_weights(model, opened):
    program = Writer()
    program.set_lm(model)
    loaded = Writer()
    loaded.load_state(program.dump_state(), allow_unsafe_lm_state=True)
    assert loaded.write.lm.engine.lm is model.engine.lm
    assert loaded(text="x").note == program(text="x").note
    assert asyncio.run(loaded.write.acall(text="x")).note == program(text="x").note
    assert len(opened) == 1


def test_independent_scores_cost_one_pass_each_and_joint_ones_k_in_a_row(model):
    asked = {"instruction": "Why?", "responses": ["a", "bbb", "cc"]}
    alone = QualityScorer(scale=(1, 6), scoring="independent")(**asked)
    joint = QualityScorer(scale=(1, 6))(**asked)
    assert [call["n_passes"] for call in alone.metadata["calls"]] == [1, 1, 1]
    assert [call["n_passes"] for call in joint.metadata["calls"]] == [3]
    assert alone.scores == QualityScorer(scale=(1, 6), scoring="independent")(**asked).scores
    [again] = QualityScorer(scale=(1, 6), scoring="independent")(
        instruction="Why?", responses=["cc"]
    ).expected_scores
    assert again == alone.expected_scores[2]
