"""Fold one device's events under the rules in force and under others, side by side; nothing is written anywhere.

What was in force is folded anew too, so that both sides are of one fold. The past was made under the rules of then:
a repeat that nobody was asked for was not taken, and nobody decided on a review that was not opened.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams import codec
from streams.fold.state import DeviceState
from streams.messages import (
    BaselineAccepted,
    DeviceReconfigured,
    Event,
    Outcome,
    QcJudged,
    ReviewDecided,
    ReviewOpened,
    ReviewVerdict,
    TimeReached,
)
from streams.policy import DevicePolicy
from streams.refold import fold_or_park
from streams.sqlite_log import Row
from streams.uptime.clinic_hours import Period
from streams.uptime.history import Historian, entry_of
from streams.what_if.differences import (
    ChartPlace,
    Difference,
    NoticedFault,
    OnlyOne,
    Side,
    VerdictDifference,
)
from streams.what_if.gates import gate_differences
from streams.what_if.proposal import Proposal

PROGRESS_EVERY: Final = 500
SECONDS_A_DAY: Final = 86_400.0


class Told:
    """What one set of rules said of a device: verdicts, signals that began, reviews that were opened."""

    def __init__(self, device: str) -> None:
        self.state = DeviceState(device)
        self.historian = Historian(device)
        self.judged: dict[str, QcJudged] = {}
        self.reviews: dict[tuple[str, str, datetime], ReviewOpened] = {}
        self.signals: dict[tuple[str, datetime], str] = {}
        self._signalling: set[str] = set()

    def fold(self, event: Event, *, is_asked: bool) -> None:
        """Fold an event; what comes of it is kept where it lies in the time asked about."""
        folded = fold_or_park(self.state, event)
        self.state = folded.state
        entry = entry_of(event, folded.outcomes)
        self.historian.take(entry)
        for outcome in folded.outcomes:
            self._note(outcome, entry.at, is_asked=is_asked)

    def _note(self, outcome: Outcome, at: datetime, *, is_asked: bool) -> None:
        if isinstance(outcome, ReviewOpened):
            if is_asked:
                self.reviews[(outcome.phantom_id, outcome.basis, at)] = outcome
        elif isinstance(outcome, QcJudged):
            if is_asked:
                self.judged[outcome.subject_event_id] = outcome
            self._signal(outcome, is_asked=is_asked)

    def _signal(self, judged: QcJudged, *, is_asked: bool) -> None:
        """Keep where an episode of signals began; a chart does not reset itself."""
        if judged.chart is None or judged.revision:
            return
        if not judged.chart.signal:
            self._signalling.discard(judged.phantom_id)
        elif judged.phantom_id not in self._signalling:
            self._signalling.add(judged.phantom_id)
            if is_asked:
                limits = judged.chart.cusum_h
                is_cusum = max(judged.chart.cusum_upper, judged.chart.cusum_lower) > limits
                named = (*(("CUSUM",) if is_cusum else ()), *(f"rule {rule}" for rule in judged.chart.violated))
                self.signals[(judged.phantom_id, judged.measured_at)] = ", ".join(named)


class Replay:
    """Both folds of one device; take its rows in order, then ask for the difference.

    Parameters
    ----------
    since
        From when the other rules are taken to be in force.
    """

    def __init__(self, device: str, proposal: Proposal, since: datetime) -> None:
        self._device, self._proposal, self._since = device, proposal, since
        self._in_force, self._proposed = Told(device), Told(device)
        self._is_adopted = False
        self._decided: list[tuple[str, datetime, datetime]] = []
        self._onsets: dict[str, datetime] = {}
        self._baselines: list[tuple[str, datetime]] = []
        self._events = 0
        self._until: datetime | None = None

    def take(self, event: Event) -> None:
        """Fold the next event under both."""
        at = event.fact.due_at if isinstance(event.fact, TimeReached) else event.recorded_at
        is_asked = at >= self._since
        self._events, self._until = self._events + 1, max(at, self._until or at)
        policy = self._in_force.state.policy
        if is_asked and not self._is_adopted:
            self._adopt(policy)
        self._in_force.fold(event, is_asked=is_asked)
        self._heed(event)
        if not self._is_adopted:
            self._proposed.fold(event, is_asked=is_asked)
            return
        self._let_pass(event, at)
        if not isinstance(event.fact, TimeReached):
            fact = self._proposal.fact(event.fact, policy)
            self._proposed.fold(replace(event, fact=fact), is_asked=is_asked)

    def _adopt(self, policy: DevicePolicy | None) -> None:
        """Put the other rules into force where the time asked about begins, as a change of the configuration would."""
        self._is_adopted = True
        state = self._proposed.state
        if policy is None or state.now is None:
            return
        self._proposed.state = replace(
            state,
            charts={
                name: replace(chart, baseline=self._proposal.baseline(chart.baseline, policy))
                if chart.baseline
                else chart
                for name, chart in state.charts.items()
            },
        )
        proposed = self._proposal.under(policy)
        if proposed != policy:
            self._made(DeviceReconfigured(proposed), state.now)

    def _let_pass(self, event: Event, at: datetime) -> None:
        """Let each deadline come that these rules set, when the log's clock has reached it."""
        while (due := self._proposed.state.deadline) is not None and due <= at:
            is_same = isinstance(event.fact, TimeReached) and event.fact.due_at == due
            if is_same:
                self._proposed.fold(event, is_asked=due >= self._since)
            else:
                self._made(TimeReached(due), event.recorded_at)
            if self._proposed.state.deadline == due:
                return  # parked, or a deadline that its own coming does not move

    def _made(self, fact: DeviceReconfigured | TimeReached, at: datetime) -> None:
        seq = self._proposed.state.device_seq
        self._proposed.fold(Event(f"what-if-{seq}", self._device, "what-if", seq, at, 0, fact), is_asked=True)

    def _heed(self, event: Event) -> None:
        """Remember what a physicist found real: for how long it had gone unnoticed."""
        for key, review in self._in_force.reviews.items():
            if review.since is not None:
                self._onsets.setdefault(review.review_id or key[0], review.since)
        fact = event.fact
        if isinstance(fact, BaselineAccepted):
            self._baselines.append((fact.phantom_id, event.recorded_at))
        if isinstance(fact, ReviewDecided) and fact.verdict is not ReviewVerdict.NONE:
            onset = self._onsets.get(fact.review_id)
            if onset is not None:
                self._decided.append((fact.phantom_id, onset, event.recorded_at))

    def difference(self) -> Difference:
        """Return what would have been otherwise."""
        one, other = self._in_force, self._proposed
        until = self._until
        period = None if until is None or until <= self._since else Period(self._since, until)
        return Difference(
            self._device,
            self._since,
            until,
            self._events,
            len(one.judged),
            verdicts=_verdicts(one, other),
            only_one=_only_one(one, other),
            gates=gate_differences(one.historian.history(), other.historian.history(), period) if period else (),
            faults=tuple(self._noticed(*decided) for decided in self._decided),
            places=_places(one, other),
        )

    def _noticed(self, phantom_id: str, onset: datetime, decided_at: datetime) -> NoticedFault:
        baselines = [at for name, at in self._baselines if name == phantom_id and at > onset]
        end = min(baselines, default=None)

        def days(told: Told) -> float | None:
            since = [at for (name, _, at) in told.reviews if name == phantom_id and at >= onset]
            noticed = [at for at in since if end is None or at <= end]
            return (min(noticed) - onset).total_seconds() / SECONDS_A_DAY if noticed else None

        return NoticedFault(phantom_id, onset, decided_at, days(self._in_force), days(self._proposed))


