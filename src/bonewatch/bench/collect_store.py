"""C-STORE, durable: a real site process beside Orthanc and DCMTK's storescp, the same objects, the same sender.

The objects are a phantom's: small structured reports, each of which becomes facts, verdicts and a gate before it is
answered, and secondary captures of 131 kB, which are archived. Every object is durable here when it is answered: it
and its folder are synced, and so is the log. Orthanc syncs its files too, storescp syncs nothing.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid
from rich.console import Console
from rich.table import Table

from bonewatch.bench.store_peers import (
    STARTED_WITHIN_S,
    free_ports,
    instances_in_orthanc,
    is_here,
    orthanc,
    read,
    running,
    send,
    storescp,
)
from simulators.phantom_sr import IMAGE, ReportSpec, build_report
from simulators.series import spine_readings

ASSOCIATIONS: Final = (1, 8)
PIXELS: Final = 256
AIM: Final = 0.25
"""Of Orthanc's rate, on one association."""
PARTS: Final = ("parse", "archive", "commit", "store")

CONFIGURATION: Final = """
[site]
id = "bench"
time_zone = "UTC"
data_dir = "var"
[dicom]
port = 0
[http]
port = 0
[database]
enabled = false
[[device]]
id = "dxa-1"
kind = "scanner"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0001"
  patient_name = "PHANTOM^SYNTHETIC"
"""


class StoreRate(NamedTuple):
    """What one server took of one kind of object."""

    server: str
    objects: str
    associations: int
    sent: int
    kept: int
    per_s: float
    spent_ms: dict[str, float]


class _Server(NamedTuple):
    name: str
    port: int
    kept: Callable[[], int]
    spent: Callable[[], dict[str, float]]


def measure_stores(folder: Path, objects: int) -> list[StoreRate]:
    """Run every server over every kind of object; servers that are not installed are left out."""
    if not is_here("storescu"):
        return []
    numbers = itertools.count(1)
    rates = []
    for kind, make in (("reports", _report), ("images of 131 kB", _image)):
        for associations in ASSOCIATIONS:
            place = folder / f"{kind.split()[0]}-{associations}"
            shares = _written(place / "objects", make, objects, associations, numbers)
            for run in (_storescp, _orthanc, _bonewatch):
                rates += [_rate(server, kind, shares) for server in run(place)]
    return rates


def _rate(server: _Server, kind: str, shares: list[Path]) -> StoreRate:
    sent = sum(len(list(share.iterdir())) for share in shares)
    took = send(server.port, shares)
    return StoreRate(server.name, kind, len(shares), sent, server.kept(), sent / took, server.spent())


def _storescp(place: Path) -> Iterator[_Server]:
    folder = place / "storescp"
    (port,) = free_ports(1)
    with running(storescp(folder, port), port):
        yield _Server("storescp", port, lambda: len(list(folder.iterdir())), dict)


def _orthanc(place: Path) -> Iterator[_Server]:
    if not is_here("Orthanc"):
        return
    port, http_port = free_ports(2)
    with running(orthanc(place / "orthanc", port, http_port), http_port):
        yield _Server("Orthanc", port, lambda: instances_in_orthanc(http_port), dict)


def _bonewatch(place: Path) -> Iterator[_Server]:
    folder = place / "bonewatch"
    folder.mkdir()
    (folder / "site.toml").write_text(CONFIGURATION, encoding="utf-8")
    with _site(folder) as (port, url):
        yield _Server(
            "Bonewatch", port, lambda: len(list((folder / "var" / "archive").glob("*/*/*/*.dcm"))), lambda: _spent(url)
        )


@contextmanager
def _site(folder: Path) -> Iterator[tuple[int, str]]:
    """Run a site process; yields its DICOM port and its console's address."""
    command = [sys.executable, "-m", "bonewatch", "run", "-c", str(folder / "site.toml")]
    path = folder / "log"
    with path.open("w", encoding="utf-8") as log:
        site = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=os.environ)
    try:
        said = _ready(path, site)
        yield int(said["dicom_port"]), str(said["console"])
    finally:
        site.terminate()
        site.wait(30.0)


def _ready(path: Path, site: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """Return the line in which a site says that it is ready."""
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline and site.poll() is None:
        for line in path.read_text(encoding="utf-8").splitlines():
            if '"site_ready"' in line and line.endswith("}"):
                return dict(json.loads(line))
        time.sleep(0.1)
    raise RuntimeError("the site of the benchmark did not start")


def _spent(url: str) -> dict[str, float]:
    """Return the milliseconds that an object took on average, part by part."""
    families = text_string_to_metric_families(read(f"{url}/metrics").decode())
    values = {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}
    spent = {}
    for part in PARTS:
        count = values.get(f"bonewatch_dicom_{part}_seconds_count", 0.0)
        if count:
            spent[part] = 1e3 * values[f"bonewatch_dicom_{part}_seconds_sum"] / count
    return spent


def _written(
    folder: Path, make: Callable[[int], Dataset], objects: int, associations: int, numbers: Iterator[int]
) -> list[Path]:
    """Write objects in one folder for each association."""
    shares = [folder / str(share) for share in range(associations)]
    for share in shares:
        share.mkdir(parents=True)
    for number in range(objects):
        ds = make(next(numbers))
        ds.save_as(shares[number % associations] / f"{number:05d}.dcm", enforce_file_format=True)
    return shares


def _report(number: int) -> Dataset:
    return build_report(
        ReportSpec(
            patient_id="SPINE-0001",
            patient_name="PHANTOM^SYNTHETIC",
            measured_at=datetime.now(UTC) - timedelta(hours=2) + timedelta(seconds=number),
            readings=dict(spine_readings(1.0)),
            acquisition=f"bench {number}",
        )
    )


def _image(number: int) -> Dataset:
    ds = _report(number)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = UID(IMAGE)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    ds.Modality = "OT"
    for keyword in ("ContentSequence", "ConceptNameCodeSequence", "ValueType"):
        del ds[keyword]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.Rows = ds.Columns = PIXELS
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelData = number.to_bytes(4, "little") * (PIXELS * PIXELS // 2)
    return ds


def ratio_to_orthanc(rate: StoreRate, rates: list[StoreRate]) -> float | None:
    """Return a rate as a share of Orthanc's in the same run; None without it."""
    for other in rates:
        if other.server == "Orthanc" and other[1:3] == rate[1:3]:
            return rate.per_s / other.per_s
    return None


def show_stores(rates: list[StoreRate]) -> None:
    """Print the table."""
    table = Table(title="C-STORE by storescu, TCP_NODELAY=1 on both ends", title_justify="left")
    for name in ("server", "objects", "associations", "kept", "per second", "of Orthanc's", "spent on each, ms"):
        table.add_column(name, justify="left" if name in {"server", "objects", "spent on each, ms"} else "right")
    for rate in rates:
        ratio = ratio_to_orthanc(rate, rates)
        spent = ", ".join(f"{part} {ms:.2f}" for part, ms in rate.spent_ms.items())
        aim = f" (aim {AIM:.2f})" if rate.server == "Bonewatch" and rate.associations == 1 else ""
        share = "" if ratio is None else f"{ratio:.2f}{aim}"
        table.add_row(
            rate.server, rate.objects, f"{rate.associations}", f"{rate.kept}", f"{rate.per_s:,.0f}", share, spent
        )
    Console().print(table)
