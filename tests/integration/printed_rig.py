"""Printed reports of three makes before a site that remembers, and patients' pages that are invented."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from collectors.printed.reports import Became, PrintedReports, PrintingScanner
from collectors.printed.settings import PrintedDevice, PrintedSettings
from collectors.quarantine import Quarantine
from simulators.printed import Text, printed
from streams.messages import PatientMeasured, PhantomMeasured
from streams.policy import DeviceKind, DevicePolicy, Phantom, PhantomRole
from tests.fakes import FakeSite
from tests.printed_pages import SPINES

MODEL = "Model: Horizon A (S/N 300123M)"
NOW = datetime(2019, 12, 4, 14, 0, tzinfo=UTC)
HOLOGIC, GE, NORLAND = "site/dxa-1", "site/dxa-2", "site/dxa-3"
PATIENT = msgspec.structs.replace(
    SPINES["hologic"],
    patient_id="943 476 5919",
    patient_name="INVENTED, IRIS",
    accession_number="RK9-0012345",
    scan_id="A12041903",
)


def scanner(
    layout: PrintedDevice, model: str, serial: str, *, region: str = "L1-L4", name: str | None = None
) -> PrintingScanner:
    phantom = Phantom("SPINE-1234", PhantomRole.INDEPENDENT, region=region, patient_name=name)
    return PrintingScanner(DevicePolicy(DeviceKind.SCANNER, model=model, serial=serial, phantoms=(phantom,)), layout)


SCANNERS = {
    HOLOGIC: scanner(
        PrintedDevice("hologic-apex", accession_field="Comment", modes={"spine": "spine-hip"}),
        "Horizon A",
        "300123M",
        name="PHANTOM^SPINE",
    ),
    GE: scanner(PrintedDevice("ge-encore", "month-first"), "Prodigy", "DF+12345"),
    NORLAND: scanner(PrintedDevice("norland-illuminatus", "month-first"), "Elite", "4711", region="L2-L4"),
}


class Desk:
    """Printed reports before a site that remembers."""

    def __init__(self, data_dir: Path, settings: PrintedSettings, clock: Callable[[], datetime]) -> None:
        self.data_dir, self.clock = data_dir, clock
        self.site = FakeSite()
        self.quarantine = Quarantine(data_dir)
        self.patients = Quarantine(data_dir, name="patient-pages")
        self.reports = PrintedReports(
            self.site,
            SCANNERS,
            settings,
            zone=ZoneInfo("Europe/London"),
            data_dir=data_dir,
            quarantine=self.quarantine,
            patients=self.patients,
        )

    def take(self, *pages: list[Text]) -> Became:
        return self.reports.receive(printed(pages), self.clock())

    @property
    def phantoms(self) -> list[PhantomMeasured]:
        return [fact for fact in self.site.facts.values() if isinstance(fact, PhantomMeasured)]

    @property
    def patient(self) -> PatientMeasured:
        (fact,) = (fact for fact in self.site.facts.values() if isinstance(fact, PatientMeasured))
        return fact


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, PrintedSettings(), lambda: NOW)
