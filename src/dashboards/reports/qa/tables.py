"""The tables of a device's month."""

from collections import Counter
from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from dashboards.console import wording
from dashboards.console.review_actions import VERDICTS
from dashboards.reports.document import Block, Pairs, Table, Text
from dashboards.reports.qa.figures import EpochLine, Failure, OverrideLine, QaReport, ReadingLine
from dashboards.reports.qa.overrides import hours_of
from dashboards.reports.saying import NOTHING, count, moment, number
from dashboards.uptime import words as uptime_words
from streams.fold.state import VENDOR_QC
from streams.messages import CheckVerdict, Verdict

_UNITS: Final = {"percent": "%"}


def verdict(code: str) -> str:
    """Name a verdict of a phantom scan or of a check."""
    if code in {one.value for one in Verdict}:
        return wording.verdict(Verdict(code))
    return wording.check_verdict(CheckVerdict(code))


def phantoms(report: QaReport, here: ZoneInfo) -> Iterator[Block]:
    """Yield the phantoms, and the baselines in force with who accepted them."""
    if report.phantoms:
        owned: tuple[tuple[str, ...], ...] = tuple(
            (name, serial or NOTHING, wording.duty(role).replace("circulating", "Circulating"), frequency)
            for name, serial, role, frequency in report.phantoms
        )
        yield Table("Phantoms", ("Phantom", "Serial", "Duty", "Scanned"), owned, (60, 30, 55, 25))
    if report.epochs:
        head = ("Baseline", "Scans", "Mean", "SD", "Tolerance, g/cm²", "Step", "Accepted")
        rows = tuple(_epoch(one, here) for one in report.epochs)
        yield Table("Baselines in force", head, rows, (42, 13, 16, 16, 34, 26, 50), "LRRRLLL")
    elif report.phantoms:
        yield Text("No baseline was in force.", "warn")


def _epoch(one: EpochLine, here: ZoneInfo) -> tuple[str, ...]:
    kind = "established" if one.established else "provisional"
    compared = {True: ", comparable", False: ", not comparable", None: ", not reviewed"}[one.is_comparable]
    step = NOTHING if one.step_percent is None else f"{number(one.step_percent, 2, sign=True)} %{compared}"
    ended = f"; until {moment(one.until, here)}" if one.until else ""
    return (
        f"{one.phantom_id}, epoch {one.epoch}, {kind}",
        str(one.scans),
        number(one.mean_g_cm2, 4),
        number(one.sd_g_cm2, 4),
        f"{number(one.lower_g_cm2, 4)} to {number(one.upper_g_cm2, 4)}",
        step,
        f"{one.accepted_by}, {one.role}, {moment(one.accepted_at, here)}{ended}: {one.reason}",
    )


def counts(report: QaReport) -> Table:
    """Return how many readings of each came to what."""
    rows = []
    for one in report.subjects:
        said = "; ".join(f"{verdict(code)}: {many}" for code, many in sorted(one.verdicts.items())) or "none"
        mean = f"{number(one.mean_deviation, 2, sign=True)} {one.unit}" if one.mean_deviation is not None else NOTHING
        spread = f"{number(one.sd_deviation, 2)} {one.unit}" if one.sd_deviation is not None else NOTHING
        signals = f"{one.signals} and one from before" if one.signalled_before else str(one.signals)
        rows.append((one.name, str(one.readings), said, str(one.repeats), signals, mean, spread))
    head = ("Of", "Readings", "Verdicts", "Repeats", "Signals", "Mean deviation", "SD")
    return Table("Readings counted", head, tuple(rows), (42, 17, 46, 16, 21, 24, 18), "LRLRRRR")


def readings(report: QaReport, here: ZoneInfo) -> Table:
    """Return every reading on its line."""
    names = {one.subject: one.name for one in report.subjects}
    head = ("Measured", "Of", "Value", "Deviation", "Verdict", "Note", "By")
    rows = tuple(_reading(one, names[one.subject], here) for one in report.readings)
    return Table("Readings", head, rows, (32, 34, 23, 19, 23, 36, 24), "LLRRLLL")


