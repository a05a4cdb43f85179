"""Packs what the record says of a device between two days into a ZIP; the same log gives the same bytes."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from typing import Final

import msgspec

from dashboards.csv_cells import csv_from
from dashboards.paper.handover_form import Equipment, handover_form
from dashboards.reports.evidence.readme import readme
from dashboards.reports.files import QA_FORMS
from dashboards.reports.qa.csv_files import readings_csv
from dashboards.reports.qa.figures import BypassLine, EpochLine, HandoverLine, Happening, OverrideLine, QaReport
from dashboards.reports.source import Reports, days_of
from streams.equipment_log import LogKind
from streams.fold.schedule import local_day, zone
from streams.messages import AttachmentAdded, UtcTime
from streams.record.device import Anchor, DeviceRecord, Told
from streams.record.evidence import evidence_lines
from streams.record.reader import anchor_of, reading
from streams.record.veil import Known, known_of_patients, veiled
from streams.sqlite_equipment_log import SqliteEquipmentLog
from streams.uptime.clinic_hours import Period, period_of

VERSION: Final = 1
MANIFEST: Final = "manifest.json"
SEAL: Final = "manifest.sha256"
"""The manifest's own SHA-256, as `sha256sum -c` reads it."""
EVENTS: Final = "events.jsonl"
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""Of every file in the ZIP: the time of making is none of its content."""

File = tuple[str, bytes]


class PackedFile(msgspec.Struct, frozen=True):
    """A file of the pack."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a pack holds; `key` is the device's in the log, the period from its first instant up to its end."""

    version: int
    site: str
    device: str
    key: str
    first: date
    last: date
    time_zone: str
    starts: UtcTime
    ends: UtcTime
    anchor: Anchor
    files: tuple[PackedFile, ...]


def evidence_pack(reports: Reports, device_id: str, first: date, last: date) -> bytes:
    """Return the pack of a device from one day to another, both included.

    Raises
    ------
    ValueError
        There is no such device, the days cannot be, or the log is empty.
    LogError
        The log cannot be read.
    """
    period = period_of(first, last, reports.time_zone)
    key = reports.records.key(device_id)
    with reading(reports.records.path) as db:
        anchor = anchor_of(db)
        known = known_of_patients(db, anchor.position)
        events = b"".join(msgspec.json.encode(line) + b"\n" for line in evidence_lines(db, key, period, known))
    if anchor.recorded_at is None:
        raise ValueError("the log is empty: there is nothing to pack")
    at = anchor.recorded_at + timedelta(microseconds=1)  # the last event belongs to it
    reports = replace(reports, records=reports.records.as_of(anchor, known))  # whatever is recorded meanwhile
    record = reports.records.device(device_id, period)
    whole = reports.qa(device_id, first, last, at)
    files = [
        ("README.txt", readme(device_id, reports.site, (first, last), reports.time_zone, anchor).encode()),
        ("anchor.json", _json(anchor)),
        (EVENTS, events),
        *_tables(whole, record, period),
        *_forms(reports, whole, known),
        *_months(reports, device_id, (first, last), whole),
    ]
    manifest = Manifest(
        VERSION,
        reports.site,
        device_id,
        key,
        first,
        last,
        reports.time_zone,
        period.start,
        period.end,
        anchor,
        tuple(PackedFile(name, len(data), sha256(data).hexdigest()) for name, data in sorted(files)),
    )
    told = _json(manifest)
    return _zip([*sorted(files), (MANIFEST, told), (SEAL, seal_of(told))])


def seal_of(manifest: bytes) -> bytes:
    """Return what stands in the pack of its manifest."""
    return f"{sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def _tables(whole: QaReport, record: DeviceRecord, period: Period) -> Iterator[File]:
    yield "verdicts.csv", readings_csv(whole).encode()
    yield "baselines.csv", _csv(EpochLine, whole.epochs)
    yield "equipment-log.csv", _csv(Happening, whole.log)
    yield "incidents.csv", _csv(Happening, tuple(one for one in whole.log if one.kind == LogKind.INCIDENT.value))
    yield "bypasses.csv", _csv(BypassLine, whole.bypasses)
    yield "overrides.csv", _csv(OverrideLine, whole.overrides)
    yield "handovers.csv", _csv(HandoverLine, whole.handovers)
    head = ("added_at", "name", "media_type", "size", "sha256", "about", "added_by", "text")
    rows = (_attached(one) for one in record.facts_of(AttachmentAdded) if period.start <= one.at < period.end)
    yield "attachments.csv", csv_from(head, rows).encode()


def _attached(told: Told[AttachmentAdded]) -> tuple[object, ...]:
    fact, file = told.matter, told.matter.attachment
    return told.at, file.name, file.media_type, file.size, file.digest, fact.about, fact.added_by.name, fact.text


def _csv(kind: type[msgspec.Struct], rows: tuple[msgspec.Struct, ...]) -> bytes:
    names = kind.__struct_fields__
    return csv_from(names, ([getattr(one, name) for name in names] for one in rows)).encode()


def _forms(reports: Reports, whole: QaReport, known: Known) -> Iterator[File]:
    """Yield the form of each handover, as far as it stands."""
    one = whole.identity
    equipment = Equipment(one.device, one.kind, one.make, one.model, one.serial)
    log = SqliteEquipmentLog(reports.records.path, reports.records.names)
    here = zone(reports.time_zone)
    for number, line in enumerate(whole.handovers, start=1):
        handover = log.handover(one.device, line.handover_id, whole.anchor.position)
        handover = veiled(handover, known) if handover else None
        form = handover_form(equipment, handover, site_name=reports.site, zone=here, now=whole.made_at)
        yield f"forms/handover-{number:02}.pdf", form


def _months(reports: Reports, device_id: str, days: tuple[date, date], whole: QaReport) -> Iterator[File]:
    """Yield a report a calendar month, of those of its days that lie in the period and have begun."""
    first, last = days
    while first <= min(last, local_day(whole.until, whole.time_zone)):
        ends = min(last, days_of(first)[1])
        report = reports.qa(device_id, first, ends, whole.made_at)
        for ending in (".pdf", ".html", "-figures.csv"):
            yield f"reports/qa-{first:%Y-%m}{ending}", QA_FORMS[ending](report)
        first = ends + timedelta(days=1)


def _json(one: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(one)) + b"\n"


def _zip(files: list[File]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files:
            info = zipfile.ZipInfo(name, _ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return out.getvalue()
