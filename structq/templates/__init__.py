"""The prompts: packaged texts, sandboxed rendering, checks of templates; knows nothing of LMs.

A template's author is never trusted: see ``environment`` for what a template may do. The text of a
row is a value, is never rendered, and cannot pass for the structure around it: see ``marks``.
"""

from .environment import MAX_TEMPLATE_CHARS
from .examples import LEAD, ScoreExample, added_words, evolve_example, score_examples
from .library import default_criteria, default_mutations, read_template
from .marks import check_text, choose_mark
from .mutations import Wanted, check_mutation, compile_mutation, is_method
from .prompts import (
    check_score_template,
    render_evolve,
    render_fields,
    render_score,
    score_template,
)

__all__ = [
    "LEAD",
    "MAX_TEMPLATE_CHARS",
    "ScoreExample",
    "Wanted",
    "added_words",
    "check_mutation",
    "check_score_template",
    "check_text",
    "choose_mark",
    "compile_mutation",
    "default_criteria",
    "default_mutations",
    "evolve_example",
    "is_method",
    "read_template",
    "render_evolve",
    "render_fields",
    "render_score",
    "score_examples",
    "score_template",
]
