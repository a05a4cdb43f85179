"""What a worker makes of a row of a site's log: new, seen before, out of sequence, or from a log that was forked.

Pure: ``(known device, row) -> (known device, outcomes to publish)``. The outcomes of a site's own engine are
authoritative and are published as they came; the same event is folded here to verify them. An event with fold version
0 comes from a gateway without an engine: there the fold here decides.
"""

import math
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from streams.envelope import LogRow
from streams.fleet.site_life import NEVER
from streams.fold import FOLD_VERSION
from streams.fold.device import park
from streams.fold.state import DeviceState
from streams.messages import Event, RecordedOutcome, TimeReached, event_id, type_name
from streams.refold import fold_or_park, recorded

REMEMBERED: Final = 32
"""Rows by whose links a redelivered row is told from another one with its number; an older one counts as seen."""

CLOSE: Final = 1e-9
"""Floats of two folds that are nearer than this, relatively or absolutely, are equal."""

NO_ENGINE: Final = 0
"""Fold version of an event that nobody has folded yet."""

EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Known(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A device as the workers know it.

    `state` is what the fold here made of its events; `links` are the sequence numbers and shortened links of the
    last rows; `parked` says why nothing of it is published; `diverged_at` is the first event whose outcomes the fold
    here does not confirm; `fold_version` is of the rules that `state` was folded by, 0 where nobody said. `life` says
    which life of its site it is of (`SiteLife.forgotten_at`).
    """

    state: DeviceState
    log_id: str
    links: tuple[tuple[int, bytes], ...] = ()
    parked: str = ""
    diverged_at: int | None = None
    fold_version: int = 0
    life: int = NEVER


def beginning(device: str, log_id: str = "") -> Known:
    """Return a device of which nothing is known yet."""
    return Known(DeviceState(device), log_id, fold_version=FOLD_VERSION)


def is_outdated(known: Known) -> bool:
    """Whether a device must be folded anew because the rules have changed; a parked one waits for somebody to ask."""
    return known.fold_version != FOLD_VERSION and not known.parked


class Kind(StrEnum):
    """What a row was."""

    NEW = "new"
    DUPLICATE = "duplicate"
    GAP = "gap"
    FORKED = "log_forked"
    PARKED = "parked"


class Received(NamedTuple):
    """A row taken in: the device after it, what is to be published, and a divergence if this row shows one.

    An `unverified` row was decided by other rules than those here, so that nothing could be compared.
    """

    kind: Kind
    known: Known
    outcomes: tuple[RecordedOutcome, ...] = ()
    divergence: str = ""
    unverified: bool = False


_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")
_decoder: Final = msgspec.msgpack.Decoder(Known)


def blob_from_known(known: Known) -> bytes:
    """Return a known device as bytes, for the worker's table."""
    return _encoder.encode(known)


def known_from_blob(blob: bytes) -> Known:
    """Return the device that `blob_from_known` wrote; raise msgspec.DecodeError for anything else.

    Of a state that other rules wrote in another shape, what every version has is kept: it is outdated.
    """
    try:
        return _decoder.decode(blob)
    except msgspec.DecodeError:
        stands = standing_from_blob(blob)
        return Known(
            DeviceState(stands.state.device, stands.state.device_seq),
            stands.log_id,
            _links.decode(stands.links),
            stands.parked,
            stands.diverged_at,
            life=stands.life,
        )


class _StateHead(msgspec.Struct, frozen=True, array_like=True):
    device: str
    device_seq: int = 0


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """How a device stands with the workers: the part of `Known` that people ask about, read off the same bytes."""

    state: _StateHead
    log_id: str
    links: msgspec.Raw = msgspec.Raw(b"\x90")
    parked: str = ""
    diverged_at: int | None = None
    fold_version: int = 0
    life: int = NEVER


_standing: Final = msgspec.msgpack.Decoder(Standing)
_links: Final = msgspec.msgpack.Decoder(tuple[tuple[int, bytes], ...])


def standing_from_blob(blob: bytes) -> Standing:
    """Return how a device stands, whatever version of the fold wrote the rest; raise msgspec.DecodeError otherwise."""
    return _standing.decode(blob)


def receive(known: Known | None, row: LogRow) -> Received:
    """Take in one row of a device.

    A gap changes nothing: the caller folds the device anew from the topic (`streams.fleet.taking_up`). A forked log
    parks the device, with gates that say so.
    """
    event = row.event
    known = known or beginning(event.device, event.log_id)
    if event.log_id != known.log_id:
        return _forked(known, event, f"log {event.log_id} where {known.log_id} was known")
    if event.device_seq <= known.state.device_seq:
        before = dict(known.links).get(event.device_seq)
        if before is None or before == _short(row.link):
            return Received(Kind.DUPLICATE, known)
        return _forked(known, event, f"event {event.device_seq} came twice with different content")
    if known.parked:
        return Received(Kind.PARKED, known)
    if event.device_seq > known.state.device_seq + 1:
        return Received(Kind.GAP, known)
    return _decided(known, row) if event.fold_version == NO_ENGINE else _verified(known, row)


def parked(known: Known | None, device: str, why: str, *, at: datetime | None = None) -> Received:
    """Park a device for something of it that cannot be read; its gates are published as held.

    Parameters
    ----------
    known
        The device, if anything is known of it.
    at
        When that was recorded, if it can be told.
    """
    known = known or beginning(device)
    if known.parked:
        return Received(Kind.PARKED, known)
    return parked_as(known, Kind.PARKED, why, at or known.state.now or EPOCH)


def _forked(known: Known, event: Event, why: str) -> Received:
    if known.parked:
        return Received(Kind.FORKED, known)
    return parked_as(known, Kind.FORKED, f"{Kind.FORKED}: {why}", event.recorded_at)


def parked_as(known: Known, kind: Kind, why: str, at: datetime) -> Received:
    """Hold every gate of a device; its sequence stays where it was, so that a re-fold can take it up again."""
    event = notice(known, "parked", at, why)
    held = park(known.state, event, why)
    known = msgspec.structs.replace(known, state=held.state, parked=why)
    return Received(kind, known, recorded(event, held.outcomes))


def notice(known: Known, what: str, at: datetime, *why: str) -> Event:
    """Return an event that stands in no log, for gates that the workers change themselves."""
    device, seq = known.state.device, known.state.device_seq
    return Event(
        event_id=event_id(what, device, known.log_id, str(seq), *why),
        device=device,
        log_id=known.log_id,
        device_seq=seq,
        recorded_at=at,
        fold_version=FOLD_VERSION,
        fact=TimeReached(at),
    )


def _verified(known: Known, row: LogRow) -> Received:
    """Publish the site's outcomes; fold the event to see whether the same rules give the same."""
    folded = fold_or_park(known.state, row.event)
    divergence = ""
    if row.event.fold_version == FOLD_VERSION:
        ours = recorded(row.event, folded.outcomes)
        different = difference(ours, row.outcomes)
        if different:
            divergence = f"{type_name(row.event.fact)} at {row.event.device_seq}: {different}"
    known = _advanced(known, row, folded.state)
    if divergence and known.diverged_at is None:
        known = msgspec.structs.replace(known, diverged_at=row.event.device_seq)
    return Received(Kind.NEW, known, row.outcomes, divergence, row.event.fold_version != FOLD_VERSION)


def _decided(known: Known, row: LogRow) -> Received:
    """Decide for a device without an engine: first what time has brought, then the event."""
    state, outcomes = known.state, list[RecordedOutcome]()
    while state.deadline is not None and state.deadline <= row.event.recorded_at:
        due = msgspec.structs.replace(
            row.event,
            event_id=event_id("time", state.device, known.log_id, state.deadline.isoformat()),
            device_seq=state.device_seq,
            recorded_at=state.deadline,
            fact=TimeReached(state.deadline),
        )
        passed = fold_or_park(state, due)
        outcomes += recorded(due, passed.outcomes)
        state = passed.state
    folded = fold_or_park(state, row.event)
    outcomes += recorded(row.event, folded.outcomes)
    return Received(Kind.NEW, _advanced(known, row, folded.state), tuple(outcomes))


def _advanced(known: Known, row: LogRow, state: DeviceState) -> Known:
    links = (*known.links, (row.event.device_seq, _short(row.link)))[-REMEMBERED:]
    return msgspec.structs.replace(known, state=state, links=links)


def _short(link: bytes) -> bytes:
    return link[:8]


def difference(ours: tuple[RecordedOutcome, ...], theirs: tuple[RecordedOutcome, ...]) -> str:
    """Return where two folds of one event first differ, in words; empty if decisions are equal and floats close."""
    if ours == theirs:
        return ""  # as nearly always, and a tenth of the cost of looking into them
    if len(ours) != len(theirs):
        return f"{len(theirs)} outcomes from the site, {len(ours)} here"
    for mine, other in zip(ours, theirs, strict=True):
        if type(mine.outcome) is not type(other.outcome):
            return f"{type_name(other.outcome)} from the site, {type_name(mine.outcome)} here"
        path = _differs(msgspec.to_builtins(mine), msgspec.to_builtins(other))
        if path is not None:
            return f"{type_name(mine.outcome)}{path}"
    return ""


def _differs(mine: Any, other: Any) -> str | None:
    """Return the path to the first difference, or None."""
    if isinstance(mine, dict) and isinstance(other, dict):
        names = sorted(mine.keys() | other.keys())  # a field at its default is left out of either
        return _first((f".{name}", mine.get(name), other.get(name)) for name in names)
    if isinstance(mine, list | tuple) and isinstance(other, list | tuple) and len(mine) == len(other):
        return _first((f"[{i}]", a, b) for i, (a, b) in enumerate(zip(mine, other, strict=True)))
    if isinstance(mine, float) and isinstance(other, float):
        return None if math.isclose(mine, other, rel_tol=CLOSE, abs_tol=CLOSE) else ""
    return None if mine == other else ""


def _first(parts: Iterable[tuple[str, Any, Any]]) -> str | None:
    for name, mine, other in parts:
        below = _differs(mine, other)
        if below is not None:
            return name + below
    return None
