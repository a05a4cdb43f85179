"""A device's month as a document: every section from the figures, one that has nothing to say says that."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from dashboards.console import wording
from dashboards.console.log_words import KINDS, SERVICE_KINDS
from dashboards.reports.document import Block, Document, Pairs, Picture, Section, Signature, Table, Text
from dashboards.reports.document import Points as PointList
from dashboards.reports.qa import tables
from dashboards.reports.qa.chart import control_chart, phantoms_charted
from dashboards.reports.qa.device_section import GUIDELINE, device_blocks
from dashboards.reports.qa.figures import DueLine, HandoverLine, QaReport
from dashboards.reports.qa.summary import summary
from dashboards.reports.saying import NOTHING, count, day, listed, moment, number, short_day
from dashboards.uptime import words as uptime_words
from streams.equipment_log import LogKind
from streams.fold.schedule import zone
from streams.messages import BypassEvidence, DutyStanding, ServiceKind

BOXES: Final = ("Reviewed by: name and role", "Date", "Signature")
_LOG: Final = (
    (LogKind.FAULT, "Faults"),
    (LogKind.SERVICE, "Service"),
    (LogKind.OVERRIDE, "Overrides"),
    (LogKind.INCIDENT, "Incidents"),
    (LogKind.DECISION, "Decisions and work done"),
    (LogKind.ENTRY, "Entries"),
    (LogKind.COMMENT, "Comments"),
    (LogKind.FILE, "Files"),
)


def qa_document(report: QaReport) -> Document:
    """Return the report as a document."""
    here = zone(report.time_zone)
    name = report.identity.device
    title = f"QA report: {name}, {_period(report)}"
    lead = (
        f"{report.site}. Made at {moment(report.made_at, here)} ({report.time_zone}) from the record as it stood then.",
        *_how_far(report, here),
    )
    sections = [
        Section("Summary", (PointList(summary(report)), _signature(report))),
        Section("Device", tuple(device_blocks(report))),
        Section("QC duties", tuple(_duties(report))),
        *_charts(report),
        Section("Readings", tuple(_readings(report))),
        Section("Failures and releases", tuple(tables.failures(report, here))),
        Section("Gate, bypasses and measurements", tuple(_gate(report))),
        Section("Overrides", tuple(tables.overrides(report, here))),
        Section("Reviews", tuple(tables.reviews(report, here))),
        Section("Uptime", tuple(_uptime(report))),
        Section("Faults, service and handovers", tuple(_service(report))),
        Section("Other entries of the equipment log", tuple(_entries(report))),
        Section("Due work and cross-calibration", tuple(_due(report))),
        Section("About this report", tuple(_about(report))),
    ]
    if not report.identity.kind:
        sections = [sections[0], sections[-1]]
    return Document(title, lead, tuple(sections), f"Bonewatch, {report.site}. {title}")


def _period(report: QaReport) -> str:
    first, last = report.first, report.last
    is_month = first.day == 1 and (first.year, first.month) == (last.year, last.month) and last.day >= 28
    return f"{first:%B %Y}" if is_month else f"{day(first)} to {day(last)}"


def _how_far(report: QaReport, here: ZoneInfo) -> Iterator[str]:
    if report.made_at < report.until:
        yield "The period has not begun."
    elif report.made_at == report.until:
        yield f"The period is not over: reckoned up to {moment(report.until, here)}."


def _signature(report: QaReport) -> Signature:
    waits = report.reviews_waiting
    status = f"Not yet reviewed: {count(waits, 'review')} open (see Reviews). " if waits else ""
    words = f"{status}I have looked at the readings, the control charts and the entries of this period."
    return Signature(words, BOXES)


def _duties(report: QaReport) -> Iterator[Block]:
    rows = tuple(
        (
            one.name,
            one.frequency,
            str(one.due),
            str(one.done),
            str(len(one.not_passed_on)),
            str(len(one.missed_on)),
            listed(map(short_day, sorted((*one.not_passed_on, *one.missed_on))), 6) or NOTHING,
        )
        for one in report.duties
    )
    if rows:
        head = ("Duty", "Due", "Days due", "Passed", "Not passed", "Missing", "On")
        yield Table("Days on which QC was due and done", head, rows, (46, 14, 16, 14, 18, 15, 44), "LLRRRRL")
    else:
        yield Text("No QC was due.")
    days = report.days
    said = [f"QC was due on {count(days.due, 'day')}"]
    said += [f"{count(days.without_clinic, 'day')} had no clinic"] if days.without_clinic else []
    said += [f"closed on {listed(_closed(one) for one in days.closed)}"] if days.closed else []
    said += [f"not in clinical use on {listed(map(short_day, days.not_in_use))}"] if days.not_in_use else []
    yield Text("; ".join(said) + ".", "quiet")
    yield Text("A daily duty needs a pass on its day, a weekly one a pass within the seven days before.", "quiet")


def _closed(one: tuple[object, str]) -> str:
    at, why = one
    return f"{short_day(at)} ({why})"  # type: ignore[arg-type]


def _charts(report: QaReport) -> Iterator[Section]:
    for phantom in phantoms_charted(report):
        words = (
            "Line: the baseline's mean; broken lines: tolerance; below: CUSUM, the upper sum and, downwards, the lower,"
            " with the decision interval. Two months before the period are shown beside it."
        )
        name = f"Chart of {phantom}: BMD and CUSUM by day"
        yield Section(f"Control chart: {phantom}", (Picture(name, control_chart(report, phantom), words),))


def _readings(report: QaReport) -> Iterator[Block]:
    if not report.readings:
        yield Text("There are no readings in this period.")
        return
    yield tables.counts(report)
    yield tables.readings(report, zone(report.time_zone))


def _gate(report: QaReport) -> Iterator[Block]:
    counts = report.measurements
    changes = ", ".join(f"{name} {many}" for name, many in sorted(report.gate_changes.items())) or "none"
    pairs = [
        ("Changes of the gate, or of what holds it", changes),
        ("Patients' measurements validated", f"{counts.validated}, of them {counts.overridden} under an override"),
        ("Withheld", f"{counts.withheld}; released by a physicist {counts.released}"),
    ]
    if counts.reasons:
        why = ", ".join(f"{wording.plain_code(code)} {many}" for code, many in sorted(counts.reasons.items()))
        pairs.append(("Withheld at first for", why))
    pairs.append(("Scanned while held", str(sum(not one.in_shadow for one in report.bypasses))))
    yield Pairs(tuple(pairs))
    if report.bypasses:
        here = zone(report.time_zone)
        rows = tuple(
            (
                moment(one.at, here),
                wording.sentence(wording.evidence(BypassEvidence(one.evidence))),
                ", ".join(map(wording.plain_code, one.reasons)),
                {True: "open", False: "closed", None: "none, in shadow"}[one.is_open],
            )
            for one in report.bypasses
        )
        yield Table("Patients scanned while held", ("At", "Known from", "Held by", "Incident"), rows, (33, 55, 70, 30))


def _uptime(report: QaReport) -> Iterator[Block]:
    line = report.uptime
    if line is None or not line.covered_hours:
        yield Text("No clinic time of this period counts.")
        return
    yield Pairs(
        (
            ("Clinic time", uptime_words.hours(line.covered_hours)),
            ("Available", uptime_words.percent(line.availability_percent)),
            ("With planned service as downtime", uptime_words.percent(line.availability_with_planned_percent)),
            *((("Contract", uptime_words.target(line)),) if line.target_percent is not None else ()),
            ("Failures", uptime_words.failures(line)),
            ("Time between failures", uptime_words.mtbf(line)),
            ("Open by override", uptime_words.overridden(line)),
            *(
                (uptime_words.not_counted(why), f"{uptime_words.hours(h)}, not counted")
                for why, h in line.not_counted_hours.items()
            ),
        )
    )
    if line.lost:
        rows = tuple(uptime_words.loss_rows(line))
        head = ("Down for", "Unplanned", "Planned", "Slots lost")
        yield Table("Downtime by reason", head, rows, (60, 20, 20, 20), "LRRR", strong_last=True)


def _service(report: QaReport) -> Iterator[Block]:
    for one in report.handovers:
        yield _handover(one, zone(report.time_zone))
    yield from _happenings(report, _LOG[:2], "No fault and no service stands in the log.")


def _handover(one: HandoverLine, here: ZoneInfo) -> Pairs:
    back = decided = "not yet"
    if one.back_at:
        back = f"{moment(one.back_at, here)}. {one.work_done}"
    if one.returns is not None:
        returns = "returns to use" if one.returns else "stays out of use"
        decided = f"{moment(one.decided_at, here)}, {one.decided_by}: {returns}"
    return Pairs(
        (
            (f"Handover {one.handover_id}", f"{SERVICE_KINDS[ServiceKind(one.kind)]}: {one.reason}"),
            ("Handed over", f"{moment(one.over_at, here)}, {one.handed_over_by} to {one.engineer}"),
            ("Handed back", back),
            ("Decision", decided),
        )
    )


def _entries(report: QaReport) -> Iterator[Block]:
    yield from _happenings(report, _LOG[2:], "Nothing else stands in the equipment log.")


def _happenings(report: QaReport, kinds: Iterable[tuple[LogKind, str]], nothing: str) -> Iterator[Block]:
    here, found = zone(report.time_zone), False
    for kind, name in kinds:
        of_kind = [one for one in report.log if one.kind == kind.value]
        if of_kind:
            found = True
            rows = tuple(
                (
                    moment(one.at, here),
                    one.title + {True: " (open)", False: " (closed)", None: ""}[one.is_open],
                    one.text or NOTHING,
                    one.by or NOTHING,
                )
                for one in of_kind
            )
            yield Table(KINDS.get(kind, name), ("Recorded", name, "What was written", "By"), rows, (33, 38, 74, 35))
    if not found:
        yield Text(nothing)


def _due(report: QaReport) -> Iterator[Block]:
    here = zone(report.time_zone)
    if report.due_work:
        rows = tuple(_work(one, here) for one in report.due_work)
        yield Table("Due work", ("Work", "Stands", "Due by", "Done last"), rows, (70, 25, 35, 30))
    else:
        yield Text("No other work comes round on this device.")
    if report.studies:
        rows = tuple(
            (
                f"{one.study_id}, version {one.version}",
                one.other_device,
                f"{number(one.intercept_g_cm2, 4)} + {number(one.slope, 4)} \u00d7 ({one.region})",
                number(one.standard_error_g_cm2, 4),
                f"{one.accepted_by}, {moment(one.accepted_at, here)}",
            )
            for one in report.studies
        )
        head = ("Cross-calibration", "Against", "g/cm²", "Standard error", "Accepted")
        yield Table("Cross-calibrations in force", head, rows, (38, 30, 45, 22, 45))
        yield Text("A cross-calibrated value is for serial comparison only, never for T-score or FRAX.", "quiet")
    else:
        yield Text("No cross-calibration is in force.")


def _work(one: DueLine, here: ZoneInfo) -> tuple[str, ...]:
    standing = wording.standing(DutyStanding(one.standing))
    return one.name, standing, _last_day(one.due_at, here), one.done_on or NOTHING


def _last_day(ends: datetime | None, here: ZoneInfo) -> str:
    """Return the day whose end is the time."""
    return day((ends - timedelta(microseconds=1)).astimezone(here).date()) if ends else NOTHING


def _about(report: QaReport) -> Iterator[Block]:
    here, anchor = zone(report.time_zone), report.anchor
    yield Pairs(
        (
            ("Log", anchor.log_id),
            ("Stood at event", f"{anchor.position}, recorded {moment(anchor.recorded_at, here)}"),
            ("Its link", anchor.link),
        )
    )
    yield Text(
        "The link covers every event and outcome of the site's log up to that event: bonewatch log verify --anchor,"
        " with the number, a colon and the link, says whether the log still holds the same.",
        "quiet",
    )
    yield Text(
        "Readings are given in their latest revision; reviews as they stood when this was made. Tolerance and scans of"
        f" a baseline follow the guideline ({GUIDELINE}); other limits are local policy. Bonewatch is an"
        " administrative interlock and QA record and diagnoses nothing.",
        "quiet",
    )
