"""The last visit of a person out of all that was measured: pure rules over the record, made anew whenever asked."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from storage.annotations import Comparability
from streams.measurements import Measurement
from streams.visits import FollowUp, LastVisit, Stature, VisitMeasurement

FOLLOW_UP_VERSION: Final = 2
WHY_NOT: Final = {
    "step": "a step of the scanner since then is not reviewed",
    "replaced": "the scanner has been replaced since then",
}
ONE_VISIT: Final = timedelta(hours=12)
"""What was measured within this time is of one visit, whatever the requests; local policy."""


def last_visit_of(
    measured: Sequence[Measurement], record: Comparability, serials: Mapping[str, str]
) -> LastVisit | None:
    """Return the last visit; None where nothing was measured.

    Parameters
    ----------
    measured
        Everything of one person that is validated, released or withheld.
    serials
        Of the devices as they are configured now.
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
        follow_up=tuple(_follow_ups(usable, record, serials)),
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


def _follow_ups(usable: Sequence[Measurement], record: Comparability, serials: Mapping[str, str]) -> Iterator[FollowUp]:
    """Yield for each site of the body where to measure it again, by name and side."""
    scans = [(one, side) for one in usable for side in dict.fromkeys(region.laterality for region in one.regions)]
    for anatomy, side in sorted({(one.anatomy, side) for one, side in scans}):
        of_it = [one for one, its in scans if (one.anatomy, its) == (anatomy, side)]
        judged = [(one, _why_not(one, record, serials)) for one in of_it]
        yield _follow_up(anatomy, side, *next((pair for pair in judged if not pair[1]), judged[0]))


def _why_not(one: Measurement, record: Comparability, serials: Mapping[str, str]) -> str:
    """Return why nothing that its scanner measures now can be compared with a measurement; blank where it can.

    The scanner is another one now, or a phantom behind the measurement has stepped on it since, without a review.
    """
    if serials.get(one.device, one.serial) != one.serial:
        return "replaced"
    behind = {standing.phantom_id for standing in one.qc}
    has_stepped = any(
        step.device == one.device and step.phantom_id in behind and one.measured_at < step.at for step in record.steps
    )
    return "step" if has_stepped else ""


def _follow_up(anatomy: str, side: str, one: Measurement, why_not: str) -> FollowUp:
    name = " ".join(filter(None, (side, anatomy or "of a site that is not known")))
    text = (
        f"The last measurement ({name}) is from {one.device} and cannot be compared: {WHY_NOT[why_not]}."
        " Ask a physicist before it is booked"
        if why_not
        else f"Book on {one.device}: the last measurement ({name}) that can be compared was made there"
    )
    if one.amendments:
        text += "; a physicist's decision is in force about it"
    return FollowUp(
        anatomy=anatomy,
        device=one.device,
        serial=one.serial,
        measured_at=one.measured_at,
        event_id=one.event_id,
        is_comparable=not why_not,
        why_not=why_not,
        is_amended=bool(one.amendments),
        version=FOLLOW_UP_VERSION,
        text=text,
        laterality=side,
    )
