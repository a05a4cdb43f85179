"""`/api/v1`: devices, their gates and their quality readings, for booking systems, reports and people's scripts."""

from datetime import datetime
from typing import Annotated, Final

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import FromPath, FromQuery, QueryParameter

from dashboards.access.needs import needs
from dashboards.access.scopes import Scope
from dashboards.api.actions import do_action, list_actions
from dashboards.api.alerts import alert_handlers
from dashboards.api.events import stream_events
from dashboards.api.measurements import measurement_handlers
from dashboards.api.patient_lookups import look_up_patient
from dashboards.api.reports import report_handlers
from dashboards.api.shapes import DeviceOut, EpochOut, GateOut, QcOut, device_out, gate_out, qc_out
from dashboards.api.studies import study_handlers
from dashboards.auth import Visit
from dashboards.context import Console
from dashboards.errors import answer_error

MOST_READINGS: Final = 20_000
MostReadings = Annotated[int, QueryParameter(ge=1, le=MOST_READINGS, description="The newest so many")]


@get("/devices", **needs(Scope.GATES_READ, public_status=True), sync_to_thread=True)
def list_devices(console: NamedDependency[Console], request: Visit) -> list[DeviceOut]:
    """Every configured device with its gate now."""
    return [device_out(view, names=request.user is not None) for view in console.readings.devices()]


@get("/devices/{device_id:str}", **needs(Scope.GATES_READ, public_status=True), sync_to_thread=True)
def show_device(console: NamedDependency[Console], request: Visit, device_id: FromPath[str]) -> DeviceOut:
    """One device with its gate now."""
    return device_out(console.device(device_id), names=request.user is not None)


@get("/devices/{device_id:str}/gate", **needs(Scope.GATES_READ, public_status=True), sync_to_thread=True)
def show_gate(
    console: NamedDependency[Console],
    request: Visit,
    device_id: FromPath[str],
    mode: FromQuery[str | None] = None,
) -> GateOut:
    """The gate of one mode, or the strictest over all."""
    view, names = console.device(device_id), request.user is not None
    if mode is None:
        return gate_out(view.gate, names=names)
    if mode not in view.gates:
        raise ValidationException(f"The device has no mode {mode[:40]}; it has {', '.join(view.gates)}")
    return gate_out(view.gates[mode], names=names)


@get("/devices/{device_id:str}/qc", **needs(Scope.QC_READ, public_status=True), sync_to_thread=True)
def list_readings(
    console: NamedDependency[Console],
    device_id: FromPath[str],
    *,
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    phantom_id: FromQuery[str | None] = None,
    limit: MostReadings = 5000,
) -> list[QcOut]:
    """Judged quality readings by time of measurement, each in its latest revision."""
    console.device(device_id)
    most = limit if phantom_id is None else MOST_READINGS
    readings = console.readings.qc(device_id, since=_aware(since), until=_aware(until), limit=most)
    found = [judged for judged in readings if phantom_id in {None, judged.phantom_id}]
    return [qc_out(judged) for judged in found[-limit:]]


@get("/devices/{device_id:str}/epochs", **needs(Scope.QC_READ, public_status=True), sync_to_thread=True)
def list_epochs(console: NamedDependency[Console], device_id: FromPath[str]) -> list[EpochOut]:
    """Accepted baselines of all the device's phantoms, oldest first."""
    console.device(device_id)
    return [
        EpochOut(
            phantom_id=epoch.baseline.phantom_id,
            epoch=epoch.baseline.epoch,
            accepted_at=epoch.accepted_at,
            scans=epoch.baseline.n,
            mean=epoch.baseline.mean_g_cm2,
            lower=epoch.baseline.lower_g_cm2,
            upper=epoch.baseline.upper_g_cm2,
            established=epoch.baseline.established,
            step_percent=epoch.baseline.step_percent,
        )
        for epoch in console.readings.epochs(device_id)
    ]


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise ValidationException("A time needs its zone, such as 2026-03-01T08:00:00Z")
    return moment


api_router = Router(
    path="/api/v1",
    route_handlers=[
        list_devices,
        show_device,
        show_gate,
        list_readings,
        list_epochs,
        list_actions,
        do_action,
        stream_events,
        *alert_handlers,
        *study_handlers,
        *report_handlers,
        *measurement_handlers,
        look_up_patient,
    ],
    exception_handlers={Exception: answer_error},
)
