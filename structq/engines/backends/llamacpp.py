"""A GGUF file in this process: llama.cpp's own server, from a wheel that needs no compiler.

llama-cpp-python has no batch: its rows would wait for each other. The server has, and is asked like
any other (`backends.servers`): it gets a strict schema, or for scores a grammar, so that their
layout is not the LM's to choose, and shows the log probabilities from which scores are measured. It
listens on loopback alone, at a free port.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from structq.engines.backends.servers import ServerLM
from structq.engines.model_files import fingerprint
from structq.engines.sharing import Shared
from structq.errors import InputError

__all__ = ["LlamaCppLM"]

_OPEN: Shared[tuple[Any, ...], Any] = Shared()
_MAGIC = b"GGUF"


class LlamaCppLM(ServerLM):
    """A `ServerLM` whose server this process runs; see `structq.lm`.

    One server serves all LMs of a file and of the same options, until the process ends.

    Args:
        spec: ``"llamacpp:<file.gguf>"``.
        window: Most tokens of a row, prompt and answer together.
        n_slots: Rows that share its passes; memory is taken for ``n_slots * window`` tokens.
        n_threads: Threads of one pass; ``None`` takes half of the machine's. llama.cpp's threads
            wait for each other at every step: where one of them has to share its core, as all do on
            a busy machine that gives each core one, the others stand still.
        options: As in `ServerLM`. DSPy's response cache and its retries are off unless asked for,
            as for all LMs of this process.

    Raises:
        InputError: No such file, not a GGUF file that llama.cpp can serve, or the package for it is
            missing.
    """

    _grammars = True

    def __init__(
        self,
        spec: str,
        *,
        window: int = 2048,
        n_slots: int = 4,
        n_threads: int | None = None,
        **options: Any,
    ) -> None:
        n_threads = max(1, (os.cpu_count() or 1) // 2) if n_threads is None else n_threads
        self.opening = {"window": window, "n_slots": n_slots, "n_threads": n_threads}
        path = _file(spec)
        self.file = f"llamacpp:{path}"
        server = _OPEN.get(
            (path, *self.opening.values()), lambda: _serve(path, window, n_slots, n_threads)
        )
        settings = {"cache": False, "num_retries": 0, **options}
        super().__init__(
            # The weights are part of the name: DSPy's cache knows a response by it.
            f"llamacpp-server/{path.stem}-{fingerprint([path])}",
            api_base=str(server.listening_address),
            **settings,
        )

    def dump_state(self) -> dict[str, Any]:
        """What the LM is made of: the file, and not the port where it happens to be served."""
        state = super().dump_state()
        del state["api_base"]
        return {**state, **self.opening, "spec": self.file}


def _file(spec: str) -> Path:
    path = Path(spec.partition(":")[2]).expanduser().resolve()
    if not path.is_file():
        raise InputError(f"no such file: {str(path)!r}", field="lm")
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise InputError(f"{str(path)!r} is not a GGUF file", field="lm")
    return path


def _serve(path: Path, window: int, n_slots: int, n_threads: int) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise InputError(
            f'GGUF files need another package ({error}): pip install "structq[llamacpp]", or serve '
            "the file with llama.cpp's server and name it 'llamacpp-server/<model>'",
            field="lm",
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.port = 0
    params.n_parallel, params.n_ctx = n_slots, n_slots * window
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = n_threads
    params.warmup = params.ui = False
    params.verbosity = 0
    try:
        return xllamacpp.Server(params)
    except Exception as error:  # of the wheel's own making
        raise InputError(f"llama.cpp cannot serve {str(path)!r}: {error}", field="lm") from error
