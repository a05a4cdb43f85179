"""What a month says in plain words, for whoever signs it. What is not in order comes first."""

from collections.abc import Iterator
from typing import Final

from dashboards.reports.document import Text, Tone
from dashboards.reports.qa.figures import QaReport
from dashboards.reports.qa.overrides import hours_of
from dashboards.reports.saying import count, listed, number, short_day
from dashboards.uptime import words as uptime_words
from streams.policy import DeviceKind

_MET: Final[dict[bool | None, Tone]] = {True: "good", False: "bad", None: "plain"}


def summary(report: QaReport) -> tuple[Text, ...]:
    """Return the sentences, the worst first."""
    order = ("bad", "warn", "good", "plain", "quiet")
    return tuple(sorted(_sentences(report), key=lambda one: order.index(one.tone)))


def _sentences(report: QaReport) -> Iterator[Text]:
    if not report.identity.kind:
        yield Text("The device was not under watch in this period: there is nothing to report.", "warn")
        return
    yield from _duties(report)
    yield from _readings(report)
    yield from _held(report)
    yield from _waiting(report)
    if report.uptime is not None and report.uptime.covered_hours:
        line = report.uptime
        met = {True: "met", False: "not met", None: ""}[line.target_met]
        contract = f"; contract of {line.target_percent:g} % {met}" if met else ""
        said = f"Available for {uptime_words.percent(line.availability_percent)} of clinic time{contract}."
        yield Text(said, _MET[line.target_met])


def _duties(report: QaReport) -> Iterator[Text]:
    if not report.days.due:
        yield Text("QC was due on no day: the device was not in clinical use, or had no clinic.", "plain")
    for duty in report.duties:
        text = f"{duty.name}: due on {count(duty.due, 'day')}, passed for {duty.done}"
        failed = f"; not passed on {listed(map(short_day, duty.not_passed_on))}" if duty.not_passed_on else ""
        missed = f"; missing on {listed(map(short_day, duty.missed_on))}" if duty.missed_on else ""
        yield Text(f"{text}{failed}{missed}.", "bad" if duty.done < duty.due else "good")


def _readings(report: QaReport) -> Iterator[Text]:
    if not report.readings:
        yield Text("There are no readings in this period.", "warn")
    for one in report.subjects:
        if one.mean_deviation is not None:
            target = "the baseline" if one.unit == "%" else "its nominal value"
            spread = f", SD {number(one.sd_deviation, 2)} {one.unit}" if one.sd_deviation is not None else ""
            mean = f"{number(one.mean_deviation, 2, sign=True)} {one.unit}"
            yield Text(
                f"{one.name}: {count(one.readings, 'reading')}, on average {mean} from {target}{spread}.", "plain"
            )
        if one.signals:
            words = (
                "the control chart signalled once" if one.signals == 1 else f"the chart signalled {one.signals} times"
            )
            yield Text(f"{one.name}: {words}.", "warn")
        if one.signalled_before:
            yield Text(f"{one.name}: a signal of the control chart went on from before.", "warn")
    confirmed = [one for one in report.failures if one.is_confirmed]
    open_ones = [one for one in confirmed if one.released_at is None]
    if confirmed:
        released = f"; {len(open_ones)} not released" if open_ones else "; all released with a cause"
        yield Text(f"{count(len(confirmed), 'confirmed failure')}{released}.", "bad" if open_ones else "warn")
    elif report.failures and report.identity.kind != DeviceKind.SCANNER.value:
        yield Text(f"{count(len(report.failures), 'check')} failed.", "warn")
    elif report.readings:
        yield Text(*_no_failure(report))


def _no_failure(report: QaReport) -> tuple[str, Tone]:
    if report.identity.kind != DeviceKind.SCANNER.value:
        return "No check failed.", "good"
    if not report.failures:
        return "No failure was confirmed.", "good"
    return f"{count(len(report.failures), 'reading')} failed; no failure was confirmed.", "plain"


def _held(report: QaReport) -> Iterator[Text]:
    told = [one for one in report.bypasses if not one.in_shadow]
    if told:
        who = "1 patient was" if len(told) == 1 else f"{len(told)} patients were"
        yield Text(f"{who} scanned while the gate was held.", "bad")
    if report.overrides:
        many = len(report.overrides)
        hours = uptime_words.hours(hours_of(report.overrides))
        yield Text(f"The gate was overridden {'once' if many == 1 else f'{many} times'}, for {hours} in all.", "warn")
    if report.measurements.withheld:
        withheld = count(report.measurements.withheld, "measurement")
        yield Text(f"{withheld} of patients withheld and not released.", "warn")


def _waiting(report: QaReport) -> Iterator[Text]:
    if report.reviews_waiting:
        waits = "1 review waits" if report.reviews_waiting == 1 else f"{report.reviews_waiting} reviews wait"
        yield Text(f"Not yet reviewed: {waits} for a physicist.", "bad")
    else:
        yield Text("No review waits for a physicist.", "good")
    still = sum(one.is_open is True for one in report.log) + sum(one.is_open is True for one in report.bypasses)
    if still:
        yield Text(f"{count(still, 'incident')} of this period still open.", "warn")
