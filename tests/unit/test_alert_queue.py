"""The queue of messages to people, and what delivers it: with a clock that the test moves."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from alerts.book import AlertState, Book
from alerts.deliverer import LATE_S, Deliverer
from alerts.deliveries import DeliveryState, Route
from alerts.policy import Note, NoteReason
from alerts.queue import Queue
from alerts.told import Happening
from tests.alert_rig import MORNING, SETTINGS, Clock, Wire, alert, deliverer, keep, note, tell

BOTH = Route(("mail", "text"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def subjects(wire: Wire) -> list[str]:
    return [one.subject.removeprefix("Subject of ") for one in wire.taken]


def live(delivers: Deliverer, clock: Clock, length: timedelta, *channels: str, every_s: float = 5.0) -> None:
    """Let time pass as the threads would."""
    until = clock.now + length
    while clock.now < until:
        for channel in channels or ("mail",):
            delivers.deliver(channel)
        clock.pass_(seconds=every_s)


def test_messages_of_a_person_go_in_their_order_and_each_once(queue: Queue, clock: Clock) -> None:
    wire = Wire()
    tell(queue, note("1"), note("2"), note("3"))
    live(deliverer(queue, {"mail": wire}, clock), clock, timedelta(minutes=1))
    assert subjects(wire) == ["1", "2", "3"]


def test_the_same_note_is_queued_once_however_often_it_is_made(queue: Queue, clock: Clock) -> None:
    wire = Wire()
    for _ in range(3):
        tell(queue, note("1"))
    live(deliverer(queue, {"mail": wire}, clock), clock, timedelta(minutes=1))
    assert subjects(wire) == ["1"]


def test_a_channel_that_is_down_for_an_hour_loses_and_doubles_nothing(tmp_path: Path, clock: Clock) -> None:
    wire, told = Wire(why="away"), []
    with Queue(tmp_path) as queue:
        for minute in range(6):
            tell(queue, note(str(minute)), at=clock.now)
            told.append(str(minute))
            live(deliverer(queue, {"mail": wire}, clock), clock, timedelta(minutes=10))
        assert not wire.taken
        assert 12 < wire.tried < 40, "tried again and again, later each time: 5 s, 10 s, ... 300 s"
    wire.why = ""
    with Queue(tmp_path) as queue:  # the process was started anew meanwhile
        live(deliverer(queue, {"mail": wire}, clock), clock, timedelta(minutes=10))
    assert subjects(wire) == told


def test_a_message_that_waited_says_so(queue: Queue, clock: Clock) -> None:
    wire = Wire()
    tell(queue, note("1"))
    clock.pass_(seconds=LATE_S + 60)
    deliverer(queue, {"mail": wire}, clock).deliver("mail")
    assert "This message waited 6 minutes" in wire.taken[0].text
    tell(queue, note("2"), at=clock.now)
    deliverer(queue, {"mail": wire}, clock).deliver("mail")
    assert "waited" not in wire.taken[1].text


def test_a_dead_channel_delays_no_other_and_no_other_person(queue: Queue, clock: Clock) -> None:
    dead, alive = Wire(why="away"), Wire()
    tell(queue, note("1"), route=Route(("mail",)))
    tell(queue, note("2", "Ben Example"), route=Route(("text",)))
    delivers = deliverer(queue, {"mail": dead, "text": alive}, clock)
    live(delivers, clock, timedelta(seconds=5), "mail", "text")
    assert subjects(alive) == ["2"]


def test_one_persons_refused_message_does_not_delay_the_next_person_on_the_channel(queue: Queue, clock: Clock) -> None:
    class Picky(Wire):
        def send(self, message: object) -> str:
            self.why = "no such address" if "Anna" in str(message) else ""
            return super().send(message)  # type: ignore[arg-type]

    wire = Picky()
    tell(queue, note("1"), note("2", "Ben Example"))
    deliverer(queue, {"mail": wire}, clock).deliver("mail")
    assert subjects(wire) == ["2"]


def test_the_second_channel_is_asked_when_the_first_fails_and_then_one_is_enough(queue: Queue, clock: Clock) -> None:
    first, second = Wire(why="away"), Wire()
    tell(queue, note("1"), note("2"), route=BOTH)
    delivers = deliverer(queue, {"mail": first, "text": second}, clock)
    assert delivers.deliver("text") == 0, "the first has not been tried yet"
    delivers.deliver("mail")
    assert delivers.deliver("text") == 1
    first.why = ""
    live(delivers, clock, timedelta(minutes=10), "mail", "text")
    assert (subjects(first), subjects(second)) == (["2"], ["1"])
    assert queue.counts() == {
        ("mail", DeliveryState.SPARED): 1,
        ("mail", DeliveryState.SENT): 1,
        ("text", DeliveryState.SENT): 1,
        ("text", DeliveryState.SPARED): 1,
    }


def test_a_person_who_wants_all_channels_is_told_by_each(queue: Queue, clock: Clock) -> None:
    mail, text = Wire(), Wire()
    tell(queue, note("1"), route=Route(("mail", "text"), all_of_them=True))
    live(deliverer(queue, {"mail": mail, "text": text}, clock), clock, timedelta(seconds=10), "mail", "text")
    assert (subjects(mail), subjects(text)) == (["1"], ["1"])


def test_what_could_not_be_delivered_for_a_day_is_given_up_and_stays_on_record(queue: Queue, clock: Clock) -> None:
    wire = Wire(why="away")
    tell(queue, note("1"))
    delivers = deliverer(queue, {"mail": wire}, clock)
    live(delivers, clock, timedelta(hours=SETTINGS.give_up_hours, minutes=10), every_s=60.0)
    tried = wire.tried
    wire.why = ""
    live(delivers, clock, timedelta(hours=1), every_s=60.0)
    assert wire.tried == tried
    assert queue.counts() == {("mail", DeliveryState.GIVEN_UP): 1}


def test_a_clock_that_goes_back_stops_no_retry(queue: Queue, clock: Clock) -> None:
    wire = Wire(why="away")
    tell(queue, note("1"))
    deliverer(queue, {"mail": wire}, clock).deliver("mail")
    wire.why = ""
    clock.pass_(days=-400)
    deliverer(queue, {"mail": wire}, clock).deliver("mail")
    assert subjects(wire) == ["1"]


def test_troubles_name_the_channel_since_when_and_why_and_end_with_it(queue: Queue, clock: Clock) -> None:
    wire = Wire(why="the mail server is away")
    tell(queue, note("1"), note("2"))
    delivers = deliverer(queue, {"mail": wire}, clock)
    delivers.deliver("mail")
    (trouble,) = queue.troubles()
    assert (trouble.channel, trouble.why) == ("mail", "the mail server is away")
    assert trouble.oldest_queued_at == MORNING.timestamp() == queue.oldest_waiting()
    wire.why = ""
    live(delivers, clock, timedelta(minutes=5))
    assert queue.troubles() == []
    assert queue.oldest_waiting() is None


# --- the book ------------------------------------------------------------------------------------------------


def test_book_and_notes_stand_together_or_not_at_all(tmp_path: Path) -> None:
    def fail(queue: Queue, one: Note) -> None:
        with queue.changing() as change:
            change.keep(Book({"key": alert()}), MORNING.timestamp())
            change.tell(one, Route(("mail",)), MORNING.timestamp())
            raise KeyboardInterrupt

    with Queue(tmp_path) as queue:
        with pytest.raises(KeyboardInterrupt):
            fail(queue, note("1"))
        assert queue.book() == Book()
        assert queue.note("1") is None
        keep(queue, alert())
        tell(queue, note("1"))
    with Queue(tmp_path) as queue:
        assert list(queue.book().alerts.values()) == [alert()]
        assert queue.note("1") == note("1")


def test_the_history_says_what_became_of_an_alert_and_who_was_told_by_what(queue: Queue, clock: Clock) -> None:
    keep(queue, alert())
    tell(queue, note("1"))
    deliverer(queue, {"mail": Wire()}, clock).deliver("mail")
    later = MORNING + timedelta(minutes=20)
    taken = replace(alert(), tier=2, state=AlertState.ACKNOWLEDGED, acknowledged_by="Ben", acknowledged_at=later)
    keep(queue, taken, at=later)
    with queue.changing() as change:
        change.keep(Book({}, (replace(taken, resolved_at=later),)), later.timestamp())
    rows = queue.history_of(["alert-1"])
    assert [(row.what, row.person, row.channel) for row in rows] == [
        (Happening.RAISED, "", ""),
        (Happening.TOLD, "Anna Example", "mail"),
        (Happening.ACKNOWLEDGED, "Ben", ""),
        (Happening.ESCALATED, "", ""),
        (Happening.RESOLVED, "", ""),
    ]


def test_old_notes_and_history_go_and_what_waits_stays(queue: Queue, clock: Clock) -> None:
    keep(queue, alert())
    tell(queue, note("sent"))
    deliverer(queue, {"mail": Wire()}, clock).deliver("mail")
    tell(queue, note("waits"))
    queue.forget((MORNING + timedelta(days=1)).timestamp())
    assert queue.note("sent") is None
    assert queue.note("waits") is not None
    assert queue.history_of(["alert-1"]) == []


def test_an_end_and_a_digest_hold_no_link_to_take_anything(queue: Queue, clock: Clock) -> None:
    wire = Wire()
    for place, reason in enumerate(NoteReason):
        tell(queue, note(str(place), reason=reason))
    live(deliverer(queue, {"mail": wire}, clock), clock, timedelta(minutes=1))
    with_link = {reason for reason, one in zip(NoteReason, wire.taken, strict=True) if "/acknowledge?" in one.text}
    assert with_link == {NoteReason.ESCALATED, NoteReason.RAISED, NoteReason.NEWS}


@pytest.mark.parametrize("broken", ["file", "book"])
def test_what_cannot_be_read_is_set_aside_and_the_queue_begins_anew(tmp_path: Path, broken: str) -> None:
    with Queue(tmp_path) as queue:
        keep(queue, alert())
    if broken == "file":
        for old in tmp_path.glob("alerts.sqlite*"):
            old.unlink()
        (tmp_path / "alerts.sqlite").write_text("no database, and longer than the header of one" * 10)
    else:
        with closing(sqlite3.connect(tmp_path / "alerts.sqlite", isolation_level=None)) as db:
            db.execute("UPDATE book SET body = CAST('{\"alerts\": 1}' AS BLOB)")
    queue, why = Queue.opened(tmp_path)
    assert why
    assert queue.book() == Book()
    queue.close()
    assert (tmp_path / "alerts.sqlite.unreadable").is_file()
    queue, why = Queue.opened(tmp_path)
    assert why == ""
    queue.close()
