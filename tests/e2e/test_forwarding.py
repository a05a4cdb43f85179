"""Patients' objects and steps through the real site process: to the PACS and the RIS, through a power cut, unseen."""

import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from simulators.phantom_sr import ReportSpec, build_report
from simulators.scanner import PhantomLabel, VirtualScanner, patient_report
from simulators.series import spine_readings
from streams.messages import PatientScanStarted
from tests.e2e.test_privacy import files, places_of
from tests.integration.commitment_rig import AskingScanner, listening_scanner, reference
from tests.integration.mpps_rig import StepRig, ended, started, step_ris
from tests.integration.pacs_rig import waited
from tests.peers import free_port, storescp, storescu, write_part10
from tests.running import SiteProcess, configuration, seed
from tests.site_logs import facts_in

BEHIND = """
[dicom.pacs]
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs}
retry_s = 0.2
retry_max_s = 0.5
[dicom.mpps]
ae_title = "RIS"
host = "127.0.0.1"
port = {ris}
retry_s = 0.2
retry_max_s = 0.5

[http]
"""


def configured(pacs: int, ris: int, scanner: int = 0) -> str:
    text = configuration().replace("\n[http]\n", BEHIND.format(pacs=pacs, ris=ris), 1)
    if scanner:
        text = text.replace('ae_title = "DXA1"', f'ae_title = "DXA1"\ndicom_host = "127.0.0.1"\ndicom_port = {scanner}')
    return text


class _Entity:
    """What a rig asks of an application entity, of a site in another process."""

    def __init__(self, site: SiteProcess) -> None:
        self.port = site.dicom_port


def performing(site: SiteProcess, folder: Path) -> StepRig:
    entity: Any = _Entity(site)
    nothing: Any = None
    return StepRig(folder, nothing, nothing, entity)


def patients(folder: Path, numbers: range) -> list[Path]:
    now = datetime.now(UTC)
    return [
        write_part10(folder / f"{number}.dcm", patient_report(number, now - timedelta(minutes=number)))
        for number in numbers
    ]


def uids(paths: list[Path]) -> set[str]:
    return {str(pydicom.dcmread(path).SOPInstanceUID) for path in paths}


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]


def test_storescu_to_storescp_through_the_site_and_a_power_cut(tmp_path: Path) -> None:
    port, now = free_port(), datetime.now(UTC)
    seed(tmp_path, configured(port, free_port()))
    first, second = patients(tmp_path, range(1, 11)), patients(tmp_path, range(11, 21))
    with SiteProcess(tmp_path) as site:
        with storescp(tmp_path / "pacs", port=port):
            assert storescu(site.dicom_port, *first).status == 0x0000
            assert waited(lambda: len(stored(tmp_path / "pacs")) == 10)
        assert storescu(site.dicom_port, *second).status == 0x0000
        scan = VirtualScanner("DXA1", site.dicom_port, phantom=PhantomLabel("SPINE-0001", "PHANTOM^SYNTHETIC"))
        assert scan.send(scan.report(1.0, now)).status == 0x0000
        assert waited(lambda: site.metric("bonewatch_pacs_waiting_objects", state="waiting") == 10)
        site.kill()
    with SiteProcess(tmp_path) as site, storescp(tmp_path / "pacs", port=port):
        assert waited(lambda: len(stored(tmp_path / "pacs")) == 20)
        assert waited(lambda: site.metric("bonewatch_pacs_waiting_objects", state="waiting") == 0)
    assert uids(stored(tmp_path / "pacs")) == uids(first) | uids(second)  # and no phantom


def test_steps_reach_the_ris_in_order_through_a_power_cut(tmp_path: Path) -> None:
    port = free_port()
    seed(tmp_path, configured(free_port(), port))
    with SiteProcess(tmp_path) as site:
        scanner = performing(site, tmp_path)
        assert scanner.create("2.25.71", started()).status == 0x0000
        site.kill()
    with SiteProcess(tmp_path) as site:
        assert performing(site, tmp_path).set("2.25.71", ended()).status == 0x0000
        with step_ris(port) as ris:
            assert waited(lambda: ris.of("2.25.71") == ["create", "set"])
    (begun,) = (fact for fact in facts_in(tmp_path / "var" / "site-log.sqlite") if isinstance(fact, PatientScanStarted))
    assert (begun.mpps_uid, begun.accession_number) == ("2.25.71", "ACC00001")


def test_a_scanner_is_told_that_its_phantom_is_kept(tmp_path: Path) -> None:
    port = free_port()
    seed(tmp_path, configured(free_port(), free_port(), port))
    with SiteProcess(tmp_path) as site, listening_scanner(port) as (_, reports):
        scanner = VirtualScanner("DXA1", site.dicom_port, phantom=PhantomLabel("SPINE-0001", "PHANTOM^SYNTHETIC"))
        ds = scanner.report(1.0, datetime.now(UTC))
        with AskingScanner(site.dicom_port) as asking:
            assert asking.store(ds) == 0x0000
            assert asking.ask(reference(ds)) == 0x0000
        assert waited(lambda: reports.got or asking.reports.got)
    ((event_type, got),) = reports.got or asking.reports.got
    assert (event_type, got.committed) == (1, (reference(ds),))


