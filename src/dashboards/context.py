"""What every page and every answer of the API is made from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from litestar.exceptions import NotFoundException

from alerts.desk import Desk
from dashboards.access.limits import DAYS_SHOWN_AN_HOUR, LOOK_UPS_AN_HOUR, HourlyLimit
from dashboards.audit.trail import AuditTrail
from dashboards.demo_panel import DemoControls
from dashboards.live import LiveHub
from dashboards.manner.paging import Cursors
from dashboards.metrics.page import MetricsPage
from dashboards.reports.source import Reports
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from publishing.published import PublishedLog
from streams.attachments import NO_FILES, FileStore
from streams.equipment_log import NO_EQUIPMENT_LOG, EquipmentLog
from streams.lines import NO_LINES, Lines
from streams.measurements import Measurements
from streams.pseudonyms import PseudonymKeys
from streams.readings import DeviceView, Readings
from streams.site import SitePort
from streams.site_time import SiteTime
from streams.studies import StudyData
from streams.uptime.reader import LoggedUptime
from streams.what_if.reader import LoggedPast


@dataclass(frozen=True)
class Console:
    """The ports and settings that handlers work with; `demo` is None but in a demonstration."""

    site: SitePort
    readings: Readings
    users: UserStore
    settings: HttpSettings
    live: LiveHub
    metrics: MetricsPage
    clock: Callable[[], datetime]
    demo: DemoControls | None = None
    lines: Lines = NO_LINES
    studies: StudyData | None = None
    uptime: LoggedUptime | None = None
    equipment_log: EquipmentLog = NO_EQUIPMENT_LOG
    files: FileStore = NO_FILES
    measurements: Measurements | None = None
    published: PublishedLog | None = None
    pseudonyms: PseudonymKeys | None = None
    alerts: Desk | None = None
    reports: Reports | None = None
    past: LoggedPast | None = None
    audit: AuditTrail | None = None
    look_ups: HourlyLimit = field(default_factory=lambda: HourlyLimit(LOOK_UPS_AN_HOUR))
    days_shown: HourlyLimit = field(default_factory=lambda: HourlyLimit(DAYS_SHOWN_AN_HOUR))

    @cached_property
    def cursors(self) -> Cursors:
        """What pages of long lists end with."""
        return Cursors(self.users.secret("cursor"))

    @property
    def time(self) -> SiteTime:
        """The time now, in the words and the zone of the site."""
        return SiteTime(self.settings.zone, self.clock())

    def device(self, device_id: str) -> DeviceView:
        """Return one device, or answer 404."""
        view = self.readings.device(device_id)
        if view is None:
            raise NotFoundException(f"There is no device {device_id[:40]} at this site")
        return view
