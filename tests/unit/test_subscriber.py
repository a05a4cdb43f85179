"""Whatever a receiver answers, and whenever the process ends: everything arrives, each device's news in order."""

import itertools
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publishing.delivery import ComposeError, Delivered, Delivery, Message, Postponed, Refused, Result
from publishing.published import BEGINNING, Notice, PublishedLog, Selection
from publishing.queue import Queue
from publishing.settings import Subscription
from publishing.subscriber import Subscriber
from tests.unit.test_publishing_queue import write

LOG = "site-log.sqlite"
AT_ONCE = Subscription(name="epr", retry_s=0.0, retry_max_s=0.0)


class PowerCutError(Exception):
    """The process ends, after the receiver has taken a message."""


class Scripted:
    """A channel whose receiver answers as it is told, and takes everything after that."""

    def __init__(self, answers: list[str]) -> None:
        self._answers = iter(answers)
        self.tried: list[tuple[str, bytes]] = []
        self.taken: dict[str, list[str]] = {}

    def compose(self, notice: Notice) -> tuple[Message, ...]:
        if notice.id.endswith("-9"):
            raise ComposeError("it has no accession number")
        return (Message(notice.id, notice.body),)

    def deliver(self, delivery: Delivery) -> Result:
        self.tried.append((delivery.message_id, delivery.body))
        answer = next(self._answers, "taken")
        if answer in {"taken", "cut"}:
            self.taken.setdefault(delivery.device, []).append(delivery.message_id)
        if answer == "cut":
            raise PowerCutError
        results: dict[str, Result] = {
            "not now": Postponed("not now", everything=False),
            "away": Postponed("away", everything=True),
            "never": Refused("AR"),
        }
        return results.get(answer, Delivered())

    def close(self) -> None:
        """Let go of nothing."""


def delivered(folder: Path, channel: Scripted, most_turns: int = 2_000) -> None:
    """Follow the log until nothing waits, with a new process after each cut."""
    for _ in range(most_turns):
        subscriber = Subscriber(AT_ONCE, Selection(), channel, data_dir=folder, log=folder / LOG)
        with Queue(folder) as queue, PublishedLog(folder / LOG) as log:
            queue.begin("epr", log.reached(BEGINNING))
            try:
                for _ in range(most_turns):
                    if not subscriber._go_on(queue, log) and not queue.heads("epr"):
                        return
            except PowerCutError:
                continue
    raise AssertionError("something waits for ever")


def ids(folder: Path, device: str) -> list[str]:
    with PublishedLog(folder / LOG) as log:
        return [one.id for one in log.after(BEGINNING, Selection(devices=(device,)), 1000).notices]


EVENTS = st.lists(st.tuples(st.sampled_from(["s/a", "s/b", "s/c"]), st.integers(0, 3)), min_size=1, max_size=8)
ANSWERS = st.lists(st.sampled_from(["taken", "not now", "away", "cut"]), max_size=40)


@settings(max_examples=30)
@given(EVENTS, ANSWERS)
def test_everything_arrives_in_the_order_of_each_device_whatever_happens(
    events: list[tuple[str, int]], answers: list[str]
) -> None:
    with TemporaryDirectory() as name:
        folder, channel = Path(name), Scripted(answers)
        write(folder / LOG, *events)
        delivered(folder, channel)
        for device in ("s/a", "s/b", "s/c"):
            came = channel.taken.get(device, [])
            assert [one for one, _ in itertools.groupby(came)] == ids(folder, device)
        bodies = dict(channel.tried)
        assert all(bodies[id_] == body for id_, body in channel.tried)
        with Queue(folder) as queue:
            assert queue.standing("epr").delivered == len(set(bodies))


def test_a_message_that_hangs_the_receiver_up_holds_no_other_device_for_long(tmp_path: Path) -> None:
    """What was tried least goes first: one that brings the receiver down comes after those that nobody has tried."""

    class Fragile(Scripted):
        def deliver(self, delivery: Delivery) -> Result:
            if delivery.message_id == "s/a-1-1" and len(self.tried) < 8:
                self.tried.append((delivery.message_id, b""))
                return Postponed("no answer within 10 s", everything=True)
            return super().deliver(delivery)

    write(tmp_path / LOG, ("s/a", 2), ("s/b", 5))
    channel = Fragile([])
    delivered(tmp_path, channel)
    order = [id_ for id_, _ in channel.tried]
    assert order.count("s/a-1-1") > 1
    assert order[1] == "s/b-1-1"
    assert (channel.taken["s/a"], channel.taken["s/b"]) == (ids(tmp_path, "s/a"), ids(tmp_path, "s/b"))


def turns(folder: Path, channel: Scripted, count: int, told: Subscription = AT_ONCE) -> int:
    """Follow the log for so many turns; return how many messages wait then."""
    subscriber = Subscriber(told, Selection(), channel, data_dir=folder, log=folder / LOG)
    with Queue(folder) as queue, PublishedLog(folder / LOG) as log:
        queue.begin("epr", log.reached(BEGINNING))
        for _ in range(count):
            subscriber._go_on(queue, log)
        return queue.standing("epr").waiting


@pytest.mark.parametrize(("answer", "tried"), [("not now", ["s/a-1-1", "s/b-1-1", "s/b-1-2"]), ("away", ["s/a-1-1"])])
def test_nobody_is_asked_again_before_it_is_time(tmp_path: Path, answer: str, tried: list[str]) -> None:
    write(tmp_path / LOG, ("s/a", 2), ("s/b", 2))
    channel = Scripted([answer])
    turns(tmp_path, channel, 20, Subscription(name="epr", retry_s=60.0))
    assert [id_ for id_, _ in channel.tried] == tried


