"""An LM that is asked for scores: for those of all responses in one list, or for each alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import dspy

from structq.adapter import read_lines
from structq.modules.calls import Ask, Reply
from structq.modules.orders import orders
from structq.modules.scale import labels_of
from structq.modules.settings import ScorerSettings
from structq.schemas import LabelDistribution, Score
from structq.signatures import ScoreCall, score_signature

from .way import Plan, Scored, scored

__all__ = ["independent", "joint"]

Shown = Sequence[Sequence[int]]
"""For each prompt, which responses it shows, by their places."""


def joint(
    predict: dspy.Predict, settings: ScorerSettings, instruction: str, responses: Sequence[str]
) -> Plan:
    """One prompt with all responses, as DEITA asks; another one for each further order."""
    shown = orders(len(responses), settings.permutations)
    return _plan(predict, settings, instruction, responses, shown)


def independent(
    predict: dspy.Predict, settings: ScorerSettings, instruction: str, responses: Sequence[str]
) -> Plan:
    """A prompt for each response, with that one alone."""
    shown = [(i,) for i in range(len(responses))]
    return _plan(predict, settings, instruction, responses, shown)


def _plan(
    predict: dspy.Predict,
    settings: ScorerSettings,
    instruction: str,
    responses: Sequence[str],
    shown: Shown,
) -> Plan:
    call = ScoreCall(len(shown[0]), *labels_of(settings.scale))
    signature = score_signature(predict.signature, call)
    asks = [
        Ask(
            predict=predict,
            inputs={"instruction": instruction, "responses": [responses[i] for i in order]},
            signature=signature,
            config=config,
        )
        for order in shown
        for config in _draws(predict, settings.samples)
    ]

    def read(replies: Sequence[Reply]) -> Scored:
        got: dict[int, list[Score]] = {}
        each = max(1, settings.samples)
        for at, order in enumerate(shown):
            of_order = replies[at * each : (at + 1) * each]
            columns = zip(
                *(_scores(reply, len(order), call.scale) for reply in of_order), strict=True
            )
            for response, column in zip(order, columns, strict=True):
                got.setdefault(response, []).append(_pooled(column, call.scale))
        drawn = settings.samples if replies[0].answer.measurement is None else 0
        return scored([got[i] for i in range(len(responses))], sampled=drawn)

    return Plan(asks=asks, read=read)


def _draws(predict: dspy.Predict, n: int) -> list[dict[str, object]]:
    """What tells the answers to one question apart; a greedy LM is asked to draw."""
    if not n:
        return [{}]
    lm = predict.lm or dspy.settings.lm
    warm = {} if (getattr(lm, "kwargs", None) or {}).get("temperature") else {"temperature": 1.0}
    return [{**warm, "rollout_id": i + 1} for i in range(n)]


def _scores(reply: Reply, n_responses: int, labels: Sequence[int]) -> list[Score]:
    """What one answer gave the responses that it saw."""
    rows = reply.answer.measurement or (None,) * n_responses
    values = reply.prediction.scores
    if None in values:  # lines of text, which know why
        return read_lines(reply.answer.raw, n_responses, labels)
    return [Score(value=v, distribution=row) for v, row in zip(values, rows, strict=True)]


def _pooled(samples: Sequence[Score], labels: Sequence[int]) -> Score:
    """One score of several draws: with the share of each label, where the LM showed none."""
    drawn = [int(one.value) for one in samples if one.value is not None]
    if len(samples) == 1 or samples[0].distribution is not None or len(drawn) < len(samples):
        return samples[0] if len(drawn) == len(samples) else _missing(samples)
    counts = Counter(drawn)
    shares = LabelDistribution(
        labels=tuple(labels),
        probabilities=tuple(counts[label] / len(drawn) for label in labels),
    )
    return Score(value=max(labels, key=lambda label: counts[label]), distribution=shares)


def _missing(samples: Sequence[Score]) -> Score:
    return next(one for one in samples if one.value is None)
