"""Patients who were scanned while the gate was held: nobody may learn of it late, or twice."""

from datetime import datetime
from typing import Final, NamedTuple

from msgspec.structs import replace

from streams.fold.gate_history import codes_of, held_codes
from streams.fold.schedule import local_day
from streams.fold.state import DeviceState
from streams.messages import BypassDetected, BypassEvidence, Event, event_id
from streams.policy import DeviceKind

REQUESTS: Final = 16
DIGEST: Final = 8


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
        codes |= held_codes(state, mode, at)
    if not codes or request in state.bypassed:
        return state, ()
    detected = BypassDetected(
        subject_event_id=event.event_id,
        evidence=scan.evidence,
        at=at,
        accession_number=scan.accession_number,
        mode=scan.mode,
        reasons=codes_of(codes),
        enforcement=policy.enforcement,
    )
    return replace(state, bypassed=(*state.bypassed, request)[-REQUESTS:]), (detected,)
