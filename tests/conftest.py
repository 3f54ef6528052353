"""Small rows and scripted LMs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dspy
import pytest

from tests.scripted import ScriptedEngine, make_lm


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer of an earlier test or run: a server of now may have the port of one of then."""
    monkeypatch.setitem(vars(dspy), "cache", dspy.clients.Cache(False, True, ""))


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def lm(engine: ScriptedEngine) -> dspy.LM:
    return make_lm(engine)


@pytest.fixture
def measuring() -> ScriptedEngine:
    return ScriptedEngine(measures=True)


@pytest.fixture
def measuring_lm(measuring: ScriptedEngine) -> dspy.LM:
    return make_lm(measuring)


@pytest.fixture
def configured(lm: dspy.LM) -> Iterator[dspy.LM]:
    """DSPy with the scripted LM and its stock adapter."""
    with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        yield lm


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [
        {"id": 1, "instruction": "Why is the sky blue?", "response": "Air scatters blue light."},
        {"id": 2, "instruction": "Name a prime.", "response": "7"},
        {"id": 3, "instruction": "Write nothing.", "response": ""},
        {"id": 4, "instruction": "Explain {{ user.name }}.", "response": "It prints [1] a name."},
    ]
