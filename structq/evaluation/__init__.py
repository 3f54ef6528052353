"""What scores are worth: agreement with labels, position and length, calibration, intervals.

Plain functions over numbers; knows nothing of LMs. scipy and scikit-learn (``structq[evaluation]``)
are imported where they are used, and DSPy with the one name that needs it.
"""

from typing import TYPE_CHECKING

from structq.lazy import lazy_names

if TYPE_CHECKING:
    from structq.evaluation.agreement import Agreement, kendall, ndcg, pairwise_agreement, spearman
    from structq.evaluation.calibrate import Calibration, Labelled, fit_calibration
    from structq.evaluation.calibrated import CalibratedScorer
    from structq.evaluation.intervals import (
        Interval,
        bootstrap_interval,
        prediction_powered_mean,
    )
    from structq.evaluation.judge import Judged, judge_report
    from structq.evaluation.labels import Labels, labels_of
    from structq.evaluation.probabilities import (
        Reliability,
        brier,
        expected_calibration_error,
        reliability,
    )

_HOMES = {
    "agreement": ("Agreement", "kendall", "ndcg", "pairwise_agreement", "spearman"),
    "calibrate": ("Calibration", "Labelled", "fit_calibration"),
    "calibrated": ("CalibratedScorer",),
    "intervals": ("Interval", "bootstrap_interval", "prediction_powered_mean"),
    "judge": ("Judged", "judge_report"),
    "labels": ("Labels", "labels_of"),
    "probabilities": ("Reliability", "brier", "expected_calibration_error", "reliability"),
}

__all__ = [
    "Agreement",
    "CalibratedScorer",
    "Calibration",
    "Interval",
    "Judged",
    "Labelled",
    "Labels",
    "Reliability",
    "bootstrap_interval",
    "brier",
    "expected_calibration_error",
    "fit_calibration",
    "judge_report",
    "kendall",
    "labels_of",
    "ndcg",
    "pairwise_agreement",
    "prediction_powered_mean",
    "reliability",
    "spearman",
]

__getattr__ = lazy_names(__name__, {name: home for home, names in _HOMES.items() for name in names})
