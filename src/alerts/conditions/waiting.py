"""What waits for somebody: reviews, devices with an engineer, returns, work that is due, incidents, contracts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from alerts.condition import Condition, Kind, Severity
from alerts.conditions.nearness import near_clinic
from alerts.rules import AlertRules
from alerts.situation import DeviceSituation, Situation
from streams.due import DueItem
from streams.fold.schedule import start_of_day
from streams.messages import DutyStanding, ReviewBasis
from streams.policy import DutyKind
from streams.readings import DeviceView, ReviewStatus
from streams.roles import Role

_BASES: Final = {
    ReviewBasis.DRIFT: "a drift signal",
    ReviewBasis.FAILURE: "a failure",
    ReviewBasis.LATE_FAILURE: "a failure that came late",
    ReviewBasis.REPEATED_FIRST_FAILURES: "first scans that fail again and again",
    ReviewBasis.TOO_LATE: "readings that came too late to count",
}
_ARCHIVES: Final = frozenset({DutyKind.DAILY_ARCHIVE, DutyKind.DATABASE_ARCHIVE})


def waiting(situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield everything that waits, device by device, then contracts."""
    for device in situation.devices:
        if device.view.stage == "retired":
            continue
        yield from _reviews(device.view, situation.at, rules)
        yield from _service(device, situation, rules)
        yield from _due(device.view, situation)
        yield from _incidents(device.view, situation.at, rules)
    yield from _contracts(situation, rules)


def _of(view: DeviceView, key: str, kind: Kind, audience: tuple[Role, ...], since: datetime) -> Condition:
    """Return what the conditions of a device have in common; the rest is put in its place."""
    return Condition(
        key=key,
        kind=kind,
        severity=Severity.DIGEST,
        audience=audience,
        since=since,
        news="",
        headline="",
        device=view.id,
        device_name=view.title,
        page=f"/devices/{view.id}",
    )


def _reviews(view: DeviceView, at: datetime, rules: AlertRules) -> Iterator[Condition]:
    """Yield reviews that nobody has decided: once when they open, once more when they have waited too long."""
    for review in view.reviews:
        if review.verdict or review.decided_at is not None:
            continue
        has_waited = at - review.opened_at >= timedelta(days=rules.review_days)
        is_drift = ReviewBasis.DRIFT in review.bases and not has_waited
        kind = Kind.DRIFT if is_drift else Kind.REVIEW_WAITING
        days = (at - review.opened_at).days
        yield replace(
            _of(view, f"review:{view.id}:{review.review_id}", kind, (Role.PHYSICIST,), review.opened_at),
            news="opened waited" if has_waited else "opened",
            headline=f"{view.title}: a review of {review.subject} "
            + (f"has waited {_days(days)} for a decision" if has_waited else f"is open, after {_bases(review)}"),
            brief=f"{view.title}: a review waits",
            advice="Look at the chart and decide what becomes of the measurements in doubt.",
            page="/reviews",
            many="reviews wait for a decision",
        )


def _bases(review: ReviewStatus) -> str:
    return " and ".join(_BASES.get(ReviewBasis(basis), basis) for basis in review.bases)


def _days(count: int) -> str:
    return "a day" if count == 1 else f"{count} days"


