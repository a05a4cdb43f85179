"""Printed reports on the desk: what is recorded of a phantom's page and a patient's, and what is refused."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from collectors.printed.reports import Became
from collectors.printed.settings import PrintedSettings
from collectors.pseudonym import Pseudonyms
from simulators.printed import Report, Text, ge_page, hologic_page, norland_page, printed
from streams.messages import PatientMeasured, PhantomScanRefused, Source, Verdict
from tests.integration.printed_rig import GE, HOLOGIC, MODEL, NORLAND, NOW, PATIENT, Desk, desk
from tests.printed_pages import HIPS, SPINES, retyped, spine

__all__ = ["desk"]  # fixtures, used by their names


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
    for one in (first, second):
        one.take(hologic_page(PATIENT))
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
