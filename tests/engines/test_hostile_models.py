"""Damaged model files: refused by name, or harmless; none kills the process or keeps it."""

import json
import shutil

import numpy as np
import onnx
import pytest

import structq
from benchmarks.hostile_models import kind_of, outcomes
from structq.engines.backends.onnx.vetting import check_graph
from structq.errors import InputError
from tests.hub_export import write_hub


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STRUCTQ_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return write_hub(tmp_path_factory.mktemp("hub") / "lm")


@pytest.fixture
def folder(hub, tmp_path):
    return shutil.copytree(hub, tmp_path / "lm")


@pytest.mark.parametrize(
    "n_files", [20, pytest.param(200, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_changed_files_are_refused_or_work(n_files):
    bad = [
        (what, end)
        for _, what, end, _ in outcomes(n_files, seed=n_files)
        if kind_of(end) not in ("works", "refused")
    ]
    assert not bad


def test_a_good_export_is_tried_out_once(folder, home, monkeypatch):
    structq.lm(f"onnx:{folder}", n_threads=1).engine.close()
    assert len(list((home / "tried").iterdir())) == 1
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("tried again"))
    structq.lm(f"onnx:{folder}", n_threads=1).engine.close()


def change(folder, edit):
    path = folder / "onnx" / "model.onnx"
    model = onnx.load(str(path))
    edit(model.graph)
    path.write_bytes(model.SerializeToString())
    return path


def first(graph, n_dims=2):
    return next(tensor for tensor in graph.initializer if len(tensor.dims) == n_dims)


def outside(**told):
    def edit(graph):
        tensor = first(graph)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in told.items():
            tensor.external_data.add(key=key, value=value)

    return edit


def set_dims(*dims):
    def edit(graph):
        first(graph).dims[:] = dims

    return edit


def set_type(graph):
    first(graph).data_type = 99


def set_attribute(name, value):
    def edit(graph):
        graph.node[0].attribute.append(onnx.helper.make_attribute(name, value))

    return edit


FAULTS = {
    "no operators": (lambda graph: graph.ClearField("node"), "no operators"),
    "dims": (set_dims(3, 3), "bytes, not 36"),
    "nought": (set_dims(0, 3), r"has the shape \[0, 3\]"),
    "less": (set_dims(-1, 3), r"has the shape \[-1, 3\]"),
    "huge": (set_dims(2**40, 2**40), "has the shape"),
    "type": (set_type, "has the type 99"),
    "up": (outside(location="../tokenizer.json"), "lies outside its folder"),
    "absolute": (outside(location="/etc/passwd"), "lies outside its folder"),
    "nowhere": (outside(location="none.data"), "needs a file that is not there"),
    "too far": (outside(location="model.onnx", offset="99999999"), "is not in 'model.onnx'"),
    "no number": (outside(location="model.onnx", offset="x"), "is not in 'model.onnx'"),
    "block": (set_attribute("block_size", 0), r"block_size = \[0\]"),
    "heads": (set_attribute("kv_num_heads", 0), r"kv_num_heads = \[0\]"),
    "strides": (set_attribute("strides", [1, 0]), r"strides = \[1, 0\]"),
}


@pytest.mark.parametrize(("edit", "message"), FAULTS.values(), ids=FAULTS)
def test_a_graph_that_contradicts_itself_is_named_before_it_is_opened(folder, edit, message):
    with pytest.raises(InputError, match=message):
        check_graph(change(folder, edit))


def test_a_link_that_leaves_the_folder_is_refused_but_the_hubs_own(folder, tmp_path):
    n_bytes = first(onnx.load(str(folder / "onnx/model.onnx")).graph).raw_data
    data = tmp_path / "models--a--b" / "blobs" / "data"
    data.parent.mkdir(parents=True)
    data.write_bytes(n_bytes)
    path = change(folder, outside(location="model.data"))
    (folder / "onnx/model.data").symlink_to(data)
    with pytest.raises(InputError, match="needs a file that is not there"):
        check_graph(path)
    snapshot = shutil.copytree(
        folder, tmp_path / "models--a--b" / "snapshots" / "main", symlinks=True
    )
    graph = snapshot / "onnx" / "model.onnx"
    assert check_graph(graph) == [graph.with_name("model.data"), graph]


def test_what_dies_in_its_first_pass_is_refused(folder, monkeypatch):
    """As a native crash would: the process of the trial ends without a word."""
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGFPE)"
    (folder / "sitecustomize.py").write_text(killed)
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(InputError, match=r"process ended with -8"):
        structq.lm(f"onnx:{folder}", n_threads=1)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("model.json", {"n_layers": 1e308}, "n_layers is 1e.308 .1 to 1000 are allowed"),
        ("model.json", {"window": -1}, "window is -1"),
        ("model.json", {"head_dim": True}, "head_dim is True"),
        ("model.json", {"chat_template": "x", "eos_token_id": 4}, "no place for the text"),
        ("tokenizer.json", {"model": {"type": "BPE"}}, "is not a tokenizer"),
        ("tokenizer.json", {"model": None}, "is not a tokenizer"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_named(tmp_path, name, values, message):
    from structq.engines.kinds import NANO

    folder = shutil.copytree(NANO, tmp_path / "nano")
    found = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**found, **values}))
    with pytest.raises(InputError, match=message):
        structq.lm(f"onnx:{folder}", n_threads=1)


def test_numbers_in_other_fields_are_counted(folder):
    def edit(graph):
        tensor = first(graph)
        n_numbers = int(np.prod(tensor.dims))
        tensor.ClearField("raw_data")
        tensor.float_data.extend([0.0] * (n_numbers - 1))

    with pytest.raises(InputError, match="numbers, not"):
        check_graph(change(folder, edit))
