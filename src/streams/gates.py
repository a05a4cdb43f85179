"""Read a gate from a committed state: the one place that says what a reader may believe."""

from datetime import datetime

from streams.fold.state import DeviceState, ModeGate, earliest
from streams.messages import GateStatus, Reason, ReasonCode
from streams.site import Gate

_STRICTNESS = {GateStatus.OPEN: 0, GateStatus.OVERRIDDEN: 1, GateStatus.HELD: 2}


def held_unknown(why: str) -> Gate:
    """Return a held gate: what nobody can vouch for is held."""
    reason = Reason(ReasonCode.STATE_UNKNOWN, why, "Ring whoever runs Bonewatch; use the downtime card meanwhile.")
    return Gate(GateStatus.HELD, None, None, (reason,))


def gate_from_state(state: DeviceState, mode: str | None, now: datetime) -> Gate:
    """Return the gate of one mode, or (None) the strictest over all; past `valid_until` it is held."""
    gates = [gate for name, gate in state.gates.items() if mode in {None, name}]
    if not gates:
        return held_unknown("no gate is known for this device and mode")
    if any(gate.valid_until is not None and gate.valid_until <= now for gate in gates):
        return held_unknown("the last verdict has lapsed")
    return _strictest(gates)


def _strictest(gates: list[ModeGate]) -> Gate:
    worst = max(gates, key=lambda gate: _STRICTNESS[gate.status])
    reasons = dict.fromkeys(reason for gate in gates for reason in gate.reasons)
    return Gate(
        status=worst.status,
        since=worst.since,
        valid_until=earliest(*(gate.valid_until for gate in gates)),
        reasons=tuple(reasons),
        overridden_by=worst.overridden_by,
        overridden_until=worst.overridden_until,
    )
