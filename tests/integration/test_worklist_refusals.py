"""What a held scanner was refused goes on record afterwards: by accession number, once, and never in the way."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset

from collectors.dicom import refusals
from collectors.dicom.refusals import REQUESTS, REQUESTS_A_HELD_TIME, RefusalTeller, Refused
from collectors.dicom.upstream import PendingItem, UpstreamError
from collectors.dicom.worklist import WorklistProxy
from simulators.ris import Appointment, VirtualRis, invented_clinic, worklist_item
from simulators.scanner import worklist_query
from streams.messages import RefusedRequest, WorklistRefused
from tests.fakes import HELD, FakeSite
from tests.integration.dicom_rig import DEVICES, DXA1, DXA3, DXA4, running

LONDON = ZoneInfo("Europe/London")
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
PHANTOM = Appointment(99, ("DXA1",), patient_id="SPINE-1234", patient_name="PHANTOM^SPINE")


class BookedSource:
    """A RIS that answers every query with its whole list, and remembers what it was asked."""

    def __init__(self, *appointments: Appointment) -> None:
        self.appointments = appointments
        self.asked: list[Dataset] = []
        self.is_away = False

    def query(self, identifier: Dataset, _calling_ae: str, _cancelled: Callable[[], bool]) -> tuple[PendingItem, ...]:
        self.asked.append(identifier)
        if self.is_away:
            raise UpstreamError("the upstream worklist does not accept us")
        wanted = str(identifier.get("PatientID") or "")
        found = (one for one in self.appointments if wanted in {"", one.patient_id})
        return tuple(PendingItem(0xFF00, worklist_item(one)) for one in found)


class Rig:
    """A proxy whose refusals are told at once."""

    def __init__(self, *appointments: Appointment) -> None:
        self.site, self.source = FakeSite(), BookedSource(*appointments)
        self.teller = RefusalTeller(self.site, self.source, LONDON, clock=lambda: NOON, look_after_s=0.0)
        self.proxy = WorklistProxy(self.site, DEVICES, None, source=self.source, on_refused=self.teller.refused)

    def ask(self, ae_title: str = "DXA1", **keys: str) -> int:
        *_, final = self.proxy.answer(ae_title, worklist_query(**keys), lambda: False)
        return final[0]

    def told(self, count: int = 1) -> list[WorklistRefused]:
        """Return what is on record once that is so much, or after a second."""
        deadline = time.monotonic() + (1.0 if count == 0 else 5.0)
        while len(self.facts) < max(count, 1) and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.facts

    @property
    def facts(self) -> list[WorklistRefused]:
        return [fact for fact in self.site.facts.values() if isinstance(fact, WorklistRefused)]


@contextmanager
def telling(*appointments: Appointment) -> Iterator[Rig]:
    rig = Rig(*appointments)
    rig.teller.start()
    try:
        yield rig
    finally:
        rig.teller.stop()


def test_a_held_scanners_requests_of_today_are_told_by_accession_number() -> None:
    with telling(*invented_clinic("DXA1", 2), PHANTOM, *invented_clinic("DXA2", 1, first=50)) as rig:
        rig.site.hold(DXA1)
        assert rig.ask() == 0xC100
        (fact,) = rig.told()
    assert fact == WorklistRefused(
        held_since=None,
        reasons=("qc_failed",),
        requests=(
            RefusedRequest("ACC00001", datetime(2026, 1, 5, 8, 30, tzinfo=UTC)),
            RefusedRequest("ACC00002", datetime(2026, 1, 5, 8, 50, tzinfo=UTC)),
        ),
    )


def test_the_ris_is_asked_for_nothing_about_a_patient() -> None:
    with telling(*invented_clinic("DXA1", 1)) as rig:
        rig.site.hold(DXA1)
        rig.ask()
        rig.told()
        asked = rig.source.asked[-1]
        named = {str(query.PatientID) for query in rig.source.asked if "PatientID" in query}
    assert "PatientName" not in asked
    assert "PatientID" not in asked
    assert "PatientBirthDate" not in asked
    assert named == {one.patient_id for one in DEVICES[DXA1].phantoms}


def test_another_days_requests_and_other_scanners_are_not_told() -> None:
    others = (Appointment(7, ("DXA1",), day=date(2026, 1, 6)), Appointment(8, ("DXA2",)))
    with telling(*others) as rig:
        rig.site.hold(DXA1)
        assert rig.ask() == 0xC100
        assert rig.told(0) == []


def test_one_mode_that_is_held_is_told_with_its_requests_and_the_ris_is_not_asked_again() -> None:
    with telling(Appointment(1, ("DXA4",), "DXASH"), Appointment(2, ("DXA4",), "DXAFA")) as rig:
        rig.site.hold(DXA4, "forearm")
        rig.site.hold(DXA4)  # the strictest over all modes
        rig.site.release(DXA4, "spine-hip")
        assert rig.ask("DXA4") == 0xC100
        (fact,) = rig.told()
        assert len(rig.source.asked) == 1
    assert [(one.accession_number, one.mode) for one in fact.requests] == [("ACC00002", "forearm")]


def test_a_refused_query_for_a_phantom_tells_nothing() -> None:
    with telling(*invented_clinic("DXA1", 2)) as rig:
        rig.site.hold(DXA1)
        assert rig.ask(patient_id="SPINE-1234") == 0xC100  # the phantom is not booked
        assert rig.told(0) == []


def test_a_booked_phantom_is_left_out_though_the_scanner_did_not_ask_for_it() -> None:
    with telling(*invented_clinic("DXA1", 2), PHANTOM) as rig:
        rig.site.hold(DXA1)
        assert rig.ask(patient_id="TEST-0001") == 0xC100  # so the scanner's own query returns no phantom
        (fact,) = rig.told()
    assert [one.accession_number for one in fact.requests] == ["ACC00001", "ACC00002"]


def test_nothing_is_refused_in_shadow_and_nothing_is_told() -> None:
    with telling(*invented_clinic("DXA3", 2)) as rig:
        rig.site.hold(DXA3)
        assert rig.ask("DXA3") == 0x0000
        assert rig.told(0) == []


def test_each_request_is_told_once_in_a_held_time_and_new_ones_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "LOOK_EVERY_S", 0.0)
    with telling(*invented_clinic("DXA1", 2)) as rig:
        rig.site.hold(DXA1)
        for _ in range(5):
            rig.ask()
        assert len(rig.told()) == 1
        rig.source.appointments = invented_clinic("DXA1", 3)
        rig.ask()
        facts = rig.told(2)
    assert [[one.accession_number for one in fact.requests] for fact in facts] == [
        ["ACC00001", "ACC00002"],
        ["ACC00003"],
    ]


def test_a_scanner_that_keeps_asking_does_not_keep_the_ris_busy() -> None:
    with telling(*invented_clinic("DXA1", 2)) as rig:
        rig.site.hold(DXA1)
        for _ in range(20):
            rig.ask()
        rig.told()
        about_all = [query for query in rig.source.asked if "PatientID" not in query]
    assert len(about_all) == 1


def test_after_a_restart_what_was_told_before_is_no_conflict() -> None:
    with telling(*invented_clinic("DXA1", 2)) as rig:
        rig.site.hold(DXA1)
        rig.ask()
        rig.told()
        again = RefusalTeller(rig.site, rig.source, LONDON, clock=lambda: NOON, look_after_s=0.0)
        again.start()
        again.refused(Refused(DXA1, DEVICES[DXA1], HELD, None, ()))
        time.sleep(0.5)
        again.stop()
        assert len(rig.facts) == 1


def test_a_fact_lists_no_more_than_its_limit_and_says_how_many_it_leaves_out() -> None:
    with telling(*(Appointment(number, ("DXA1",)) for number in range(1, 700))) as rig:
        rig.site.hold(DXA1)
        rig.ask()
        (fact,) = rig.told()
    assert (len(fact.requests), fact.left_out) == (REQUESTS, REQUESTS_A_HELD_TIME - REQUESTS)


def test_a_ris_that_is_away_or_a_site_that_cannot_record_costs_the_record_alone() -> None:
    with telling(*invented_clinic("DXA1", 2)) as rig:
        rig.site.hold(DXA1)
        rig.site.available = False
        assert rig.ask() == 0xC100
        assert rig.told(0) == []
        rig.site.available, rig.source.is_away = True, True
        assert rig.ask() == 0xC100
        assert rig.told(0) == []


def test_a_refusal_does_not_wait_for_what_is_told() -> None:
    rig = Rig(*invented_clinic("DXA1", 2))  # nothing is taken off its queue
    rig.site.hold(DXA1)
    assert {rig.ask() for _ in range(200)} == {0xC100}


def test_a_scanners_refused_query_over_the_wire_is_told(tmp_path: Path, ris: VirtualRis) -> None:
    ris.book([*invented_clinic("DXA1", 2), PHANTOM])
    with running(tmp_path, ris) as rig:
        rig.site.hold(DXA1)
        rig.entity._refusals._clock = lambda: NOON
        rig.entity._refusals._look_after_s = 0.0
        assert rig.scanner("DXA1").query_worklist().status == 0xC100
        deadline = time.monotonic() + 5.0
        while not rig.site.facts and time.monotonic() < deadline:
            time.sleep(0.02)
        (fact,) = rig.site.facts.values()
    assert isinstance(fact, WorklistRefused)
    assert [one.accession_number for one in fact.requests] == ["ACC00001", "ACC00002"]
    assert "TEST" not in str(fact)  # of names and ids
