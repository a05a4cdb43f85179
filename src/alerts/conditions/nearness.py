"""Whether a clinic is near: from the lead before a day's first one to the end of its last."""

from datetime import datetime
from itertools import groupby

from alerts.rules import AlertRules
from alerts.situation import ClinicSpan, DeviceSituation
from streams.fold.schedule import local_day


def near_clinic(device: DeviceSituation, at: datetime, rules: AlertRules, time_zone: str) -> ClinicSpan | None:
    """Return the clinic that runs, or the next one of a day whose first is within the lead; None where none is near.

    A break between two clinics of a day is part of the day: what was told in the morning is not over at noon.
    """
    for _, of_day in groupby(device.clinics, key=lambda span: local_day(span.starts, time_zone)):
        spans = list(of_day)
        if spans[0].starts - rules.lead <= at < max(span.ends for span in spans):
            return next(span for span in spans if at < span.ends)
    return None


def day_ends(device: DeviceSituation, clinic: ClinicSpan, time_zone: str) -> datetime:
    """Return when the last clinic of a clinic's day ends."""
    day = local_day(clinic.starts, time_zone)
    return max(span.ends for span in device.clinics if local_day(span.starts, time_zone) == day)


def running_clinic(device: DeviceSituation, at: datetime) -> ClinicSpan | None:
    """Return the clinic that runs now, or None."""
    return next((span for span in device.clinics if span.starts <= at < span.ends), None)
