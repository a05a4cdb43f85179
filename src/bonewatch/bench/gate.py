"""From a failing phantom scan's C-STORE to the refused worklist query: how long, and where the time goes.

The site runs in this process, the scanner in another, the RIS in a third, all on loopback.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from bonewatch.bench.figures import Spread, disk_creations, disk_syncs, print_spreads, spread
from bonewatch.configuration.loading import parse
from bonewatch.site import Site
from collectors.dicom.store import StoreTiming
from streams.messages import (
    BaselineAccepted,
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    Fact,
    Person,
    VendorQcReported,
    event_id,
)
from streams.policy import ClinicCalendar, DevicePolicy

WARM_UP: Final = 20
AIM_OURS_MS: Final = 10.0
AIM_WHOLE_MS: Final = 50.0

CONFIGURATION: Final = """
[site]
id = "bench"
time_zone = "UTC"
[dicom]
port = 0
upstream = {{ ae_title = "RIS", host = "127.0.0.1", port = {ris_port} }}
[http]
port = 0
[[device]]
id = "dxa-1"
kind = "scanner"
ae_title = "DXA1"
enforcement = "worklist"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0001"
"""

ACCEPTED: Final = BaselineAccepted(
    phantom_id="SPINE-0001",
    epoch=1,
    n=10,
    mean_g_cm2=1.0,
    sd_g_cm2=0.005,
    sigma_g_cm2=0.005,
    lower_g_cm2=0.985,
    upper_g_cm2=1.015,
    established=False,
    accepted_by=Person("Bench", "physicist"),
    reason="benchmark",
)


class Measured(NamedTuple):
    """Times of one run, in seconds, a list per part."""

    whole: list[float]
    store: list[float]
    refused: list[float]
    timings: list[StoreTiming]
    disk: list[float]
    creations: list[float]
    wrong: int


def measure(scans: int, *, as_json: bool) -> int:
    """Run it, print the table; 1 if a query was not refused."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="bonewatch-bench-", dir=Path.cwd()) as folder:
        measured = _run(Path(folder), scans)
    rows = _rows(measured)
    if as_json:
        figures = {name: times._asdict() for name, times, _ in rows}
        sys.stdout.write(json.dumps({"scans": scans, "not_refused": measured.wrong, "parts": figures}) + "\n")
    else:
        print_spreads(f"{scans} failing phantom scans, each followed by a worklist query", rows)
        print(f"queries that were not refused with 0xC100: {measured.wrong}")
    return 1 if measured.wrong else 0


def _rows(measured: Measured) -> list[tuple[str, Spread, str]]:
    timings = measured.timings
    ours = spread([timing.total_s for timing in timings])
    whole = spread(measured.whole)
    network = [client - timing.total_s for client, timing in zip(measured.store, timings, strict=True)]
    return [
        ("whole: C-STORE sent to query refused", whole, f"aim p99 <= {AIM_WHOLE_MS:g} ms"),
        ("C-STORE round trip", spread(measured.store), "as the scanner sees it"),
        ("  DICOM network and pynetdicom", spread(network), "round trip less our part"),
        ("  our part", ours, f"aim p99 <= {AIM_OURS_MS:g} ms"),
        ("    parse", spread([t.parse_s for t in timings]), "data set and structured report"),
        ("    archive", spread([t.archive_s for t in timings]), "object and folder synced"),
        ("    fold", spread([t.fold_s for t in timings]), "all regions of the scan"),
        ("    commit", spread([t.commit_s for t in timings]), "SQLite, synchronous=FULL"),
        ("C-FIND to its refusal", spread(measured.refused), "upstream asked for phantom items first"),
        ("disk: 4 kB write and fsync", spread(measured.disk), "the same folder, nothing of ours"),
        ("disk: new file, file and folder fsync", spread(measured.creations), "what the archive's promise costs"),
    ]


def _run(folder: Path, scans: int) -> Measured:
    timings: list[StoreTiming] = []
    ris = subprocess.Popen(
        [sys.executable, "-m", "bonewatch.bench.ris"], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert ris.stdout is not None and ris.stdin is not None  # noqa: S101, PT018 - pipes were asked for
    config = parse(CONFIGURATION.format(ris_port=int(ris.stdout.readline())), "the benchmark's configuration")
    site = Site(config, folder, on_store=timings.append).start(_past(config.devices()))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bonewatch.bench.scanner", str(site.dicom_port), str(scans + WARM_UP)],
            check=True,
            capture_output=True,
            text=True,
        )
    finally:
        site.stop()
        ris.stdin.close()
        ris.wait(10)
        ris.stdout.close()
    told = json.loads(done.stdout)
    failing = timings[0::2][WARM_UP:]
    return Measured(
        whole=told["whole"][WARM_UP:],
        store=told["store"][WARM_UP:],
        refused=told["refused"][WARM_UP:],
        timings=failing,
        disk=disk_syncs(folder),
        creations=disk_creations(folder),
        wrong=told["wrong"],
    )


def _past(devices: Mapping[str, tuple[DevicePolicy, ClinicCalendar]]) -> list[tuple[datetime, Draft]]:
    now = datetime.now(UTC) - timedelta(seconds=5)
    entries = []
    for key, (policy, calendar) in devices.items():
        vendor = VendorQcReported(passed=True, measured_at=now, performed_by="Bench", reviewed_by="Bench")
        facts: tuple[Fact, ...] = (
            DeviceRegistered(policy, calendar),
            CommissioningSignedOff(ACCEPTED.accepted_by),
            ACCEPTED,
            vendor,
        )
        for place, fact in enumerate(facts):
            entries.append((now, Draft(event_id("bench", key, str(place)), key, fact)))
    return entries
