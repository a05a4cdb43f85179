"""What the device is and by which limits it is judged, each with its source."""

from collections.abc import Iterator
from typing import Final

from dashboards.reports.document import Block, Pairs
from dashboards.reports.qa import tables
from dashboards.reports.qa.figures import Identity, QaReport
from streams.fold.schedule import zone

GUIDELINE: Final = "Royal Osteoporosis Society, DXA service guideline v3, August 2025"


def device_blocks(report: QaReport) -> Iterator[Block]:
    """Yield the device, its phantoms and baselines, its limits."""
    one = report.identity
    pairs = [
        ("Device", f"{one.device} ({one.kind})"),
        ("Make and model", f"{one.make} {one.model}".strip() or "not given"),
        ("Serial number", one.serial or "not given"),
        *([("Serial number before", ", ".join(one.serials_before))] if one.serials_before else []),
        *(
            [("Software, as readings named it", ", ".join(one.software) or "not named")]
            if one.kind == "scanner"
            else []
        ),
        *([("AE title", one.ae_title or "not given")] if one.kind == "scanner" else []),
        *([("Modes", ", ".join(one.modes))] if one.modes else []),
        ("Stage at the end", one.stage.replace("_", " ")),
    ]
    yield Pairs(tuple(pairs))
    yield from tables.phantoms(report, zone(report.time_zone))
    if report.limits:
        yield Pairs(tuple(_limits(report)))


def _of_scanner(one: Identity) -> tuple[tuple[str, str], ...]:
    software = ", ".join(one.software) or "not named"
    return (("Software, as readings named it", software), ("AE title", one.ae_title or "not given"))


def _limits(report: QaReport) -> Iterator[tuple[str, str]]:
    limits = report.limits
    if limits is None:
        return
    yield (
        "Tolerance",
        f"±{limits.tolerance_percent:g} % of the baseline's mean ({_sourced(limits.tolerance_percent == 1.5)})",
    )
    yield "Baseline", f"at least {limits.min_scans} scans ({_sourced(limits.min_scans == 10)})"
    yield "Least sigma", f"{limits.sigma_floor_percent:g} % of the mean (local policy)"
    yield "CUSUM", f"k = {limits.cusum_k:g}, h = {limits.cusum_h:g} sigmas (local policy)"
    rules = "none" if limits.rules == "none" else limits.rules.replace("_", " ")
    yield "Run rules", f"{rules} (local policy)"
    yield "Repeats after a failure", f"{limits.repeats} (local policy)"


def _sourced(is_guideline: bool) -> str:  # noqa: FBT001 - reads as a sentence
    return GUIDELINE if is_guideline else "local policy"
