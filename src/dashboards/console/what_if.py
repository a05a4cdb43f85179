"""What other rules would have said of a scanner's past: the rules in force to be changed, the difference beside them.

Nothing is recorded: the form is a question in the address, and the log is opened for reading.
"""

from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from dashboards.auth import require
from dashboards.console.templates import page
from dashboards.console.typed import Typed
from dashboards.context import Console
from dashboards.run_length_words import words_from_rate
from streams.policy import DevicePolicy, Frequency, QcRules
from streams.roles import Permission
from streams.sqlite_log import LogError
from streams.what_if.differences import Difference, Side
from streams.what_if.proposal import Proposal
from streams.what_if.reader import Answer

SPANS: Final = {"182": "Half a year", "365": "A year", "730": "Two years"}
ROWS_SHOWN: Final = 50
RULES: Final = {
    "none": "None",
    "dxa": "DXA",
    "western_electric": "Western Electric",
    "westgard": "Westgard",
    "nelson": "Nelson",
}
FREQUENCIES: Final = {"daily": "Daily", "weekly": "Weekly"}


class Number(NamedTuple):
    """A rule that is a number: its key in the configuration, its name, what it may be."""

    name: str
    label: str
    least: float
    most: float
    is_whole: bool = False


NUMBERS: Final = (
    Number("tolerance_percent", "Tolerance, ± % of the mean", 0.1, 10.0),
    Number("sigma_floor_percent", "Least sigma, % of the mean", 0.05, 5.0),
    Number("cusum_k", "CUSUM k, sigmas", 0.0, 3.0),
    Number("cusum_h", "CUSUM h, sigmas", 0.1, 20.0),
    Number("repeats", "Repeats after a failure", 0, 3, is_whole=True),
    Number("independent_grace_days", "Grace of the independent phantom, days", 0, 7, is_whole=True),
)


@get("/devices/{device_id:str}/what-if", sync_to_thread=True)
def what_if_page(
    console: NamedDependency[Console], request: Request[Any, Any, Any], device_id: FromPath[str]
) -> Response[Any]:
    """Show the form; with an answer where one was asked for."""
    require(request, Permission.DECIDE_REVIEW)
    view = console.device(device_id)
    policy = console.past.policy(view.device) if console.past is not None else None
    if console.past is None or policy is None or not policy.own_phantoms:
        raise NotFoundException("Rules are tried on a scanner with a phantom, of a site with a log")
    is_asked = "days" in request.query_params
    given = dict(request.query_params) if is_asked else _values(policy)
    typed = Typed(given, console.time)
    proposal, days = _read(typed, policy)
    answer, problem = None, ""
    if is_asked and not typed.errors:
        try:
            answer = console.past.answer(view.device, proposal, console.clock() - timedelta(days=days))
        except LogError:
            problem = "The log cannot be read now: try again, then tell who looks after this program"
    return page(
        console,
        request,
        "what_if.html",
        status_code=422 if typed.errors else 503 if problem else 200,
        view=view,
        typed=typed,
        policy=policy,
        numbers=NUMBERS,
        rule_sets=RULES,
        frequencies=FREQUENCIES,
        spans=SPANS,
        answer=answer,
        problem=problem,
        toml=_toml(policy, proposal),
        charts=_charts(answer),
        sums=_sums(answer.difference) if answer else {},
        rows_shown=ROWS_SHOWN,
        rate=words_from_rate,
        names={"tolerance": "Tolerance", "cusum": "CUSUM", **RULES},
    )


def _values(policy: DevicePolicy) -> dict[str, str]:
    """Return the form as it is for the rules in force."""
    numbers = {number.name: f"{getattr(policy.qc, number.name):g}" for number in NUMBERS}
    frequencies = {f"frequency-{n}": one.frequency.value for n, one in enumerate(policy.own_phantoms)}
    hold = {"hold_on_signal": "yes"} if policy.qc.hold_on_signal else {}
    return numbers | frequencies | hold | {"rules": policy.qc.rules, "days": "730"}


def _read(typed: Typed, policy: DevicePolicy) -> tuple[Proposal, int]:
    """Return what was proposed; what is wrong with it is in `typed.errors`."""
    changed: dict[str, Any] = {}
    for number in NUMBERS:
        words = f"{number.label}: enter a {'whole ' if number.is_whole else ''}number from {number.least:g} to"
        words = f"{words} {number.most:g}"
        value = typed.number(number.name, words)
        if not number.least <= value <= number.most or (number.is_whole and value != int(value)):
            typed.errors.setdefault(number.name, words)
            continue
        changed[number.name] = int(value) if number.is_whole else value
    changed["rules"] = typed.choice("rules", RULES, "Choose a set of rules") or "none"
    changed["hold_on_signal"] = typed.ticked("hold_on_signal")
    days = typed.choice("days", SPANS, "Choose a span")
    frequencies = {
        one.patient_id: typed.choice(f"frequency-{n}", FREQUENCIES, "Choose how often it is scanned")
        for n, one in enumerate(policy.own_phantoms)
    }
    if typed.errors:
        return Proposal(policy.qc), 0
    chosen = {name: Frequency(value) for name, value in frequencies.items()}
    return Proposal(msgspec.structs.replace(policy.qc, **changed), chosen), int(days)


def _toml(policy: DevicePolicy, proposal: Proposal) -> str:
    """Return the lines of the configuration file that would put the rules into force: what differs from now."""
    lines = [
        f"{name} = {msgspec.json.encode(getattr(proposal.qc, name)).decode()}"
        for name in QcRules.__struct_fields__
        if getattr(proposal.qc, name) != getattr(policy.qc, name)
    ]
    found = ["[device.qc]", *lines] if lines else []
    for one in policy.own_phantoms:
        frequency = proposal.frequencies.get(one.patient_id, one.frequency)
        if frequency is not one.frequency:
            name = msgspec.json.encode(one.patient_id).decode()
            found += [f"# in the [[device.phantom]] with patient_id = {name}", f'frequency = "{frequency.value}"']
    return "\n".join(found)


def _charts(answer: Answer | None) -> dict[str, str]:
    """Return the proposed limits of each phantom as the chart reads them: time, lower, upper."""
    if answer is None:
        return {}
    return {
        name: msgspec.json.encode([(one.measured_at, *one.proposed) for one in places]).decode()
        for name, places in answer.difference.places.items()
    }


def _sums(found: Difference) -> dict[str, float]:
    """Return what the lists come to."""
    proposed = [one for one in found.only_one if one.side is Side.PROPOSED]
    in_force = [one for one in found.only_one if one.side is Side.IN_FORCE]
    return {
        "verdicts": len(found.verdicts),
        "held_more_h": sum(one.clinic_hours for one in found.gates if one.held_by is Side.PROPOSED),
        "held_less_h": sum(one.clinic_hours for one in found.gates if one.held_by is Side.IN_FORCE),
        **{f"{what}s_more": sum(one.what == what for one in proposed) for what in ("signal", "review")},
        **{f"{what}s_less": sum(one.what == what for one in in_force) for what in ("signal", "review")},
    }


what_if_handlers = (what_if_page,)
