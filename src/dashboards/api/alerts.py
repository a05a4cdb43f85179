"""`/api/v1/alerts`: what is wrong that people are told of, who was told, who takes it."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter

from alerts.book import AlertState
from alerts.condition import Kind, Severity
from alerts.desk import AlertView, Desk
from alerts.policy import NotAcknowledged
from dashboards.access.needs import needs
from dashboards.access.scopes import Scope
from dashboards.auth import Visit, require
from dashboards.context import Console
from dashboards.errors import refusal
from streams.roles import Permission

WithResolved = Annotated[bool, QueryParameter(description="Those lately over too, after those that stand")]


class TellingOut(msgspec.Struct, frozen=True):
    """Somebody was told, by which of the site's channels."""

    person: str
    channel: str
    at: datetime


class AlertOut(msgspec.Struct, frozen=True):
    """An alert; `device` is empty where it concerns the whole site. `acknowledged_by` is who deals with it."""

    id: str
    kind: Kind
    severity: Severity
    state: AlertState
    device: str
    headline: str
    advice: str
    since: datetime
    raised_at: datetime
    needs_by: datetime | None
    acknowledged_by: str
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    tier: int
    told: list[TellingOut]


@get("/alerts", **needs(Scope.ALERTS_READ), sync_to_thread=True)
def list_alerts(console: NamedDependency[Console], *, resolved: WithResolved = False) -> list[AlertOut]:
    """Every open alert, the most urgent first."""
    desk = _desk(console)
    return [alert_out(view) for view in [*desk.open(), *(desk.resolved() if resolved else ())]]


@post(
    "/alerts/{alert_id:str}/acknowledgement",
    **needs(Scope.ALERTS_ACKNOWLEDGE, writes=True),
    sync_to_thread=True,
    status_code=200,
)
def acknowledge_alert(console: NamedDependency[Console], request: Visit, alert_id: FromPath[str]) -> AlertOut:
    """Take an alert in the caller's name: it is not escalated any more until there is news."""
    session = require(request, Permission.ACKNOWLEDGE_ALERT)
    desk = _desk(console)
    if desk.view(alert_id) is None:
        raise NotFoundException("There is no such alert")
    result = desk.acknowledge(alert_id, session.name)
    view = desk.view(alert_id)
    if isinstance(result, NotAcknowledged) or view is None:
        raise refusal(409, result.why if isinstance(result, NotAcknowledged) else "It is not kept any more")
    return alert_out(view)


def alert_out(view: AlertView) -> AlertOut:
    """Return an alert as JSON has it."""
    alert, condition = view.alert, view.alert.condition
    return AlertOut(
        id=alert.id,
        kind=condition.kind,
        severity=condition.severity,
        state=alert.state,
        device=condition.device,
        headline=condition.headline,
        advice=condition.advice,
        since=condition.since,
        raised_at=alert.raised_at,
        needs_by=condition.needs_by,
        acknowledged_by=alert.acknowledged_by,
        acknowledged_at=alert.acknowledged_at,
        resolved_at=alert.resolved_at,
        tier=alert.tier,
        told=[TellingOut(one.person, one.channel, one.at) for one in view.told],
    )


def _desk(console: Console) -> Desk:
    if console.alerts is None:
        raise NotFoundException("Alerts are not configured at this site")
    return console.alerts


alert_handlers = (list_alerts, acknowledge_alert)
