"""The first patient of a scanner, asked of worklist servers: DCMTK's wlmscpfs, and one that can be made to fail."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from structlog.testing import capture_logs

from collectors.dicom.bookings import Bookings
from collectors.dicom.upstream import PendingItem, UpstreamWorklist
from collectors.settings import Upstream
from simulators.ris import Appointment, VirtualRis, worklist_item
from tests.integration.dicom_rig import DEVICES, DXA1, DXA2
from tests.peers import wlmscpfs

AT = datetime(2026, 3, 30, 6, 45, tzinfo=UTC)
"""07:45 in London, on the first Monday of summer time."""
MONDAY = date(2026, 3, 30)
BOOKED = (
    Appointment(1, ("DXA1",), day=MONDAY, start="091500"),
    Appointment(2, ("DXA1",), day=MONDAY, start="0840"),
    Appointment(3, ("DXA1",), patient_id="SPINE-1234", patient_name="PHANTOM^SPINE", day=MONDAY, start="080000"),
    Appointment(4, ("DXA2",), day=MONDAY, start="081000"),
    Appointment(5, ("DXA1",), day=date(2026, 3, 27), start="083000"),
)


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def asking(port: int, clock: Callable[[], datetime]) -> Iterator[Bookings]:
    upstream = UpstreamWorklist(Upstream("RIS", "127.0.0.1", port, timeout_s=5.0))
    bookings = Bookings(upstream, DEVICES, ZoneInfo("Europe/London"), clock)
    bookings.start()
    try:
        yield bookings
    finally:
        bookings.stop()


def known(bookings: Bookings, at: datetime, device: str = DXA1, within_s: float = 20.0) -> datetime | None:
    """Ask until something is known."""
    until = time.monotonic() + within_s
    while (found := bookings.first_after(device, at)) is None and time.monotonic() < until:
        time.sleep(0.02)
    return found


def asked(ris: VirtualRis, queries: int) -> None:
    until = time.monotonic() + 20.0
    while ris.queries < queries:
        assert time.monotonic() < until, ris.queries
        time.sleep(0.02)


@pytest.fixture
def ris() -> Iterator[VirtualRis]:
    ris = VirtualRis(BOOKED)
    ris.start()
    yield ris
    ris.stop()


def test_wlmscpfs_says_when_the_first_patient_comes_and_phantoms_are_none(tmp_path: Path) -> None:
    with (
        wlmscpfs(tmp_path / "wl", [worklist_item(one) for one in BOOKED]) as port,
        asking(port, lambda: AT) as bookings,
    ):
        assert known(bookings, AT) == datetime(2026, 3, 30, 7, 40, tzinfo=UTC), "08:40 by summer time"
        assert bookings.first_after(DXA1, AT + timedelta(hours=1)) is None, "an answer of an hour ago"
        assert known(bookings, AT, DXA2) == datetime(2026, 3, 30, 7, 10, tzinfo=UTC)


def test_the_first_is_the_next_one_as_the_morning_goes_on(ris: VirtualRis) -> None:
    clock = Clock()
    with asking(ris.port, clock) as bookings:
        assert known(bookings, AT) == datetime(2026, 3, 30, 7, 40, tzinfo=UTC)
        clock.now = datetime(2026, 3, 30, 7, 41, tzinfo=UTC)
        assert known(bookings, clock.now) == datetime(2026, 3, 30, 8, 15, tzinfo=UTC)
        clock.now = datetime(2026, 3, 30, 8, 16, tzinfo=UTC)
        asked(ris, 2)
        assert known(bookings, clock.now, within_s=1.0) is None, "nobody else is booked"


def test_it_asks_as_the_scanner_and_every_ten_minutes_at_most(ris: VirtualRis) -> None:
    clock = Clock()
    with asking(ris.port, clock) as bookings:
        known(bookings, AT)
        for minute in range(10):
            clock.now = AT + timedelta(minutes=minute)
            bookings.first_after(DXA1, clock.now)
        time.sleep(0.2)
        assert (ris.queries, ris.calling_ae_titles) == (1, ["DXA1"])
        clock.now = AT + timedelta(minutes=11)
        bookings.first_after(DXA1, clock.now)
        asked(ris, 2)


def test_an_answer_stands_for_half_an_hour_while_the_ris_fails_and_then_nobody_knows(ris: VirtualRis) -> None:
    clock = Clock()
    with asking(ris.port, clock) as bookings, capture_logs() as logs:
        first = known(bookings, AT)
        ris.fails = True
        clock.now = AT + timedelta(minutes=20)
        bookings.first_after(DXA1, clock.now)
        asked(ris, 2)
        assert bookings.first_after(DXA1, clock.now) == first
        clock.now = AT + timedelta(minutes=31)
        assert bookings.first_after(DXA1, clock.now) is None
        asked(ris, 3)
    told = [one for one in logs if one["event"] == "bookings_not_known"]
    assert {(one["device"], one["code"]) for one in told} == {(DXA1, "upstream_failed")}
    assert not any("TEST0" in str(one) or "INVENTED" in str(one) for one in logs)


def test_a_clock_set_back_asks_anew(ris: VirtualRis) -> None:
    clock = Clock()
    with asking(ris.port, clock) as bookings:
        known(bookings, AT)
        clock.now = AT - timedelta(hours=1)
        assert bookings.first_after(DXA1, clock.now) is None, "the answer is of the future"
        asked(ris, 2)


def test_a_ris_that_is_away_is_nobody_knows_and_stops_nothing() -> None:
    with asking(9, lambda: AT) as bookings, capture_logs() as logs:
        assert known(bookings, AT, within_s=1.0) is None
    assert [one["event"] for one in logs] == ["bookings_not_known"]


class Answers:
    """A worklist that gives these items."""

    def __init__(self, *items: Dataset) -> None:
        self._items = items

    def query(self, _identifier: Dataset, _calling: str, _cancelled: Callable[[], bool]) -> tuple[PendingItem, ...]:
        return tuple(PendingItem(0xFF00, item) for item in self._items)


def test_what_names_no_time_or_another_scanner_is_no_appointment_of_this_one() -> None:
    without_time = worklist_item(Appointment(1, ("DXA1",), day=MONDAY, start=""))
    with disable_value_validation():
        nonsense = worklist_item(Appointment(2, ("DXA1",), day=MONDAY, start="25:71"))
    nowhere = worklist_item(Appointment(3, (), day=MONDAY, start="083000"))
    shared = worklist_item(Appointment(4, ("DXA2", "DXA1"), day=MONDAY, start="084500"))
    elsewhere = worklist_item(Appointment(5, ("DXA2",), day=MONDAY, start="083500"))
    broken = Dataset()
    source = Answers(without_time, nonsense, nowhere, shared, elsewhere, broken)
    bookings = Bookings(source, DEVICES, ZoneInfo("Europe/London"), lambda: AT)
    bookings.start()
    assert known(bookings, AT) == datetime(2026, 3, 30, 7, 45, tzinfo=UTC)
    assert bookings.first_after("elsewhere/none", AT) is None
    bookings.stop()
