"""A failed phantom scan refuses the worklist: the real site process, real DICOM, hundreds of times in a row."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulators.ris import Appointment, VirtualRis, invented_clinic
from tests.running import ScannerConsole, SiteProcess, configuration, console, seed

REFUSED = 0xC100
CYCLES = int(os.environ.get("BONEWATCH_CYCLES", "60"))
"""The long run has a thousand: ``BONEWATCH_CYCLES=1000 pytest tests/e2e/test_interlock.py``."""


@pytest.fixture
def ris() -> Iterator[VirtualRis]:
    today = datetime.now(UTC).date()
    ris = VirtualRis([*invented_clinic("DXA1", 3, day=today), *invented_clinic("DXA2", 2, first=50, day=today)])
    ris.start()
    yield ris
    ris.stop()


@pytest.fixture
def site(tmp_path: Path, ris: VirtualRis) -> Iterator[SiteProcess]:
    seed(tmp_path, configuration(ris.port))
    with SiteProcess(tmp_path) as site:
        yield site


@pytest.fixture
def first(site: SiteProcess) -> Iterator[ScannerConsole]:
    with console("DXA1", site.dicom_port, phantom="SPINE-0001") as opened:
        yield opened


@pytest.fixture
def second(site: SiteProcess) -> Iterator[ScannerConsole]:
    with console("DXA2", site.dicom_port, phantom="SPINE-0002") as opened:
        yield opened


@pytest.mark.timeout(900)
def test_failures_in_a_row_each_refuse_the_next_query_and_each_repeat_opens(
    first: ScannerConsole, second: ScannerConsole
) -> None:
    assert first.scan(1.0).status == 0x0000
    assert second.scan(1.0).status == 0x0000
    wrong = []
    for cycle in range(CYCLES):
        stored = first.scan(1.06)
        refused = first.worklist()
        other = second.worklist() if cycle % 10 == 0 else None
        repeated = first.scan(1.001)
        opened = first.worklist() if cycle % 10 == 0 else None
        good = (
            stored.status == 0x0000
            and refused.status == REFUSED
            and refused.items == ()
            and "qc_failed" in refused.error_comment
            and len(refused.error_comment) <= 64
            and repeated.status == 0x0000
            and (opened is None or (opened.status, len(opened.items)) == (0x0000, 3))
            and (other is None or (other.status, len(other.items)) == (0x0000, 2))
        )
        if not good:
            wrong.append((cycle, stored, refused.status, refused.error_comment, repeated, opened, other))
    assert wrong == []


def test_before_any_qc_and_after_a_reanalysis_the_worklist_is_refused(first: ScannerConsole) -> None:
    assert first.worklist().status == REFUSED
    first.scan(1.06, acquisition="once")
    first.scan(1.0, acquisition="once", analysis=1)
    assert first.worklist().status == REFUSED
    first.scan(1.0, acquisition="twice")
    assert first.worklist().status == 0x0000


def test_phantom_items_pass_while_held(first: ScannerConsole, ris: VirtualRis) -> None:
    today = datetime.now(UTC).date()
    phantom = Appointment(number=900, stations=("DXA1",), patient_id="SPINE-0001", patient_name="PHANTOM^S", day=today)
    ris.book([*invented_clinic("DXA1", 3, day=today), phantom])
    answer = first.worklist(patient_id="SPINE-0001")
    assert (answer.status, answer.patient_ids) == (0x0000, ("SPINE-0001",))
    everything = first.worklist()
    assert (everything.status, everything.patient_ids) == (REFUSED, ("SPINE-0001",))


def test_a_restart_holds_what_was_held_and_opens_what_was_open(tmp_path: Path, ris: VirtualRis) -> None:
    seed(tmp_path, configuration(ris.port))
    with SiteProcess(tmp_path) as site, console("DXA1", site.dicom_port, phantom="SPINE-0001") as dxa1:
        dxa1.scan(1.0)
        dxa1.scan(1.06)
    with SiteProcess(tmp_path) as site, console("DXA1", site.dicom_port, phantom="SPINE-0001") as dxa1:
        assert "qc_failed" in dxa1.worklist().error_comment
        dxa1.scan(1.0)
        assert dxa1.worklist().status == 0x0000


def test_an_upstream_that_is_down_is_a_failure_never_an_empty_list(first: ScannerConsole, ris: VirtualRis) -> None:
    first.scan(1.0)
    ris.stop()
    answer = first.worklist()
    assert answer.status == 0xC102
    assert answer.error_comment
    ris.start()
