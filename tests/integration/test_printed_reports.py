"""Printed reports from the folder to the log: what is recorded, kept, refused, and what nobody gets to see."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from bonewatch import cli
from bonewatch.config import ConfigError, parse
from bonewatch.site import Site
from collectors.printed.folder import ReportFolder
from collectors.printed.reports import Became, PrintedReports, PrintingScanner
from collectors.printed.settings import Disposal, PrintedDevice, PrintedSettings
from collectors.pseudonym import Pseudonyms
from collectors.quarantine import Quarantine
from simulators.printed import Report, Text, ge_page, hologic_page, norland_page, printed
from streams import codec
from streams.messages import PatientMeasured, PhantomMeasured, PhantomScanRefused, Source, Verdict
from streams.policy import DeviceKind, DevicePolicy, Phantom, PhantomRole
from streams.sqlite_log import SqliteEventLog
from tests.fakes import FakeSite
from tests.kafka import wait_until
from tests.printed_pages import HIPS, SPINES, retyped, spine

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


# --- phantoms ----------------------------------------------------------------------------------------------


def test_a_phantoms_page_becomes_its_readings(desk: Desk) -> None:
    assert desk.take(spine("hologic")) == Became("recorded", HOLOGIC, may_go=True)
    assert {fact.region: fact.bmd_g_cm2 for fact in desk.phantoms} == {
        "L1": 0.873,
        "L2": 0.943,
        "L3": 0.941,
        "L4": 0.959,
        "L1-L4": 0.930,
    }
    last = desk.phantoms[-1]
    assert (last.region, last.phantom_id, last.software, last.source) == (
        "L1-L4",
        "SPINE-1234",
        "13.6.0.5",
        Source.IMPORT,
    )
    assert last.measured_at == datetime(2019, 12, 4, 12, 57, tzinfo=UTC)
    (page,) = (desk.data_dir / "archive" / "dxa-1" / "2019" / "12").iterdir()
    assert page.read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(("make", "device", "bmd"), [("ge", GE, 1.022), ("norland", NORLAND, 0.8942)])
def test_every_makes_phantom_is_recorded(desk: Desk, make: str, device: str, bmd: float) -> None:
    assert desk.take(spine(make)).device == device
    assert desk.phantoms[-1].bmd_g_cm2 == bmd
    assert desk.phantoms[-1].measured_at == datetime(2019, 12, 4, 12, 55, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "again",
    [
        hologic_page(SPINES["hologic"]),
        ge_page(msgspec.structs.replace(SPINES["ge"], printed_at=NOW.replace(tzinfo=None))),
        norland_page(SPINES["norland"]),
    ],
    ids=["hologic", "ge", "norland"],
)
def test_a_page_printed_twice_counts_once(desk: Desk, again: list[Text]) -> None:
    desk.take(spine("hologic"))
    desk.take(spine("ge"))
    desk.take(spine("norland"))
    before = dict(desk.site.facts)
    assert desk.take(again).code == "duplicate"
    assert desk.site.facts == before


def test_another_analysis_is_of_the_same_acquisition_and_a_repeat_is_not(desk: Desk) -> None:
    report = SPINES["hologic"]
    later = msgspec.structs.replace(report, analysed_at=report.scanned_at + timedelta(minutes=30))
    repeat = msgspec.structs.replace(report, scan_id="A12041902")
    for one in (report, later, repeat):
        assert desk.take(hologic_page(one)).code == "recorded"
    first, second, third = (fact.acquisition_id for fact in desk.phantoms if fact.region == "L1-L4")
    assert first == second != third


def test_a_norland_that_prints_other_values_of_one_scan_was_analysed_anew(desk: Desk) -> None:
    desk.take(spine("norland"))
    anew = retyped(retyped(spine("norland"), "39.17", "39.18"), ".8942", ".8945")
    assert desk.take(anew).code == "recorded"
    assert len({fact.acquisition_id for fact in desk.phantoms}) == 1


def test_the_same_analysis_with_other_values_is_a_conflict(desk: Desk) -> None:
    desk.take(spine("hologic"))
    assert desk.take(retyped(retyped(spine("hologic"), "51.85", "51.83"), "0.930", "0.929")).code == "conflict"
    assert len(desk.quarantine) == 1


def test_an_old_scan_analysed_today_is_dated_as_its_day_began(desk: Desk) -> None:
    report = SPINES["hologic"]
    late = msgspec.structs.replace(report, analysed_at=report.scanned_at + timedelta(days=3))
    desk.take(hologic_page(late))
    assert desk.phantoms[-1].measured_at == datetime(2019, 12, 4, tzinfo=UTC)


def test_local_time_is_the_sites(desk: Desk) -> None:
    report = msgspec.structs.replace(SPINES["ge"], scanned_at=datetime(2019, 7, 4, 9, 0, 0))  # noqa: DTZ001
    desk.take(ge_page(report))
    assert desk.phantoms[-1].measured_at == datetime(2019, 7, 4, 8, 0, tzinfo=UTC)


def test_somebody_else_under_the_phantoms_id_is_refused_and_noted(desk: Desk) -> None:
    report = msgspec.structs.replace(SPINES["hologic"], patient_name="INVENTED, IRIS")
    assert desk.take(hologic_page(report)).code == "implausible"
    (fact,) = desk.site.facts.values()
    assert fact == PhantomScanRefused("SPINE-1234", "implausible")
    assert not (desk.data_dir / "archive").exists()


def test_a_hip_under_the_phantoms_id_is_refused(desk: Desk) -> None:
    assert desk.take(hologic_page(HIPS["hologic"])).code == "implausible"
    assert not desk.phantoms


def test_a_value_judged_implausible_is_kept_encrypted_and_not_archived(desk: Desk) -> None:
    desk.site.implausible = {"L1-L4"}
    assert desk.take(spine("hologic")).code == "implausible"
    assert len(desk.quarantine) == 1
    assert not (desk.data_dir / "archive").exists()


def test_another_phantom_is_recorded_and_said(desk: Desk) -> None:
    desk.site.verdicts["L1-L4"] = Verdict.WRONG_PHANTOM
    assert desk.take(spine("hologic")).code == "wrong_phantom"


def test_a_page_without_the_judged_region_is_refused(desk: Desk) -> None:
    report = Report(SPINES["hologic"].rows[:4])
    assert desk.take(hologic_page(report)).code == "region_absent"


# --- patients ----------------------------------------------------------------------------------------------


def test_a_patients_page_becomes_a_measurement_without_a_person(desk: Desk) -> None:
    assert desk.take(hologic_page(PATIENT)) == Became("recorded", HOLOGIC, may_go=True)
    fact = desk.patient
    assert (fact.accession_number, fact.mode, fact.software) == ("RK9-0012345", "spine-hip", "13.6.0.5")
    total = fact.regions[-1]
    assert (total.region, total.bmd_g_cm2, total.bmc_g, total.area_cm2) == ("L1-L4", 0.930, 51.85, 55.77)
    assert (total.t_score, total.z_score) == (-1.1, 0.0)
    assert fact.pseudonym.startswith("1.")


def test_both_hips_are_two_scans_of_one_person(desk: Desk) -> None:
    report = msgspec.structs.replace(HIPS["hologic"], patient_id=PATIENT.patient_id)
    desk.take(hologic_page(report))
    facts = [fact for fact in desk.site.facts.values() if isinstance(fact, PatientMeasured)]
    assert [{region.laterality for region in fact.regions} for fact in facts] == [{"left"}, {"right"}]
    assert len({fact.pseudonym for fact in facts}) == 1
    assert len({fact.acquisition_id for fact in facts}) == 2


def test_a_pseudonym_is_the_same_for_a_person_and_another_at_another_site(tmp_path: Path) -> None:
    first, second = (Desk(tmp_path / name, PrintedSettings(), lambda: NOW) for name in ("one", "two"))
    for desk in (first, second):
        desk.take(hologic_page(PATIENT))
    again = msgspec.structs.replace(PATIENT, scan_id="A12041904")
    restarted = Desk(tmp_path / "one", PrintedSettings(), lambda: NOW)
    restarted.take(hologic_page(again))
    assert restarted.patient.pseudonym == first.patient.pseudonym != second.patient.pseudonym


def test_a_patients_page_that_comes_again_after_a_rotation_is_a_duplicate(desk: Desk) -> None:
    assert desk.take(hologic_page(PATIENT)).code == "recorded"
    Pseudonyms(desk.data_dir).rotate()
    assert desk.take(hologic_page(PATIENT)).code == "duplicate"
    assert desk.patient.pseudonym.startswith("1.")


@pytest.mark.parametrize("said", ["Smith", "see letter 12", "IRIS INVENTED"])
def test_a_field_that_holds_no_number_is_no_accession_number(desk: Desk, said: str) -> None:
    desk.take(hologic_page(msgspec.structs.replace(PATIENT, accession_number=said)))
    assert desk.patient.accession_number == ""


def test_an_accession_number_is_found_where_it_is_called_so(desk: Desk) -> None:
    report = msgspec.structs.replace(SPINES["ge"], patient_id="943 476 5919", accession_number="RK9-77")
    desk.take(ge_page(report))
    assert desk.patient.accession_number == "RK9-77"


def test_nothing_of_a_person_is_in_log_metrics_or_files(desk: Desk) -> None:
    refused = retyped(hologic_page(PATIENT), "0.873", "0.378")
    stranger = msgspec.structs.replace(PATIENT, serial="999")
    with capture_logs() as logs:
        for page in (hologic_page(PATIENT), refused, hologic_page(stranger)):
            desk.take(page)
    said = json.dumps(logs, default=str) + generate_latest().decode()
    said += "".join(msgspec.json.encode(fact).decode() for fact in desk.site.facts.values())
    kept = [path for path in desk.data_dir.rglob("*") if path.is_file()]
    said += "".join(f"{path.name}{path.read_bytes().decode('latin-1')}" for path in kept)
    assert len(kept) == 9  # three pages with their sidecars, and three keys
    for secret in ("INVENTED", "IRIS", "943 476", "4765919", "January 01, 1950", "%PDF"):
        assert secret not in said


def test_a_kept_patients_page_can_be_opened_by_the_site(desk: Desk) -> None:
    desk.take(hologic_page(PATIENT))
    (page,) = (desk.data_dir / "patient-pages").glob("*.enc")
    assert desk.patients.open(page).startswith(b"%PDF-")
    desk.patients.expire(NOW + timedelta(days=31))
    assert len(desk.patients) == 0


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        ([hologic_page(msgspec.structs.replace(PATIENT, serial="999"))], "unknown_device"),
        ([retyped(spine("hologic"), MODEL, MODEL.replace("Horizon A", "Horizon W"))], "unknown_device"),
        ([retyped(spine("hologic"), "0.873", "0.378")], "does_not_add_up"),
        ([spine("hologic"), retyped(hologic_page(PATIENT), "0.873", "0.378")], "does_not_add_up"),
        ([spine("hologic"), hologic_page(PATIENT)], "mixed"),
        ([spine("hologic"), spine("ge")], "mixed"),
        ([[Text(40, 40, "A letter about somebody")]], "unknown_layout"),
        ([spine("hologic"), [Text(40, 40, "BMD of somebody")]], "unknown_layout"),
        ([], "unreadable"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_kept_encrypted_and_nothing_recorded(
    desk: Desk, pages: list[list[Text]], code: str
) -> None:
    data = printed(pages) if pages else b"%PDF-1.7 broken"
    became = desk.reports.receive(data, NOW)
    assert (became.code, became.may_go) == (code, True)
    assert not desk.site.facts
    (kept,) = (desk.data_dir / "quarantine").glob("*.enc")
    assert desk.quarantine.open(kept) == data


def test_pages_of_one_person_are_taken_together(desk: Desk) -> None:
    second = msgspec.structs.replace(PATIENT, scan_id="A12041905")
    graph = [Text(40, 40, "Reference curve")]
    assert desk.take(hologic_page(PATIENT), graph, hologic_page(second)).code == "recorded"
    assert len(desk.site.facts) == 2


def test_while_the_site_cannot_record_the_page_stays(desk: Desk) -> None:
    desk.site.available = False
    assert desk.take(spine("hologic")) == Became("unavailable", HOLOGIC, may_go=False)
    assert len(desk.quarantine) == 0


# --- the folder --------------------------------------------------------------------------------------------


class Watched:
    """A folder with a desk behind it, and a clock of its own."""

    def __init__(self, tmp_path: Path, settings: PrintedSettings) -> None:
        self.now = NOW
        self.folder = tmp_path / "printed"
        self.folder.mkdir()
        self.desk = Desk(tmp_path / "var", settings, lambda: self.now)
        self.watch = ReportFolder(self.folder, self.desk.reports.receive, settings, clock=lambda: self.now)

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.watch.look()

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path, PrintedSettings())


def test_a_file_that_grows_is_left_until_it_is_whole(watched: Watched) -> None:
    data = printed([spine("hologic")])
    path = watched.folder / "Iris Invented.pdf"
    for length in (0, 500, len(data) - 40):
        path.write_bytes(data[:length])
        watched.look()
    assert not watched.desk.site.facts
    path.write_bytes(data)
    watched.look(1)
    assert not watched.desk.site.facts  # seen once in this state
    watched.look(1)
    assert len(watched.desk.phantoms) == 5
    assert watched.files == []


def test_a_file_moved_in_is_taken(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.PDF").write_bytes(printed([spine("hologic")]))
    shutil.move(tmp_path / "elsewhere.PDF", watched.folder)
    watched.look()
    assert len(watched.desk.phantoms) == 5


def test_a_file_whose_end_never_comes_is_refused(watched: Watched) -> None:
    (watched.folder / "a.pdf").write_bytes(printed([spine("hologic")])[:300])
    watched.look()
    assert watched.files == ["a.pdf"]
    watched.now += timedelta(minutes=11)
    watched.look()
    assert watched.files == []
    assert len(watched.desk.quarantine) == 1


def test_what_is_no_report_stays_where_it_is(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "target.pdf").write_bytes(printed([spine("hologic")]))
    (watched.folder / "link.pdf").symlink_to(tmp_path / "target.pdf")
    (watched.folder / "notes.txt").write_text("x")
    (watched.folder / ".hidden.pdf").write_bytes(b"x")
    (watched.folder / "folder.pdf").mkdir()
    watched.look()
    assert len(watched.files) == 4
    assert not watched.desk.site.facts


def test_a_file_that_is_too_large_is_left_and_counted(tmp_path: Path) -> None:
    watched = Watched(tmp_path, PrintedSettings(max_bytes=1024))
    (watched.folder / "a.pdf").write_bytes(bytes(2048))
    with capture_logs() as logs:
        watched.look(4)
    assert [log["code"] for log in logs if log["event"] == "printed_report_left"] == ["too_large"]
    assert watched.files == ["a.pdf"]


@pytest.mark.parametrize(("disposal", "files", "kept"), [("keep", 0, True), ("delete", 0, False), ("leave", 1, False)])
def test_read_files_go_where_they_are_configured_to(tmp_path: Path, disposal: Disposal, files: int, kept: bool) -> None:  # noqa: FBT001
    watched = Watched(tmp_path, PrintedSettings(phantoms=disposal, patients=disposal))
    for name, page in (("a.pdf", spine("hologic")), ("b.pdf", hologic_page(PATIENT))):
        (watched.folder / name).write_bytes(printed([page]))
    with capture_logs() as logs:
        watched.look(4)
    assert len(watched.files) == 2 * files
    assert (len(watched.desk.patients) == 1) is kept
    assert (watched.desk.data_dir / "archive").exists() is kept
    assert [log["code"] for log in logs if log["event"] == "printed_report"] == ["recorded", "recorded"]


def test_a_page_that_cannot_be_recorded_now_is_taken_later(watched: Watched) -> None:
    watched.desk.site.available = False
    (watched.folder / "a.pdf").write_bytes(printed([spine("hologic")]))
    watched.look(3)
    assert watched.files == ["a.pdf"]
    watched.desk.site.available = True
    watched.look(1)
    assert watched.files == []
    assert len(watched.desk.phantoms) == 5


def test_a_folder_that_is_away_is_said_once(watched: Watched) -> None:
    away = watched.folder.rename(watched.folder.with_name("away"))
    with capture_logs() as logs:
        watched.look(3)
        away.rename(watched.folder)
        watched.look(3)
    assert [log["trouble"] for log in logs] == ["FileNotFoundError", "none any more"]


# --- the site ----------------------------------------------------------------------------------------------


CONFIGURATION = """
[site]
id = "test-site"

