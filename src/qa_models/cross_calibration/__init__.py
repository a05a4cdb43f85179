"""Cross-calibration: what one scanner would have read where another did.

Values carried over serve serial comparison only, never a T-score or FRAX.
"""

from qa_models.cross_calibration.agreement import Agreement, bland_altman
from qa_models.cross_calibration.circulating import CirculatingPhantom, Visit, circulating_phantom
from qa_models.cross_calibration.deming import deming, weighted_deming
from qa_models.cross_calibration.least_squares import GeneralisedLsc, generalised_lsc, ordinary
from qa_models.cross_calibration.line_fit import Interval, LineFit, Prediction
from qa_models.cross_calibration.passing_bablok import passing_bablok
from qa_models.cross_calibration.phantom import PhantomComparison, phantom_comparison
from qa_models.cross_calibration.standardised_bmd import standardised_bmd

__all__ = [
    "Agreement",
    "CirculatingPhantom",
    "GeneralisedLsc",
    "Interval",
    "LineFit",
    "PhantomComparison",
    "Prediction",
    "Visit",
    "bland_altman",
    "circulating_phantom",
    "deming",
    "generalised_lsc",
    "ordinary",
    "passing_bablok",
    "phantom_comparison",
    "standardised_bmd",
    "weighted_deming",
]
