"""Laws that hold of any days: conditions that come, change and go, people with any hours, looks at any times."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.book import Book, decode, encode
from alerts.condition import Condition, Findings, Severity
from alerts.policy import Note, acknowledge, step
from alerts.rota import Person, Rota, Shift, quiet_until
from streams.roles import Role
from tests.alerts_rig import LONDON, RULES, condition, findings, utc

KEYS = ("gate:dxa-1", "gate:dxa-2", "qc:dxa-1")
CLOCKS = ("00:30", "01:30", "07:00", "08:00", "13:00", "20:00", "23:30")
WEEKDAYS = ((0, 1, 2, 3, 4), (5, 6), tuple(range(7)))
STARTS = tuple(utc(text) for text in ("2026-01-05T06:00", "2026-03-28T18:00", "2026-10-24T18:00"))
"""A Monday, and the evenings before the clocks change."""


class Change(NamedTuple):
    """From `at` on this is wrong; `taker` takes all that is open then."""

    at: datetime
    found: Findings
    taker: str


class Sent(NamedTuple):
    at: datetime
    found: Findings
    note: Note


conditions = st.builds(
    lambda severity, news, role: (severity, " ".join(sorted(news)), role),
    st.sampled_from(list(Severity)),
    st.sets(st.sampled_from(["a", "b", "c"]), min_size=1),
    st.sampled_from([Role.OPERATOR, Role.PHYSICIST]),
)
clocks = st.sampled_from(CLOCKS)
people = st.builds(
    lambda name, roles, tier, quiet, shifts: Person(name, roles, (), tier, quiet, shifts),
    st.just(""),
    st.sampled_from([(Role.OPERATOR,), (Role.PHYSICIST,), (Role.OPERATOR, Role.PHYSICIST), (Role.MANAGER,)]),
    st.integers(1, 3),
    st.none() | st.tuples(clocks, clocks),
    st.lists(st.builds(Shift, st.sampled_from(WEEKDAYS), clocks, clocks), max_size=2).map(tuple),
)


@st.composite
def rotas(draw: st.DrawFn) -> Rota:
    drawn = draw(st.lists(people, min_size=1, max_size=4))
    named = tuple(Person(f"P{n}", p.roles, p.channels, p.tier, p.quiet, p.shifts) for n, p in enumerate(drawn))
    return Rota(named, ("P0",), LONDON)


@st.composite
def timelines(draw: st.DrawFn) -> list[Change]:
    """Some changes over a few days; the last stands for a day and a half."""
    at = draw(st.sampled_from(STARTS))
    changes = []
    for _ in range(draw(st.integers(1, 6))):
        wrong = draw(st.dictionaries(st.sampled_from(KEYS), conditions, max_size=3))
        endings = [key for key in KEYS if key not in wrong and draw(st.booleans())]
        taker = draw(st.sampled_from(["", "", "P0", "P1"]))
        changes.append(Change(at, findings(*(_one(key, *what) for key, what in wrong.items()), endings=endings), taker))
        at += timedelta(seconds=draw(st.sampled_from([1, 20, 29, 31, 100, 400, 3_000, 20_000, 90_000])))
    changes.append(Change(at, changes[-1].found, ""))
    changes.append(Change(at + timedelta(hours=36), changes[-1].found, ""))
    return changes


def _one(key: str, severity: Severity, news: str, role: Role) -> Condition:
    return condition(key, severity=severity, news=news, audience=(role,))


class Life:
    """A site that is looked at as a timeline says, whenever the policy asks for it, and at `extra` times."""

    def __init__(self, rota: Rota, *, as_json: bool = False) -> None:
        self.rota, self.as_json = rota, as_json
        self.book = Book()
        self.next_at: datetime | None = None
        self.sent: list[Sent] = []
        self.seen: list[tuple[datetime, Findings, Book]] = []

    def live(self, changes: Sequence[Change], extra: Sequence[datetime] = ()) -> list[Sent]:
        for change, following in pairwise(changes):
            self.look(change.at, change.found)
            if change.taker:
                self.take(change.taker, change.at)
                self.look(change.at, change.found)
            more = sorted(at for at in extra if change.at < at < following.at)
            while (at := min(filter(None, (self.next_at, *more)), default=None)) is not None and at < following.at:
                more = [one for one in more if one > at]
                self.look(at, change.found)
        return self.sent

    def look(self, at: datetime, found: Findings) -> None:
        book = decode(encode(self.book)) if self.as_json else self.book
        result = step(book, found, at, RULES, self.rota)
        assert result.next_at is None or result.next_at > at
        self.book, self.next_at = result.book, result.next_at
        self.sent += [Sent(at, found, note) for note in result.notes]
        self.seen.append((at, found, result.book))

    def take(self, person: str, at: datetime) -> None:
        for alert in list(self.book.alerts.values()):
            taken = acknowledge(self.book, alert.id, person, at)
            self.book = taken if isinstance(taken, Book) else self.book


few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(timelines(), rotas())
def test_nobody_is_told_the_same_news_twice(changes: list[Change], rota: Rota) -> None:
    life = Life(rota)
    life.live(changes)
    keys = {
        alert.id: alert.condition.key for _, _, book in life.seen for alert in (*book.alerts.values(), *book.resolved)
    }
    told: dict[tuple[str, str], set[str]] = {}
    for _, found, note in life.sent:
        stands = {one.key: one.parts for one in found.conditions}
        for alert_id in note.alerts:
            news = stands.get(keys[alert_id], frozenset({"over"}))
            known = told.setdefault((note.person, alert_id), set())
            assert news - known
            known |= news
    assert len({note.id for _, _, note in life.sent}) == len(life.sent)


@few
@given(timelines(), rotas())
def test_what_is_urgent_and_stands_longer_than_a_message_is_gathered_is_told(changes: list[Change], rota: Rota) -> None:
    life = Life(rota)
    life.live(changes)
    since: dict[tuple[str, str], datetime] = {}
    for at, found, book in life.seen:
        since = {
            (one.key, word): since.get((one.key, word), at)
            for one in found.conditions
            if one.severity is Severity.URGENT and not book.alerts[one.key].acknowledged_by
            for word in one.parts
        }
        for (key, word), begun in since.items():
            if at - begun > timedelta(seconds=RULES.group_seconds):
                assert any(word in told for told in book.alerts[key].told.values())


@few
@given(timelines(), rotas())
def test_a_second_look_at_the_same_time_adds_nothing(changes: list[Change], rota: Rota) -> None:
    life = Life(rota)
    life.live(changes)
    for at, found, book in life.seen:
        again = step(book, found, at, RULES, rota)
        assert again.notes == ()
        assert again.book == book


@few
@given(timelines(), rotas(), st.lists(st.integers(1, 60 * 60 * 60), max_size=30))
def test_looking_more_often_sends_the_same_at_the_same_time(
    changes: list[Change], rota: Rota, extra: list[int]
) -> None:
    seldom = Life(rota).live(changes)
    begins = changes[0].at
    often = Life(rota).live(changes, [begins + timedelta(seconds=seconds) for seconds in extra])
    assert [(one.at, one.note) for one in often] == [(one.at, one.note) for one in seldom]


@few
@given(timelines(), rotas())
def test_a_book_kept_as_json_goes_on_the_same(changes: list[Change], rota: Rota) -> None:
    assert Life(rota, as_json=True).live(changes) == Life(rota).live(changes)


@few
@given(timelines(), rotas())
def test_nothing_but_what_is_urgent_is_sent_in_quiet_hours(changes: list[Change], rota: Rota) -> None:
    for at, found, note in Life(rota).live(changes):
        person = rota.person(note.person)
        assert person is not None
        if quiet_until(person, at, LONDON) is not None:
            assert note.urgent
            assert all(
                one.severity is Severity.URGENT for one in found.conditions if f"{one.key} is wrong" in note.text
            )


@few
@given(timelines(), rotas())
def test_what_stands_is_open_and_what_is_over_is_not(changes: list[Change], rota: Rota) -> None:
    life = Life(rota)
    life.live(changes)
    for at, found, book in life.seen:
        keys = {one.key for one in found.conditions}
        assert {key for key, alert in book.alerts.items() if alert.gone_at is None} == keys
        for alert in book.alerts.values():
            settled = alert.gone_at is not None and at - alert.gone_at >= timedelta(minutes=RULES.settle_minutes)
            assert not settled