def test_what_a_receiver_that_is_away_does_not_get_stays_in_the_log_beyond_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publishing.subscriber.MOST_WAITING", 4)
    monkeypatch.setattr("publishing.subscriber.BATCH", 2)
    write(tmp_path / LOG, *[("s/a", 1)] * 9)
    assert turns(tmp_path, Scripted(["away"] * 99), 20) == 4
    channel = Scripted([])
    delivered(tmp_path, channel)
    assert channel.taken["s/a"] == ids(tmp_path, "s/a")


def test_however_much_waits_of_a_device_that_is_refused_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Picky(Scripted):
        def deliver(self, delivery: Delivery) -> Result:
            return Postponed("AE", everything=False) if delivery.device == "s/a" else super().deliver(delivery)

    monkeypatch.setattr("publishing.subscriber.MOST_WAITING", 4)
    monkeypatch.setattr("publishing.subscriber.MOST_BEHIND", 8)
    monkeypatch.setattr("publishing.subscriber.BATCH", 2)
    write(tmp_path / LOG, *[("s/a", 1)] * 6, ("s/b", 1), *[("s/a", 1)] * 6)
    channel = Picky([])
    assert turns(tmp_path, channel, 20) == 9  # whole batches, and no more than so many
    assert channel.taken["s/b"] == ["s/b-1-1"]


def test_a_long_stretch_without_news_is_looked_through_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publishing.subscriber.SPAN", 10)
    monkeypatch.setattr("publishing.subscriber.STRIDE", 25)
    write(tmp_path / LOG, *[("s/a", 0)] * 95, ("s/a", 1), *[("s/a", 0)] * 7)
    channel = Scripted([])
    turns(tmp_path, channel, 12)
    assert channel.taken["s/a"] == ["s/a-96-1"]
    with Queue(tmp_path) as queue:
        assert queue.reached("epr").place.position == 100  # the end of the part in which it stood


def test_news_that_could_not_be_queued_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / LOG, ("s/a", 3), ("s/b", 1))
    channel = Scripted([])
    subscriber = Subscriber(AT_ONCE, Selection(), channel, data_dir=tmp_path, log=tmp_path / LOG)
    with Queue(tmp_path) as queue, PublishedLog(tmp_path / LOG) as log:
        queue.begin("epr", log.reached(BEGINNING))

        def full(*_args: object, **_words: object) -> bool:
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(queue, "add", full)
            with pytest.raises(sqlite3.OperationalError):
                subscriber._go_on(queue, log)
        for _ in range(9):
            subscriber._go_on(queue, log)
    assert [channel.taken.get(device) for device in ("s/a", "s/b")] == [ids(tmp_path, "s/a"), ids(tmp_path, "s/b")]


def until(is_so: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_fault_of_the_sites_own_is_told_as_trouble_until_it_is_over(tmp_path: Path) -> None:
    class Faulty(Scripted):
        is_faulty = True

        def compose(self, notice: Notice) -> tuple[Message, ...]:
            if self.is_faulty:
                raise ValueError("patient data may stand here")
            return super().compose(notice)

    write(tmp_path / LOG, ("s/a", 2))
    channel = Faulty([])
    told = Subscription(name="epr", retry_s=0.01, retry_max_s=0.01)
    subscriber = Subscriber(told, Selection(), channel, data_dir=tmp_path, log=tmp_path / LOG)
    with Queue(tmp_path) as queue:
        with PublishedLog(tmp_path / LOG) as log:
            queue.begin("epr", log.reached(BEGINNING))
        subscriber.start()
        try:
            until(lambda: queue.standing("epr").trouble == "the site cannot tell it anything: ValueError")
            channel.is_faulty = False
            until(lambda: not queue.standing("epr").trouble and len(channel.taken.get("s/a", [])) == 2)
        finally:
            subscriber.stop()
    assert channel.taken["s/a"] == ids(tmp_path, "s/a")


def test_a_replay_beside_the_site_does_not_end_the_trouble_of_a_receiver_that_is_away(tmp_path: Path) -> None:
    write(tmp_path / LOG, ("s/a", 2))
    told = Subscription(name="epr", retry_s=0.01, retry_max_s=0.01)
    channel = Scripted(["away"] * 100_000)
    subscriber = Subscriber(told, Selection(), channel, data_dir=tmp_path, log=tmp_path / LOG)
    with Queue(tmp_path) as queue, PublishedLog(tmp_path / LOG) as log:
        beginning = log.reached(BEGINNING)
        queue.begin("epr", beginning)
        subscriber.start()
        try:
            until(lambda: queue.standing("epr").trouble == "away")
            queue.replay("epr", beginning)
            until(lambda: queue.standing("epr").trouble == "away")
        finally:
            subscriber.stop()


def test_one_that_the_receiver_will_never_take_is_a_dead_letter_and_the_next_one_goes(tmp_path: Path) -> None:
    write(tmp_path / LOG, ("s/a", 3))
    channel = Scripted(["taken", "never"])
    delivered(tmp_path, channel)
    assert channel.taken["s/a"] == ["s/a-1-1", "s/a-1-3"]
    with Queue(tmp_path) as queue:
        assert [(one.message_id, one.why, one.tries) for one in queue.dead("epr")] == [("s/a-1-2", "AR", 1)]


def test_what_cannot_be_said_to_a_receiver_is_a_dead_letter_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path / LOG, ("s/a", 10))
    channel = Scripted([])
    delivered(tmp_path, channel)
    assert channel.taken["s/a"] == [f"s/a-1-{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 10)]
    with Queue(tmp_path) as queue:
        dead = [(one.message_id, one.why) for one in queue.dead("epr")]
    assert dead == [("s/a-1-9", "it has no accession number")]
