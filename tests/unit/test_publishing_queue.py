"""What of a log is published, and the queue of those who are told."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from publishing.delivery import Message
from publishing.published import (
    BEGINNING,
    MOST,
    TYPES,
    Notice,
    OtherLogError,
    Place,
    PublishedLog,
    Reached,
    Selection,
    cloud_event,
)
from publishing.queue import Entry, Queue
from streams import codec
from streams.messages import Event, GateChanged, GateStatus, Outcome, RecordedOutcome, ReviewEnded, TimeReached
from streams.sqlite_log import SqliteEventLog
from tests.folding import MONDAY

BOTH = ("s/dxa-1", "s/dxa-2")


def gate(mode: str) -> GateChanged:
    return GateChanged(mode, GateStatus.HELD, MONDAY, None, ())


def write(path: Path, *events: tuple[str, int]) -> None:
    """Append events of these devices with so many changes of their gate each."""
    with SqliteEventLog(path) as log, log.transaction():
        seqs = log.last_seqs()
        for device, count in events:
            seq = seqs[device] = seqs.get(device, 0) + 1
            name = f"{device}-{seq}"
            outcomes = [RecordedOutcome(f"{name}-{n}", name, device, seq, gate(f"m{n}")) for n in range(1, count + 1)]
            log.write(Event(name, device, log.log_id, seq, MONDAY, 1, TimeReached(MONDAY)), tuple(outcomes))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of three events: two changes, none, one of the other device."""
    write(tmp_path / "log.sqlite", ("s/dxa-1", 2), ("s/dxa-1", 0), ("s/dxa-2", 1))
    return tmp_path / "log.sqlite"


# --- what is published ---------------------------------------------------------------------------------------


def test_only_these_types_leave_the_site_and_never_a_review_that_was_opened() -> None:
    assert TYPES == (
        "bonewatch.gate-changed.v1",
        "bonewatch.measurement-validated.v1",
        "bonewatch.measurement-withheld.v1",
        "bonewatch.measurements-amended.v1",
    )


def test_what_is_published_comes_in_the_order_of_the_log_with_its_place(path: Path) -> None:
    with PublishedLog(path) as log:
        batch = log.after(BEGINNING, Selection(), 10)
    assert [(one.id, one.place) for one in batch.notices] == [
        ("s/dxa-1-1-1", (1, 1)),
        ("s/dxa-1-1-2", (1, 2)),
        ("s/dxa-2-1-1", (3, 1)),
    ]
    assert batch.reached == (3, MOST)


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        (Place(0), ["s/dxa-1-1-1", "s/dxa-1-1-2", "s/dxa-2-1-1"]),
        (Place(1, 1), ["s/dxa-1-1-2", "s/dxa-2-1-1"]),
        (Place(1), ["s/dxa-2-1-1"]),
        (Place(2), ["s/dxa-2-1-1"]),
        (Place(3), []),
        (Place(99), []),
    ],
)
def test_reading_goes_on_behind_any_place(path: Path, place: Place, wanted: list[str]) -> None:
    with PublishedLog(path) as log:
        assert [one.id for one in log.after(place, Selection(), 10).notices] == wanted


def test_a_full_batch_ends_within_an_event_and_the_next_one_goes_on_there(path: Path) -> None:
    with PublishedLog(path) as log:
        first = log.after(BEGINNING, Selection(), 1)
        second = log.after(first.reached, Selection(), 1)
    assert (first.reached, [one.id for one in second.notices]) == ((1, 1), ["s/dxa-1-1-2"])


def test_a_selection_leaves_out_other_devices_and_types(path: Path) -> None:
    with PublishedLog(path) as log:
        own = log.after(BEGINNING, Selection(devices=("s/dxa-2",)), 10)
        none = log.after(BEGINNING, Selection(types=("bonewatch.measurement-validated.v1",)), 10)
    assert [one.id for one in own.notices] == ["s/dxa-2-1-1"]
    assert (none.notices, none.reached) == ((), (3, MOST))


def test_an_outcome_that_is_not_published_is_passed_over(tmp_path: Path) -> None:
    with SqliteEventLog(tmp_path / "log.sqlite") as log, log.transaction():
        event = Event("e1", "s/dxa-1", log.log_id, 1, MONDAY, 1, TimeReached(MONDAY))
        outcomes: list[Outcome] = [ReviewEnded("r1", MONDAY), gate("all")]
        log.write(
            event, tuple(RecordedOutcome(f"o{n}", "e1", "s/dxa-1", 1, outcome) for n, outcome in enumerate(outcomes))
        )
    with PublishedLog(tmp_path / "log.sqlite") as log_read:
        (only,) = log_read.after(BEGINNING, Selection(), 10).notices
    assert (only.id, only.place) == ("o1", (1, 2))


