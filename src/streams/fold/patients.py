"""Patients who were scanned while the gate was held: nobody may learn of it late, or twice."""

from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from streams.fold.schedule import local_day
from streams.fold.state import DeviceState, HeldSpan, ModeGate
from streams.messages import BypassDetected, BypassEvidence, Event, GateStatus, ReasonCode, event_id
from streams.policy import DeviceKind

HELD_SPANS: Final = 8
REQUESTS: Final = 16
DIGEST: Final = 8
_BITS: Final = {code: bit for bit, code in enumerate(ReasonCode)}


class Scan(NamedTuple):
    """What tells of a patient's scan; `at` is when it was made, None where that is not known.

    `person` is the pseudonym. Without a request's number one person's scans of a day are told of once.
    """

    evidence: BypassEvidence
    at: datetime | None
    mode: str
    accession_number: str
    person: str
    acquisition_id: str


def bypass(state: DeviceState, event: Event, scan: Scan) -> tuple[DeviceState, tuple[BypassDetected, ...]]:
    """Tell whether a scan was made while the gate of its mode was held, once for each request.

    A scan without a time is taken as made now. One of an unknown mode counts where any mode was held.
    """
    policy = state.policy
    if policy is None or policy.kind is not DeviceKind.SCANNER:
        return state, ()
    at = min(scan.at or event.recorded_at, event.recorded_at)
    if state.unwatched is not None and state.unwatched[0] <= at < state.unwatched[1]:
        return state, ()  # nobody refused anything then; the report of the gap lists it (streams.downtime)
    day = str(local_day(at, state.calendar.time_zone))
    who = scan.accession_number or (f"{scan.person}@{day}" if scan.person else scan.acquisition_id)
    request = event_id(who)[:DIGEST]
    modes = (scan.mode,) if scan.mode in policy.mode_names else policy.mode_names
    codes = 0
    for mode in modes:
        codes |= _holding(state, mode, at)
    if not codes or request in state.bypassed:
        return state, ()
    detected = BypassDetected(
        subject_event_id=event.event_id,
        evidence=scan.evidence,
        at=at,
        accession_number=scan.accession_number,
        mode=scan.mode,
        reasons=tuple(code for bit, code in enumerate(ReasonCode) if codes >> bit & 1),
        enforcement=policy.enforcement,
    )
    return replace(state, bypassed=(*state.bypassed, request)[-REQUESTS:]), (detected,)


def _holding(state: DeviceState, mode: str, at: datetime) -> int:
    """Return what held a mode's gate at a time, as bits."""
    gate, codes = state.gates.get(mode), 0
    if gate is not None and gate.status is GateStatus.HELD and _began(state.held, mode, gate) <= at:
        codes = _codes(gate)
    for span in state.held:
        if mode in span.modes and span.since <= at < span.until:
            codes |= span.codes
    return codes


def held_before(
    held: tuple[HeldSpan, ...], mode: str, before: ModeGate | None, after: ModeGate, now: datetime
) -> tuple[HeldSpan, ...]:
    """Return the times in which gates were held, with one more if what held a mode's gate has just changed."""
    if before is None or before.status is not GateStatus.HELD:
        return held
    if after.status is GateStatus.HELD and _codes(after) == _codes(before):
        return held
    began, codes = _began(held, mode, before), _codes(before)
    if began == now:
        return held
    last = held[-1] if held else None
    if last is not None and (last.since, last.until, last.codes) == (began, now, codes):
        return (*held[:-1], replace(last, modes=(*last.modes, mode)))
    return (*held, HeldSpan((mode,), began, now, codes))[-HELD_SPANS:]


def _began(held: tuple[HeldSpan, ...], mode: str, gate: ModeGate) -> datetime:
    """Return since when a held gate is held by what holds it now."""
    return max([gate.since, *(span.until for span in held if mode in span.modes)])


def _codes(gate: ModeGate) -> int:
    return sum({1 << _BITS[reason.code] for reason in gate.reasons if reason.holds})
