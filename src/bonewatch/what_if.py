"""`bonewatch replay --with FILE`: what a proposed configuration would have said of a site's past."""

import re
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.markup import escape

from bonewatch.configuration.loading import load
from bonewatch.data_folder import open_log
from bonewatch.errors import ConfigError
from dashboards.run_length_words import words_from_days, words_from_rate
from streams.messages import Verdict
from streams.policy import DeviceKind
from streams.what_if.differences import Difference, Side
from streams.what_if.expected import Expected
from streams.what_if.proposal import Proposal, proposal_of
from streams.what_if.reader import Answer, LoggedPast

_SPAN: Final = re.compile(r"([1-9][0-9]{0,3})([dwmy])", re.ASCII)
_DAYS: Final = {"d": 1, "w": 7, "m": 30, "y": 365}
SHOWN: Final = 20
"""So many differences of a kind are printed; --json has all."""
CAVEAT: Final = (
    "The past was made under the rules of then: repeats that nobody was asked for were not taken, and nobody decided on"
    " a review that was not opened. Nothing is recorded. To adopt rules, put them into the configuration file."
)


def since_of(text: str, now: datetime) -> datetime:
    """Return when a span such as ``2y``, ``6m``, ``4w`` or ``90d`` began, or the beginning of an ISO day."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        return now - timedelta(days=int(span[1]) * _DAYS[span[2]])
    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    except ValueError:
        raise ConfigError(
            f"--since {text}: give a span such as 2y, 6m, 4w or 90d, or a day such as 2025-01-31"
        ) from None


def ask(folder: Path, proposed: Path, device: str, since: str, err: Console) -> list[Answer]:
    """Replay one scanner or all; a ConfigError says what is wrong with what was asked."""
    proposals = _proposals(proposed, device)
    begun = since_of(since, datetime.now(UTC))
    with open_log(folder) as log:
        known = log.last_seqs()
    unknown = [name for name in proposals if name not in known]
    if device and unknown:
        raise ConfigError(f"the log holds nothing of {device}: it is in {proposed}, but it has not run here")
    past = LoggedPast(folder)
    with err.status("replaying") as said:
        return [
            past.answer(name, proposal, begun, lambda n, name=name: said.update(f"replaying {name}: {n} events"))  # type: ignore[misc]
            for name, proposal in proposals.items()
            if name in known
        ]


def _proposals(path: Path, device: str) -> dict[str, Proposal]:
    config = load(path)
    scanners = [one for one in config.device if one.kind is DeviceKind.SCANNER]
    chosen = [one for one in scanners if device in {"", one.id}]
    if not chosen:
        names = ", ".join(one.id for one in scanners) or "no scanner"
        raise ConfigError(f"{path} has no scanner {device or 'at all'}: it has {names}")
    return {config.key(one.id): proposal_of(config.policy(one)) for one in chosen}


def show(answers: list[Answer], out: Console, *, as_json: bool) -> None:
    """Print what would have been otherwise."""
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(answers) + b"\n")
        return
    for answer in answers:
        _show(answer, out)
    out.print(CAVEAT, soft_wrap=True)


def _show(answer: Answer, out: Console) -> None:
    found = answer.difference
    out.print(
        f"[bold]{escape(found.device)}[/], {found.readings} readings since {found.since:%Y-%m-%d}", soft_wrap=True
    )
    lines = list(_lines(found))
    for line in lines:
        out.print(f"  {escape(line)}", soft_wrap=True)
    if not lines:
        out.print("  Nothing would have been otherwise.")
    for name, sides in answer.expected.items():
        for words, expected in zip(("in force", "proposed"), sides, strict=True):
            for chart in _charts(expected):
                out.print(f"  {escape(name)}, {words}, {chart}", soft_wrap=True)


def _lines(found: Difference) -> list[str]:
    verdicts = [
        f"{one.measured_at:%Y-%m-%d %H:%M} {one.phantom_id}: {_word(one.in_force)}"
        f" would have been {_word(one.proposed)}"
        for one in found.verdicts
    ]
    gates = [
        f"{one.since:%Y-%m-%d %H:%M} gate {one.mode}: "
        f"{'held where it was open' if one.held_by is Side.PROPOSED else 'open where it was held'}, "
        f"{one.clinic_hours:.1f} h of clinics"
        for one in found.gates
    ]
    others = [
        f"{one.at:%Y-%m-%d %H:%M} {one.what} {'more' if one.side is Side.PROPOSED else 'less'}: {one.text}"
        for one in found.only_one
    ]
    faults = [
        f"Fault since {one.onset:%Y-%m-%d} on {one.phantom_id}: noticed after {_days(one.in_force_days)}, "
        f"would have been after {_days(one.proposed_days)}"
        for one in found.faults
    ]
    return [line for lines in (verdicts, gates, others, faults) for line in _some(lines)]


def _some(lines: list[str]) -> list[str]:
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"... and {more} more: --json lists all"] if more > 0 else [])]


def _word(verdict: Verdict | None) -> str:
    return "not judged" if verdict is None else verdict.value.replace("_", " ")


def _days(days: float | None) -> str:
    return "never" if days is None else f"{days:.0f} days"


def _charts(expected: Expected) -> list[str]:
    charts = [
        f"{chart.name}: false alarms {words_from_rate(chart.false_alarms_per_year)}; noticed: "
        + ", ".join(f"{d.shift_percent:g} % after {words_from_days(d.days)}" for d in chart.detections)
        for chart in expected.charts
    ]
    return [*charts, *expected.without]