def _service(device: DeviceSituation, situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield a device that has been with an engineer too long, or whose return nobody decided before a clinic."""
    view, at = device.view, situation.at
    if view.service is None:
        return
    since = view.service.since
    if view.stage == "with_engineer" and at - since >= timedelta(hours=rules.handover_hours):
        yield replace(
            _of(view, f"handover:{view.id}", Kind.HANDOVER_OVERDUE, (Role.PHYSICIST, Role.MANAGER), since),
            news=f"since:{since.isoformat()}",
            headline=f"{view.title} has been with the engineer"
            + (f" ({view.service.company})" if view.service.company else "")
            + f" for {_days(max(1, (at - since).days))}",
            advice="Ask the engineer when it comes back, and book patients elsewhere.",
            many="devices have been with an engineer for long",
        )
    clinic = near_clinic(device, at, rules, situation.time_zone)
    if view.stage == "handed_back" and clinic is not None:
        yield replace(
            _of(view, f"return:{view.id}", Kind.RETURN_UNDECIDED, (Role.OPERATOR, Role.PHYSICIST), since),
            severity=Severity.PROMPT,
            news=f"since:{since.isoformat()}",
            headline=f"{view.title} was handed back by the engineer and nobody has decided on its return",
            brief=f"{view.title}: return not decided",
            advice="Decide on its return on the device's page; then every QC must pass. It is held until then.",
            ring=view.ring or rules.contacts.get(Role.PHYSICIST, ""),
            needs_by=clinic.starts,
            many="devices wait for the decision on their return",
        )


def _due(view: DeviceView, situation: Situation) -> Iterator[Condition]:
    """Yield work that is due or overdue beside QC; an archive of every day only once it is overdue."""
    for item in view.due:
        is_overdue = item.standing is DutyStanding.OVERDUE
        is_due = item.standing is DutyStanding.DUE and item.kind is not DutyKind.DAILY_ARCHIVE
        if not item.duty_id or item.due_on is None or not (is_overdue or is_due):
            continue
        day = item.due_on.isoformat()
        yield replace(
            _of(
                view,
                f"due:{view.id}:{item.duty_id}",
                Kind.DUE_WORK,
                (_does(item),),
                start_of_day(item.due_on, situation.time_zone),
            ),
            news=f"due:{day} overdue:{day}" if is_overdue else f"due:{day}",
            headline=f"{view.title}: {item.name} " + ("was due " if is_overdue else "is due ") + _day(item),
            advice="Do it, or have it done, and record it under due work."
            + (" Patients are held until it is." if item.holds and is_overdue else ""),
            page="/due",
            many="pieces of work are due",
        )


def _does(item: DueItem) -> Role:
    if item.kind in _ARCHIVES:
        return Role.OPERATOR
    return Role.ADMIN if item.kind is DutyKind.RECORD_ARCHIVE else Role.PHYSICIST


def _day(item: DueItem) -> str:
    assert item.due_on is not None  # noqa: S101 - the caller has checked
    return f"{item.due_on:%a} {item.due_on.day} {item.due_on:%b %Y}"


def _incidents(view: DeviceView, at: datetime, rules: AlertRules) -> Iterator[Condition]:
    """Yield the incidents that have been open for long; never what was written of them."""
    old = [one for one in view.incidents if at - one.opened_at >= timedelta(days=rules.incident_days)]
    if not old:
        return
    since = min(one.opened_at for one in old)
    count = "an incident has" if len(old) == 1 else f"{len(old)} incidents have"
    yield replace(
        _of(view, f"incidents:{view.id}", Kind.INCIDENT_OPEN, (Role.PHYSICIST, Role.MANAGER), since),
        news=" ".join(sorted(f"open:{one.id}" for one in old)),
        headline=f"{view.title}: {count} been open for {_days(max(1, (at - since).days))}",
        advice="Close what has been dealt with, in the equipment log.",
        page=f"/devices/{view.id}/log",
        many="devices have incidents that are open for long",
    )


def _contracts(situation: Situation, rules: AlertRules) -> Iterator[Condition]:
    """Yield the devices whose uptime is below what a contract promises, once enough clinic time speaks of it."""
    for one in situation.uptime:
        if one.covered_hours < rules.uptime_hours or one.reached_percent >= one.promised_percent:
            continue
        first = f"{one.first.day} {one.first:%b %Y}"
        yield Condition(
            key=f"uptime:{one.device}:{one.first.isoformat()}",
            kind=Kind.UPTIME_BELOW_CONTRACT,
            severity=Severity.DIGEST,
            audience=(Role.MANAGER,),
            since=start_of_day(one.first, situation.time_zone),
            news="below",
            headline=f"{one.device_name}: {one.reached_percent:.1f} % up since {first}, below the contract's "
            f"{one.promised_percent:g} %",
            advice="The uptime page says what was lost to which cause.",
            device=one.device,
            device_name=one.device_name,
            page="/uptime",
            many="devices are below their contract's uptime",
        )
