import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import structq
from structq.engines.registry import is_local, open_lm
from structq.engines.sharing import Shared
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
        ("transformers:x?window=wide", {}, "window must be an integer, 2 or more: found 'wide'"),
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


def test_an_opening_keeps_nobody_waiting_but_callers_of_the_same_key():
    shared, begun, go = Shared(), threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go.wait(10)
        return object()

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(shared.get, "a", slow)
        assert begun.wait(10)
        second = pool.submit(shared.get, "a", lambda: pytest.fail("opened twice"))
        assert shared.get("b", lambda: "other") == "other"  # while the first is still opening
        assert not first.done()
        assert not second.done()
        go.set()
        assert first.result(10) is second.result(10)


def test_an_opening_that_fails_is_tried_again():
    shared = Shared()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            shared.get("a", lambda: 1 / 0)
    assert shared.get("a", lambda: 7) == 7


def test_what_is_closed_is_opened_again():
    shared = Shared(is_open=lambda value: value != 1)
    assert [shared.get("a", lambda n=n: n) for n in (1, 2, 3)] == [1, 2, 2]


def test_another_lm_opens_while_one_is_still_opening(tiny_folder, tmp_path, monkeypatch):
    from structq.engines.backends.onnx.runtime import OnnxRuntime

    begun, go, start = threading.Event(), threading.Event(), OnnxRuntime.__init__

    def wait(self, folder, **options):
        if options.get("n_slots") == 3:
            begun.set()
            assert go.wait(30)
        start(self, folder, **options)

    monkeypatch.setattr(OnnxRuntime, "__init__", wait)
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(open_lm, f"onnx:{tiny_folder}", n_slots=3) for _ in range(2)]
        assert begun.wait(30)
        other = open_lm(f"onnx:{tiny_folder}", n_slots=2)
        assert not slow[0].done()
        go.set()
        assert slow[0].result(30) is slow[1].result(30) is not other
    for lm in (slow[0].result(), other):
        lm.close()
