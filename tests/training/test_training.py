import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import structq

torch = pytest.importorskip("torch")
from training.graph import DecoderConfig  # noqa: E402
from training.model import Decoder, _Attention  # noqa: E402
from training.package import write_package  # noqa: E402
from training.train import Settings, train  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("length", [1, 95, 96, 97, 200])
def test_attention_by_blocks_and_its_gradients_are_those_of_the_whole(length: int):
    torch.manual_seed(0)
    mine = [torch.randn(2, 3, length, 16, requires_grad=True) for _ in range(3)]
    other = [x.detach().clone().requires_grad_() for x in mine]
    weight = torch.randn(2, 3, length, 16)
    out = _Attention.apply(*mine)
    wanted = torch.nn.functional.scaled_dot_product_attention(*other, is_causal=True)
    (out * weight).sum().backward()
    (wanted * weight).sum().backward()
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=1e-4)
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-4)


def test_no_position_sees_a_later_token():
    model = Decoder(DecoderConfig(n_vocab=64, n_layers=2))
    tokens = torch.randint(0, 64, (1, 120))
    changed = tokens.clone()
    changed[0, 100:] = 0
    a, b = model(tokens)[0], model(changed)[0]
    torch.testing.assert_close(a[:, :100], b[:, :100])
    assert not torch.allclose(a[:, 100:], b[:, 100:])


@pytest.fixture
def quick(monkeypatch):
    """A training of a few steps: so few that compiling, which takes minutes, would not pay."""
    monkeypatch.setenv("TORCH_COMPILE_DISABLE", "1")  # read by the process that trains
    return lambda steps, **options: Settings(
        steps=steps, processes=1, batch_tokens=1536, report_steps=1, **options
    )


def read_log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf8").splitlines()]


@pytest.mark.slow
def test_training_goes_on_from_the_files_that_are_shipped(tmp_path, quick):
    shipped = Path(structq.__file__).parent / "nano"
    for name in ("model.onnx", "model.json", "tokenizer.json"):
        shutil.copyfile(shipped / name, tmp_path / name)
    train(quick(1, resume=True), tmp_path)
    (only,) = read_log(tmp_path)
    assert only["text"] < 1  # from scratch it is above 8


@pytest.mark.slow
def test_a_short_training_leaves_a_model_that_is_served(tmp_path, quick):
    train(quick(8), tmp_path)
    write_package(tmp_path, tmp_path)
    log = read_log(tmp_path)
    assert [line["step"] for line in log] == [*range(1, 9)]
    assert np.mean([line["text"] for line in log[-2:]]) < log[0]["text"]
    scorer = structq.QualityScorer(lm=f"onnx:{tmp_path}")
    out = scorer(instruction="Why is the sky blue?", responses=["Because.", "Air scatters light."])
    assert len(out.expected_scores) == 2
