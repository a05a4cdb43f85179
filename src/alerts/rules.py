"""When what is told: every number is local policy and can be configured."""

from datetime import timedelta
from typing import Final, Literal, get_args

import msgspec

from alerts.condition import Severity
from streams.roles import Role

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
"""As the configuration names them, Monday first."""
RESOLVED_KEPT: Final = 200
"""So many alerts that are over stay in the book."""


class Timetable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When an alert that nobody took goes on: minutes after it was told to tier 2, 3, ...

    At the last tier those with a role of `widens_to` are told too.
    """

    after_minutes: tuple[int, ...] = ()
    widens_to: tuple[Role, ...] = ()


class AlertRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of one site.

    Attributes
    ----------
    pre_clinic_minutes
        So long before a clinic a device that is not cleared is told of.
    group_seconds
        What comes up within it becomes one message; counted from the first.
    settle_minutes
        A condition that comes back within it was never over.
    urgent, prompt
        Timetables of escalation; what goes into the digest is never escalated.
    soonest_escalation_minutes
        A clinic that begins sooner than the timetable's first step brings it forward, but not below this.
    override_ending_minutes
        So long before its end an override that still lets patients through is told of.
    line_silent_minutes
        So long a scale's or stadiometer's line may be down around a clinic before it is told.
    scanner_silent_minutes
        So long in clinic time nothing may come from a scanner.
    review_days, handover_hours, incident_days
        After these a review, a device with an engineer and an incident have waited too long.
    uptime_hours
        Uptime is held against its contract once so many hours of clinic time are covered.
    wait_for_duty_hours
        What is not urgent waits so long for somebody to come on duty; else everybody of the role is told.
    digest_at, digest_days
        When the digest goes out, ``HH:MM`` in the site's zone, and on which days of the week.
    max_lines
        So many devices are named in one message; the rest is counted.
    assumed_clinic
        Hours taken where a device has no clinic configured, ``HH:MM``.
    contacts
        Whom to ring by role, as people say it (``the duty physicist, 2345``).
    """

    pre_clinic_minutes: int = 45
    group_seconds: int = 30
    settle_minutes: int = 3
    urgent: Timetable = Timetable((15, 30), (Role.PHYSICIST, Role.MANAGER))
    prompt: Timetable = Timetable((240, 1440))
    soonest_escalation_minutes: int = 5
    override_ending_minutes: int = 30
    line_silent_minutes: int = 10
    scanner_silent_minutes: int = 120
    review_days: int = 3
    handover_hours: int = 48
    incident_days: int = 7
    uptime_hours: int = 40
    wait_for_duty_hours: int = 72
    digest_at: str = "08:00"
    digest_days: tuple[Weekday, ...] = WEEKDAYS[:5]
    max_lines: int = 10
    assumed_clinic: tuple[str, str] = ("08:30", "17:00")
    contacts: dict[Role, str] = {}

    @property
    def lead(self) -> timedelta:
        """So long before a clinic a device that is not cleared is told of."""
        return timedelta(minutes=self.pre_clinic_minutes)

    def timetable(self, severity: Severity) -> Timetable:
        """Return by which timetable alerts of a severity are escalated."""
        return {Severity.URGENT: self.urgent, Severity.PROMPT: self.prompt}.get(severity, Timetable())
