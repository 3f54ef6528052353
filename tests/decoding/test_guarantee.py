"""The benchmark that other rooms cite: a small run of it, and its own checks."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tokenizers import Tokenizer

from tests.decoding.walks import TOKENIZERS


@pytest.fixture(scope="module")
def guarantee() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "guarantee.py"
    spec = importlib.util.spec_from_file_location("guarantee", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["guarantee"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_random_logits_give_valid_answers_alone(
    guarantee: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZERS["merged-digits"]().save(str(path))
    assert guarantee.main(["--tokenizer", str(path), "--vectors", "160", "--texts", "20"]) == 0
    printed = capsys.readouterr().out
    assert "score vectors: 160 drawn, 160 valid, 0 invalid, 0 cut off" in printed
    assert "evolved texts: 20 drawn, 20 valid, 0 invalid, 0 cut off" in printed


@pytest.mark.parametrize("kind", ["bytes", "pieces"])
def test_the_parts_of_a_run_are_the_run(
    guarantee: ModuleType, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    size = ["--synthetic-vocabulary", "2000", "--kind", kind, "--vectors", "20", "--texts", "5"]
    for part, n_vectors, n_texts in (("1/2", 10, 3), ("2/2", 10, 2)):
        assert guarantee.main([*size, "--part", part]) == 0
        printed = capsys.readouterr().out
        assert f"score vectors: {n_vectors} drawn, {n_vectors} valid" in printed
        assert f"evolved texts: {n_texts} drawn, {n_texts} valid" in printed


def test_an_invalid_answer_is_exit_code_1(
    guarantee: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarantee.Sampler, "draw", lambda *_, **__: (b'{"scores":[0]}', True))
    arguments = ["--synthetic-vocabulary", "300", "--vectors", "1", "--texts", "0"]
    assert guarantee.main(arguments) == 1


def test_a_text_at_the_cap_is_cut_off_and_not_valid(guarantee: ModuleType) -> None:
    grammars = guarantee.Grammars(guarantee.synthetic_tokenizer(400), eos_token_id=0, n_vocab=400)
    sampler = guarantee.Sampler(grammars, guarantee.Timings())
    found = guarantee.check_texts(sampler, range(5), seed=1, max_tokens=4)
    assert found == {"cut off": 5}


def test_without_a_tokenizer_nothing_runs(
    guarantee: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        guarantee.main(["--tokenizer", str(tmp_path / "none.json")])
    assert caught.value.code == 2
    assert "no tokenizer at" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        b'{"scores": [1, 4]}',
        b'{"scores": [1]}',
        b'{"scores": [1,2]}',
        b'{"scores": [1, true]}',
        b'{"scores": [1, 2.0]}',
        b'{"scores": [1, 2], "scores": [1, 2]}',
        b'{"scores": [1, NaN]}',
        b'{"scores": [1, 2]}\xff',
        b'{"scores": [1, 2]',
        b"[1, 2]",
    ],
)
def test_the_check_itself_finds_what_is_wrong(guarantee: ModuleType, text: bytes) -> None:
    assert guarantee.score_fault(b'{"scores": [1, 2]}', 2, range(1, 4)) is None
    assert guarantee.score_fault(text, 2, range(1, 4)) is not None


def test_the_synthetic_vocabulary_is_the_same_every_time_and_spells_any_text(
    guarantee: ModuleType,
) -> None:
    tokenizer: Tokenizer = guarantee.synthetic_tokenizer(3000)
    again: Tokenizer = guarantee.synthetic_tokenizer(3000)
    assert json.loads(tokenizer.to_str()) == json.loads(again.to_str())
    assert tokenizer.get_vocab_size() == 3000
    text = 'naïve "日本語" \\ 🙂'
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