def _reading(one: ReadingLine, name: str, here: ZoneInfo) -> tuple[str, ...]:
    digits = 4 if one.deviation_unit in {"%", ""} else 2
    notes = [*(["repeat"] if one.is_repeat else []), *(["signal"] if one.signal else []), *one.violated]
    notes += [one.note] if one.note else []
    notes += [f"revision {one.revision}"] if one.revision else []
    return (
        moment(one.measured_at, here),
        name,
        NOTHING if one.value is None else f"{number(one.value, digits)} {one.unit}",
        NOTHING if one.deviation is None else f"{number(one.deviation, 2, sign=True)} {one.deviation_unit}",
        verdict(one.verdict),
        "; ".join(notes) or NOTHING,
        one.performed_by or NOTHING,
    )


def failures(report: QaReport, here: ZoneInfo) -> Iterator[Block]:
    """Yield what failed and what followed."""
    if not report.failures:
        yield Text("No reading failed.")
        return
    head = ("Measured", "Of", "Deviation", "Verdict", "What followed")
    rows = tuple(
        (
            moment(one.measured_at, here),
            "Manufacturer's QC" if one.subject == VENDOR_QC else one.subject,
            NOTHING if one.deviation is None else f"{number(one.deviation, 2, sign=True)} {one.unit}",
            "Fail, confirmed" if one.is_confirmed else "Fail",
            _followed(one, here),
        )
        for one in report.failures
    )
    yield Table("Failures", head, rows, (34, 34, 20, 26, 76), "LLRLL")


def _followed(one: Failure, here: ZoneInfo) -> str:
    said = [f"passed {moment(one.passed_at, here)}" if one.passed_at else "no pass since"]
    if one.released_at:
        said.append(f"released {moment(one.released_at, here)} by {one.released_by}: {one.cause}")
    elif one.is_confirmed:
        said.append("not released")
    return "; ".join(said)


def reviews(report: QaReport, here: ZoneInfo) -> Iterator[Block]:
    """Yield the reviews opened or decided in the period, and those that wait."""
    if not report.reviews:
        yield Text("No review was opened or decided, and none waits.")
        return
    rows = []
    for one in report.reviews:
        unit = _UNITS.get(one.unit, one.unit)
        size = f" ({number(one.low, 2, sign=True)} to {number(one.high, 2, sign=True)})" if one.low is not None else ""
        stands = "Waits for a physicist"
        if one.verdict:
            decided = VERDICTS.get(one.verdict, one.verdict).split(":")[0]
            stands = f"{decided}: {one.decision} ({one.decided_by}, {moment(one.decided_at, here)})"
        rows.append(
            (
                moment(one.opened_at, here),
                f"{one.subject}: {one.text}",
                moment(one.since, here) if one.since else "no measurement",
                NOTHING if one.size is None else f"{number(one.size, 2, sign=True)} {unit}{size}",
                stands,
            )
        )
    head = ("Opened", "About", "In doubt since", "Size (95 %)", "Stands")
    yield Table("Reviews", head, tuple(rows), (33, 54, 33, 32, 42))


def overrides(report: QaReport, here: ZoneInfo) -> Iterator[Block]:
    """Yield how many overrides there were, by whom and past what, and each on its line."""
    made = report.overrides
    if not made:
        yield Text("Nobody overrode the gate.")
        return
    people = Counter(f"{one.by}, {one.role}" for one in made)
    codes = Counter(code for one in made for code in one.codes)
    hours = uptime_words.hours(hours_of(made))
    yield Pairs(
        (
            ("Overrides", f"{len(made)}; the gate was open by them for {hours} by the clock"),
            ("By", "; ".join(f"{who}: {many}" for who, many in people.most_common())),
            ("Although held by", "; ".join(f"{wording.plain_code(one)}: {many}" for one, many in codes.most_common())),
        )
    )
    head = ("Overridden", "By", "Although held by", "Reason given", "Until at most", "Open for")
    sums = ("All", count(len(made), "override"), "", "", "", hours)
    rows = (*(_override(one, here) for one in made), sums)
    yield Table("Overrides", head, rows, (30, 38, 32, 46, 30, 18), "LLLLLR", strong_last=True)


def _override(one: OverrideLine, here: ZoneInfo) -> tuple[str, ...]:
    advised = f"; advised by {one.advised_by}{', by telephone' if one.by_telephone else ''}" if one.advised_by else ""
    return (
        moment(one.at, here),
        f"{one.by}, {one.role}{advised}",
        ", ".join(map(wording.plain_code, one.codes)),
        one.reason or NOTHING,
        moment(one.until, here),
        uptime_words.hours(one.open_hours),
    )
