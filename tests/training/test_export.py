import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.chat_template import chat_template
from structq.errors import InputError
from tests.tiny_lm import CHAT, random_weights, tiny_config, write_tiny
from training.export import export, main
from training.graph import quantize_rows
from training.weights import read_checkpoint


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Another shape than the defaults, so that none can stand in for a fact of the files."""
    folder = write_tiny(tmp_path_factory.mktemp("export") / "tiny")
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(
        json.dumps({**facts, "chat": {**CHAT, "pad": "<|pad|>"}}), encoding="utf-8"
    )
    return folder


def test_a_checkpoint_holds_what_the_int8_file_stands_for(source):
    checkpoint = read_checkpoint(source)
    config = tiny_config(checkpoint.config.n_vocab)
    assert checkpoint.config == config
    trained = random_weights(config)
    assert checkpoint.weights.keys() == trained.keys()
    for name, matrix in trained.items():
        if matrix.ndim == 2:
            stored, scale = quantize_rows(matrix)
            matrix = stored * scale[:, None]
        np.testing.assert_array_equal(checkpoint.weights[name], matrix)


def test_float32_storage_is_read_back_unchanged(tmp_path):
    folder = write_tiny(tmp_path / "exact", storage="float32")
    checkpoint = read_checkpoint(folder)
    for name, matrix in random_weights(checkpoint.config).items():
        np.testing.assert_array_equal(checkpoint.weights[name], matrix)


def test_onnx_fp32_answers_like_the_int8_file(source, tmp_path):
    rebuilt = OnnxRuntime(export("onnx-fp32", tmp_path / "fp32", source=source), n_slots=1)
    shipped = OnnxRuntime(source, n_slots=1)
    tokens = np.random.default_rng(0).integers(5, 300, 40).tolist()
    np.testing.assert_allclose(
        rebuilt.extend(0, tokens, 40), shipped.extend(0, tokens, 40), atol=1e-3
    )


def test_hf_has_the_files_of_a_checkpoint(source, tmp_path):
    pytest.importorskip("safetensors")
    folder = export("hf", tmp_path / "hf", source=source)
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["num_hidden_layers"] == tiny_config(1).n_layers
    assert config["eos_token_id"] == 4


def test_the_chat_template_writes_turns_as_they_are():
    jinja2 = pytest.importorskip("jinja2")
    template = jinja2.Template(chat_template(CHAT))
    turns = [{"role": "system", "content": " s\n"}, {"role": "user", "content": "{{ u }}"}]
    text = "<|system|> s\n<|end|><|user|>{{ u }}<|end|>"
    assert template.render(messages=turns) == text
    assert template.render(messages=turns, add_generation_prompt=True) == text + "<|assistant|>"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("model.onnx", None, "has no model.onnx"),
        ("model.json", None, "has no model.json"),
        ("model.onnx", "x", "holds no graph of structq's"),
        ("model.onnx", "", "holds no graph of structq's"),
        ("model.json", "{}", "holds no graph of structq's"),
    ],
)
def test_a_spoiled_source_is_named(source, tmp_path, name, text, message):
    folder = tmp_path / "lm"
    shutil.copytree(source, folder)
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(InputError, match=message):
        export("onnx-fp32", tmp_path / "out", source=folder)


def test_a_cut_off_graph_is_named(source, tmp_path):
    folder = tmp_path / "lm"
    shutil.copytree(source, folder)
    (folder / "model.onnx").write_bytes((source / "model.onnx").read_bytes()[:5000])
    with pytest.raises(InputError, match="the file is cut off"):
        read_checkpoint(folder)


def test_an_unknown_form_is_named(tmp_path):
    with pytest.raises(InputError, match="unknown form: 'pdf'"):
        export("pdf", tmp_path)


def test_the_source_is_never_overwritten(source):
    with pytest.raises(InputError, match="another directory"):
        export("onnx-fp32", source, source=source)


def test_the_command_says_where_it_wrote(source, tmp_path):
    out = tmp_path / "new" / "fp32"
    command = [sys.executable, "-m", "training.export", "--format", "onnx-fp32", str(out)]
    done = subprocess.run(
        [*command, "--source", str(source)], capture_output=True, text=True, check=True
    )
    assert done.stderr == f"wrote {out}\n"
    assert (out / "model.onnx").is_file()


def test_the_command_names_a_wrong_source(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--format", "hf", "--source", str(tmp_path), str(tmp_path / "out")])
    assert "has no model.json" in capsys.readouterr().err
