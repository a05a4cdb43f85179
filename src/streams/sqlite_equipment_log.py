"""The `EquipmentLog` port served from the site log: its own read-only connection, beside the writer."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from streams import codec
from streams.equipment_log import KINDS, Handover, LogItem, LogKind, OpenIncident, kind_of
from streams.fold.handover import VERIFYING
from streams.log_names import ATTACHED, BYPASS, CLOSED, RECORDED, opens_incident
from streams.messages import (
    AttachmentAdded,
    BypassDetected,
    EquipmentHandedBack,
    EquipmentHandedOver,
    Event,
    Fact,
    FaultLogged,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
    Message,
    Outcome,
    ReturnDecided,
    StateChanged,
)

_ENTRY: Final = "bonewatch.log-entry-made.v1"
_OVER: Final = "bonewatch.equipment-handed-over.v1"
_BACK: Final = "bonewatch.equipment-handed-back.v1"
_RETURN: Final = "bonewatch.return-decided.v1"
_EVER: Final = 1 << 62
"""A place that no log reaches."""
_STAGE: Final = "bonewatch.state-changed.v1"
_FAULT: Final = "bonewatch.fault-logged.v1"
_VENDOR_QC: Final = "bonewatch.vendor-qc-reported.v1"

_QC_BY_HAND: Final = (
    f"(type NOT IN ('{_VENDOR_QC}', 'bonewatch.phantom-measured.v1', 'bonewatch.calibration-check-read.v1')"
    f""" OR (type = '{_VENDOR_QC}' AND instr(fact, '"source":') = 0) OR instr(fact, '"source":"manual"') > 0)"""
)
"""A reading entered by hand says so, but for the manufacturer's QC: there it is what is left out."""


def _tag(message: type[Message]) -> str:
    tag = message.__struct_config__.tag
    assert isinstance(tag, str)  # noqa: S101 - every message is declared with one
    return tag


class _Incidents:
    """The open incidents of one device, and the log's place that they reach to."""

    def __init__(self) -> None:
        self.position = 0
        self.open: dict[str, OpenIncident] = {}

    def take(self, incident_id: str, at: datetime, matter: object) -> None:
        if isinstance(matter, IncidentRecorded):
            self.open[incident_id] = OpenIncident(incident_id, matter.kind, matter.text, matter.recorded_by.name, at)
        elif isinstance(matter, BypassDetected) and opens_incident(matter):
            self.open[incident_id] = OpenIncident(incident_id, "bypass", matter.accession_number, "", at)
        elif isinstance(matter, IncidentClosed):
            self.open.pop(matter.incident_id, None)


