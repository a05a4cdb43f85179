"""`/api/v1/devices/{id}/studies`: cross-calibrations of a device, each version; a new one is derived here."""

from datetime import UTC, date, datetime, time
from typing import Final

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import ServiceUnavailableException
from litestar.params import FromPath, JSONBody

from dashboards.access.needs import needs
from dashboards.access.scopes import Scope
from dashboards.api.study_shapes import StudyIn, WithdrawIn
from dashboards.auth import Visit, require
from dashboards.console.carrying_out import execute
from dashboards.context import Console
from dashboards.errors import refusal
from qa_models.cross_calibration.equation import derive
from streams.commands import AcceptCrossCalibration, WithdrawCrossCalibration
from streams.fold.due_work import YEARS
from streams.roles import Permission
from streams.studies import StudyVersion, pairs_from

UNPROCESSABLE: Final = 422


class StudyOut(msgspec.Struct, frozen=True, kw_only=True):
    """One version; the equation is ``to = intercept + slope * from`` in g/cm2, for serial comparison only."""

    study_id: str
    version: int
    kind: str
    other_device: str
    region: str
    method: str
    slope: float
    intercept_g_cm2: float
    standard_error_g_cm2: float
    lower_g_cm2: float
    upper_g_cm2: float
    n: int
    data_digest: str
    accepted_at: datetime
    accepted_by: str
    reason: str
    approval_reference: str
    valid_from: datetime
    valid_until: datetime | None
    superseded_at: datetime | None
    withdrawn_at: datetime | None
    is_in_force: bool


@get("/devices/{device_id:str}/studies", **needs(Scope.QC_READ, public_status=True), sync_to_thread=True)
def list_studies(console: NamedDependency[Console], device_id: FromPath[str]) -> list[StudyOut]:
    """Every version of every cross-calibration of a device, oldest first."""
    view = console.device(device_id)
    return [_out(one, console.clock()) for one in console.readings.studies(view.id)]


@post(
    "/devices/{device_id:str}/studies",
    **needs(Scope.ACTIONS_WRITE, writes=True),
    sync_to_thread=True,
    status_code=200,
)
def accept_study(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], data: JSONBody[StudyIn]
) -> StudyOut:
    """Derive the equation from the data, keep the data, accept the study as its next version."""
    session, view = require(request, Permission.ACCEPT_STUDY), console.device(device_id)
    try:
        pairs = pairs_from(data.data)
        equation = derive(data.method, pairs.x, pairs.y)
        valid_from, valid_until = (_midnight(console, day) for day in (data.valid_from, data.valid_until))
    except ValueError as error:
        raise refusal(UNPROCESSABLE, str(error)) from error
    if valid_from is None:
        raise refusal(UNPROCESSABLE, "Say from which day it is valid, such as 2026-11-02.")
    if console.studies is None:
        raise ServiceUnavailableException("This site keeps no data of studies")
    digest = console.studies.keep(pairs)
    command = AcceptCrossCalibration(
        device=view.device,
        actor=session.person,
        request_id=data.request_id,
        study_id=data.study_id,
        kind=data.kind,
        other_device=data.other_device,
        region=data.region,
        method=equation.method,
        slope=equation.slope,
        intercept_g_cm2=equation.intercept,
        standard_error_g_cm2=equation.standard_error,
        lower_g_cm2=equation.lower,
        upper_g_cm2=equation.upper,
        n=equation.n,
        data_digest=digest,
        valid_from=valid_from,
        reason=data.reason,
        valid_until=valid_until,
        approval_reference=data.approval_reference,
    )
    done = execute(console, command, data.device_seq)
    if not done.is_done:
        raise refusal(done.status, done.refusal.text if done.refusal else "It was not recorded")
    newest = [one for one in console.readings.studies(view.id) if one.accepted.study_id == data.study_id.strip()][-1]
    return _out(newest, console.clock())


@post(
    "/devices/{device_id:str}/studies/withdrawn",
    **needs(Scope.ACTIONS_WRITE, writes=True),
    sync_to_thread=True,
    status_code=200,
)
def withdraw_study(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], data: JSONBody[WithdrawIn]
) -> None:
    """Withdraw a study: none of its versions is in force any more."""
    session, view = require(request, Permission.ACCEPT_STUDY), console.device(device_id)
    command = WithdrawCrossCalibration(
        device=view.device,
        actor=session.person,
        request_id=data.request_id,
        study_id=data.study_id,
        reason=data.reason,
    )
    done = execute(console, command, data.device_seq)
    if not done.is_done:
        raise refusal(done.status, done.refusal.text if done.refusal else "It was not recorded")


def _midnight(console: Console, day: str) -> datetime | None:
    """Return when a day begins at the site; None for a blank."""
    if not day:
        return None
    try:
        begins = date.fromisoformat(day)
    except ValueError:
        raise ValueError(f"{day[:20]} is no day; write year, month, day, such as 2026-11-02") from None
    if begins.year not in YEARS:
        raise ValueError(f"{day[:20]} does not lie between {YEARS[0]} and {YEARS[-1]}")
    return datetime.combine(begins, time.min, console.time.zone).astimezone(UTC)


def _out(one: StudyVersion, now: datetime) -> StudyOut:
    fact = one.accepted
    return StudyOut(
        study_id=fact.study_id,
        version=fact.version,
        kind=fact.kind.value,
        other_device=fact.other_device,
        region=fact.region,
        method=fact.method,
        slope=fact.slope,
        intercept_g_cm2=fact.intercept_g_cm2,
        standard_error_g_cm2=fact.standard_error_g_cm2,
        lower_g_cm2=fact.lower_g_cm2,
        upper_g_cm2=fact.upper_g_cm2,
        n=fact.n,
        data_digest=fact.data_digest,
        accepted_at=one.accepted_at,
        accepted_by=fact.accepted_by.name,
        reason=fact.reason,
        approval_reference=fact.approval_reference,
        valid_from=fact.valid_from,
        valid_until=fact.valid_until,
        superseded_at=one.superseded_at,
        withdrawn_at=one.withdrawn_at,
        is_in_force=one.is_in_force(now),
    )


study_handlers = (list_studies, accept_study, withdraw_study)
