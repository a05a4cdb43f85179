"""Fakes of our own ports, for tests of what stands around them."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from streams.commands import Command, Refusal
from streams.messages import (
    Draft,
    Event,
    Fact,
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
from streams.site import EventConflictError, Gate, Receipt, SiteUnavailableError

OPEN = Gate(GateStatus.OPEN, None, None)
HELD = Gate(
    GateStatus.HELD,
    None,
    None,
    (Reason(ReasonCode.QC_FAILED, "The phantom scan failed.", "A passing scan and a release."),),
)


class FakeSite:
    """A site that records facts in memory; gates and verdicts are what the test says."""

    def __init__(self) -> None:
        self.facts: dict[str, Fact] = {}
        self.gates: dict[tuple[str, str | None], Gate] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.available = True
        self.gate_reads: list[tuple[str, str | None]] = []
        self.listeners: list[Callable[[Receipt], None]] = []
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
        with self._lock:
            for draft in drafts:
                if self.facts.get(draft.event_id, draft.fact) != draft.fact:
                    raise EventConflictError(draft.event_id)
            new = [draft for draft in drafts if draft.event_id not in self.facts]
            self.facts |= {draft.event_id: draft.fact for draft in new}
        known = tuple(draft.event_id for draft in drafts if draft not in new)
        return Receipt(tuple(map(_event, new)), tuple(filter(None, map(self._judged, new))), known)

    def execute(self, command: Command, *, expected_device_seq: int) -> Receipt | Refusal:
        return Refusal("unsupported", f"{type(command).__name__} at {expected_device_seq}")

    def gate(self, device: str, mode: str | None = None) -> Gate:
        self.gate_reads.append((device, mode))
        return self.gates.get((device, mode), self.gates.get((device, None), OPEN))

    def subscribe(self, listener: Callable[[Receipt], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def _judged(self, draft: Draft) -> RecordedOutcome | None:
        fact = draft.fact
        if not isinstance(fact, PhantomMeasured):
            return None
        verdict = self.verdicts.get(fact.region, Verdict.PASS)
        outcome: Outcome = QcJudged(
            draft.event_id, 0, PhantomRole.INDEPENDENT, fact.phantom_id, fact.region, fact.measured_at, verdict
        )
        return RecordedOutcome(f"{draft.event_id}/judged", draft.event_id, draft.device, 1, outcome)


def _event(draft: Draft) -> Event:
    return Event(draft.event_id, draft.device, "fake", 1, datetime.now(UTC), 1, draft.fact)
