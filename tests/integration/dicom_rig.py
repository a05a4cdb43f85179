"""An application entity on a free port with a fake site behind it, and what tests need around it."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from collectors.archive import Archive
from collectors.dicom.entity import DicomEntity
from collectors.dicom.patients import Forwarding, PrintedPages
from collectors.dicom.store import StoreTiming
from collectors.quarantine import Quarantine, Sidecar
from collectors.settings import DicomSettings, Upstream
from simulators.ris import VirtualRis
from simulators.scanner import VirtualScanner
from streams.policy import DeviceKind, DevicePolicy, Enforcement, Mode, Phantom, PhantomRole
from tests.fakes import FakeSite

MEASURED = datetime(2026, 1, 5, 7, 45, tzinfo=UTC)
PHANTOM = Phantom("SPINE-1234", PhantomRole.INDEPENDENT, patient_name="PHANTOM^SPINE")
UNNAMED_PHANTOM = Phantom("SPINE-1234", PhantomRole.INDEPENDENT)
DXA1, DXA2, DXA3, DXA4, DXA5 = (f"site/dxa-{n}" for n in range(1, 6))
VISITOR = Phantom("ESP-TOUR", PhantomRole.CIRCULATING, region="L1-L3", serial="ESP-7")
MODES = (Mode("spine-hip", ("DXASH",)), Mode("forearm", ("DXAFA",)))


def scanner_policy(
    ae_title: str, enforcement: Enforcement = Enforcement.WORKLIST, modes: tuple[Mode, ...] = ()
) -> DevicePolicy:
    return DevicePolicy(
        DeviceKind.SCANNER, ae_title=ae_title, enforcement=enforcement, phantoms=(PHANTOM,), modes=modes
    )


DEVICES = {
    DXA1: scanner_policy("DXA1"),
    DXA2: msgspec.structs.replace(scanner_policy("DXA2"), phantoms=(UNNAMED_PHANTOM,)),
    DXA3: scanner_policy("DXA3", Enforcement.SHADOW),
    DXA4: scanner_policy("DXA4", Enforcement.WORKLIST, MODES),
    DXA5: msgspec.structs.replace(scanner_policy("DXA5"), phantoms=(PHANTOM, VISITOR)),
}


class DicomRig:
    """A running application entity; stop it by leaving the `running` block."""

    def __init__(
        self,
        data_dir: Path,
        settings: DicomSettings,
        ris: VirtualRis | None = None,
        *,
        forwarding: Forwarding | None = None,
        pages: PrintedPages | None = None,
        private_values: Collection[str] = (),
    ) -> None:
        self.data_dir = data_dir
        self.site = FakeSite()
        self.quarantine = Quarantine(data_dir)
        self.ris = ris
        self.timings: list[StoreTiming] = []
        self.entity = DicomEntity(
            settings,
            self.site,
            DEVICES,
            "Europe/London",
            Archive(data_dir),
            quarantine=self.quarantine,
            on_store=self.timings.append,
            forwarding=forwarding,
            pages=pages,
            private_values=private_values,
        )

    @property
    def port(self) -> int:
        return self.entity.port

    def scanner(self, ae_title: str = "DXA1") -> VirtualScanner:
        return VirtualScanner(ae_title, self.port)

    def archived(self) -> list[Path]:
        return sorted((self.data_dir / "archive").glob("*/*/*/*.dcm"))

    def quarantined(self) -> list[tuple[Sidecar, Path]]:
        """Return what was refused, oldest first, with where it lies."""
        found = []
        for sidecar in sorted((self.data_dir / "quarantine").glob("*.json")):
            objects = [path for path in sidecar.parent.glob(f"{sidecar.stem}.*") if path != sidecar]
            found.append((_sidecar(sidecar), objects[0]))
        return found

    def refusal_codes(self) -> list[str]:
        return [sidecar.code for sidecar, _ in self.quarantined()]


@contextmanager
def running(
    data_dir: Path,
    ris: VirtualRis | None = None,
    *,
    forwarding: Forwarding | None = None,
    pages: PrintedPages | None = None,
    private_values: Collection[str] = (),
    **settings: object,
) -> Iterator[DicomRig]:
    """Run an application entity on a free port, with a started RIS behind it or none."""
    upstream = Upstream(ris.ae_title, "127.0.0.1", ris.port, timeout_s=3.0) if ris else None
    chosen = {"port": 0, "upstream": upstream, **settings}
    made = DicomSettings(**chosen)  # type: ignore[arg-type] # as each test chooses
    rig = DicomRig(data_dir, made, ris, forwarding=forwarding, pages=pages, private_values=private_values)
    rig.entity.start()
    try:
        yield rig
    finally:
        rig.entity.stop()


def _sidecar(path: Path) -> Sidecar:
    return msgspec.json.decode(path.read_bytes(), type=Sidecar)


def threads() -> int:
    return threading.active_count()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
