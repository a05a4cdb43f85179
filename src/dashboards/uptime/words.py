"""What uptime's figures are called and how they are said, the same on screen, on paper and in a terminal."""

from dashboards.uptime.figures import CAUSES, NOT_COUNTED, Figures, Loss, Mean
from streams.messages import ReasonCode

STAGES = {
    "attended": "reported to attended",
    "fixed": "attended to fixed",
    "qa_passed": "fixed to QA passed",
    "released": "QA passed to released",
    "whole": "reported to released",
}


def percent(value: float | None) -> str:
    """``95.214 %``, or that there was no clinic time."""
    return "no clinic time" if value is None else f"{value:.3f} %"


def hours(value: float) -> str:
    """``28 h``, ``0.5 h``."""
    return f"{value:.2f}".rstrip("0").rstrip(".") + " h"


def slots(value: float) -> str:
    """``56`` or ``1.5``: a part of an appointment is one in a device that was held in part."""
    return f"{value:.1f}".removesuffix(".0")


def cause(code: str) -> str:
    """Name what a device was down for."""
    return CAUSES.get(ReasonCode(code), code.replace("_", " ").capitalize())


def lost(loss: Loss) -> str:
    """``4.5 h`` or ``4.5 h, 4 h of it planned``."""
    whole = hours(loss.unplanned_hours + loss.planned_hours)
    if not loss.planned_hours:
        return whole
    return f"{whole}, planned" if not loss.unplanned_hours else f"{whole}, {hours(loss.planned_hours)} of it planned"


def loss_rows(line: Figures) -> list[tuple[str, ...]]:
    """Return what was lost to each cause, and the sum."""
    rows = [(cause(one.cause), one.unplanned_hours, one.planned_hours, one.slots) for one in line.lost]
    rows.append(("All", line.unplanned_hours, line.planned_hours, line.slots_lost))
    return [(name, hours(one), hours(other), slots(number)) for name, one, other, number in rows]


def not_counted(why: str) -> str:
    """Name why clinic time is neither up nor down."""
    return NOT_COUNTED.get(why, why.replace("_", " "))


def target(line: Figures) -> str:
    """``95 % met``, ``95 % not met``, or nothing where no contract promises anything."""
    if line.target_percent is None:
        return ""
    said = {True: "met", False: "not met", None: "nothing to judge"}[line.target_met]
    return f"{line.target_percent:g} %{' with planned service' if line.target_counts_planned else ''}: {said}"


def mtbf(line: Figures) -> str:
    """Mean time between failures, or what is known of it where there was none."""
    if line.mtbf_hours is not None:
        return hours(line.mtbf_hours)
    if line.mtbf_at_least_hours is None or line.mtbf_above_hours is None:
        return "unknown"
    return f"at least {hours(line.mtbf_at_least_hours)}; above {hours(line.mtbf_above_hours)} with 95 % confidence"


def mean(value: Mean | None) -> str:
    """``3 h``, or that it is not on record."""
    return "not on record" if value is None else f"{hours(value.hours)} ({value.of})"


def overridden(line: Figures) -> str:
    """``2.5 h, by 3 overrides``."""
    many = {0: "", 1: ", by 1 override"}.get(line.overrides, f", by {line.overrides} overrides")
    return hours(line.overridden_hours) + many


def failures(line: Figures) -> str:
    """``2``, and how many go on from before."""
    more = f", and {line.failures_going_on} from before" if line.failures_going_on else ""
    return f"{line.failures}{more}"
