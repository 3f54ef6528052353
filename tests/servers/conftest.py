from __future__ import annotations

import pytest

from structq.nano.export import export
from tests.servers.llama import LlamaServer


@pytest.fixture(scope="session")
def nano_server(tmp_path_factory) -> LlamaServer:
    """llama.cpp's server with nano's weights."""
    return LlamaServer(export("gguf", tmp_path_factory.mktemp("gguf")))
