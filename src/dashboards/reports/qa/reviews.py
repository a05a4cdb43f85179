"""Reviews of a device's measurements, and its cross-calibrations, as its record has them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from dashboards.reports.qa.figures import ReviewLine, StudyLine
from streams.messages import (
    CrossCalibrationAccepted,
    CrossCalibrationWithdrawn,
    DecisionWithdrawn,
    DeviceReconfigured,
    DeviceRegistered,
    ReviewAssessed,
    ReviewDecided,
    ReviewOpened,
    SizeAt,
)
from streams.record.device import DeviceRecord
from streams.studies import DeviceReplaced, versions
from streams.uptime.clinic_hours import Period


def reviews_of(record: DeviceRecord) -> list[ReviewLine]:
    """Return every review as it stands, oldest first; a decision that was taken back is none."""
    found: dict[str, ReviewLine] = {}
    for at, name, opened in record.outcomes_of(ReviewOpened):
        key = opened.review_id or name
        line = found.get(key, ReviewLine(key, opened.phantom_id, opened.text, at, opened.since))
        found[key] = replace(_sized(line, opened.sizes, opened.unit), text=opened.text)
    for told in record.facts:
        fact = told.matter
        if isinstance(fact, ReviewAssessed) and fact.review_id in found:
            found[fact.review_id] = _sized(found[fact.review_id], fact.sizes, fact.unit)
        elif isinstance(fact, ReviewDecided) and fact.review_id in found:
            by = fact.decided_by.name
            found[fact.review_id] = replace(
                found[fact.review_id],
                verdict=fact.verdict.value,
                decision=fact.decision,
                decided_by=by,
                decided_at=told.at,
            )
        elif isinstance(fact, DecisionWithdrawn) and fact.review_id in found:
            found[fact.review_id] = replace(
                found[fact.review_id], verdict="", decision="", decided_by="", decided_at=None
            )
    return sorted(found.values(), key=lambda one: one.opened_at)


def _sized(review: ReviewLine, sizes: tuple[SizeAt, ...], unit: str) -> ReviewLine:
    if not sizes:
        return review
    last = sizes[-1]
    return replace(review, size=last.size, low=last.low, high=last.high, unit=unit)


def concerns(review: ReviewLine, period: Period) -> bool:
    """Whether a review was opened or decided in a period, or waits."""
    if review.opened_at >= period.end:
        return False
    decided_at = review.decided_at or period.end
    return not review.verdict or review.opened_at >= period.start or period.start <= decided_at < period.end


def studies_in(record: DeviceRecord, period: Period) -> Iterator[StudyLine]:
    """Yield the cross-calibrations in force at the end of a period."""
    at = max(period.start, period.end - timedelta(microseconds=1)).astimezone(UTC)
    for one in versions(_study_events(record)):
        fact = one.accepted
        if one.is_in_force(at):
            yield StudyLine(
                fact.study_id,
                fact.version,
                fact.other_device,
                fact.region,
                fact.slope,
                fact.intercept_g_cm2,
                fact.standard_error_g_cm2,
                fact.accepted_by.name,
                one.accepted_at,
            )


def _study_events(
    record: DeviceRecord,
) -> Iterator[tuple[datetime, CrossCalibrationAccepted | CrossCalibrationWithdrawn | DeviceReplaced]]:
    """Yield what happened to a device's studies; another serial number is another device, as the fold has it."""
    serial = ""
    for at, _, fact in record.facts:
        if isinstance(fact, CrossCalibrationAccepted | CrossCalibrationWithdrawn):
            yield at, fact
        elif isinstance(fact, DeviceRegistered | DeviceReconfigured):
            if serial and fact.policy.serial != serial:
                yield at, DeviceReplaced()
            serial = fact.policy.serial
