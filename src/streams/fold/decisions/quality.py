"""What a physicist decides about charts: baselines and releases."""

from datetime import datetime

from qa_models.baseline import Baseline
from streams.commands import AcceptBaseline, Decision, Refusal, ReleaseQc
from streams.fold.commissioning import COMMISSIONING
from streams.fold.decisions.base import MISSING, NOT_NOW, decided, drafts_from, refuse_day, refuse_role, refuse_text
from streams.fold.state import Chart, DeviceState
from streams.messages import BaselineAccepted, QcReleased
from streams.policy import QcRules
from streams.roles import Permission


@decided.register
def _accept_baseline(command: AcceptBaseline, state: DeviceState, now: datetime) -> Decision:
    refusal = refuse_role(command, Permission.ACCEPT_BASELINE) or refuse_text("the reason", command.reason)
    if refusal:
        return refusal
    if state.policy is None or state.policy.phantom(command.phantom_id) is None:
        return Refusal(MISSING, f"{command.phantom_id} is not a phantom of this scanner.")
    rules, chart = state.policy.qc, state.chart(command.phantom_id)
    is_past = bool(command.first or command.last)
    scans = command.scans if is_past else tuple(value for _, value in chart.candidates)
    refusal = (_not_as_history(command, state, now) if is_past else None) or _not_yet(chart, len(scans), rules)
    if refusal:
        return refusal
    new = Baseline.from_scans(
        scans,
        min_scans=rules.min_scans,
        tolerance_percent=rules.tolerance_percent,
        sigma_floor_percent=rules.sigma_floor_percent,
        established_at=rules.established_at,
    )
    old = chart.baseline
    return drafts_from(
        command,
        BaselineAccepted(
            phantom_id=command.phantom_id,
            epoch=old.epoch + 1 if old else 1,
            n=new.n,
            mean_g_cm2=new.mean,
            sd_g_cm2=new.sd,
            sigma_g_cm2=new.sigma,
            lower_g_cm2=new.lower,
            upper_g_cm2=new.upper,
            established=new.established,
            accepted_by=command.actor,
            reason=command.reason.strip(),
            step_percent=100.0 * (new.mean / old.mean_g_cm2 - 1.0) if old else None,
            first=command.first,
            last=command.last,
        ),
    )


def _not_as_history(command: AcceptBaseline, state: DeviceState, now: datetime) -> Refusal | None:
    """Refuse a baseline out of a scanner's history where none is taken, or days that cannot be."""
    if state.stage != COMMISSIONING:
        return Refusal(NOT_NOW, "Only a scanner that is being adopted takes its baseline from its history.")
    first = refuse_day("the first day of the scans", command.first, state, now)
    return first or refuse_day("the last day of the scans", command.last, state, now)


def _not_yet(chart: Chart, scans: int, rules: QcRules) -> Refusal | None:
    """Refuse a baseline of too few scans, and one that would let an unreviewed step be forgotten."""
    if chart.unreviewed_step is not None:
        epoch, step = chart.unreviewed_step
        return Refusal(NOT_NOW, f"First review the step of {step:+.2f} % to epoch {epoch}: it would be forgotten.")
    if scans < rules.min_scans:
        return Refusal(NOT_NOW, f"A baseline needs {rules.min_scans} scans; {scans} are on record.")
    return None


@decided.register
def _release_qc(command: ReleaseQc, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.RELEASE_QC) or refuse_text("the cause", command.cause)
    head = state.chart(command.phantom_id).head
    if refusal:
        return refusal
    if not head.confirmed:
        return Refusal(NOT_NOW, "There is no confirmed failure to release.")
    if not head.passed_since:
        return Refusal(NOT_NOW, "No scan has passed since the failure: scan the phantom first.")
    return drafts_from(
        command,
        QcReleased(phantom_id=command.phantom_id, cause=command.cause.strip(), released_by=command.actor),
    )
