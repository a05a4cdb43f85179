"""Gathers how a site stands for its alerts: devices, clinics by the calendars in force, lines, uptime, itself."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final, NamedTuple

import structlog

from alerts.queue import ChannelTrouble
from alerts.rules import AlertRules
from alerts.situation import ClinicSpan, DeviceSituation, LineView, Situation, Trouble, UptimeStanding
from streams.engine import SiteEngine
from streams.fold.schedule import clinics_on, local_day, next_clinic_day, zone
from streams.lines import Lines
from streams.policy import ClinicCalendar
from streams.readings import DeviceView, Readings
from streams.sqlite_log import LogError
from streams.uptime.reader import LoggedUptime

UPTIME_EVERY: Final = timedelta(hours=1)
"""How often uptime is reckoned for alerts: it reads the log."""


class SitePorts(NamedTuple):
    """What of a site is looked at."""

    engine: SiteEngine
    readings: Readings
    lines: Lines
    uptime: LoggedUptime


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
        self._engine, self._readings, self._lines, self._uptime = ports
        self._rules, self._time_zone, self._troubles = rules, time_zone, troubles
        self._line_since: dict[str, tuple[str, datetime]] = {}
        self._not_ready_since: datetime | None = None
        self._reckoned: tuple[datetime, tuple[UptimeStanding, ...]] | None = None

    def __call__(self, at: datetime) -> Situation:
        """Return how the site stands at an instant."""
        views = self._readings.devices()
        return Situation(
            at,
            self._time_zone,
            tuple(self._device(view, at) for view in views),
            uptime=self._standings(views, at),
            not_ready=self._not_ready(at),
            undelivered=tuple(_trouble(one) for one in self._troubles()),
        )

    def _device(self, view: DeviceView, at: datetime) -> DeviceSituation:
        state = self._engine.states.get(view.device)
        clinics = tuple(clinic_spans(state.calendar, at, self._rules.assumed_clinic)) if state is not None else ()
        return DeviceSituation(view, clinics, self._line(view.device, at))

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
        names = {view.id: device_name(view) for view in views}
        report = self._uptime.report(today.replace(day=1), today, at)
        for line in report.devices:
            target, account = line.target, line.account
            if target is None:
                continue
            reached = account.availability_with_planned if target.counts_planned else account.availability
            if reached is not None:
                name = names.get(line.name, line.name)
                yield UptimeStanding(line.name, name, report.first, 100 * reached, target.percent)


def clinic_spans(calendar: ClinicCalendar, at: datetime, assumed: tuple[str, str]) -> Iterator[ClinicSpan]:
    """Yield the clinics of today and of the next day that has any; usual hours where none is configured."""
    today = local_day(at, calendar.time_zone)
    following = next_clinic_day(calendar, today + timedelta(days=1))
    for day in (today, following):
        if day is None:
            continue
        if calendar.clinics:
            yield from (ClinicSpan(start, end) for start, end in clinics_on(calendar, day))
        elif next_clinic_day(calendar, day) == day:
            here = zone(calendar.time_zone)
            starts, ends = (datetime.combine(day, time.fromisoformat(one), here) for one in assumed)
            yield ClinicSpan(starts, ends, is_assumed=True)


def device_name(view: DeviceView) -> str:
    """Return what people call a device, as the console does."""
    return f"{view.kind.capitalize()} {view.ae_title or view.id}"


def _trouble(one: ChannelTrouble) -> Trouble:
    return Trouble(
        f"channel-{one.channel}",
        datetime.fromtimestamp(one.oldest_queued_at, UTC),
        f"Messages by {one.channel} do not get out: {one.waiting} waiting",
        "IT looks at the channel; people are told in person meanwhile.",
    )