[dicom]
port = 0

[http]
port = 0

[database]
enabled = false

[printed]
folder = "printed"
poll_s = 0.2

[[device]]
id = "dxa-1"
kind = "scanner"
make = "Hologic"
model = "Horizon A"
serial = "300123M"
ae_title = "DXA1"
  [device.printed]
  layout = "hologic-apex"
  accession_field = "Comment"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-1234"
  patient_name = "PHANTOM^SPINE"
"""


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    site = Site(parse(CONFIGURATION, "site.toml"), folder / "var", folder=folder)
    site.start()
    try:
        yield site
    finally:
        site.stop()


def recorded(folder: Path) -> list[str]:
    with SqliteEventLog(folder / "var" / "site-log.sqlite", read_only=True) as log:
        facts = [codec.decode_event(row.body).fact for row in log.rows()]
    return [type(fact).__name__ for fact in facts if isinstance(fact, PhantomMeasured | PatientMeasured)]


def test_a_site_takes_what_is_printed_and_once_only_across_a_restart(tmp_path: Path) -> None:
    printer = tmp_path / "printed"
    printer.mkdir()
    for _ in range(2):
        with running(tmp_path):
            (printer / "a.pdf").write_bytes(printed([spine("hologic")]))
            (printer / "b.pdf").write_bytes(printed([hologic_page(PATIENT)]))
            wait_until(lambda: not list(printer.iterdir()))
        assert sorted(recorded(tmp_path)) == ["PatientMeasured", *["PhantomMeasured"] * 5]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('serial = "300123M"\n', "", "told by model and serial number"),
        ('layout = "hologic-apex"', 'layout = "ge-encore"', "date_order"),
        ('layout = "hologic-apex"', 'layout = "word"', "Invalid enum value"),
        ('accession_field = "Comment"', 'modes = { spine = "x" }', "x is no"),
        ('accession_field = "Comment"', 'modes = { spleen = "x" }', "spleen is none of forearm"),
        ("poll_s = 0.2", "poll_s = 0", "poll_s lies"),
        ('  [device.printed]\n  layout = "hologic-apex"\n  accession_field = "Comment"\n', "", "says how it prints"),
    ],
)
def test_a_configuration_that_does_not_hold_says_so(old: str, new: str, words: str) -> None:
    assert old in CONFIGURATION
    with pytest.raises(ConfigError, match=r"site\.toml, line \d+: ") as failed:
        parse(CONFIGURATION.replace(old, new, 1), "site.toml")
    assert words in str(failed.value)


# --- for who sets it up ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "status", "words"),
    [
        (spine("hologic"), 0, ("is test-site/dxa-1", "phantom SPINE-1234", "k = 1.130, d0 = 48.6", "51.85 g  0.930")),
        (hologic_page(PATIENT), 0, ("a patient, or a phantom that is not configured",)),
        (spine("ge"), 1, ("model Lunar Prodigy, serial number DF+12345", "no device of the configuration")),
        (retyped(spine("hologic"), "0.873", "0.378"), 1, ("refused (does_not_add_up)",)),
        ([Text(40, 40, "A letter")], 1, ("refused (unknown_layout)",)),
        ([], 1, ("refused (unreadable)",)),
    ],
    ids=["phantom", "patient", "unknown scanner", "misread", "letter", "no PDF"],
)
def test_a_report_can_be_tried_before_it_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], page: list[Text], status: int, words: tuple[str, ...]
) -> None:
    (tmp_path / "site.toml").write_text(CONFIGURATION)
    (tmp_path / "page.pdf").write_bytes(printed([page]) if page else b"x")
    assert cli.read_report(tmp_path / "page.pdf", config=tmp_path / "site.toml") == status
    said = capsys.readouterr().out
    assert all(word in said for word in words), said
    assert "INVENTED" not in said
    assert "943 476" not in said
