"""The web application of a site: pages, API, live updates, sign-in, metrics."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from alerts.desk import Desk
from dashboards.access.credentials import Credentials
from dashboards.access.needs import refuse_unnamed
from dashboards.api.routes import api_router
from dashboards.audit.middleware import AuditMiddleware
from dashboards.audit.trail import AuditTrail, MemoryTrail
from dashboards.auth import PUBLIC, SessionMiddleware, require_sign_in
from dashboards.console.routes import console_router
from dashboards.console.templates import template_config
from dashboards.context import Console
from dashboards.demo_panel import DemoControls
from dashboards.errors import answer_error
from dashboards.fhir.routes import fhir_router
from dashboards.health import health_handlers
from dashboards.live import LiveHub
from dashboards.manner.document import DOCUMENT_PATH, SECURITY
from dashboards.manner.etags import EtagMiddleware
from dashboards.manner.idempotency import IdempotencyMiddleware
from dashboards.metrics.page import MetricsPage, SiteCollector
from dashboards.metrics.requests import timed_requests
from dashboards.metrics.verdicts import count_verdicts
from dashboards.reports.source import Reports
from dashboards.security import add_security_headers, csrf_config
from dashboards.settings import HttpSettings
from dashboards.uploads import MemoryRequest
from dashboards.user_tables import utc_now
from dashboards.users import UserStore
from publishing.published import PublishedLog
from streams.attachments import NO_FILES, FileStore
from streams.equipment_log import NO_EQUIPMENT_LOG, EquipmentLog
from streams.lines import NO_LINES, Lines
from streams.measurements import Measurements
from streams.pseudonyms import PseudonymKeys
from streams.readings import Readings
from streams.site import SitePort
from streams.studies import StudyData
from streams.uptime.reader import LoggedUptime
from streams.what_if.reader import LoggedPast

MAX_BODY_BYTES: Final = 65_536
"""No form of ours is longer."""


def create_app(
    *,
    site: SitePort,
    readings: Readings,
    users: UserStore,
    settings: HttpSettings,
    demo: DemoControls | None = None,
    clock: Callable[[], datetime] = utc_now,
    lines: Lines = NO_LINES,
    studies: StudyData | None = None,
    uptime: LoggedUptime | None = None,
    equipment_log: EquipmentLog = NO_EQUIPMENT_LOG,
    files: FileStore = NO_FILES,
    audit: AuditTrail | None = None,
    measurements: Measurements | None = None,
    published: PublishedLog | None = None,
    pseudonyms: PseudonymKeys | None = None,
    data_dir: Path | None = None,
    alerts: Desk | None = None,
    reports: Reports | None = None,
    past: LoggedPast | None = None,
    certificate_files: Mapping[str, Path] | None = None,
) -> Litestar:
    """Return the application of a site; `demo` switches the demonstration's panel and sign-in on.

    `audit` is where uses are put on record; without it they are kept as long as the application.
    Without `measurements` routes about them answer that there is no database, without `published` nothing is streamed,
    without `pseudonyms` nobody is found by a patient's id, without `alerts` nobody is told anything. Of `data_dir` the
    metrics say how much room is left, of `certificate_files` (by what they are used for) when they end.

    Its `state.live.close()` lets the connections of live pages end: call it before the server is asked to stop.
    """
    live = LiveHub(site, settings.heartbeat_s)
    collector = SiteCollector(
        site, readings, live, zone=settings.zone, data_dir=data_dir, certificate_files=certificate_files
    )
    metrics = MetricsPage(collector)
    trail = audit or MemoryTrail()
    console = Console(
        site,
        readings,
        users,
        settings,
        live,
        metrics,
        clock,
        demo,
        lines,
        studies=studies,
        uptime=uptime,
        equipment_log=equipment_log,
        files=files,
        measurements=measurements,
        published=published,
        pseudonyms=pseudonyms,
        alerts=alerts,
        reports=reports,
        past=past,
        audit=trail,
    )
    credentials = Credentials(console)

    @asynccontextmanager
    async def listening(_: Litestar) -> AsyncIterator[None]:
        await live.start()
        listeners = [site.subscribe(count_verdicts)]
        if alerts is not None:
            listeners.append(alerts.subscribe(live.alerts_changed))
        yield
        for stop in listeners:
            stop()
        live.close()

    app = Litestar(
        route_handlers=[console_router(demo=demo is not None), api_router, fhir_router, *health_handlers],
        state=State({"console": console, "live": live}),
        dependencies={
            "console": Provide(lambda: console, sync_to_thread=False),
            "credentials": Provide(lambda: credentials, sync_to_thread=False),
        },
        guards=[require_sign_in],
        middleware=[
            timed_requests(),
            SessionMiddleware(console, credentials),
            AuditMiddleware(console, trail),
            IdempotencyMiddleware(users.answers),
            EtagMiddleware(),
        ],
        csrf_config=csrf_config(settings, users.secret("csrf")),
        template_config=template_config(),
        exception_handlers={Exception: answer_error},
        before_send=[add_security_headers],
        lifespan=[listening],
        openapi_config=OpenAPIConfig(
            title="Bonewatch",
            version="1",
            use_handler_docstrings=True,
            components=SECURITY,
            render_plugins=[JsonRenderPlugin(path="/")],
            openapi_router=Router(path=DOCUMENT_PATH, route_handlers=[], opt=PUBLIC, include_in_schema=False),
        ),
        request_class=MemoryRequest,
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )
    refuse_unnamed(app)
    return app