def test_a_cloud_event_has_the_attributes_of_the_fleets_records_and_the_record_as_it_stands(path: Path) -> None:
    with PublishedLog(path) as log:
        notice = log.after(BEGINNING, Selection(), 10).notices[1]
        log_id = log.log_id
    said = msgspec.json.decode(cloud_event(notice))
    data = said.pop("data")
    assert said == {
        "specversion": "1.0",
        "id": "s/dxa-1-1-2",
        "source": "/sites/s",
        "type": "bonewatch.gate-changed.v1",
        "subject": "s/dxa-1",
        "time": "2026-11-02T07:45:00+00:00",
        "datacontenttype": "application/json",
        "logid": log_id,
        "logposition": 1,
        "deviceseq": 1,
    }
    recorded = codec.decode_outcome(msgspec.json.encode(data))
    assert recorded == RecordedOutcome("s/dxa-1-1-2", "s/dxa-1-1", "s/dxa-1", 1, gate("m2"))


def test_a_reader_goes_on_behind_the_name_of_what_it_had_or_behind_a_position(path: Path) -> None:
    with PublishedLog(path) as log:
        first = log.after(BEGINNING, Selection(), 10).notices[0]
        assert first.name == f"{log.log_id[:8]}-1-1"
        assert log.place_of(first.name) == (1, 1)
        assert log.place_of("2") == (2, MOST)
        assert log.place_of("0") == BEGINNING


@pytest.mark.parametrize("text", ["", "-1", "one", "1.5", "1-1-1-1", "²", "1" * 16, " 1", "1\n"])
def test_what_is_no_place_is_refused(path: Path, text: str) -> None:
    with PublishedLog(path) as log, pytest.raises(ValueError, match="a place is a position"):
        log.place_of(text)


@pytest.mark.parametrize("text", ["4", "00000000-1-1"])
def test_a_place_of_another_log_or_beyond_its_end_is_refused(path: Path, text: str) -> None:
    with PublishedLog(path) as log, pytest.raises(OtherLogError, match="restored, or is another one"):
        log.place_of(text)


def test_a_log_knows_its_own_places_by_the_hash_chain(path: Path, tmp_path: Path) -> None:
    with PublishedLog(path) as log:
        reached = log.reached(Place(3))
        assert log.holds(reached)
        assert log.holds(log.reached(BEGINNING))
        assert not log.holds(reached._replace(link="00" * 32))
        assert not log.holds(reached._replace(place=Place(4)))
        assert not log.holds(Reached("another", BEGINNING, ""))
    write(tmp_path / "other.sqlite", ("s/dxa-1", 2), ("s/dxa-1", 0), ("s/dxa-2", 1))
    with PublishedLog(tmp_path / "other.sqlite") as other:
        assert not other.holds(reached)


# --- the queue -----------------------------------------------------------------------------------------------

START = Reached("log", Place(0), "")


def entry(number: int, device: str = "s/dxa-1", why: str = "") -> Entry:
    name = f"m{number}"
    notice = Notice(name, TYPES[0], device, number, "2026-11-02T07:45:00+00:00", "log", Place(number, 1), b"{}")
    return Entry(notice, Message(name, b"" if why else b"{}"), why)


def at(position: int) -> Reached:
    return Reached("log", Place(position), f"link {position}")


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    """A queue with messages 1 to 4 for `epr`, of two devices in turn, queued at 100."""
    made = Queue(tmp_path)
    made.begin("epr", START)
    entries = [entry(number, BOTH[number % 2]) for number in range(1, 5)]
    assert made.add("epr", entries, before=START, reached=at(4), now=100.0)
    return made


def heads(queue: Queue) -> list[str]:
    return [one.message_id for one in queue.heads("epr")]


def test_each_device_has_its_first_message_at_the_head(queue: Queue) -> None:
    with queue:
        assert heads(queue) == ["m1", "m2"]
        queue.delivered("epr", queue.heads("epr")[0].id, now=101.0)
        assert heads(queue) == ["m2", "m3"]
        standing = queue.standing("epr")
    assert (standing.waiting, standing.delivered, standing.delivered_at) == (3, 1, 101.0)
    assert (standing.oldest_queued_at, standing.position) == (100.0, 4)


