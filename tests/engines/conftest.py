import pytest

from structq.engines.backends.onnx.runtime import OnnxRuntime
from tests.tiny_lm import write_tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("lm") / "tiny")


@pytest.fixture
def runtime(tiny_folder):
    return OnnxRuntime(tiny_folder, n_slots=33, n_threads=1)
