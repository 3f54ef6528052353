"""The llama.cpp server of the ``xllamacpp`` wheel, in this process, on loopback."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import xllamacpp


class LlamaServer:
    """A server that is up when its constructor returns, within half a second for nano's GGUF.

    The port is free for the taking. It serves until the object is dropped.
    """

    def __init__(self, path: Path, *, n_slots: int = 4, window: int = 2048) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.port = 0
        params.n_parallel = n_slots
        params.n_ctx = n_slots * window
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        # As exact as the engines it is compared with: flash attention works in half precision.
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.warmup = params.ui = False
        params.verbosity = 0
        self._server = xllamacpp.Server(params)
        self.address: str = self._server.listening_address

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self.address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)
