"""What is wrong now and whom it concerns: derived anew at each look, never remembered here."""

from datetime import datetime
from enum import StrEnum

import msgspec

from streams.roles import Role


class Severity(StrEnum):
    """How soon people are told."""

    URGENT = "urgent"
    """At once, also in quiet hours."""
    PROMPT = "prompt"
    """Soon; waits for the end of somebody's quiet hours."""
    DIGEST = "digest"
    """In one message at a set time of day."""


class Kind(StrEnum):
    """What a condition is about."""

    QC_NOT_DONE = "qc_not_done"
    QC_FAILED = "qc_failed"
    GATE_HELD = "gate_held"
    OVERRIDE_ENDING = "override_ending"
    BYPASS = "bypass"
    DEVICE_SILENT = "device_silent"
    CLOCK_SKEW = "clock_skew"
    DEVICE_PARKED = "device_parked"
    REVIEW_WAITING = "review_waiting"
    HANDOVER_OVERDUE = "handover_overdue"
    RETURN_UNDECIDED = "return_undecided"
    DUE_WORK = "due_work"
    DRIFT = "drift"
    UPTIME_BELOW_CONTRACT = "uptime_below_contract"
    INCIDENT_OPEN = "incident_open"
    NOT_READY = "not_ready"
    NOT_DELIVERED = "not_delivered"


class Condition(msgspec.Struct, frozen=True):
    """One thing that is wrong as things stand.

    Attributes
    ----------
    key
        ``family:device:subject``: the same while the trouble is the same.
    device
        Id within the site, or empty where it concerns the site; `device_name` is what people call it.
    audience
        The roles that can do something about it.
    since
        Since when it is so.
    news
        Words separated by blanks; a word that was not there before is something new to tell (the failed reading's id),
        one that goes is not. Never the time.
    headline, brief, line, advice
        One sentence without a full stop that names the device; a few words for the subject of a message; the same for
        a line under `many`; what to do.
    ring
        Whom to ring.
    needs_by
        By when it matters, or None; `needs_what` is then: a ``clinic`` starts, an ``override`` ends; `needs_note` says
        more of it (``first patient 08:40``).
    page
        The console's path.
    many
        What follows a number where several of one kind are told in one line (``scanners are not cleared``).
    """

    key: str
    kind: Kind
    severity: Severity
    audience: tuple[Role, ...]
    since: datetime
    news: str
    headline: str
    brief: str = ""
    line: str = ""
    advice: str = ""
    ring: str = ""
    device: str = ""
    device_name: str = ""
    needs_by: datetime | None = None
    needs_what: str = "clinic"
    needs_note: str = ""
    page: str = ""
    many: str = ""

    @property
    def parts(self) -> frozenset[str]:
        """The words of the news."""
        return frozenset(self.news.split())


class Findings(msgspec.Struct, frozen=True):
    """What one look found: what is wrong, and what can truthfully be said of what is not any more.

    `endings` are sentences by key (``Scanner 2 is cleared.``). A condition that goes without one (its clinic is over)
    ends without a word. `is_partial` says that Bonewatch could not look everywhere: what is not found may still be so.
    """

    conditions: tuple[Condition, ...] = ()
    endings: dict[str, str] = {}
    is_partial: bool = False
