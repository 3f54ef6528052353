"""Signature outputs as closed JSON Schemas: build, lint, show, check; knows nothing of LMs.

One allow-list of keywords serves all three: what ``build`` makes passes ``lint``, and what ``lint``
passes ``parse_answer`` can check. Importing this does not import DSPy.
"""

from .answers import AnswerFormatError, parse_answer
from .build import Outputs, outputs_of, response_format
from .forms import FORMS, Form, compact, show_form, to_json
from .lint import lint
from .scores import LabelDistribution, Score, mean_score

__all__ = [
    "FORMS",
    "AnswerFormatError",
    "Form",
    "LabelDistribution",
    "Outputs",
    "Score",
    "compact",
    "lint",
    "mean_score",
    "outputs_of",
    "parse_answer",
    "response_format",
    "show_form",
    "to_json",
]
