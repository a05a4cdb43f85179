"""A folder of exports before a site that remembers, and a whole site with one."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from bonewatch.site import Site
from collectors.files.folder import ExportFolder
from collectors.files.intake import Intake, Source
from collectors.files.map_file import map_from_toml
from collectors.files.memory import MEMORY_FILE, Memory, Read
from collectors.files.recording import Recorder
from collectors.files.settings import FilesSettings
from collectors.quarantine import Quarantine
from streams import codec
from streams.messages import PhantomMeasured
from streams.policy import DeviceKind, DevicePolicy, Phantom, PhantomRole
from tests.exported_files import PHANTOM_MAP, line
from tests.fakes import FakeSite
from tests.integration.site_rig import SITE, running_site

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
POLICY = DevicePolicy(DeviceKind.SCANNER, phantoms=(Phantom("SPINE-1234", PhantomRole.INDEPENDENT),))
DEVICE = "site/dxa-1"


def source(toml: str = PHANTOM_MAP, pattern: str = "*.csv", *, device: str = DEVICE, title: str = "qc.toml") -> Source:
    return Source(device, pattern, title, map_from_toml(toml, title), POLICY)


class Watched:
    """A folder before a site that remembers, with a clock of its own."""

    def __init__(self, tmp_path: Path, *sources: Source, settings: FilesSettings | None = None) -> None:
        self.now = NOW
        self.site = FakeSite()
        self.settings = settings or FilesSettings()
        self.data_dir = tmp_path / "var"
        self.folder = tmp_path / "exports"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sources = sources or (source(),)
        self.restart()

    def restart(self) -> None:
        self.rejects = Quarantine(self.data_dir, name="file-rejects")
        recorder = Recorder(self.site.append, self._recorded, self.settings, clock=lambda: self.now)
        intake = Intake(
            recorder, self.settings, zone=ZoneInfo("Europe/London"), rejects=self.rejects, clock=lambda: self.now
        )
        self.memory = Memory(self.data_dir)
        self.watch = ExportFolder(self.folder, self.sources, intake, self.memory, self.settings, clock=lambda: self.now)

    def _recorded(self, event_id: str) -> tuple[str, bytes] | None:
        fact = self.site.facts.get(event_id)
        return None if fact is None else (DEVICE, codec.encode(fact))

    def write(self, data: bytes, name: str = "qc.csv") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.watch.look()

    @property
    def values(self) -> list[float]:
        return [fact.bmd_g_cm2 for fact in self.site.facts.values() if isinstance(fact, PhantomMeasured)]

    @property
    def read(self) -> Read:
        (read,) = msgspec.json.decode((self.data_dir / MEMORY_FILE).read_bytes(), type=dict[str, Read]).values()
        return read

    def kept(self) -> list[list[str]]:
        """The rejects of the last reading, opened."""
        data = self.rejects.open(self.data_dir / "file-rejects" / self.read.kept)
        return list(csv.reader(StringIO(data.decode())))[1:]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


PATIENT = line(3, "1,041", phantom="943 476 5919").replace("13.6.0.5;", "13.6.0.5;INVENTED IRIS")


CONFIGURATION = f"""{SITE}[files]
folder = "exports"
poll_s = 0.2

[[device]]
id = "dxa-1"
kind = "scanner"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-1234"
  [[device.file]]
  files = "dxa-1/*.csv"
  map = "maps/qc.toml"
"""


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    (folder / "maps").mkdir(exist_ok=True)
    (folder / "maps" / "qc.toml").write_text(PHANTOM_MAP)
    with running_site(CONFIGURATION, folder) as site:
        yield site
