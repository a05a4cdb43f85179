"""What is published of a site's log: outcomes of these types alone, in the log's order, each with its place there."""

import re
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from streams.messages import GateChanged, MeasurementsAmended, MeasurementValidated, MeasurementWithheld, Outcome
from streams.sqlite_log import SqliteEventLog

_KINDS: Final[tuple[type[Outcome], ...]] = (GateChanged, MeasurementValidated, MeasurementWithheld, MeasurementsAmended)

TYPES: Final = tuple(str(kind.__struct_config__.tag) for kind in _KINDS)
"""Their versioned type names. A review that was opened is not among them: a person decides what leaves the site."""

MOST: Final = 2**31 - 1
_PLACE: Final = re.compile(r"(?:([0-9a-f]{8})-)?([0-9]{1,15})(?:-([0-9]{1,9}))?(?:\.([0-9a-f]{8}))?", re.ASCII)


class Place(NamedTuple):
    """A place in the log: an event by its position, and how many of its outcomes lie before it; all if not said."""

    position: int
    nth: int = MOST


BEGINNING: Final = Place(0)


class Reached(NamedTuple):
    """How far a log was followed: the link of its hash chain there tells it from every other."""

    log_id: str
    place: Place
    link: str


class OtherLogError(Exception):
    """A place is not of this log: the record was restored, or another site's was put here."""


class Selection(NamedTuple):
    """Which of it somebody wants; no devices: those of all. Devices are keys, ``site/device``."""

    types: tuple[str, ...] = TYPES
    devices: tuple[str, ...] = ()


class Notice(msgspec.Struct, frozen=True):
    """An outcome as it is published: `body` is the recorded outcome as it stands in the log, `link` its event's."""

    id: str
    type: str
    device: str
    device_seq: int
    at: str
    log_id: str
    place: Place
    body: bytes
    link: str = ""

    @property
    def mark(self) -> str:
        """Its name, and what tells it from one at the same place of a copy of the log that went another way."""
        return _mark(self.log_id, self.place, self.link)

    @property
    def name(self) -> str:
        """Its place, in words that a reader sends back to go on behind it."""
        return f"{self.log_id[:8]}-{self.place.position}-{self.place.nth}"


class Batch(NamedTuple):
    """What is published behind a place, and the place up to which nothing else is."""

    notices: tuple[Notice, ...]
    reached: Place


class CloudEvent(msgspec.Struct, frozen=True):
    """A notice as a CloudEvent 1.0 in structured mode: the attributes are those of the fleet's records."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    logid: str
    logposition: int
    deviceseq: int
    data: msgspec.Raw


def cloud_event(notice: Notice) -> bytes:
    """Return a notice as a CloudEvent in JSON; its data is the record that the contracts describe."""
    return msgspec.json.encode(
        CloudEvent(
            specversion="1.0",
            id=notice.id,
            source=f"/sites/{notice.device.partition('/')[0]}",
            type=notice.type,
            subject=notice.device,
            time=notice.at,
            datacontenttype="application/json",
            logid=notice.log_id,
            logposition=notice.place.position,
            deviceseq=notice.device_seq,
            data=msgspec.Raw(notice.body),
        )
    )


class PublishedLog:
    """Reads a site's log beside the site; safe from any thread.

    Parameters
    ----------
    path
        The log's file.

    Raises
    ------
    LogError
        If it is no log of this version, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._log = SqliteEventLog(path, read_only=True)
        self._lock = threading.Lock()
        self.log_id = self._log.log_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._log.close()

    def end(self) -> Place:
        """Return the place behind all that stands in the log now."""
        with self._lock:
            return Place(self._log.last_position())

    def reached(self, place: Place) -> Reached:
        """Return a place of this log with what tells it from one of another log."""
        return Reached(self.log_id, place, self._link(place.position) or "")

    def holds(self, reached: Reached) -> bool:
        """Whether a place is of this log: false where the record was restored, or is another one."""
        return reached.log_id == self.log_id and self._link(reached.place.position) == reached.link

    def _link(self, position: int) -> str | None:
        if position == 0:
            return ""
        with self._lock:
            found = self._log.fetch("SELECT link FROM events WHERE position = ?", (position,))
        return bytes(found[0][0]).hex() if found else None

    def after(self, place: Place, selection: Selection, limit: int, *, span: int = MOST) -> Batch:
        """Return at most so many of what is published behind a place; of the log at most so many events are read."""
        marks = _marks(selection.types)
        only = f" AND +o.device IN ({_marks(selection.devices)})" if selection.devices else ""
        query = (
            "SELECT o.event_position, (SELECT count(*) FROM outcomes x WHERE x.event_position = o.event_position"  # noqa: S608
            " AND x.position <= o.position) AS nth, o.outcome_id, o.type, o.device, e.device_seq, e.recorded_at,"
            " o.body, e.link FROM outcomes o JOIN events e ON e.position = o.event_position"
            f" WHERE o.event_position BETWEEN ? AND ? AND +o.type IN ({marks}){only}"
            " AND (o.event_position > ? OR nth > ?) ORDER BY o.event_position, o.position LIMIT ?"
        )
        with self._lock:
            end = Place(min(self._log.last_position(), place.position + span))
            values = (place.position, end.position, *selection.types, *selection.devices, *place, limit)
            rows = self._log.fetch(query, values)
        notices = tuple(
            Notice(name, type_, device, seq, at, self.log_id, Place(position, nth), bytes(body), bytes(link).hex())
            for position, nth, name, type_, device, seq, at, body, link in rows
        )
        return Batch(notices, notices[-1].place if len(notices) == limit else max(end, place))

    def place_of(self, text: str) -> Place:
        """Return the place that a reader names: a position, or what `Notice.name`, `Notice.mark` or `mark` said.

        Raises
        ------
        ValueError
            If it is no such text.
        OtherLogError
            If it was said of another log, or lies beyond the end of this one.
        """
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ValueError("a place is a position in the log, such as 1200, or the id of an event that was sent")
        log, position, nth, link = found.groups()
        place = Place(int(position), int(nth) if nth else MOST)
        is_here = log in {None, self.log_id[:8]} and place <= self.end()
        if not is_here or (link and not (self._link(place.position) or "").startswith(link)):
            raise OtherLogError("this place is not in the site's log: the record here was restored, or is another one")
        return place

    def mark(self, place: Place) -> str:
        """Return a place in words that `place_of` understands, and that tell it from those of other logs."""
        return _mark(self.log_id, place, self._link(place.position) or "")


def _mark(log_id: str, place: Place, link: str) -> str:
    nth = "" if place.nth == MOST else f"-{place.nth}"
    return f"{log_id[:8]}-{place.position}{nth}" + (f".{link[:8]}" if link else "")


def _marks(values: Iterable[str]) -> str:
    return ", ".join("?" for _ in values)