class SqliteEquipmentLog:
    """A site's equipment log (see `streams.equipment_log.EquipmentLog`).

    Parameters
    ----------
    path
        The site log's file.
    names
        Device id within the site (``dxa-1``) to device key (``site/dxa-1``).
    """

    def __init__(self, path: Path, names: Mapping[str, str]) -> None:
        self._uri = f"{path.resolve().as_uri()}?mode=ro"
        self._names = names
        self._incidents: dict[str, _Incidents] = {}
        self._lock = threading.Lock()

    def items(
        self, device_id: str, *, kinds: Collection[LogKind] = (), before: int | None = None, limit: int = 50
    ) -> Sequence[LogItem]:
        """Return the newest items of some kinds, newest first."""
        key = self._names.get(device_id, "")
        wanted = set(kinds) or set(LogKind)
        types = {_tag(message) for message, kind in KINDS.items() if kind in wanted and message is not BypassDetected}
        types |= {_ENTRY} if LogKind.COMMENT in wanted else set()
        top = before if before is not None else _EVER
        rows = self._events(key, types, "position < ?" + _without_the_other_entries(wanted), (top,), limit)
        if LogKind.BYPASS in wanted:
            rows += self._bypasses(key, "e.position < ?", (top,), limit)
        found = [item for row in rows if (item := _item(row)) is not None]
        return self._counted(key, sorted(found, key=lambda item: item.place, reverse=True)[:limit])

    def item(self, device_id: str, item_id: str) -> LogItem | None:
        """Return one item, or None."""
        key = self._names.get(device_id, "")
        types = {_tag(message) for message in KINDS}
        rows = self._events(key, types, "event_id = ?", (item_id,), 1)
        rows += self._bypasses(key, "o.outcome_id = ?", (item_id,), 1)
        found = [item for row in rows if (item := _item(row)) is not None]
        return next(iter(self._counted(key, found)), None)

    def about(self, device_id: str, item_id: str) -> Sequence[LogItem]:
        """Return the comments, files and the closing that name an item, oldest first."""
        key, name = self._names.get(device_id, ""), msgspec.json.encode(item_id)
        where = "(instr(fact, ?) > 0 OR instr(fact, ?) > 0)"
        rows = self._events(
            key, {_ENTRY, ATTACHED, CLOSED}, where, (b'"about":' + name, b'"incident_id":' + name), limit=1000
        )
        return sorted((item for row in rows if (item := _item(row)) is not None), key=lambda item: item.place)

    def open_incidents(self, device_id: str) -> Sequence[OpenIncident]:
        """Return the incidents that nobody has closed, oldest first; only what is new in the log is decoded."""
        key = self._names.get(device_id, "")
        with self._lock:
            known = self._incidents.setdefault(key, _Incidents())
            ((top,),) = self._query("SELECT COALESCE(MAX(position), 0) FROM events", ())
            within = (known.position, top)
            rows = self._events(key, {RECORDED, CLOSED}, "position > ? AND position <= ?", within, -1)
            rows += self._bypasses(key, "e.position > ? AND e.position <= ?", within, -1)
            for place, name, at, body, is_event in sorted(rows):
                del place
                known.take(name, datetime.fromisoformat(at), _matter(body, is_event))
            known.position = top
            return sorted(known.open.values(), key=lambda incident: incident.opened_at)

    def handover(self, device_id: str, handover_id: str = "", last: int = _EVER) -> Handover | None:
        """Return a handover, the last one where none is named, or None; `last` is the last event that counts."""
        key, named_in = self._names.get(device_id, ""), "instr(fact, ?) > 0 AND position <= ?"
        named = b'"handover_id":' + msgspec.json.encode(handover_id) if handover_id else b'"handover_id":'
        begun = next(self._facts(key, _OVER, named_in, (named, last), 1), None)
        if begun is None or not isinstance(begun.fact, EquipmentHandedOver):
            return None
        over = begun.fact
        found = Handover(begun.event_id, begun.recorded_at, over, fault=self._fault(key, over.fault_id))
        of_it = (b'"handover_id":' + msgspec.json.encode(over.handover_id), last)
        back = next(self._facts(key, _BACK, named_in, of_it, 1), None)
        if back is not None and isinstance(back.fact, EquipmentHandedBack):
            found = replace(found, back_at=back.recorded_at, back=back.fact)
        decided = next(self._facts(key, _RETURN, named_in, of_it, 1), None)
        if decided is not None and isinstance(decided.fact, ReturnDecided):
            found = replace(found, decided_at=decided.recorded_at, decision=decided.fact)
            if decided.fact.returns:
                found = replace(found, verified_at=self._clinical_after(key, decided.device_seq, last))
        return found

    def _fault(self, key: str, fault_id: str) -> str:
        if not fault_id:
            return ""
        named = (b'"fault_id":' + msgspec.json.encode(fault_id),)
        event = next(self._facts(key, _FAULT, "instr(fact, ?) > 0", named, 1), None)
        return event.fact.text if event is not None and isinstance(event.fact, FaultLogged) else ""

    def _clinical_after(self, key: str, device_seq: int, last: int) -> datetime | None:
        """Return when a device came back into clinical use, its QC passed; at once where it had passed before.

        Nothing where it went from the QC into something else first.
        """
        rows = self._query(
            "SELECT o.body, e.recorded_at FROM outcomes o JOIN events e ON e.position = o.event_position"
            " WHERE o.device = ? AND o.type = ? AND e.device_seq >= ? AND e.position <= ? ORDER BY o.position",
            (key, _STAGE, device_seq, last),
        )
        for body, at in rows:
            outcome = _matter(body, is_event=False)
            if isinstance(outcome, StateChanged) and outcome.stage != VERIFYING:
                return datetime.fromisoformat(at) if outcome.stage == "clinical" else None
        return None

    def _counted(self, key: str, items: Iterable[LogItem]) -> list[LogItem]:
        """Say of each item how much was added to it, and of an incident whether it is open."""
        comments, files = Counter[str](), Counter[str]()
        closed = set[str]()
        for event in self._facts(key, _ENTRY, "instr(fact, '\"about\":') > 0", (), -1):
            if isinstance(event.fact, LogEntryMade):
                comments[event.fact.about] += 1
        for event in self._facts(key, ATTACHED, "1", (), -1):
            if isinstance(event.fact, AttachmentAdded):
                files[event.fact.about] += 1
        for event in self._facts(key, CLOSED, "1", (), -1):
            if isinstance(event.fact, IncidentClosed):
                closed.add(event.fact.incident_id)
        return [
            replace(
                item,
                comments=comments[item.id],
                files=files[item.id],
                is_open=item.id not in closed if _is_incident(item) else None,
            )
            for item in items
        ]

    def _facts(self, key: str, type_name: str, where: str, values: tuple[object, ...], limit: int) -> Iterator[Event]:
        """Yield events of one type, newest first, without those that a later version wrote."""
        for _, _, _, body, _ in self._events(key, {type_name}, where, values, limit):
            with suppress(codec.UndecodableError):
                yield codec.decode_event(body)

    def _events(
        self, key: str, types: Collection[str], where: str, values: tuple[object, ...], limit: int
    ) -> list[tuple[Any, ...]]:
        marks = ", ".join("?" * len(types))
        query = (
            f"SELECT position, event_id, recorded_at, body, 1 FROM events WHERE device = ? AND type IN ({marks})"  # noqa: S608
            f" AND {_QC_BY_HAND} AND {where} ORDER BY position DESC LIMIT ?"
        )
        return self._query(query, (key, *types, *values, limit))

    def _bypasses(self, key: str, where: str, values: tuple[object, ...], limit: int) -> list[tuple[Any, ...]]:
        query = (
            "SELECT e.position, o.outcome_id, e.recorded_at, o.body, 0 FROM outcomes o"  # noqa: S608
            " JOIN events e ON e.position = o.event_position"
            f" WHERE o.device = ? AND o.type = ? AND {where} ORDER BY o.position DESC LIMIT ?"
        )
        return self._query(query, (key, BYPASS, *values, limit))

    def _query(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._uri, uri=True)) as db:
            return db.execute(sql, values).fetchall()


