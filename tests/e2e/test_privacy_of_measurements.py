"""A patient's scan goes through a site to all who may read of it: every value arrives, and nothing says whose it is."""

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import pytest

from simulators.patient_objects import PatientScan, scan_report
from simulators.scanner import PhantomLabel, VirtualScanner
from storage.opening import FOLDER, connect_to_running, database_of
from storage.settings import DatabaseSettings
from tests.kafka import wait_until
from tests.running import SiteProcess, configuration, seed

PATIENT: Final = "HOSP-7701-QX"
NOBODY: Final = "HOSP-7701-QY"
WORDS: Final = ("ÖZQVARSSON", "BJÖRK", "18601231", "1860-12-31", PATIENT, "943 476 5919", "9434765919")
MEASUREMENTS: Final = "/api/v1/measurements"
EVENTS: Final = "/api/v1/events?since=0&max_seconds=0"
LOOKUPS: Final = "/api/v1/patient-lookups"


def token(folder: Path) -> str:
    scopes = ("measurements:read", "reviews:read", "fhir:read", "gates:read")
    command = [sys.executable, "-m", "bonewatch", "token", "create", "EPR", "-c", str(folder / "site.toml")]
    command += [word for scope in scopes for word in ("--scope", scope)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
    return done.stdout.strip()


def rows_of_every_table(data_dir: Path) -> Iterator[str]:
    with connect_to_running(database_of(DatabaseSettings(), data_dir)) as db:
        tables = db.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN"
            " ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            yield from (str(row) for (row,) in db.execute(f"SELECT t::text FROM {table} t"))


def measured(site: SiteProcess) -> None:
    scanner = VirtualScanner("DXA1", site.dicom_port, phantom=PhantomLabel("SPINE-0001", "PHANTOM^SYNTHETIC"))
    assert scanner.send(scanner.report(1.0, datetime.now(UTC))).status == 0x0000
    later = datetime.now(UTC) + timedelta(seconds=1)  # reports tell whole seconds
    scan = PatientScan(later, patient_id=PATIENT, patient_name="ÖZQVARSSON^BJÖRK", birth_date="18601231")
    scan_of_them = scan_report(scan)
    scan_of_them.OtherPatientIDs = "943 476 5919"  # made like an NHS number
    assert scanner.send(scan_of_them).status == 0x0000


def read(client: httpx.Client) -> dict[str, bytes]:
    """Everything that a program with every scope can read of the scan."""
    wait_until(lambda: client.get(MEASUREMENTS).text.startswith("[{"))  # the database follows by a moment
    (one,) = client.get(MEASUREMENTS).json()
    name = one["event_id"]
    (resource, *_) = client.get("/fhir/Observation").json()["entry"]
    observation = resource["resource"]["id"]
    pages = [MEASUREMENTS, f"{MEASUREMENTS}/{name}", f"{MEASUREMENTS}/{name}/provenance"]
    pages += [
        f"{MEASUREMENTS}/{name}/annotations",
        "/api/v1/reviews?waiting=false",
        "/api/v1/events?since=0&max_seconds=0",
    ]
    pages += ["/fhir/metadata", "/fhir/Device", "/fhir/DeviceMetric", "/fhir/Observation"]
    pages += [f"/fhir/Observation/{observation}", f"/fhir/Provenance?target=Observation/{observation}"]
    found = {}
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200, page
        found[page] = answer.content
    for patient_id in (PATIENT, NOBODY):
        answer = client.post(LOOKUPS, json={"patient_id": patient_id})
        assert answer.status_code == 200
        assert (answer.json()["last_visit"] is None) is (patient_id == NOBODY)
        found[f"{LOOKUPS} {len(found)}"] = answer.content
    return found


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Everything that the site answered, kept and said."""
    folder = tmp_path_factory.mktemp("site")
    text = configuration(scanners=1, database="enabled = true").replace("[dicom]\n", '[dicom]\npatients = "read"\n', 1)
    seed(folder, text)
    with SiteProcess(folder) as site:
        measured(site)
        with httpx.Client(
            base_url=site.url, headers={"Authorization": f"Bearer {token(folder)}"}, timeout=30.0
        ) as client:
            found = read(client)
        found["database"] = "\n".join(rows_of_every_table(folder / "var")).encode()
    kept = [one for one in (folder / "var").rglob("*") if one.is_file() and FOLDER not in one.relative_to(folder).parts]
    found |= {str(path.relative_to(folder)): path.read_bytes() for path in kept}
    found["names of files"] = "\n".join(map(str, kept)).encode()
    found["standard error"] = "\n".join(site.log).encode()
    return found


def places_of(word: str, traces: dict[str, bytes]) -> list[str]:
    spelled = {word.encode(coding) for coding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be")}
    spelled |= {json.dumps(word)[1:-1].encode(), html.escape(word).encode()}
    pattern = re.compile(b"|".join(map(re.escape, spelled)), re.IGNORECASE)
    return [place for place, data in traces.items() if pattern.search(data)]


def test_what_was_measured_is_in_every_answer_that_should_have_it(traces: dict[str, bytes]) -> None:
    found = places_of("RK9-0012345", traces)
    for place in (MEASUREMENTS, "/fhir/Observation", EVENTS, "database"):
        assert place in found


@pytest.mark.parametrize("word", WORDS)
def test_nothing_says_whose_it_is(traces: dict[str, bytes], word: str) -> None:
    assert places_of(word, traces) == []


def test_nothing_that_is_only_asked_for_is_kept(traces: dict[str, bytes]) -> None:
    assert places_of(NOBODY, traces) == []
