"""The port to a running site: what collectors, console and simulators' hosts ask of it.

`streams.engine.SiteEngine` is the implementation. All calls are safe from any thread; `append` and `execute`
return only after the commit is durable.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from streams.commands import Command, Refusal
from streams.messages import Draft, Event, GateStatus, QcJudged, Reason, RecordedOutcome, SessionPurpose


class Gate(msgspec.Struct, frozen=True):
    """What a gate says now: the answer of one read."""

    status: GateStatus
    since: datetime | None
    valid_until: datetime | None
    reasons: tuple[Reason, ...] = ()
    overridden_by: str = ""
    overridden_until: datetime | None = None

    @property
    def lets_patients_through(self) -> bool:
        """Whether patients may be scanned: open, or overridden."""
        return self.status is not GateStatus.HELD

    @property
    def holding(self) -> tuple[Reason, ...]:
        """The reasons that hold, without those that only warn."""
        return tuple(reason for reason in self.reasons if reason.holds)

    def error_comment(self) -> str:
        """Return at most 64 ASCII characters for a DICOM ErrorComment: codes first, then the first reason."""
        holding = self.holding
        if not holding:
            return self.status.value
        codes = ",".join(dict.fromkeys(reason.code.value for reason in holding))
        return f"{codes}: {holding[0].text}".encode("ascii", "replace").decode()[:64]


class CurrentSession(msgspec.Struct, frozen=True):
    """What a person has said that a scale or stadiometer is used for now."""

    session_id: str
    purpose: SessionPurpose
    until: datetime
    by: str
    standard_id: str = ""
    accession_number: str = ""


class Receipt(msgspec.Struct, frozen=True):
    """What became of drafts: durable events and outcomes; `duplicates` were in the log before, unchanged.

    `recorded_before` holds the outcomes that the duplicates had when they were recorded.
    `fold_s` is the time spent judging, `commit_s` that of the whole group's write and sync.
    """

    events: tuple[Event, ...]
    outcomes: tuple[RecordedOutcome, ...]
    duplicates: tuple[str, ...] = ()
    recorded_before: tuple[RecordedOutcome, ...] = ()
    fold_s: float = 0.0
    commit_s: float = 0.0

    def judged(self, event_id: str) -> QcJudged | None:
        """Return how one reading was judged when it was recorded, now or before; None when it was not."""
        outcomes = (record.outcome for record in (*self.outcomes, *self.recorded_before))
        judged = [one for one in outcomes if isinstance(one, QcJudged) and one.subject_event_id == event_id]
        return max(judged, key=lambda outcome: outcome.revision) if judged else None


class SiteError(Exception):
    """Base of what a site can fail with."""


class SiteUnavailableError(SiteError):
    """The site cannot commit now (starting, stopping, disk full); nothing was recorded; try again later."""


class EventConflictError(SiteError):
    """An event of the same identity and other content is in the log; nothing was recorded."""

    def __init__(self, event_id: str) -> None:
        super().__init__(event_id)
        self.event_id = event_id

    def __str__(self) -> str:
        return f"event {self.event_id} is in the log with other content"


class SitePort(Protocol):
    """A running site."""

    @property
    def ready(self) -> bool:
        """Whether every device's state is known and commits succeed."""

    def append(self, drafts: Sequence[Draft]) -> Receipt:
        """Record facts of one device, all or none.

        Raises
        ------
        EventConflictError
            One is in the log with other content.
        SiteUnavailableError
            Nothing could be committed.
        ValueError
            A number is not finite, or the device is not configured.
        """

    def execute(self, command: Command, *, expected_device_seq: int) -> Receipt | Refusal:
        """Carry out what a person asked for, or refuse it."""

    def gate(self, device: str, mode: str | None = None) -> Gate:
        """Read the gate now, of one mode or (None) the strictest over all; never fails: unknown is held."""

    def session(self, device: str) -> CurrentSession | None:
        """Return the session that is open on a device now, or None."""

    def open_faults(self, device: str) -> Mapping[str, bool]:
        """Return the faults that are open on a device, by fault id: whether each stops scanning."""

    def subscribe(self, listener: Callable[[Receipt], None]) -> Callable[[], None]:
        """Call `listener` after each commit, on the writer's thread, without blocking; return how to stop."""
