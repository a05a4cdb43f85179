"""The way round when Bonewatch itself is down: the card is printed, the gap is on record, its scans are listed."""

import csv
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bonewatch.alive import MARK
from bonewatch.configuration.loading import parse
from bonewatch.site import Site
from simulators.scanner import patient_report
from streams import codec
from streams.messages import WatchInterrupted
from streams.sqlite_log import SqliteEventLog
from tests.running import SiteProcess, configuration, console, seed


def report(folder: Path, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "bonewatch", "report", "gap", "-c", str(folder / "site.toml"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, datetime, datetime]:
    """A site that was down for two hours, and is back: a patient was scanned meanwhile, by the scanner's report."""
    folder = tmp_path_factory.mktemp("returned")
    seed(folder, configuration(scanners=2).replace("[dicom]\n", '[dicom]\npatients = "read"\n', 1))
    since = datetime.now(UTC) - timedelta(hours=2)
    (folder / "var" / MARK).write_text(since.isoformat())
    with SiteProcess(folder) as site, console("DXA1", site.dicom_port, phantom="SPINE-0001") as scanner:
        measured = since + timedelta(minutes=30)
        assert scanner.send(patient_report(1, measured)).status == 0x0000
    return folder, since, measured


def test_the_gap_is_recorded_once_for_each_device(returned: tuple[Path, datetime, datetime]) -> None:
    folder, since, _ = returned
    with SqliteEventLog(folder / "var" / "site-log.sqlite", read_only=True) as log:
        events = [codec.decode_event(row.body) for row in log.rows()]
    told = [(event.device, event.fact.since) for event in events if isinstance(event.fact, WatchInterrupted)]
    assert told == [("test-site/dxa-1", since), ("test-site/dxa-2", since)]


def test_a_suspended_machine_puts_it_on_the_record_of_each_device_when_it_wakes(tmp_path: Path) -> None:
    since = datetime(2026, 11, 2, 22, tzinfo=UTC)
    site = Site(parse(configuration(scanners=2), "site.toml"), tmp_path).start()
    try:
        site._woken(since, since + timedelta(hours=9))
    finally:
        site.stop()
    with SqliteEventLog(tmp_path / "site-log.sqlite", read_only=True) as log:
        events = [codec.decode_event(row.body) for row in log.rows()]
    told = [(event.device, event.fact) for event in events if isinstance(event.fact, WatchInterrupted)]
    fact = WatchInterrupted(since, datetime(2026, 11, 3, 7, tzinfo=UTC))
    assert told == [("test-site/dxa-1", fact), ("test-site/dxa-2", fact)]


def test_what_was_scanned_meanwhile_is_listed_with_how_it_stands(returned: tuple[Path, datetime, datetime]) -> None:
    folder, _, measured = returned
    status, said = report(folder)
    assert status == 1
    assert "1 scans, 1 not covered: a physicist decides on those" in " ".join(said.split())
    status, said = report(folder, "--format", "json")
    (scan,) = json.loads(said)
    assert (status, scan["device"], scan["standing"]) == (1, "test-site/dxa-1", "qc_missing")
    assert datetime.fromisoformat(scan["at"]).replace(microsecond=0) == measured.replace(microsecond=0)
    (row,) = csv.DictReader(report(folder, "--format", "csv")[1].splitlines())
    assert row["lacking"] == "SPINE-0001 manufacturer"


def test_another_time_can_be_named_and_a_wrong_one_is_refused(returned: tuple[Path, datetime, datetime]) -> None:
    folder, since, _ = returned
    before = (since - timedelta(days=1)).isoformat()
    assert report(folder, "--from", before, "--to", since.isoformat())[0] == 0
    status, said = report(folder, "--from", since.isoformat())
    assert status == 1
    assert "give --from and --to" in said
