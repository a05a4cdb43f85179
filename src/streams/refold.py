"""Fold a log anew from its events alone: after an upgrade, for a lost state, and to prove that both agree."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from streams import codec
from streams.chain import first_link, next_link
from streams.fold import FOLD_VERSION
from streams.fold.device import Step, park, step
from streams.fold.state import DeviceState, blob_from_state
from streams.messages import ClockCorrected, Event, Outcome, RecordedOutcome, event_id, type_name
from streams.sqlite_log import Row, SqliteEventLog


def fold_or_park(state: DeviceState, event: Event) -> Step:
    """Fold an event; if that fails, park the device: no event of a known device stops the stream."""
    try:
        return step(state, event)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one device's event, the others go on
        return park(state, event, f"event {event.device_seq} could not be folded ({type(error).__name__})")


def recorded(event: Event, outcomes: Iterable[Outcome]) -> tuple[RecordedOutcome, ...]:
    """Give outcomes their identity: event, type and place."""
    return tuple(
        RecordedOutcome(
            outcome_id=event_id(event.event_id, type_name(outcome), str(place)),
            event_id=event.event_id,
            device=event.device,
            device_seq=event.device_seq,
            outcome=outcome,
        )
        for place, outcome in enumerate(outcomes)
    )


class Refolded(NamedTuple):
    """A device folded anew, and each place where the log holds another outcome than these rules give."""

    state: DeviceState
    events: int
    differences: tuple[str, ...]


def refold(device: str, rows: Iterable[Row]) -> Refolded:
    """Fold one device's rows from nothing and compare the outcomes with those recorded."""
    state, count, differences = DeviceState(device), 0, []
    for row in rows:
        count += 1
        try:
            event = codec.decode_event(row.body)
        except codec.UndecodableError as error:
            state = _parked_at(state, row, error)
            continue
        folded = fold_or_park(state, event)
        state = folded.state
        bodies = tuple(codec.encode(outcome) for outcome in recorded(event, folded.outcomes))
        if bodies != row.outcomes:
            differences.append(f"{type_name(event.fact)} at {event.device_seq}")
    return Refolded(state, count, tuple(differences))


def _parked_at(state: DeviceState, row: Row, error: Exception) -> DeviceState:
    why = f"event {row.device_seq} is of a version this program does not know ({type(error).__name__})"
    return DeviceState(row.device, row.device_seq, state.now, why, state.stage, state.policy, state.calendar)


class Verification(NamedTuple):
    """What `verify` found; an empty `faults` is a sound log."""

    events: int
    outcomes: int
    head: str
    faults: tuple[str, ...]


def verify(log: SqliteEventLog) -> Verification:
    """Check the chain, the sequence of each device and the recorded times of a whole log."""
    link, seqs, faults, events, outcomes = first_link(log.log_id), dict[str, int](), list[str](), 0, 0
    last_at: datetime | None = None
    for row in log.rows():
        events += 1
        outcomes += len(row.outcomes)
        link = next_link(link, row.body, row.outcomes)
        if link != row.link:
            faults.append(f"the chain breaks at position {row.position}: {row.device} {row.device_seq}")
            link = row.link
        expected = seqs.get(row.device, 0) + 1
        if row.device_seq != expected:
            faults.append(f"{row.device} goes from {expected - 1} to {row.device_seq} at position {row.position}")
        seqs[row.device] = row.device_seq
        event = _event_of(row)
        if event is not None:
            if last_at is not None and event.recorded_at < last_at and not isinstance(event.fact, ClockCorrected):
                faults.append(f"time goes back at position {row.position}")
            last_at = event.recorded_at
    return Verification(events, outcomes, link.hex(), tuple(faults))


def _event_of(row: Row) -> Event | None:
    try:
        return codec.decode_event(row.body)
    except codec.UndecodableError:
        return None


class Replayed(NamedTuple):
    """What a replay of a whole log found; no `differences` means states and outcomes agree."""

    devices: int
    events: int
    differences: tuple[str, ...]


def replay(log: SqliteEventLog) -> Replayed:
    """Rebuild every device's state and outcomes from the events alone and compare them with the log's."""
    stored = {state.device: state for state in log.states()}
    events, differences = 0, []
    for device in log.last_seqs():
        folded = refold(device, log.rows(device))
        events += folded.events
        differences += [f"{device}: {difference}" for difference in folded.differences]
        kept = stored.get(device)
        if kept is None or kept.blob != blob_from_state(folded.state):
            differences.append(f"{device}: the stored state is not the one its events give")
        elif kept.fold_version != FOLD_VERSION:
            differences.append(f"{device}: the stored state is of fold version {kept.fold_version}")
    return Replayed(len(stored), events, tuple(differences))
