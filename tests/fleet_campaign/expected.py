"""What must stand in the database and on the outcome topics: each site's events folded once, in this one process.

Nothing of the worker, the sink or the projection is used: what a row of a table says is written down here anew.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from storage.connection import Db
from streams import codec
from streams.fold.state import DeviceState
from streams.messages import Event, GateChanged, QcJudged, RecordedOutcome, ReviewOpened, StateChanged, TimeReached
from streams.refold import fold_or_park, recorded
from streams.sqlite_log import SqliteEventLog

Rows = list[tuple[Any, ...]]


class Straight(NamedTuple):
    """A straight replay: events with their place and link, and each outcome with its event."""

    events: Rows
    outcomes: list[tuple[Event, RecordedOutcome]]

    @property
    def by_id(self) -> dict[str, RecordedOutcome]:
        """The outcomes by their identity."""
        return {outcome.outcome_id: outcome for _, outcome in self.outcomes}


def straight(logs: Iterable[Path]) -> Straight:
    """Fold every log from nothing."""
    events: Rows = []
    outcomes: list[tuple[Event, RecordedOutcome]] = []
    for path in logs:
        states: dict[str, DeviceState] = {}
        with SqliteEventLog(path, read_only=True) as log:
            for row in log.rows():
                event = codec.decode_event(row.body)
                folded = fold_or_park(states.get(event.device) or DeviceState(event.device), event)
                states[event.device] = folded.state
                events.append((event.device, event.device_seq, event.event_id, event.log_id, row.position, row.link))
                outcomes += [(event, outcome) for outcome in recorded(event, folded.outcomes)]
    return Straight(events, outcomes)


EVENTS = "SELECT device, device_seq, event_id, log_id, log_position, link FROM events"

QC = """SELECT outcome_id, device, device_seq, recorded_at, subject_event_id, revision, role, phantom_id, region,
    measured_at, verdict, bmd_g_cm2, note, plausible, epoch, target_g_cm2, sigma_g_cm2, lower_g_cm2, upper_g_cm2,
    deviation_percent, cusum_upper_sigmas, cusum_lower_sigmas, cusum_h_sigmas, signal, violated FROM """

GATE = """SELECT device, mode, device_seq, recorded_at, effective_at, status, since, valid_until, reason_codes,
    warning_codes, overridden_until, overridden_by FROM """

REVIEWS = "SELECT outcome_id, device, device_seq, recorded_at, phantom_id, basis, since, text FROM reviews"

STAGES = "SELECT device, device_seq, recorded_at, stage, previous FROM stage_changes"


def differences(db: Db, replayed: Straight, *, site: str = "") -> list[str]:
    """Return, table by table, what of a site (or of all) is missing, too much, twice or other than in the replay."""
    found: list[str] = []
    of_site = f"WHERE device LIKE '{site}/%'" if site else ""
    for query, expected in _tables(replayed):
        table = query.rpartition(" ")[2]
        there = Counter(tuple(map(_plain, row)) for row in db.execute(f"{query} {of_site}".encode()).fetchall())
        wanted = Counter(tuple(map(_plain, row)) for row in expected)
        if len(wanted) < len(expected):
            found.append(f"{table}: the replay itself has a row twice")
        found += [f"{table}: missing or other, {count} time(s): {row}" for row, count in (wanted - there).items()]
        found += [f"{table}: not expected, {count} time(s): {row}" for row, count in (there - wanted).items()]
    return found


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _tables(replayed: Straight) -> list[tuple[str, Rows]]:
    judged = [_judged(e, o, o.outcome) for e, o in replayed.outcomes if isinstance(o.outcome, QcJudged)]
    gates = [_gate(e, o.outcome) for e, o in replayed.outcomes if isinstance(o.outcome, GateChanged)]
    readings = {(row[1], row[4]): row for row in sorted(judged, key=lambda row: (row[5], row[2], row[0]))}
    last_gates = {(row[0], row[1]): row for row in sorted(gates, key=lambda row: row[2])}
    reviews = [
        (o.outcome_id, e.device, e.device_seq, e.recorded_at, r.phantom_id, r.basis, r.since, r.text)
        for e, o in replayed.outcomes
        if isinstance(r := o.outcome, ReviewOpened)
    ]
    stages = [
        (e.device, e.device_seq, e.recorded_at, s.stage, s.previous)
        for e, o in replayed.outcomes
        if isinstance(s := o.outcome, StateChanged)
    ]
    return [
        (EVENTS, replayed.events),
        (f"{QC} qc_revisions", judged),
        (f"{QC} qc_readings", list(readings.values())),
        (f"{GATE} gate_changes", gates),
        (f"{GATE} gates", list(last_gates.values())),
        (REVIEWS, reviews),
        (STAGES, stages),
    ]


def _judged(event: Event, recorded_outcome: RecordedOutcome, judged: QcJudged) -> tuple[Any, ...]:
    point = judged.chart
    return (
        recorded_outcome.outcome_id,
        event.device,
        event.device_seq,
        event.recorded_at,
        judged.subject_event_id,
        judged.revision,
        judged.role.value,
        judged.phantom_id,
        judged.region,
        judged.measured_at,
        judged.verdict.value,
        judged.bmd_g_cm2,
        judged.note,
        judged.plausible,
        *(
            (None,) * 11
            if point is None
            else (
                point.epoch,
                point.target,
                point.sigma,
                point.lower,
                point.upper,
                point.deviation_percent,
                point.cusum_upper,
                point.cusum_lower,
                point.cusum_h,
                point.signal,
                point.violated,
            )
        ),
    )


def _gate(event: Event, gate: GateChanged) -> tuple[Any, ...]:
    return (
        event.device,
        gate.mode,
        event.device_seq,
        event.recorded_at,
        event.fact.due_at if isinstance(event.fact, TimeReached) else event.recorded_at,
        gate.status.value,
        gate.since,
        gate.valid_until,
        tuple(reason.code.value for reason in gate.reasons if reason.holds),
        tuple(reason.code.value for reason in gate.reasons if not reason.holds),
        gate.overridden_until,
        gate.overridden_by,
    )
