"""Gathers how a site stands for its alerts: devices, clinics by the calendars in force, lines, uptime, itself."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import structlog

from alerts.deliveries import ChannelTrouble
from alerts.rules import AlertRules
from alerts.situation import ClinicSpan, DeviceSituation, LineView, Situation, Trouble, UptimeStanding, clinics_ahead
from collectors.dicom.hearing import Hearing
from streams.engine import SiteEngine
from streams.fold.schedule import local_day
from streams.lines import Lines
from streams.readings import DeviceView, Readings
from streams.sqlite_log import LogError
from streams.uptime.reader import LoggedUptime

APPOINTMENTS_AHEAD: Final = timedelta(hours=1)
"""So long before a clinic's messages may begin, the RIS is asked for its appointments: messages name the first."""
CLOCK_SETTLING_S: Final = 3600.0
"""So long after the computer's start nothing is said of a clock that nothing keeps."""
UPTIME_EVERY: Final = timedelta(hours=1)
"""How often uptime is reckoned for alerts: it reads the log."""


class SitePorts(NamedTuple):
    """What of a site is looked at; `hearing` says when a peer of DICOM was heard last, by AE title.

    `is_clock_kept` says whether something keeps this computer's clock right, None where nobody knows;
    `first_patient` when the first patient is booked on a device from an instant on, None where nobody knows.
    """

    engine: SiteEngine
    readings: Readings
    lines: Lines
    uptime: LoggedUptime
    hearing: Hearing
    is_clock_kept: Callable[[], bool | None]
    first_patient: Callable[[str, datetime], datetime | None] = lambda _device, _at: None


class SituationGatherer:
    """Says how a site stands; for one thread.

    Parameters
    ----------
    ports
        What is looked at.
    rules
        For the hours that are taken where a device has none.
    time_zone
        The site's.
    troubles
        Says which channels deliver nothing.
    """

    def __init__(
        self, ports: SitePorts, rules: AlertRules, time_zone: str, troubles: Callable[[], Sequence[ChannelTrouble]]
    ) -> None:
        self._engine, self._readings, self._lines, self._uptime, self._hearing = ports[:5]
        self._is_clock_kept, self._first_patient = ports.is_clock_kept, ports.first_patient
        self._rules, self._time_zone, self._troubles = rules, time_zone, troubles
        self._line_since: dict[str, tuple[str, datetime]] = {}
        self._not_ready_since: datetime | None = None
        self._clock_unkept_since: datetime | None = None
        self._reckoned: tuple[datetime, tuple[UptimeStanding, ...]] | None = None

    def __call__(self, at: datetime) -> Situation:
        """Return how the site stands at an instant."""
        views = self._readings.devices()
        return Situation(
            at,
            self._time_zone,
            tuple(self._device(view, at) for view in views),
            uptime=self._standings(views, at),
            clock_unkept_since=self._clock_unkept(at),
            not_ready=self._not_ready(at),
            undelivered=tuple(_trouble(one) for one in self._troubles()),
        )

    def _device(self, view: DeviceView, at: datetime) -> DeviceSituation:
        state = self._engine.states.get(view.device)
        clinics = clinics_ahead(state.calendar, at, self._rules.assumed_clinic) if state is not None else ()
        first = self._first_patient(view.device, at) if self._is_near(clinics, at) else None
        return DeviceSituation(view, clinics, self._line(view.device, at), self._heard_at(view), first)

    def _is_near(self, clinics: Sequence[ClinicSpan], at: datetime) -> bool:
        """Whether it is soon time, or time, to say when the first patient comes."""
        ahead = self._rules.lead + APPOINTMENTS_AHEAD
        return any(clinic.starts - ahead <= at < clinic.ends for clinic in clinics)

    def _heard_at(self, view: DeviceView) -> datetime | None:
        """Return when a scanner was heard last; one whose worklist comes from here could be, ever since the start."""
        if not view.ae_title:
            return None
        heard_at = self._hearing.heard_at(view.ae_title)
        return self._hearing.since if heard_at is None and view.enforcement == "worklist" else heard_at

    def _line(self, device: str, at: datetime) -> LineView | None:
        """Return how a line stands, and since when it has been seen so."""
        status = self._lines.status(device)
        if status is None:
            return None
        state, since = self._line_since.get(device, ("", at))
        if state != status.state:
            since = at
            self._line_since[device] = (status.state, since)
        return LineView(status.state, status.why, since)

    def _not_ready(self, at: datetime) -> Trouble | None:
        if self._engine.ready:
            self._not_ready_since = None
            return None
        self._not_ready_since = self._not_ready_since or at
        return Trouble(
            "not-ready",
            self._not_ready_since,
            "Bonewatch cannot record anything: its log cannot be written",
            "Look at disk space and the runbook; until then work by the downtime procedure.",
        )

    def _clock_unkept(self, at: datetime) -> datetime | None:
        """Return since when it has been seen that nothing keeps the clock."""
        is_unkept = self._is_clock_kept() is False
        self._clock_unkept_since = (self._clock_unkept_since or at) if is_unkept else None
        return self._clock_unkept_since

    def _standings(self, views: Sequence[DeviceView], at: datetime) -> tuple[UptimeStanding, ...]:
        if self._reckoned is None or not timedelta() <= at - self._reckoned[0] < UPTIME_EVERY:
            try:
                self._reckoned = at, tuple(self._reckon(views, at))
            except (LogError, ValueError) as error:
                structlog.get_logger("alerts").warning("uptime_not_reckoned", error=type(error).__name__)
                self._reckoned = at, ()
        return self._reckoned[1]

    def _reckon(self, views: Sequence[DeviceView], at: datetime) -> Iterator[UptimeStanding]:
        today = local_day(at, self._time_zone)
        names = {view.id: view.title for view in views}
        report = self._uptime.report(today.replace(day=1), today, at)
        for line in report.devices:
            target, account = line.target, line.account
            if target is None:
                continue
            reached = account.availability_with_planned if target.counts_planned else account.availability
            if reached is not None:
                name = names.get(line.name, line.name)
                hours = account.covered_s / 3600.0
                yield UptimeStanding(line.name, name, report.first, hours, 100 * reached, target.percent)


def _trouble(one: ChannelTrouble) -> Trouble:
    return Trouble(
        f"channel-{one.channel}",
        datetime.fromtimestamp(one.oldest_queued_at, UTC),
        f"Messages by {one.channel} do not get out: {one.waiting} waiting",
        "IT looks at the channel; people are told in person meanwhile.",
    )
