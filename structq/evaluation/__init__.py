"""What scores are worth: agreement with labels, position and length, calibration, intervals.

Plain functions over numbers; knows nothing of LMs. scipy and scikit-learn (``structq[evaluation]``)
are imported where they are used.
"""

from .agreement import Agreement, kendall, ndcg, pairwise_agreement, spearman
from .calibrate import Calibration, Labelled, fit_calibration
from .calibrated import CalibratedScorer
from .intervals import Interval, bootstrap_interval, prediction_powered_mean
from .judge import Judged, judge_report
from .labels import Labels, labels_of
from .probabilities import Reliability, brier, expected_calibration_error, reliability

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
