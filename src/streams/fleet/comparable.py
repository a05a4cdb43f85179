"""What a row of a site's log brings to the comparison of scanners."""

from collections.abc import Iterator

from streams.envelope import LogRow
from streams.fleet.messages import CirculatingPhantomRead, Read, ScannerRead
from streams.fold.state import DeviceState
from streams.messages import PhantomMeasured, QcJudged, RecordedOutcome, Verdict
from streams.policy import PhantomRole

EVIDENCE = frozenset({Verdict.PASS, Verdict.PASS_WITH_NOTE, Verdict.FAIL_CONFIRMED})
"""Verdicts of readings that speak for the scanner: a first failure may be one of positioning."""


def comparable(row: LogRow, state: DeviceState, outcomes: tuple[RecordedOutcome, ...]) -> Iterator[Read]:
    """Yield what other scanners can be compared with: a visiting phantom's readings, and charted ones of its own.

    Parameters
    ----------
    state
        The device after the row.
    outcomes
        What was decided: by the site's own engine, or here.
    """
    fact, policy, event = row.event.fact, state.policy, row.event
    if not isinstance(fact, PhantomMeasured) or policy is None:
        return
    phantom = policy.phantom(fact.phantom_id)
    if phantom is None:
        return
    if phantom.role is PhantomRole.CIRCULATING:
        yield CirculatingPhantomRead(
            event_id=event.event_id,
            device=event.device,
            device_seq=event.device_seq,
            make=policy.make,
            model=policy.model,
            phantom=phantom.serial or phantom.patient_id,
            region=fact.region,
            bmd_g_cm2=fact.bmd_g_cm2,
            measured_at=fact.measured_at,
            acquisition_id=fact.acquisition_id,
            software=fact.software,
        )
        return
    for judged in (recorded.outcome for recorded in outcomes):
        if (
            isinstance(judged, QcJudged)
            and judged.subject_event_id == event.event_id
            and judged.chart is not None
            and judged.bmd_g_cm2 is not None
            and judged.verdict in EVIDENCE
        ):
            yield ScannerRead(
                event_id=event.event_id,
                device=event.device,
                device_seq=event.device_seq,
                make=policy.make,
                model=policy.model,
                phantom=fact.phantom_id,
                bmd_g_cm2=judged.bmd_g_cm2,
                sigma_g_cm2=judged.chart.sigma,
                measured_at=judged.measured_at,
                software=fact.software,
            )
