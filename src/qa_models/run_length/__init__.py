"""Run lengths: how long a chart goes until it signals, rightly or falsely, before anyone hangs it on the wall.

Average run lengths are in observations, from the first one under the given mean up to and with the signal. Shifts
are in sigmas. ARL0 is the one without a shift: the mean distance of false alarms.
"""

from qa_models.run_length.cusum import cusum_arl, cusum_h
from qa_models.run_length.estimated_baseline import BaselineEffect, estimated_baseline
from qa_models.run_length.ewma import ewma_arl, ewma_width
from qa_models.run_length.false_alarms import chart_arl, false_alarms_per_year
from qa_models.run_length.run_rules import shewhart_arl

__all__ = [
    "BaselineEffect",
    "chart_arl",
    "cusum_arl",
    "cusum_h",
    "estimated_baseline",
    "ewma_arl",
    "ewma_width",
    "false_alarms_per_year",
    "shewhart_arl",
]
