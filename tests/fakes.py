"""Fakes of our own ports, for tests of what stands around them."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from streams.commands import Command, Refusal
from streams.messages import (
    Draft,
    Event,
    Fact,
    FaultCleared,
    FaultLogged,
    GateStatus,
    Outcome,
    PhantomMeasured,
    QcJudged,
    Reason,
    ReasonCode,
    RecordedOutcome,
    Verdict,
)
from streams.policy import PhantomRole
from streams.site import CurrentSession, EventConflictError, Gate, Receipt, SiteUnavailableError

OPEN = Gate(GateStatus.OPEN, None, None)
HELD = Gate(
    GateStatus.HELD,
    None,
    None,
    (Reason(ReasonCode.QC_FAILED, "The phantom scan failed.", "A passing scan and a release."),),
)


class FakeSite:
    """A site that records facts in memory; gates and verdicts are what the test says.

    Readings of the regions in `implausible` are judged so, whatever the verdict.
    """

    def __init__(self) -> None:
        self.facts: dict[str, Fact] = {}
        self.gates: dict[tuple[str, str | None], Gate] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.implausible: set[str] = set()
        self.before_append: Callable[[], None] = lambda: None
        self.available = True
        self.sessions: dict[str, CurrentSession] = {}
        self.gate_reads: list[tuple[str, str | None]] = []
        self.listeners: list[Callable[[Receipt], None]] = []
        self._recorded: dict[str, RecordedOutcome] = {}
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        return self.available

    def hold(self, device: str, mode: str | None = None) -> None:
        self.gates[device, mode] = HELD

    def release(self, device: str, mode: str | None = None) -> None:
        self.gates[device, mode] = OPEN

    def append(self, drafts: Sequence[Draft]) -> Receipt:
        if not self.available:
            raise SiteUnavailableError
        self.before_append()
        with self._lock:
            for draft in drafts:
                if self.facts.get(draft.event_id, draft.fact) != draft.fact:
                    raise EventConflictError(draft.event_id)
            new = [draft for draft in drafts if draft.event_id not in self.facts]
            self.facts |= {draft.event_id: draft.fact for draft in new}
            known = tuple(draft.event_id for draft in drafts if draft not in new)
            before = tuple(self._recorded[name] for name in known if name in self._recorded)
            outcomes = tuple(filter(None, map(self._judged, new)))
            self._recorded |= {outcome.event_id: outcome for outcome in outcomes}
        return Receipt(tuple(map(_event, new)), outcomes, known, before)

    def execute(self, command: Command, *, expected_device_seq: int) -> Receipt | Refusal:
        return Refusal("unsupported", f"{type(command).__name__} at {expected_device_seq}")

    def gate(self, device: str, mode: str | None = None) -> Gate:
        self.gate_reads.append((device, mode))
        return self.gates.get((device, mode), self.gates.get((device, None), OPEN))

    def session(self, device: str) -> CurrentSession | None:
        return self.sessions.get(device)

    def open_faults(self, device: str) -> dict[str, bool]:  # noqa: ARG002 - a test has one device
        """Return what the facts so far leave open."""
        found: dict[str, bool] = {}
        for fact in self.facts.values():
            if isinstance(fact, FaultLogged):
                found[fact.fault_id] = fact.stops_scanning
            elif isinstance(fact, FaultCleared):
                found.pop(fact.fault_id, None)
        return found

    def subscribe(self, listener: Callable[[Receipt], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def _judged(self, draft: Draft) -> RecordedOutcome | None:
        fact = draft.fact
        if not isinstance(fact, PhantomMeasured):
            return None
        verdict = self.verdicts.get(fact.region, Verdict.PASS)
        outcome: Outcome = QcJudged(
            subject_event_id=draft.event_id,
            revision=0,
            role=PhantomRole.INDEPENDENT,
            phantom_id=fact.phantom_id,
            region=fact.region,
            measured_at=fact.measured_at,
            verdict=verdict,
            plausible=fact.region not in self.implausible,
        )
        return RecordedOutcome(f"{draft.event_id}/judged", draft.event_id, draft.device, 1, outcome)


def _event(draft: Draft) -> Event:
    return Event(draft.event_id, draft.device, "fake", 1, datetime.now(UTC), 1, draft.fact)
