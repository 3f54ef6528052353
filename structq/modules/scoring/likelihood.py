"""How much likelier the instruction makes a response: read, and not asked.

log p(response | instruction) - log p(response | nothing): what an LM's own probabilities say about
whether a response belongs to its instruction (pointwise mutual information). No answer is decoded,
so there is no form, no label and no position; what it costs are two prefills a response.
"""

from __future__ import annotations

from collections.abc import Sequence

import dspy

from structq.adapter import ReadAdapter
from structq.modules.calls import Ask, Reply
from structq.modules.settings import ScorerSettings
from structq.signatures import ReadResponse

from .way import Plan, Scored, ranks

__all__ = ["likelihood"]

NOTHING = ""
"""What stands for no instruction: an empty turn."""


def likelihood(
    predict: dspy.Predict, settings: ScorerSettings, instruction: str, responses: Sequence[str]
) -> Plan:
    """Two readings a response: as the answer to the instruction, and as one to nothing."""
    asks = [
        Ask(
            predict=predict,
            inputs={"instruction": given, "response": response},
            signature=ReadResponse,
            adapter=ReadAdapter,
        )
        for given in (instruction, NOTHING)
        for response in responses
    ]

    def read(replies: Sequence[Reply]) -> Scored:
        told, untold = replies[: len(responses)], replies[len(responses) :]
        gains = [
            one.prediction.log_probability - other.prediction.log_probability
            for one, other in zip(told, untold, strict=True)
        ]
        lengths = [int(one.prediction.n_tokens) for one in told]
        raw = [
            gain / max(1, length) ** settings.length_exponent
            for gain, length in zip(gains, lengths, strict=True)
        ]
        return Scored(
            scores=ranks(raw),
            facts={
                "raw_scores": raw,
                "log_probabilities": [one.prediction.log_probability for one in told],
                "log_probability_gains": gains,
                "n_tokens": lengths,
                "uncalibrated": "scores are ranks among the responses of the row: log "
                "probabilities are on no scale of labels until they are calibrated",
            },
        )

    return Plan(asks=asks, read=read)
