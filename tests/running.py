"""The real site as its own process, and a console's two associations with it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pydicom.dataset import Dataset

from bonewatch.configuration.loading import parse
from bonewatch.configuration.sections import Config
from simulators.scanner import PhantomLabel, ScannerSession, StoreResult, VirtualScanner
from streams.engine import SiteEngine
from streams.messages import CommissioningSignedOff, DeviceRegistered, Draft, Fact, VendorQcReported, event_id
from streams.sqlite_log import SqliteEventLog
from tests.folding import PHYSICIST, baseline

CONFIGURATION = """
[site]
id = "test-site"
name = "Test department"
time_zone = "{zone}"
data_dir = "var"

[dicom]
port = 0
upstream = {{ ae_title = "RIS", host = "127.0.0.1", port = {ris_port} }}

[http]
port = 0

[database]
{database}
"""

SCANNER = """
[[device]]
id = "dxa-{n}"
kind = "scanner"
make = "Invented"
model = "Virtual"
serial = "V{n}"
ae_title = "DXA{n}"
enforcement = "worklist"
ring = "Medical physics, extension 0001"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-000{n}"
  [device.qc]
  plausible_percent = 20.0
"""

STARTED_WITHIN_S = 30.0


def configuration(ris_port: int = 1, scanners: int = 2, *, database: str = "enabled = false") -> str:
    """TOML of a department where it is about noon, so that no test sees a midnight; `database` is that section."""
    head = CONFIGURATION.format(ris_port=ris_port, zone=noon_zone(), database=database)
    return head + "".join(SCANNER.format(n=n + 1) for n in range(scanners))


def noon_zone() -> str:
    """A zone in which the day is half over; POSIX signs, so GMT+3 lies three hours west."""
    west = datetime.now(UTC).hour - 12
    return f"Etc/GMT{west:+d}" if west else "Etc/GMT"


def seed(
    folder: Path,
    text: str,
    *,
    facts: Sequence[Fact] | None = None,
    facts_of: Mapping[str, Sequence[Fact]] | None = None,
) -> Config:
    """Write a configuration and a log in which every scanner has a baseline of 1.000 and today's vendor QC.

    `facts` stand in their place for every scanner, `facts_of` for some, by device id.
    """
    (folder / "site.toml").write_text(text, encoding="utf-8")
    config = parse(text, "site.toml")
    (folder / "var").mkdir()
    now = datetime.now(UTC) - timedelta(seconds=30)
    with SqliteEventLog(folder / "var" / "site-log.sqlite") as log:
        entries = []
        for place, (key, (policy, calendar)) in enumerate(config.devices().items()):
            phantom = policy.phantoms[0].patient_id
            given = (
                facts
                if facts is not None
                else (
                    baseline(phantom=phantom),
                    VendorQcReported(passed=True, measured_at=now, performed_by="Oz", reviewed_by="Pat"),
                )
            )
            begun = (DeviceRegistered(policy, calendar), CommissioningSignedOff(PHYSICIST))
            given = (facts_of or {}).get(key.rpartition("/")[2], given)
            entries += [
                (now, Draft(event_id("seed", key, str(place), str(n)), key, fact))
                for n, fact in enumerate((*begun, *given))
            ]
        SiteEngine(log).import_history(entries)
    return config


class SiteProcess:
    """``bonewatch run`` on a folder that `seed` has filled."""

    def __init__(self, folder: Path, *, wrapper: Sequence[str] = ()) -> None:
        self.folder = folder
        self.log: list[str] = []
        self._ready = threading.Event()
        command = [*wrapper, sys.executable, "-m", "bonewatch", "run", "-c", str(folder / "site.toml")]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": "0"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(STARTED_WITHIN_S) or self._process.poll() is not None:
            self.kill()
            raise RuntimeError("the site did not start:\n" + "\n".join(self.log))

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line.rstrip("\n"))
            if '"site_ready"' in line:
                said = json.loads(line)
                self.url, self.dicom_port = said["console"], int(said["dicom_port"])
                self._ready.set()
        self._ready.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def threads(self) -> int:
        """How many threads the process has."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:"))

    @property
    def descriptors(self) -> int:
        """How many files and sockets the process has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def get(self, path: str) -> httpx.Response:
        """Ask its console for a page, as nobody in particular."""
        return httpx.get(self.url + path, timeout=30.0)

    def metric(self, name: str, **labels: str) -> float:
        """Return one number of its metrics, 0 where it has none."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        samples = (sample for family in families for sample in family.samples)
        return next((one.value for one in samples if (one.name, one.labels) == (name, labels)), 0.0)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to stop; return its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(STARTED_WITHIN_S)
        self._reader.join(STARTED_WITHIN_S)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class ScannerConsole:
    """A scanner's console that keeps its association open, as many scans long as the test likes."""

    def __init__(self, scanner: VirtualScanner, session: ScannerSession) -> None:
        self.scanner = scanner
        self.send = session.send
        self.worklist = session.query_worklist
        self._scans = 0

    def scan(self, bmd: float, *, acquisition: str | None = None, analysis: int = 0) -> StoreResult:
        """Scan the phantom and send the report."""
        return self.send(self.report(bmd, acquisition=acquisition, analysis=analysis))

    def report(self, bmd: float, *, acquisition: str | None = None, analysis: int = 0) -> Dataset:
        """The report of a scan made now."""
        self._scans += 1
        now = datetime.now(UTC)
        name = acquisition or f"{now:%Y%m%dT%H%M%S.%f}-{self._scans}"
        return self.scanner.report(bmd, now, acquisition=name, analysis=analysis)


@contextmanager
def console(ae_title: str, port: int, *, phantom: str) -> Iterator[ScannerConsole]:
    """A console for the length of a block."""
    scanner = VirtualScanner(ae_title, port, phantom=PhantomLabel(phantom, "PHANTOM^SYNTHETIC"))
    with scanner.session() as session:
        yield ScannerConsole(scanner, session)
