import sys

import pytest

import structq
from structq.engines.registry import is_local, open_lm
from structq.errors import InputError


@pytest.mark.parametrize(
    ("spec", "local"),
    [
        ("nano", True),
        ("onnx:x", True),
        ("transformers:a/b", True),
        ("openai/gpt", False),
        ("ollama/qwen3:4b", False),
    ],
)
def test_local_specs_are_known_by_their_kind(spec, local):
    assert is_local(spec) is local


def test_one_folder_is_opened_once(tiny_folder):
    lm = open_lm(f"onnx:{tiny_folder}")
    assert open_lm(f"onnx:{tiny_folder}/../{tiny_folder.name}") is lm
    lm.close()
    again = open_lm(f"onnx:{tiny_folder}")
    assert again is not lm
    again.close()


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("onnx:", {}, "not a local LM"),
        ("transformers:?dtype=float32", {}, "not a local LM"),
        ("onnx:x?dtype=float32", {}, "unknown option of onnx LMs: 'dtype'"),
        ("transformers:x", {"devise": "cpu"}, "unknown option of transformers LMs: 'devise'"),
        ("transformers:x?window=wide", {}, "window is no int: 'wide'"),
    ],
)
def test_a_wrong_spec_is_named(spec, options, message):
    with pytest.raises(InputError, match=message):
        open_lm(spec, **options)


def test_a_missing_package_comes_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "structq.engines.backends.transformers.runtime", raising=False)
    monkeypatch.delitem(
        sys.modules, "structq.engines.backends.transformers.slot_cache", raising=False
    )
    with pytest.raises(InputError, match=r'pip install "structq\[transformers\]"'):
        structq.lm("transformers:a/b")