def replayed(
    device: str,
    rows: Iterable[Row],
    proposal: Proposal,
    since: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> Difference:
    """Return what other rules would have said of a device since a time.

    Parameters
    ----------
    rows
        All of the device's log: what stood when the time began comes from before it. What cannot be decoded is left out
        on both sides.
    progress
        Told how many events are folded, now and then.
    """
    replay = Replay(device, proposal, since)
    for count, row in enumerate(rows, 1):
        try:
            replay.take(codec.decode_event(row.body))
        except codec.UndecodableError:
            continue
        if count % PROGRESS_EVERY == 0:
            progress(count)
    return replay.difference()


def _verdicts(one: Told, other: Told) -> tuple[VerdictDifference, ...]:
    found = []
    for name in one.judged.keys() | other.judged.keys():
        then, would_be = one.judged.get(name), other.judged.get(name)
        if (then.verdict if then else None) != (would_be.verdict if would_be else None):
            told = then or would_be
            assert told is not None  # noqa: S101 - it is of either
            verdicts = (then.verdict if then else None, would_be.verdict if would_be else None)
            found.append(VerdictDifference(name, told.phantom_id, told.measured_at, told.bmd_g_cm2, *verdicts))
    return tuple(sorted(found, key=lambda one: (one.measured_at, one.event_id)))


def _only_one(one: Told, other: Told) -> tuple[OnlyOne, ...]:
    found = []
    for side, told, not_told in ((Side.IN_FORCE, one, other), (Side.PROPOSED, other, one)):
        for (phantom, at), text in told.signals.items():
            if (phantom, at) not in not_told.signals:
                found.append(OnlyOne(side, "signal", phantom, at, text))
        for key, review in told.reviews.items():
            if key not in not_told.reviews:
                found.append(OnlyOne(side, "review", key[0], key[2], review.text))
    return tuple(sorted(found, key=lambda one: (one.at, one.what, one.side)))


def _places(one: Told, other: Told) -> dict[str, tuple[ChartPlace, ...]]:
    found = dict[str, list[ChartPlace]]()
    for name, then in one.judged.items():
        would_be = other.judged.get(name)
        if then.bmd_g_cm2 is None or then.chart is None or would_be is None or would_be.chart is None:
            continue
        limits = (then.chart.lower, then.chart.upper), (would_be.chart.lower, would_be.chart.upper)
        verdicts = then.verdict, would_be.verdict
        place = ChartPlace(then.measured_at, then.bmd_g_cm2, then.chart.target, *limits, *verdicts)
        found.setdefault(then.phantom_id, []).append(place)
    return {name: tuple(sorted(places, key=lambda p: p.measured_at)) for name, places in found.items()}
