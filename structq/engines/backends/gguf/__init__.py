"""GGUF files on structq's own engine: read, checked, and turned into an ONNX graph once.

Knows nothing of schemas and DSPy, and needs neither torch nor llama.cpp.
"""

from structq.engines.backends.gguf.conversion import convert

__all__ = ["convert"]
