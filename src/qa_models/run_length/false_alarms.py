"""What a chart costs and gives in a department: false alarms a year, scans until it notices."""

import math
from typing import TypeAlias

from qa_models.cusum import SelfStartingCusum, TabularCusum
from qa_models.ewma import EwmaChart
from qa_models.run_length.cusum import cusum_arl
from qa_models.run_length.ewma import ewma_arl
from qa_models.run_length.run_rules import shewhart_arl
from qa_models.shewhart import ShewhartChart

Chart: TypeAlias = TabularCusum | SelfStartingCusum | EwmaChart | ShewhartChart


def chart_arl(chart: Chart, shift: float) -> float:
    """Return the average run length of a chart as it is set up, begun anew with the shift.

    Parameters
    ----------
    chart
        Its settings count; its target, sigma and state do not. For a self-starting CUSUM the shift is one that
        comes when it has learned its target.
    shift
        True mean minus target, in sigmas; 0 gives ARL0.

    Raises
    ------
    ValueError
        If shift is not finite, or the chart's rules have no exact run length.

    Examples
    --------
    >>> round(chart_arl(TabularCusum(1.000, 0.005), 1), 2)
    10.38
    """
    match chart:
        case TabularCusum():
            return cusum_arl(chart.k, chart.h, shift, head_start=chart.head_start)
        case SelfStartingCusum():
            return cusum_arl(chart.k, chart.h, shift)
        case EwmaChart():
            return ewma_arl(chart.lam, chart.width, shift, time_varying=chart.time_varying)
        case ShewhartChart():
            return shewhart_arl(chart.rules, shift, full_window=chart.full_window)
        case _:
            raise ValueError(f"{type(chart).__name__} has no exact run length here: simulate it")


def false_alarms_per_year(chart: Chart, scans_per_year: float) -> float:
    """Return how many false alarms a year a chart gives on a device that is well.

    The chart begins anew after each. Target and sigma are taken as known: on a baseline of few scans there are
    more, see `estimated_baseline`.

    Parameters
    ----------
    chart
        Its settings count; its target, sigma and state do not.
    scans_per_year
        Observations a year, > 0.

    Raises
    ------
    ValueError
        If scans_per_year is not positive and finite, or the chart's rules have no exact run length.

    Examples
    --------
    >>> round(false_alarms_per_year(TabularCusum(1.000, 0.005), 250), 2)
    0.54
    """
    if not 0 < scans_per_year < math.inf:
        raise ValueError(f"scans_per_year = {scans_per_year!r} is not positive and finite")
    return scans_per_year / chart_arl(chart, 0.0)