@pytest.fixture
def secret() -> Dataset:
    return build_report(
        ReportSpec(
            patient_id="HOSP-4711-XY",
            patient_name="ÖZQVYSSON^BELLATRIX",
            birth_date="18771231",
            measured_at=datetime.now(UTC),
            readings=dict(spine_readings(0.9)),
            acquisition="QX7731Z",
            station="DXA1",
            accession_number="RK9-0047119",
        )
    )


def test_nothing_of_a_waiting_patient_can_be_read_anywhere(tmp_path: Path, secret: Dataset) -> None:
    seed(tmp_path, configured(free_port(), free_port()))
    step = started(patient_id="HOSP-4711-XY", name="ÖZQVYSSON^BELLATRIX", accession="RK9-0047119")
    step.PatientBirthDate = "18771231"
    with SiteProcess(tmp_path) as site:
        scanner = performing(site, tmp_path)
        assert scanner.create("2.25.72", step).status == 0x0000
        assert storescu(site.dicom_port, write_part10(tmp_path / "one.dcm", secret)).status == 0x0000
        assert waited(lambda: site.metric("bonewatch_pacs_waiting_objects", state="waiting") == 1)
        assert waited(lambda: site.metric("bonewatch_mpps_waiting") == 1)
        traces = {str(path): path.read_bytes() for path in files(tmp_path / "var")}
        traces |= {"metrics": site.get("/metrics").content, "log": "\n".join(site.log).encode()}
    for word in ("ÖZQVYSSON", "BELLATRIX", "HOSP-4711-XY", "18771231", "QX7731Z"):
        assert {word: places_of(word, traces)} == {word: []}
    kept_in_the_log = [place for place in places_of("RK9-0047119", traces) if "site-log" not in place]
    assert kept_in_the_log == []
    assert any("outbox.sqlite" in place for place in traces)


@pytest.mark.parametrize("missing", ["outbox.key", "mpps.key"])
def test_a_site_without_the_key_of_what_waits_says_so(tmp_path: Path, secret: Dataset, missing: str) -> None:
    seed(tmp_path, configured(free_port(), free_port()))
    with SiteProcess(tmp_path) as site:
        assert performing(site, tmp_path).create("2.25.73", started()).status == 0x0000
        assert storescu(site.dicom_port, write_part10(tmp_path / "one.dcm", secret)).status == 0x0000
    (tmp_path / "var" / missing).unlink()
    command = [sys.executable, "-m", "bonewatch", "run", "-c", str(tmp_path / "site.toml")]
    ended_at_once = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended_at_once.returncode == 1
    assert f"{missing} is missing" in ended_at_once.stderr


def test_a_patients_object_and_step_are_synced_before_the_response_is_sent(tmp_path: Path) -> None:
    seed(tmp_path, configured(free_port(), free_port()))
    trace = tmp_path / "trace"
    wrapper = ["strace", "-D", "-f", "-y", "-e", "trace=fsync,fdatasync,sendto,sendmsg", "-o", str(trace)]
    with SiteProcess(tmp_path, wrapper=wrapper) as site:
        first, second = (patient_report(n, datetime.now(UTC) - timedelta(minutes=n)) for n in (1, 2))
        with VirtualScanner("DXA1", site.dicom_port).session() as session:
            assert session.send(first).status == 0x0000
            before = len(trace.read_text().splitlines())
            assert session.send(second).status == 0x0000
            stored_in = trace.read_text().splitlines()[before:]
        assert waited(lambda: _is_quiet(trace))
        before = len(trace.read_text().splitlines())
        assert performing(site, tmp_path).create("2.25.74", started()).status == 0x0000
        told_in = trace.read_text().splitlines()[before:]
    for name, lines in (("outbox", stored_in), ("mpps", told_in)):
        answers = [n for n, line in enumerate(lines) if re.search(r'send(to|msg)\(\d+<[^"]*"\\4\\0', line)]  # P-DATA-TF
        assert answers, name
        assert min(answers) > max(_first_sync(lines, name), _first_sync(lines, "site-log")), name


def _first_sync(lines: list[str], name: str) -> int:
    """Return where a database was first synced."""
    return next(n for n, line in enumerate(lines) if re.search(rf"f(data)?sync\(\d+<.*{name}\.sqlite-wal>", line))


def _is_quiet(trace: Path) -> bool:
    """Whether nothing more is written for a while."""
    size = trace.stat().st_size
    time.sleep(0.5)
    return trace.stat().st_size == size
