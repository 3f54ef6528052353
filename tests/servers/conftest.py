from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training.export import export

if TYPE_CHECKING:
    from tests.servers.llama import LlamaServer


@pytest.fixture(scope="session")
def nano_server(tmp_path_factory) -> LlamaServer:
    """llama.cpp's server with nano's weights."""
    pytest.importorskip("xllamacpp", reason="no wheel for this platform")
    from tests.servers.llama import LlamaServer

    return LlamaServer(export("gguf", tmp_path_factory.mktemp("gguf")))
