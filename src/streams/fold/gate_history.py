"""How a gate stood at a time that is over: what comes late is judged by it, and it is never rewritten."""

from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from streams.fold.state import DeviceState, GateSpan, ModeGate, latest
from streams.messages import GateStatus, ReasonCode

SPANS: Final = 20
"""So many times are remembered in which a gate was not open: a fortnight of clinic mornings with two duties."""
_BITS: Final = {code: bit for bit, code in enumerate(ReasonCode)}


class GateThen(NamedTuple):
    """How a gate stood: `since` is where this standing began, None where that is not known."""

    status: GateStatus
    codes: tuple[ReasonCode, ...]
    since: datetime | None


def gate_then(state: DeviceState, mode: str, at: datetime) -> GateThen | None:
    """Return how the gate of a mode stood at a time up to now; None for a time that nobody knows of any more."""
    gate, known_from = state.gates.get(mode), latest(state.spans_from, state.commissioning.begun)
    if gate is None or known_from is None or at < known_from:
        return None
    began = _began(state.spans, mode, gate)
    if began <= at:
        return GateThen(gate.status, codes_of(_holding_codes(gate)), began)
    since: datetime | None = None
    for span in state.spans:
        if mode not in span.modes:
            continue
        if span.since <= at < span.until:
            status = GateStatus.OVERRIDDEN if span.is_overridden else GateStatus.HELD
            return GateThen(status, codes_of(span.codes), span.since)
        if span.until <= at:
            since = latest(since, span.until)
    return GateThen(GateStatus.OPEN, (), since)


def held_codes(state: DeviceState, mode: str, at: datetime) -> int:
    """Return what held a mode's gate at a time, as bits: all of it where two times meet."""
    gate, codes = state.gates.get(mode), 0
    if gate is not None and gate.status is GateStatus.HELD and _began(state.spans, mode, gate) <= at:
        codes = _holding_codes(gate)
    for span in state.spans:
        if mode in span.modes and not span.is_overridden and span.since <= at < span.until:
            codes |= span.codes
    return codes


def codes_of(bits: int) -> tuple[ReasonCode, ...]:
    """Return reasons from their bits."""
    return tuple(code for bit, code in enumerate(ReasonCode) if bits >> bit & 1)


def known_anew(state: DeviceState, now: datetime) -> DeviceState:
    """Begin what is known of the gates anew: by other rules, for other modes, or after times that never were.

    What ran until now is kept for what looks at held gates alone; a measurement of before is too late to be judged.
    """
    spans = tuple(replace(span, until=min(span.until, now)) for span in state.spans if span.since < now)
    for mode, gate in state.gates.items():
        began = min(_began(spans, mode, gate), now)
        if gate.status is not GateStatus.OPEN and began < now:
            is_overridden = gate.status is GateStatus.OVERRIDDEN
            spans = (*spans, GateSpan((mode,), began, now, _holding_codes(gate), is_overridden))
    gates = {mode: replace(gate, since=min(gate.since, now)) for mode, gate in state.gates.items()}
    return replace(state, spans=spans[-SPANS:], spans_from=now, gates=gates)


def remembered(state: DeviceState, gates: dict[str, ModeGate], now: datetime) -> DeviceState:
    """Return the state with the gates as they are now, and what has just ended among what is remembered."""
    spans, dropped = state.spans, state.spans_from
    for mode, gate in gates.items():
        spans = _with_past(spans, mode, state.gates.get(mode), gate, now)
    if len(spans) > SPANS:
        dropped = latest(dropped, *(span.until for span in spans[:-SPANS]))
        spans = spans[-SPANS:]
    return replace(state, gates=gates, spans=spans, spans_from=dropped)


def _with_past(
    spans: tuple[GateSpan, ...], mode: str, before: ModeGate | None, after: ModeGate, now: datetime
) -> tuple[GateSpan, ...]:
    if before is None or before.status is GateStatus.OPEN:
        return spans
    if after.status is before.status and _holding_codes(after) == _holding_codes(before):
        return spans
    began, codes = _began(spans, mode, before), _holding_codes(before)
    if began == now:
        return spans
    ended = GateSpan((mode,), began, now, codes, before.status is GateStatus.OVERRIDDEN)
    last = spans[-1] if spans else None
    if last is not None and replace(last, modes=(mode,)) == ended:
        return (*spans[:-1], replace(last, modes=(*last.modes, mode)))
    return (*spans, ended)


def _began(spans: tuple[GateSpan, ...], mode: str, gate: ModeGate) -> datetime:
    """Return since when a gate stands as it does, for the reasons that it has now."""
    return max([gate.since, *(span.until for span in spans if mode in span.modes)])


def _holding_codes(gate: ModeGate) -> int:
    return sum({1 << _BITS[reason.code] for reason in gate.reasons if reason.holds})
