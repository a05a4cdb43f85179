"""The last visit of a person out of all that was measured: pure rules over the record, made anew whenever asked."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from storage.annotations import Comparability
from streams.measurements import Measurement
from streams.visits import FollowUp, LastVisit, Stature, VisitMeasurement

FOLLOW_UP_VERSION: Final = 1
ONE_VISIT: Final = timedelta(hours=12)
"""What was measured within this time is of one visit, whatever the requests; local policy."""


def last_visit_of(measured: Sequence[Measurement], record: Comparability) -> LastVisit | None:
    """Return the last visit; None where nothing was measured.

    Parameters
    ----------
    measured
        Everything of one person that is validated, released or withheld.
    """
    newest_first = sorted(measured, key=lambda one: (one.measured_at, one.event_id), reverse=True)
    if not newest_first:
        return None
    last = newest_first[0]
    visit = [one for one in newest_first if _is_of(one, last)]
    usable = [one for one in newest_first if one.status in {"validated", "released"}]
    return LastVisit(
        measured_at=last.measured_at,
        accession_numbers=tuple(dict.fromkeys(one.accession_number for one in visit if one.accession_number)),
        measurements=tuple(_shown(one) for one in reversed(visit)),
        issues=tuple(dict.fromkeys(code for one in reversed(visit) for code in one.issue_codes)),
        follow_up=tuple(_follow_ups(usable, record)),
        weight=next(
            (Stature(one.weight_kg, "kg", one.measured_at, one.event_id) for one in usable if one.weight_kg), None
        ),
        height=next(
            (Stature(one.height_cm, "cm", one.measured_at, one.event_id) for one in usable if one.height_cm), None
        ),
    )


def _is_of(one: Measurement, last: Measurement) -> bool:
    """Whether a measurement is of the last one's visit: of one request, or hours from it."""
    is_of_request = bool(one.accession_number) and one.accession_number == last.accession_number
    return is_of_request or last.measured_at - one.measured_at <= ONE_VISIT


def _shown(one: Measurement) -> VisitMeasurement:
    return VisitMeasurement(
        event_id=one.event_id,
        device=one.device,
        kind=one.kind,
        mode=one.mode,
        anatomy=one.anatomy,
        measured_at=one.measured_at,
        status=one.status,
        withheld_for=one.reason_codes if one.status == "withheld" else (),
        issues=one.issue_codes,
        is_overridden=one.is_overridden,
        is_amended=bool(one.amendments),
    )


def _follow_ups(usable: Sequence[Measurement], record: Comparability) -> Iterator[FollowUp]:
    """Yield for each site of the body where to measure it again, by name."""
    scans = [one for one in usable if one.regions]
    for anatomy in sorted({one.anatomy for one in scans}):
        of_it = [one for one in scans if one.anatomy == anatomy]
        comparable = next((one for one in of_it if not _has_stepped(one, record)), None)
        yield _follow_up(anatomy, comparable or of_it[0], is_comparable=comparable is not None)


def _has_stepped(one: Measurement, record: Comparability) -> bool:
    """Whether a phantom behind a measurement has stepped on its scanner since, without a review."""
    behind = {standing.phantom_id for standing in one.qc}
    return any(
        step.device == one.device and step.phantom_id in behind and one.measured_at < step.at for step in record.steps
    )


def _follow_up(anatomy: str, one: Measurement, *, is_comparable: bool) -> FollowUp:
    name = anatomy or "of a site that is not known"
    text = (
        f"Book on {one.device}: the last measurement ({name}) that can be compared was made there"
        if is_comparable
        else f"The last measurement ({name}) is from {one.device} and cannot be compared: a step of the scanner since"
        " then is not reviewed. Ask a physicist before it is booked"
    )
    if one.amendments:
        text += "; a physicist's decision is in force about it"
    return FollowUp(
        anatomy=anatomy,
        device=one.device,
        serial=one.serial,
        measured_at=one.measured_at,
        event_id=one.event_id,
        is_comparable=is_comparable,
        is_amended=bool(one.amendments),
        version=FOLLOW_UP_VERSION,
        text=text,
    )
