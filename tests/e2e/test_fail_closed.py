"""Whatever is missing, wrong or lost, the real site says "held" or a failure status, never an empty success.

One department whose scanners are each held for a reason of their own, visited as it runs, after a power cut, and
after its stored states were lost or damaged: the log alone must say the same.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import pytest

from simulators.phantom_sr import ReportSpec, build_report
from simulators.ris import VirtualRis, invented_clinic
from simulators.scanner import PhantomLabel, StoreResult, VirtualScanner, WorklistResult
from simulators.series import spine_readings
from streams.messages import Fact, GateOverridden, Person, PhantomMeasured, VendorQcReported
from streams.refold import verify
from streams.sqlite_log import SqliteEventLog
from tests.folding import baseline
from tests.peers import free_port
from tests.running import SiteProcess, configuration, seed

SUCCESS, REFUSED, UNKNOWN_CALLER, UPSTREAM_FAILED = 0x0000, 0xC100, 0xC101, 0xC102
CLINIC: Final = 2

HELD: Final = {
    "DXA1": "qc_missing",
    "DXA2": "qc_missing,independent_overdue",
    "DXA3": "not_commissioned,no_baseline,independent_overdue",
    "DXA4": "clock_suspect",
    "DXA5": "qc_failed",
}
"""Each held scanner with what its refusals name."""

OPEN: Final = "DXA6"
REANALYSED: Final = {"DXA7": True, "DXA8": False}
"""Held after a failure; whether its reports carry an Acquisition UID."""

QUERIES: Final[dict[str, dict[str, str]]] = {
    "its own station": {},
    "every station": {"station": ""},
    "an open scanner's station": {"station": OPEN},
    "a patient": {"patient_id": "TEST00010"},
    "a patient the RIS has not": {"patient_id": "NOBODY"},
    "a phantom that is not booked": {"patient_id": "SPINE-0001"},
}


class Department:
    """A running site of eight scanners with a RIS behind it, and what its scanners do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scanned_at = datetime.now(UTC)
        self.ris = VirtualRis(port=free_port())
        self.book()
        self.ris.start()
        text = configuration(self.ris.port, scanners=8)
        impatient = text.replace(f"port = {self.ris.port} }}", f"port = {self.ris.port}, timeout_s = 2.0 }}")
        seed(folder, impatient, facts_of=behind_them())
        self.site = SiteProcess(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.site.stop()
        self.ris.stop()

    def book(self) -> None:
        """Book a clinic on each scanner; the numbers begin with the scanner's."""
        stations = enumerate((*HELD, OPEN, *REANALYSED), start=1)
        self.ris.book([one for n, title in stations for one in invented_clinic(title, CLINIC, first=10 * n)])

    def scanner(self, ae_title: str, *, clock_ahead: timedelta = timedelta()) -> VirtualScanner:
        label = PhantomLabel(f"SPINE-000{ae_title[-1]}", "PHANTOM^SYNTHETIC")
        return VirtualScanner(ae_title, self.site.dicom_port, phantom=label, clock_ahead=clock_ahead)

    def scan(self, ae_title: str, bmd: float, *, clock_ahead: timedelta = timedelta()) -> None:
        scanner = self.scanner(ae_title, clock_ahead=clock_ahead)
        assert scanner.send(scanner.report(bmd, datetime.now(UTC))).status == SUCCESS

    def analyse(self, ae_title: str, bmd: float, *, acquisition: str, analysis: int = 0) -> StoreResult:
        """Send one analysis of an acquisition."""
        spec = ReportSpec(
            patient_id=f"SPINE-000{ae_title[-1]}",
            patient_name="PHANTOM^SYNTHETIC",
            measured_at=self.scanned_at,
            readings=spine_readings(bmd),
            acquisition=acquisition,
            analysis=analysis,
            station=ae_title,
            state_acquisition_uid=REANALYSED[ae_title],
        )
        return self.scanner(ae_title).send(build_report(spec))

    def query(self, ae_title: str, **keys: str) -> WorklistResult:
        return self.scanner(ae_title).query_worklist(**keys)

    def gate_status(self, ae_title: str) -> str:
        gate = self.site.get(f"/api/v1/devices/dxa-{ae_title[-1]}/gate").json()
        return str(gate["status"])

    def work(self) -> None:
        """Let the morning's scans come in."""
        for bmd in (1.0, 1.001, 0.999):
            self.scan("DXA3", bmd)
        self.scan("DXA4", 1.0, clock_ahead=timedelta(days=1))
        self.scan("DXA5", 1.06)
        self.scan(OPEN, 1.0)
        for title in REANALYSED:
            assert self.analyse(title, 1.06, acquisition="failed").status == SUCCESS

    def cut_power(self, change: str = "") -> None:
        """Kill the site, change its log behind its back, start it again."""
        self.site.kill()
        db = sqlite3.connect(self.folder / "var" / "site-log.sqlite")
        db.executescript(change)
        db.close()
        self.site = SiteProcess(self.folder)


def behind_them() -> dict[str, tuple[Fact, ...]]:
    """Return what the first scanners have behind them; the others have a baseline and today's vendor QC."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    yesterday = now - timedelta(days=1)
    return {
        "dxa-1": (baseline(phantom="SPINE-0001"),),
        "dxa-2": (
            baseline(phantom="SPINE-0002"),
            vendor_qc(yesterday),
            PhantomMeasured("SPINE-0002", "L1-L4", 1.0, yesterday, "yesterday"),
        ),
        "dxa-3": (vendor_qc(now),),
        "dxa-4": (
            baseline(phantom="SPINE-0004"),
            vendor_qc(now),
            PhantomMeasured("SPINE-0004", "L1-L4", 1.0, now, "today"),
        ),
    }


def vendor_qc(measured_at: datetime) -> VendorQcReported:
    return VendorQcReported(passed=True, measured_at=measured_at, performed_by="Oz", reviewed_by="Pat")


PASTS: Final[dict[str, Callable[[Department], None]]] = {
    "running": lambda _: None,
    "after a power cut": lambda department: department.cut_power(),
    "states lost": lambda department: department.cut_power("DELETE FROM states"),
    "states damaged": lambda department: department.cut_power("UPDATE states SET blob = x'c1'"),
}


@pytest.fixture(scope="module", params=PASTS)
def department(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    with Department(tmp_path_factory.mktemp("department")) as department:
        department.work()
        PASTS[request.param](department)
        yield department


def assert_refused(answer: WorklistResult, code: str) -> None:
    assert (answer.status, answer.items) == (REFUSED, ())
    assert answer.error_comment.startswith(code)
    assert len(answer.error_comment) <= 64


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("ae_title", HELD)
def test_a_held_scanner_is_refused_whatever_it_asks_for(department: Department, ae_title: str, query: str) -> None:
    assert_refused(department.query(ae_title, **QUERIES[query]), HELD[ae_title])
    assert department.gate_status(ae_title) == "held"


def test_the_open_scanner_gets_its_patients_and_not_those_of_a_held_one(department: Department) -> None:
    answer = department.query(OPEN)
    assert (answer.status, len(answer.items)) == (SUCCESS, CLINIC)
    assert_refused(department.query(OPEN, station="DXA5"), "qc_failed")


@pytest.mark.parametrize("query", QUERIES)
def test_an_unknown_caller_is_told_so_and_gets_nothing(department: Department, query: str) -> None:
    answer = department.query("NOBODY9", **QUERIES[query])
    assert (answer.status, answer.items) == (UNKNOWN_CALLER, ())
    assert answer.error_comment.startswith("unknown_ae")


def test_an_upstream_without_items_does_not_make_a_refusal_an_empty_list(department: Department) -> None:
    department.ris.book([])
    for ae_title, code in HELD.items():
        assert_refused(department.query(ae_title), code)
    department.book()


def test_an_upstream_that_is_away_fails_or_is_silent_is_a_failure(department: Department) -> None:
    assert_only_failures_while(department, fails=True)
    assert_only_failures_while(department, delay_s=30.0)
    department.ris.stop()
    assert_only_failures_while(department)
    department.ris.start()
    assert department.query(OPEN).status == SUCCESS


def assert_only_failures_while(department: Department, *, fails: bool = False, delay_s: float = 0.0) -> None:
    ris = department.ris
    ris.fails, ris.delay_s = fails, delay_s
    answer = department.query(OPEN)
    assert (answer.status, answer.items) == (UPSTREAM_FAILED, ())
    assert "upstream" in answer.error_comment
    assert_refused(department.query("DXA5"), "qc_failed")
    ris.fails, ris.delay_s = False, 0.0


@pytest.mark.parametrize("ae_title", REANALYSED)
def test_a_reanalysis_never_opens(department: Department, ae_title: str) -> None:
    for analysis in (1, 2):
        assert department.analyse(ae_title, 1.0, acquisition="failed", analysis=analysis).status == SUCCESS
        assert_refused(department.query(ae_title), "qc_failed")


@pytest.mark.parametrize("ae_title", REANALYSED)
def test_a_repeat_after_the_reanalyses_opens(department: Department, ae_title: str) -> None:
    department.analyse(ae_title, 1.0, acquisition="failed", analysis=3)
    assert department.analyse(ae_title, 1.0, acquisition="repeated").status == SUCCESS
    assert department.query(ae_title).status == SUCCESS


def test_a_scan_by_a_clock_put_right_opens(department: Department) -> None:
    department.scan("DXA4", 1.0)
    assert department.query("DXA4").status == SUCCESS
    assert department.gate_status("DXA4") == "open"


def test_the_chain_is_sound_after_all_this(department: Department) -> None:
    with SqliteEventLog(department.folder / "var" / "site-log.sqlite", read_only=True) as log:
        assert verify(log).faults == ()


def test_past_its_time_an_override_is_over_whether_the_site_ran_or_not(tmp_path: Path) -> None:
    until = datetime.now(UTC) + timedelta(seconds=25)  # more than a busy machine takes to start a site
    override = GateOverridden(("qc_missing", "independent_overdue"), Person("Pat", "physicist"), "test", until)
    ris = VirtualRis(invented_clinic("DXA1", CLINIC))
    ris.start()
    seed(tmp_path, configuration(ris.port), facts=(baseline(phantom="SPINE-0001"), override))
    with SiteProcess(tmp_path) as site:
        scanner = VirtualScanner("DXA1", site.dicom_port)
        assert len(scanner.query_worklist().items) == CLINIC
        time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()))
        assert_refused(scanner.query_worklist(), "qc_missing")
        site.kill()
    with SiteProcess(tmp_path) as site:
        assert_refused(VirtualScanner("DXA1", site.dicom_port).query_worklist(), "qc_missing")
    ris.stop()