def _item(row: tuple[Any, ...]) -> LogItem | None:
    """Return what a row says; nothing where a later version wrote it, or it is none of the equipment log's."""
    place, name, at, body, is_event = row
    matter = _matter(body, is_event)
    if matter is None:
        return None
    kind = kind_of(matter)  # type: ignore[arg-type] # an outcome here is a bypass
    return None if kind is None else LogItem(name, place, datetime.fromisoformat(at), kind, matter)  # type: ignore[arg-type]


def _matter(body: bytes, is_event: bool) -> Fact | Outcome | None:  # noqa: FBT001 - as its row says
    """Return what an event or an outcome says; nothing where a later version wrote it."""
    try:
        return codec.decode_event(body).fact if is_event else codec.decode_outcome(body).outcome
    except codec.UndecodableError:
        return None


def _is_incident(item: LogItem) -> bool:
    return isinstance(item.matter, IncidentRecorded) or (
        isinstance(item.matter, BypassDetected) and opens_incident(item.matter)
    )


def _without_the_other_entries(wanted: set[LogKind]) -> str:
    """Return the condition that tells comments from entries, where one of both is wanted."""
    if {LogKind.ENTRY, LogKind.COMMENT} <= wanted or not {LogKind.ENTRY, LogKind.COMMENT} & wanted:
        return ""
    compare = "=" if LogKind.ENTRY in wanted else ">"
    return f""" AND (type <> '{_ENTRY}' OR instr(fact, '"kind":"comment"') {compare} 0)"""
