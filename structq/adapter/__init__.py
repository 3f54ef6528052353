"""Between a signature and an LM: one canonical request out, one checked answer in.

Knows signatures, schemas and prompts; knows nothing of which LM answers.
"""

from .answers import Answer, read_lines
from .failures import AnswerError, ContextError, LMCallError
from .reading import ReadAdapter
from .struct_adapter import StructAdapter

__all__ = [
    "Answer",
    "AnswerError",
    "ContextError",
    "LMCallError",
    "ReadAdapter",
    "StructAdapter",
    "read_lines",
]