def test_one_that_fails_lets_other_devices_go_before_it_and_stays_first_of_its_own(queue: Queue) -> None:
    with queue:
        queue.failed(queue.heads("epr")[0].id, "HTTP 500")
        assert heads(queue) == ["m2", "m1"]


def test_what_was_taken_in_survives_the_end_of_the_process(queue: Queue, tmp_path: Path) -> None:
    queue.close()
    with Queue(tmp_path) as again:
        assert again.begin("epr", at(99)) == at(4)
        assert heads(again) == ["m1", "m2"]
    assert (tmp_path / "publishing.sqlite").stat().st_mode & 0o077 == 0


def test_nothing_is_queued_where_somebody_set_another_place_meanwhile(queue: Queue) -> None:
    with queue:
        assert not queue.add("epr", [entry(5)], before=START, reached=at(5), now=100.0)
        assert (queue.standing("epr").waiting, queue.reached("epr")) == (4, at(4))


def test_a_replay_queues_what_is_behind_the_place_anew_and_nothing_twice(queue: Queue) -> None:
    with queue:
        queue.died(queue.heads("epr")[1].id, "HTTP 400")  # m2
        queue.replay("epr", at(1))
        assert (heads(queue), queue.dead("epr"), queue.reached("epr")) == (["m1"], [], at(1))
        assert queue.add("epr", [entry(2, BOTH[0])], before=at(1), reached=at(4), now=100.0)
        assert heads(queue) == ["m1", "m2"]


def test_a_replay_of_another_log_drops_what_waits_of_the_former_and_keeps_its_dead_letters(queue: Queue) -> None:
    with queue:
        queue.died(queue.heads("epr")[0].id, "HTTP 400")
        queue.replay("epr", Reached("other", Place(4), "x"), of_another_log=True)
        assert (heads(queue), [one.message_id for one in queue.dead()]) == ([], ["m1"])
        assert queue.revive("epr", now=200.0) == 0  # what it told of is not on this record
        queue.replay("epr", Reached("other", Place(0), "x"))
        assert [one.message_id for one in queue.dead()] == ["m1"]


def test_what_waited_too_long_dies_of_one_device_or_of_all_and_is_kept_with_why(queue: Queue) -> None:
    with queue:
        assert queue.expire("epr", "given up", queued_before=100.0) == 0
        assert queue.expire("epr", "given up", queued_before=101.0, device=BOTH[1]) == 2
        assert [(one.message_id, one.why) for one in queue.dead("epr")] == [("m1", "given up"), ("m3", "given up")]
        assert queue.expire("epr", "given up", queued_before=101.0) == 2
        assert queue.standing("epr").waiting == 0


def test_dead_letters_are_sent_again_as_if_they_came_now(queue: Queue) -> None:
    with queue:
        queue.expire("epr", "given up", queued_before=101.0)
        second = queue.dead("epr")[1]
        assert queue.revive("epr", [second.id], now=200.0) == 1
        assert [(one.message_id, one.queued_at, one.tries) for one in queue.heads("epr")] == [("m2", 200.0, 0)]
        assert queue.revive("epr", now=200.0) == 3
        assert (queue.dead("epr"), queue.revive("other", now=200.0)) == ([], 0)


def test_a_message_that_could_not_be_made_is_dead_from_the_start_and_is_not_sent_empty(queue: Queue) -> None:
    with queue:
        queue.add("epr", [entry(5, why="no accession number")], before=at(4), reached=at(5), now=100.0)
        assert [(one.message_id, one.why) for one in queue.dead("epr")] == [("m5", "no accession number")]
        assert queue.revive("epr", now=200.0) == 0


def test_only_so_many_dead_letters_are_kept_the_newest(queue: Queue) -> None:
    with queue:
        queue.expire("epr", "given up", queued_before=101.0)
        assert queue.forget_dead("epr", 4) == 0
        assert queue.forget_dead("epr", 1) == 3
        assert [one.message_id for one in queue.dead("epr")] == ["m4"]


def test_two_subscribers_and_two_processes_do_not_meet(queue: Queue, tmp_path: Path) -> None:
    with queue, Queue(tmp_path) as beside:
        beside.begin("ris", START)
        beside.add("ris", [entry(1)], before=START, reached=at(1), now=100.0)
        beside.replay("ris", START)
        assert [(one.name, one.waiting) for one in queue.standings()] == [("epr", 4), ("ris", 0)]


def test_a_file_that_is_no_queue_is_an_error_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "publishing.sqlite").write_text("no database, and longer than the header of one" * 10)
    with pytest.raises(sqlite3.DatabaseError):
        Queue(tmp_path)
