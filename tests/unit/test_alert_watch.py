"""What looks and queues, with the real policy, queue and delivery; devices and people are invented."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from alerts.deliverer import Deliverer
from alerts.deliveries import Route
from alerts.desk import Desk
from alerts.queue import Queue
from alerts.rota import Person, Rota
from alerts.rules import AlertRules
from alerts.situation import ClinicSpan, DeviceSituation, Situation
from alerts.told import Happening
from alerts.watch import Plan, Watch
from streams.roles import Role
from tests.alert_rig import MORNING, Clock, Wire, deliverer, links
from tests.console_fakes import FAILED, held_gate, open_gate, scanner

CLINIC = ClinicSpan(datetime(2026, 11, 20, 8, 30, tzinfo=UTC), datetime(2026, 11, 20, 16, 30, tzinfo=UTC))
PEOPLE = (
    Person("Anna Example", (Role.OPERATOR,), ("mail",)),
    Person("Ben Example", (Role.OPERATOR,), ("mail",)),
    Person("Cy Example", (Role.OPERATOR,), ("text",), tier=2),
    Person("Dr M Expert", (Role.PHYSICIST,), ("mail",)),
    Person("Em Manager", (Role.MANAGER,), ("text",)),
)
Gather = Callable[[datetime], Situation]


class Rig:
    """Alerts of one site as a process runs them, without its threads."""

    def __init__(self, folder: Path, gather: Gather, *, people: tuple[Person, ...] = PEOPLE) -> None:
        self.clock, self.mail, self.text = Clock(), Wire(), Wire()
        self._folder, self._gather, self._people = folder, gather, people
        self.open()

    def open(self) -> None:
        """Start the process, or start it anew."""
        self.queue = Queue(self._folder)
        self.desk = Desk(self.queue, links(), unreached_s=600.0, clock=self.clock)
        self.delivers: Deliverer = deliverer(self.queue, {"mail": self.mail, "text": self.text}, self.clock)
        rota = Rota(self._people, ("Em Manager",))
        routes = {person.name: Route(person.channels) for person in self._people}
        plan = Plan(AlertRules(), rota, routes, pass_on_after=timedelta(minutes=10), kept=timedelta(days=400))
        self.watch = Watch(self.queue, self.desk, self.delivers, self._gather, plan, clock=self.clock)

    def live(self, *, every_s: float = 15.0, **length: float) -> None:
        """Let time pass."""
        until = self.clock.now + timedelta(**length)
        while self.clock.now < until:
            self.watch.look()
            for channel in ("mail", "text"):
                self.delivers.deliver(channel)
            self.clock.pass_(seconds=every_s)

    def told(self) -> list[tuple[str, str]]:
        return [(one.person, one.subject) for one in (*self.mail.taken, *self.text.taken)]


def situation(at: datetime, *, scanners: int = 1, is_held: bool = True) -> Situation:
    """Scanners whose phantoms failed this morning, or that are cleared; the clinic begins at 08:30."""
    gate = held_gate(FAILED, since=MORNING - timedelta(minutes=5)) if is_held else open_gate()
    one = scanner("dxa-1", "DXA1", "Horizon", gate, ())
    views = [replace(one, id=f"dxa-{n}", device=f"s/dxa-{n}", ae_title=f"DXA{n}") for n in range(1, scanners + 1)]
    return Situation(at, "Europe/London", tuple(DeviceSituation(view, (CLINIC,)) for view in views))


def test_a_hundred_devices_that_fail_at_once_are_one_readable_message_per_responsible_person(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda at: situation(at, scanners=100))
    rig.live(minutes=10)
    assert sorted(one.person for one in rig.mail.taken) == ["Anna Example", "Ben Example"]
    assert not rig.text.taken
    message = rig.mail.taken[0]
    assert "100 scanners are not cleared" in message.subject
    assert "90 more" in message.text
    assert message.text.count("\n- Scanner DXA") == 10
    assert len(message.text) < 2_000
    assert message.text.count("/acknowledge?") == 1


def test_nothing_more_comes_of_it_than_the_timetable_says(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda at: situation(at, scanners=100))
    rig.live(hours=2, every_s=60.0)
    people = [one.person for one in (*rig.mail.taken, *rig.text.taken)]
    assert sorted(people) == ["Anna Example", "Ben Example", "Cy Example", "Dr M Expert", "Em Manager"]


def test_a_process_that_starts_anew_tells_nobody_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path, situation)
    rig.live(minutes=2)
    told = rig.told()
    assert len(told) == 2
    for _ in range(3):
        rig.queue.close()
        rig.open()
        rig.live(minutes=2)
    assert rig.told() == told


def test_whoever_takes_it_stops_the_escalation_and_the_end_is_told(tmp_path: Path) -> None:
    held = [True]
    rig = Rig(tmp_path, lambda at: situation(at, is_held=held[0]))
    rig.live(minutes=5)
    (view,) = rig.desk.open()
    rig.desk.acknowledge(view.alert.id, "Anna Example")
    rig.live(minutes=40)
    assert {person for person, _ in rig.told()} == {"Anna Example", "Ben Example"}
    held[0] = False
    rig.live(minutes=10)
    assert rig.desk.open() == []
    assert rig.told()[-1][1] == "Scanner DXA1 is cleared"
    happened = [row.what for row in rig.desk.history(view.alert.id)]
    assert happened[0] is Happening.RAISED
    assert happened.count(Happening.ACKNOWLEDGED) == happened.count(Happening.RESOLVED) == 1
    assert Happening.ESCALATED not in happened


def test_what_reaches_nobody_goes_to_the_next_person_and_says_whose_it_was(tmp_path: Path) -> None:
    rig = Rig(tmp_path, situation, people=(PEOPLE[0], replace(PEOPLE[2], tier=3), PEOPLE[4]))
    rig.mail.why = "the mail server is away"
    rig.live(minutes=9)
    assert rig.told() == []
    rig.live(minutes=4)
    first = rig.text.taken[0]
    assert first.person == "Cy Example"
    assert first.text.startswith("Anna Example could not be reached, so this comes to you.\n\n")
    assert rig.text.taken[0].text.count("could not be reached") == 1
    (view,) = rig.desk.open()
    assert (Happening.PASSED_ON, "Anna Example", "Cy Example") in [
        (row.what, row.person, row.text) for row in rig.desk.history(view.alert.id)
    ]


def test_a_person_without_any_channel_is_passed_by_at_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, situation, people=(replace(PEOPLE[0], channels=()), replace(PEOPLE[2], tier=3)))
    rig.live(minutes=2)
    assert [person for person, _ in rig.told()] == ["Cy Example"]


def test_where_nobody_can_be_reached_the_console_says_so_until_somebody_is(tmp_path: Path) -> None:
    rig = Rig(tmp_path, situation)
    rig.mail.why = rig.text.why = "away"
    rig.live(minutes=60)
    assert rig.told() == []
    assert "Anna Example" in {one.note.person for one in rig.desk.unreached()}
    assert {one.channel for one in rig.desk.troubles()} == {"mail", "text"}
    rig.mail.why = rig.text.why = ""
    rig.live(minutes=10)
    assert rig.desk.unreached() == []
    assert rig.desk.troubles() == []


def test_a_look_that_fails_is_shown_and_tried_again(tmp_path: Path) -> None:
    fails, changes = [True], list[str]()

    def gather(at: datetime) -> Situation:
        if fails[0]:
            raise OSError("nothing can be read")
        return situation(at)

    rig = Rig(tmp_path, gather)
    rig.desk.subscribe(lambda: changes.append(rig.desk.failing))
    with pytest.raises(OSError, match="nothing"):
        rig.watch.look()
    for _ in range(3):
        rig.watch.look_safely()
    assert changes == ["alerts are not looked for: OSError"]
    fails[0] = False
    rig.watch.look_safely()
    assert rig.desk.failing == ""
    assert rig.queue.book().alerts
