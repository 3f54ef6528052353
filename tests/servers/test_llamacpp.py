"""A GGUF file opened by its path, next to structq's own engine with the same weights."""

import re
import sys

import pytest

import structq
from structq.errors import InputError
from training.export import export

ROW = {
    "instruction": "Why do leaves fall in autumn?",
    "responses": ["They fall.", "Leaves fall because the tree saves water in winter.", ""],
}


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    pytest.importorskip("xllamacpp", reason="no wheel for this platform")
    return export("gguf", tmp_path_factory.mktemp("gguf"))


def test_scores_and_distributions_are_those_of_our_own_engine(gguf):
    lm = structq.lm(f"llamacpp:{gguf}", top_logprobs=300)
    theirs = structq.QualityScorer(lm=lm, scale=(1, 6), form="compact")(**ROW)
    ours = structq.QualityScorer(lm=structq.lm("nano"), scale=(1, 6))(**ROW)
    # Its attention works in half precision.
    assert theirs.score_distributions[0] == pytest.approx(ours.score_distributions[0], abs=2e-2)
    assert len(theirs.scores) == 3


@pytest.mark.parametrize("form", ["json", "compact"])
def test_scores_have_the_layout_that_the_prompt_shows(gguf, form):
    scorer = structq.QualityScorer(lm=structq.lm(f"llamacpp:{gguf}"), scale=(1, 6), form=form)
    (call,) = scorer(**ROW).metadata["calls"]
    assert re.fullmatch(r'\{"scores": ?\[\d, ?\d, ?\d\]\}', call["raw_output"])


def test_one_server_serves_a_file_and_a_saved_lm_finds_it(gguf):
    lm = structq.lm(f"llamacpp:{gguf}", temperature=0.5)
    assert structq.lm(f"llamacpp:{gguf}").address == lm.address
    assert structq.lm(f"llamacpp:{gguf}", n_slots=2).address != lm.address
    assert structq.lm(f"llamacpp:{gguf}", n_threads=1, n_slots=3).dump_state()["n_threads"] == 1
    state = lm.dump_state()
    assert "api_base" not in state
    again = type(lm).load_state(state)
    assert (again.address, again.model, again.kwargs["temperature"]) == (lm.address, lm.model, 0.5)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        structq.lm(f"llamacpp:{tmp_path}/missing.gguf")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"text", "is not a GGUF file"), (b"GGUF" + bytes(40), "llama.cpp cannot serve")],
)
def test_a_file_that_is_no_model_is_named(tmp_path, content, message):
    pytest.importorskip("xllamacpp", reason="no wheel for this platform")
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        structq.lm(f"llamacpp:{path}")


@pytest.mark.parametrize("option", ["window", "n_slots", "n_threads"])
def test_wrong_options_are_named(tmp_path, option):
    with pytest.raises(InputError, match=f"{option} must be 1 or more: found 0"):
        structq.lm(f"llamacpp:{tmp_path}/x.gguf", **{option: 0})


def test_a_missing_package_comes_with_its_install_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    path = tmp_path / "lm.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(InputError, match=r'pip install "structq\[llamacpp\]"'):
        structq.lm(f"llamacpp:{path}")
