"""FHIR R4 over a real database: resources by hand, by `fhirclient` and by what HL7 publishes of R4."""

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace

from dashboards.access.scopes import Scope
from dashboards.access.settings import ApiSettings
from dashboards.fhir.identity import id_of
from dashboards.fhir.listed import SEARCHED
from dashboards.fhir.searching import FORM
from dashboards.fhir.terms import Ours
from storage.connection import Db
from storage.errors import DatabaseAwayError
from storage.measurement_queries import DatabaseMeasurements
from storage.sink import Sink
from streams.messages import (
    CalibrationCheckRead,
    DecisionWithdrawn,
    Fact,
    MeasurementReleased,
    PatientMeasured,
    RegionMeasured,
    ReviewDecided,
    ReviewVerdict,
    SizeAt,
    event_id,
)
from tests.accounts import PASSWORD
from tests.api_rig import Rig, serving
from tests.fhir_models import faults, profile_faults, search_parameters
from tests.folding import MONDAY, PHANTOM, PHYSICIST
from tests.integration.test_api_access import BrokenTrail
from tests.integration.test_database import apply, scanner
from tests.integration.test_measurement_database import NECK, SPINE, failing, patient, review_of
from tests.postgres import Recorded, Server, ServerDatabase, embedded, server
from tests.unit.test_fold_checks import SCALE
from tests.unit.test_fold_measurements import study

__all__ = ["embedded", "server"]  # fixtures, used by their names

ALL: Final = "/fhir/Observation?_count=500"
Resource = dict[str, Any]


class Made(NamedTuple):
    """The site, a client with a token, and the events of what was measured."""

    rig: Rig
    client: TestClient[Litestar]
    header: dict[str, str]
    events: dict[str, str]
    review: str
    database: ServerDatabase
    failing: Recorded

    def happens(self, fact: Fact) -> None:
        """Record something an hour later."""
        self.failing.now += timedelta(hours=1)
        self.failing.fact(fact)
        sink = Sink(self.database.connect)
        apply(sink, self.failing.log.rows)
        sink.close()

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers={**self.header, **headers})

    def read(self, path: str) -> Resource:
        """A resource that HL7's schema and `fhirclient` accept."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/fhir+json"
        one: Resource = answer.json()
        assert faults(one) == []
        return one

    def found(self, path: str) -> list[Resource]:
        return [entry["resource"] for entry in self.read(path).get("entry", ())]

    def keys(self, query: str) -> list[str]:
        """What a search of observations finds: accession and the end of the id."""
        return [
            f"{accession_of(one)}{one['id'].partition('..')[2]}" for one in self.found(f"/fhir/Observation?{query}")
        ]

    def value(self, name: str, part: str = "") -> Resource:
        event = self.events[name]
        return self.read(f"/fhir/Observation/{id_of(event, part) if part else id_of(event)}")


def accession_of(one: Resource) -> str:
    (value,) = [it["value"] for it in one["identifier"] if "type" in it]
    return f"{value}."


def of_scanner() -> tuple[Recorded, dict[str, str]]:
    """A hip, a spine, two analyses of one scan; then QC fails twice: one withheld, one withheld and released."""
    made, events = scanner(device="bath/dxa-1"), {}
    made.fact(study())
    total = RegionMeasured("Total", 0.82, laterality="left", t_score=-1.2)
    more = {"pseudonym": "1.p_1", "software": "13.6", "anatomy": "hip", "regions": (NECK, total)}
    events["hip"] = patient(made, "HIP", **more)
    made.now += timedelta(minutes=10)
    events["spine"] = patient(made, "SPINE", anatomy="spine", regions=(SPINE,))
    made.now += timedelta(minutes=10)
    at = made.now
    analysed = {"at": at, "acquisition": "a", "regions": (SPINE,)}
    events["older"] = patient(made, "OLDER", analysed_at=at + timedelta(minutes=1), **analysed)
    events["newer"] = patient(made, "NEWER", analysed_at=at + timedelta(minutes=2), **analysed)
    made.until(MONDAY.replace(hour=12, minute=0))
    made.scan(1.03)
    made.now += timedelta(minutes=5)
    made.scan(1.03)
    made.now += timedelta(minutes=5)
    events["withheld"] = patient(made, "WITHHELD", pseudonym="1.p2")
    events["released"] = patient(made, "RELEASED")
    measured = PatientMeasured("RELEASED", made.now, "scan-RELEASED", regions=(SPINE,))
    made.now += timedelta(hours=1)
    made.fact(MeasurementReleased(events["released"], measured, "QC was on paper", PHYSICIST))
    return made, events


def of_scale() -> tuple[Recorded, dict[str, str]]:
    made = Recorded(SCALE, device="bath/scale-1")
    for standard, read in (("W20", 20.0), ("W80", 80.0)):
        made.fact(CalibrationCheckRead(standard, read, made.now, "Oz"))
    made.now += timedelta(minutes=1)
    name = event_id("scale", "1")
    made.fact(PatientMeasured("SCALE", made.now, "", pseudonym="1.p_1", weight_kg=71.5, height_cm=163.2), identity=name)
    return made, {"scale": name}


def decided(review: str) -> ReviewDecided:
    sizes = (SizeAt(MONDAY, 2.0, 1.0, 3.0), SizeAt(MONDAY + timedelta(days=1), 2.0, 1.0, 3.0))
    return ReviewDecided(PHANTOM, "reads high", PHYSICIST, review, ReviewVerdict.AMEND, "percent", sizes)


@pytest.fixture(scope="module")
def site(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    database = ServerDatabase(server.create(server.template))
    hospital, events = of_scanner()
    scale, weights = of_scale()
    elsewhere, patients = failing()
    review = review_of(elsewhere)
    elsewhere.now += timedelta(hours=1)
    elsewhere.fact(decided(review))
    events |= weights | {f"amended{n}": name for n, name in enumerate(patients)}
    sink = Sink(database.connect)
    for made in (hospital, scale, elsewhere):
        apply(sink, made.log.rows)
    sink.close()
    measurements = DatabaseMeasurements(database.connect, "test-site")
    limits = ApiSettings(requests_a_minute=0, unknown_requests_a_minute=0)
    folder = tmp_path_factory.mktemp("fhir")
    with serving(folder, api=limits, measurements=measurements) as (rig, client):
        yield Made(rig, client, rig.token(Scope.FHIR_READ), events, review, database, elsewhere)
    measurements.close()
    database.stop()
    server.drop(database.conninfo)


# --- what is stated ----------------------------------------------------------------------------------------


def test_the_capability_statement_needs_no_credential_and_names_hl7s_own_search_parameters(site: Made) -> None:
    answer = site.client.get("/fhir/metadata")
    stated = answer.json()
    assert (answer.status_code, faults(stated)) == (200, [])
    assert (stated["fhirVersion"], stated["kind"]) == ("4.0.1", "instance")
    (rest,) = stated["rest"]
    assert [one["type"] for one in rest["resource"]] == ["Device", "DeviceMetric", "Observation", "Provenance"]
    for one in rest["resource"]:
        named = {it["name"]: it["type"] for it in one["searchParam"]}
        assert named.items() <= search_parameters(one["type"]).items()
        assert {it["code"] for it in one["interaction"]} == {"read", "search-type"}
    assert set(SEARCHED) == {one["type"] for one in rest["resource"]}


# --- devices -----------------------------------------------------------------------------------------------


def test_a_device_says_who_made_it_and_which_it_is(site: Made) -> None:
    one = site.read("/fhir/Device/dxa-1")
    assert (one["manufacturer"], one["modelNumber"], one["serialNumber"]) == ("Hologic", "Horizon W", "300123")
    assert [it["value"] for it in one["identifier"]] == ["bath/dxa-1", "300123"]
    assert one["status"] == "active"
    assert [it["name"] for it in one["deviceName"]] == ["dxa-1", "Horizon W"]


def test_a_metric_stands_by_while_the_gate_is_held_and_wants_calibration_while_a_drift_is_open(site: Made) -> None:
    held, drifting = site.read("/fhir/DeviceMetric/dxa-1..bmd"), site.read("/fhir/DeviceMetric/dxa-2..bmd")
    assert (held["operationalStatus"], drifting["operationalStatus"]) == ("standby", "on")
    assert held["unit"]["coding"][0]["code"] == "g/cm2"
    assert held["source"] == {"reference": "Device/dxa-1"}
    assert {it["state"] for it in held["calibration"]} == {"calibrated"}
    (calibration,) = drifting["calibration"]
    assert (calibration["type"], calibration["state"]) == ("unspecified", "calibration-required")
    assert calibration["time"].endswith("+00:00")
    weight = site.read("/fhir/DeviceMetric/scale-1..weight")
    assert weight["type"]["coding"][0] == {"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}


@pytest.mark.parametrize(
    ("stage", "parked", "status", "operates"),
    [
        ("retired", None, "inactive", "off"),
        ("with_engineer", None, "active", "off"),
        ("clinical", "bad record", "unknown", "on"),
    ],
)
def test_a_device_that_is_retired_with_an_engineer_or_not_known_says_so(
    site: Made, stage: str, parked: str | None, status: str, operates: str
) -> None:
    before = site.rig.site.views["dxa-2"]
    site.rig.site.views["dxa-2"] = replace(before, stage=stage, parked=parked)
    try:
        assert site.read("/fhir/Device/dxa-2")["status"] == status
        assert site.read("/fhir/DeviceMetric/dxa-2..bmd")["operationalStatus"] == operates
    finally:
        site.rig.site.views["dxa-2"] = before


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Device", ["dxa-1", "dxa-2", "scale-1"]),
        ("Device?manufacturer=holo", ["dxa-1"]),
        ("Device?model:contains=DIG", ["dxa-2"]),
        ("Device?device-name=scale", ["scale-1"]),
        ("Device?type=scanner&status=active", ["dxa-1", "dxa-2"]),
        (f"Device?identifier={Ours.DEVICE.value}|bath/dxa-2", ["dxa-2"]),
        ("Device?_id=dxa-1,scale-1", ["dxa-1", "scale-1"]),
        ("DeviceMetric?source=Device/dxa-1", ["dxa-1..bmd"]),
        ("DeviceMetric?type=http://loinc.org|29463-7", ["scale-1..weight"]),
        ("DeviceMetric?category=setting", []),
    ],
)
def test_devices_and_metrics_are_searched(site: Made, query: str, expected: list[str]) -> None:
    assert [one["id"] for one in site.found(f"/fhir/{query}")] == expected


# --- observations ------------------------------------------------------------------------------------------


def test_everything_there_is_is_r4(site: Made) -> None:
    found = site.found(ALL)
    assert len(found) == len({one["id"] for one in found}) == 12
    assert {one["status"] for one in found} == {"preliminary", "final", "amended", "registered", "entered-in-error"}
    for one in found:
        has_value = "valueQuantity" in one
        assert has_value is ("dataAbsentReason" not in one), "obs-6"
        assert has_value is (one["status"] in {"preliminary", "final", "amended"})
        assert site.read(f"/fhir/Observation/{one['id']}") == one
        rests = site.found(f"/fhir/Provenance?target=Observation/{one['id']}")
        assert {"reference": f"Observation/{one['id']}"} in rests[0]["target"]


def test_a_femoral_neck_has_hl7s_codes_of_a_left_femur_and_ucums_unit(site: Made) -> None:
    one = site.value("hip", "0")
    assert one["status"] == "preliminary"
    assert one["category"][0]["coding"][0]["code"] == "imaging"
    # the codes of HL7's observation-example-bmd, whose unit is not UCUM's
    assert one["code"]["coding"][0]["code"] == "24701-5"
    assert one["bodySite"]["coding"][0]["code"] == "71341001:272741003=7771000"
    assert one["bodySite"]["text"] == "Neck, left"
    assert one["valueQuantity"] == {
        "value": 0.71,
        "unit": "g/cm2",
        "system": "http://unitsofmeasure.org",
        "code": "g/cm2",
    }
    assert one["subject"] == {"type": "Patient", "identifier": {"system": Ours.PSEUDONYM.value, "value": "1.p_1"}}
    assert one["basedOn"][0]["identifier"]["value"] == "HIP"
    assert one["device"]["reference"] == "Device/dxa-1"
    assert one["device"]["display"] == "Invented Virtual 1, software 13.6"
    assert one["effectiveDateTime"] == "2026-11-02T07:46:00+00:00"
    (t_score,) = one["component"]
    assert (t_score["valueQuantity"]["value"], t_score["valueQuantity"]["code"]) == (-1.6, "{T-score}")
    assert t_score["code"]["coding"][0]["code"] == "38263-0"


def test_a_lumbar_spine_has_loincs_codes_and_all_that_the_device_gave(site: Made) -> None:
    one = site.value("spine", "0")
    assert one["code"]["coding"][0]["code"] == "24966-4"
    assert one["bodySite"]["coding"][0] == {
        "system": "http://snomed.info/sct",
        "code": "122496007",
        "display": "Lumbar spine",
    }
    told = {it["code"]["coding"][-1]["code"]: it["valueQuantity"]["value"] for it in one["component"]}
    assert told == {"t-score": -1.1, "z-score": -0.4, "bmc": 55.1, "area": 59.2}
    assert "subject" not in one, "nobody knows whose it is"


def test_what_another_scanner_would_read_is_an_extension_that_says_what_it_is_for(site: Made) -> None:
    """By hand: 1.02 * 0.93 - 0.01 = 0.9386."""
    one = site.value("spine", "0")
    (extension,) = one["extension"]
    assert extension["url"] == Ours.SERIAL_COMPARISON.value
    told = {it["url"]: next(content for name, content in it.items() if name != "url") for it in extension["extension"]}
    assert told["is-for"] == "for serial comparison with the named device only; never for T-score or FRAX"
    assert (told["as-device"], told["study"]["value"]) == ("test-site/dxa-2", "spine-2026/1")
    assert told["bmd"]["value"] == pytest.approx(0.9386)
    assert one["valueQuantity"]["value"] == 0.93
    assert "extension" not in site.value("hip", "0"), "the study is of another region"
    rests = site.read(f"/fhir/Provenance/{id_of(site.events['spine'])}")
    assert any(it["what"].get("identifier", {}).get("value") == "spine-2026/1" for it in rests["entity"])


@pytest.mark.parametrize(
    ("part", "code", "value", "unit"), [("weight", "29463-7", 71.5, "kg"), ("height", "8302-2", 163.2, "cm")]
)
def test_weight_and_height_are_hl7s_vital_signs(site: Made, part: str, code: str, value: float, unit: str) -> None:
    one = site.value("scale", part)
    (profile,) = one["meta"]["profile"]
    assert profile == f"http://hl7.org/fhir/StructureDefinition/body{part}"
    assert profile_faults(one, profile) == []
    assert one["status"] == "final"
    assert one["code"]["coding"][0]["code"] == code
    assert (one["valueQuantity"]["value"], one["valueQuantity"]["code"]) == (value, unit)
    without = {name: content for name, content in one.items() if name not in {"subject", "category"}}
    assert profile_faults(without, profile), "the second opinion has one"


def test_what_is_withheld_is_registered_without_a_value_and_says_why(site: Made) -> None:
    one = site.value("withheld")
    assert one["status"] == "registered"
    assert one["dataAbsentReason"]["coding"][0]["code"] == "temp-unknown"
    assert one["dataAbsentReason"]["text"].startswith("withheld: ")
    assert "qc_failed" in one["dataAbsentReason"]["text"]
    assert one["code"]["text"] == "Bone mineral density (DXA)"
    assert "0.93" not in site.get(f"/fhir/Observation/{one['id']}").text


def test_what_is_released_says_by_whom_and_why_and_what_stood_for_it_is_gone(site: Made) -> None:
    one = site.value("released", "0")
    assert (one["status"], one["valueQuantity"]["value"]) == ("preliminary", 0.93)
    assert {"text": "Released although it had been withheld: QC was on paper", "authorString": PHYSICIST.name} in one[
        "note"
    ]
    answer = site.get(f"/fhir/Observation/{id_of(site.events['released'])}")
    assert answer.status_code == 410
    assert f"Observation/{one['id']}" in answer.json()["issue"][0]["diagnostics"]
    assert site.get(f"/fhir/Observation/{id_of(site.events['withheld'], '0')}").status_code == 404
    assert site.get(f"/fhir/Observation/{id_of(site.events['spine'])}").status_code == 404  # it was never withheld


@pytest.mark.parametrize(("query", "same"), [("status=final,", "status=final"), ("code=8302-2,%20,", "code=8302-2")])
def test_a_blank_between_commas_widens_no_search(site: Made, query: str, same: str) -> None:
    assert site.keys(query) == site.keys(same) != []


def test_the_record_of_use_names_what_a_search_of_provenance_held_and_nothing_that_was_only_asked(site: Made) -> None:
    site.rig.trail.entries.clear()
    event = site.events["spine"]
    asked = f"Observation/{id_of(event, '0')},Observation/{id_of('Anna Example 1950')}"
    assert site.found(f"/fhir/Provenance?target={asked}")
    (use,) = site.rig.trail.entries
    assert use.shown == (event,)


def test_an_older_analysis_is_in_error_and_gives_no_value(site: Made) -> None:
    older, newer = site.value("older", "0"), site.value("newer", "0")
    assert (older["status"], newer["status"]) == ("entered-in-error", "preliminary")
    assert "newer analysis" in older["dataAbsentReason"]["text"]
    assert "component" not in older


def test_a_decision_amends_what_it_is_about_and_its_withdrawal_restores_it(site: Made) -> None:
    name = site.events["amended0"]
    one = site.value("amended0", "0")
    assert (one["status"], one["valueQuantity"]["value"]) == ("amended", 0.93), "the value is as the device gave it"
    (note,) = [it for it in one["note"] if "authorString" in it]
    assert note["authorString"] == PHYSICIST.name
    assert note["text"] == "amend: reads high (the device was +2 percent off, 95 % interval +1 to +3)"
    assert one["issued"] == note["time"]
    assert "reference" not in one["device"], "a device of another site has no resource here"
    assert one["device"]["identifier"]["value"] == "test-site/dxa-1"
    rests = site.found(f"/fhir/Provenance?target=Observation/{one['id']}")
    assert [it["id"] for it in rests] == [id_of(name), id_of(name, site.review)]
    assert rests[1]["agent"][0]["who"]["display"] == PHYSICIST.name
    before = site.get(f"/fhir/Observation/{one['id']}").headers["etag"]
    site.happens(DecisionWithdrawn(site.review, "wrong phantom", PHYSICIST))
    restored = site.value("amended0", "0")
    assert restored["status"] == "preliminary"
    assert site.get(f"/fhir/Observation/{one['id']}").headers["etag"] != before
    assert len(site.found(f"/fhir/Provenance?target={one['id']}")) == 1
    site.happens(decided(site.review))
    again = site.value("amended0", "0")
    assert (again["status"], again["meta"] == one["meta"]) == ("amended", False), "decided at another time"


# --- provenance --------------------------------------------------------------------------------------------


def test_provenance_names_the_device_as_it_was_and_what_stood_behind_the_value(site: Made) -> None:
    one = site.read(f"/fhir/Provenance/{id_of(site.events['hip'])}")
    assert [it["reference"] for it in one["target"]] == [
        f"Observation/{id_of(site.events['hip'], part)}" for part in ("0", "1")
    ]
    (device,) = one["contained"]
    assert device["version"] == [{"value": "13.6"}]
    assert one["agent"][0]["who"] == {"reference": f"#{device['id']}"}
    told = [it["what"]["display"] for it in one["entity"]]
    assert any(words.startswith("Gate open since 2026-11-02T07:45:00+00:00") for words in told)
    assert any(words.startswith(f"Quality control with {PHANTOM}, epoch 1: passed 2026-11-02T07:45") for words in told)
    assert any(words.startswith(f"Baseline of {PHANTOM}, epoch 1: 1 g/cm2") for words in told)


def test_provenance_of_a_weight_names_the_checks_and_of_a_release_the_physicist(site: Made) -> None:
    weight = site.read(f"/fhir/Provenance/{id_of(site.events['scale'])}")
    told = [it["what"]["display"] for it in weight["entity"]]
    assert any(words.startswith("Check with W80: 80 of 80, pass") for words in told)
    released = site.read(f"/fhir/Provenance/{id_of(site.events['released'])}")
    assert released["agent"][1]["who"]["display"] == PHYSICIST.name
    assert released["agent"][1]["type"]["coding"][0]["code"] == "verifier"
    assert released["reason"] == [{"text": "QC was on paper"}]


# --- searches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("identifier=HIP", ["HIP.0", "HIP.1"]),
        ("identifier=|SPINE", ["SPINE.0"]),
        ("identifier=urn:x|SPINE", []),
        ("based-on:identifier=HIP", ["HIP.0", "HIP.1"]),
        ("subject:identifier=1.p_1", ["HIP.0", "HIP.1", "SCALE.weight", "SCALE.height"]),
        (f"patient:identifier={Ours.PSEUDONYM.value}|1.p2", ["WITHHELD."]),
        ("patient:identifier=urn:x|1.p2", []),
        ("device=Device/scale-1", ["SCALE.weight", "SCALE.height"]),
        ("device=scale-1&device=dxa-1", []),
        ("device=nothing", []),
        ("code=http://loinc.org|8302-2", ["SCALE.height"]),
        ("code=24966-4,29463-7&device=scale-1", ["SCALE.weight"]),
        ("category=vital-signs", ["SCALE.weight", "SCALE.height"]),
        ("status=registered", ["WITHHELD."]),
        ("status=entered-in-error,cancelled", ["OLDER.0"]),
        ("status=final,registered", ["SCALE.weight", "SCALE.height", "WITHHELD."]),
        ("date=2026-11-02T07:56Z", ["SPINE.0"]),
        ("date=ge2026-11-02T12:00Z&date=lt2026-11-03", ["WITHHELD.", "RELEASED.0"]),
        ("date=ge2026-11-03", []),
        ("date=2026-11-02T07:46&device=dxa-1", ["HIP.0", "HIP.1"]),
        ("identifier=HIP&code=", ["HIP.0", "HIP.1"]),
    ],
)
def test_observations_are_searched(site: Made, query: str, expected: list[str]) -> None:
    assert sorted(site.keys(query)) == sorted(expected)


def test_observations_are_found_by_id_and_by_their_measurement(site: Made) -> None:
    hip, spine = (id_of(site.events[name], "0") for name in ("hip", "spine"))
    assert [one["id"] for one in site.found(f"/fhir/Observation?_id={hip},{spine},nothing")] == [hip, spine]
    assert site.found(f"/fhir/Observation?_id={hip}&device=scale-1") == []
    assert site.keys(f"identifier={Ours.MEASUREMENT.value}|{site.events['hip']}") == ["HIP.0", "HIP.1"]


@pytest.mark.parametrize(
    "query", ["Observation?", "Observation?category=vital-signs&", "Device?", "Observation?_id={hip}&"]
)
def test_pages_hold_so_many_and_together_everything_once(site: Made, query: str) -> None:
    query = query.format(hip=f"{id_of(site.events['hip'], '0')},{id_of(site.events['hip'], '1')}")
    whole = [one["id"] for one in site.found(f"/fhir/{query}_count=500")]
    told, address = [], f"/fhir/{query}_count=1"
    while address:
        page = site.read(address)
        told += [entry["resource"]["id"] for entry in page["entry"]]
        assert len(page["entry"]) == 1
        assert page["entry"][0]["fullUrl"].endswith(f"/{page['entry'][0]['resource']['id']}")
        address = {link["relation"]: link["url"] for link in page["link"]}.get("next", "")
    assert told == whole


def test_a_page_looks_at_so_many_measurements_and_leaves_the_rest_to_the_next(
    site: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboards.fhir.measured.MOST_LOOKED_AT", 4)
    told, address, pages = [], "/fhir/Observation?category=vital-signs", 0
    while address:
        page, pages = site.read(address), pages + 1
        told += [entry["resource"]["id"].partition("..")[2] for entry in page.get("entry", ())]
        address = {link["relation"]: link["url"] for link in page["link"]}.get("next", "")
    assert (told, pages) == (["weight", "height"], 3), "of ten measurements four, four and two"


def test_what_is_not_known_is_ignored_and_not_in_the_self_link_unless_errors_are_asked_for(site: Made) -> None:
    address = "/fhir/Observation?identifier=HIP&favourite=blue&_sort=-date"
    page = site.read(address)
    (link,) = page["link"]
    assert link == {"relation": "self", "url": "http://testserver.local/fhir/Observation?identifier=HIP&_count=50"}
    strict = site.get(address, Prefer="respond-async, handling=strict")
    assert (strict.status_code, strict.json()["resourceType"]) == (400, "OperationOutcome")
    assert "blue" not in strict.text
    assert site.get(address, Prefer="handling=lenient").status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "Observation?code:not=8302-2",
        "Observation?subject=Patient/1",
        "Observation?date=yesterday",
        "Observation?date=ge2026,le2027",
        "Observation?identifier=A,B",
        "Observation?_count=0",
        "Observation?_count=many",
        "Observation?_cursor=made-up",
        "Device?model:missing=true",
        "Provenance",
    ],
)
def test_a_search_that_cannot_be_meant_so_is_refused(site: Made, query: str) -> None:
    answer = site.get(f"/fhir/{query}")
    assert answer.status_code == 400
    assert faults(answer.json()) == []
    assert answer.json()["issue"][0]["code"] == "invalid"


NAMES: Final = sorted(
    {(kind, name) for kind in SEARCHED for base, one in SEARCHED[kind].items() for name in [base, *one.names(base)]}
    | {(kind, name) for kind in SEARCHED for name in ("_count", "_cursor", "_format")}
)


@settings(max_examples=80, derandomize=True, database=None)
@given(asked=st.sampled_from(NAMES), value=st.text(alphabet="a9é|,\\:.-_/TZ+\x00 ", max_size=24))
@example(asked=("Observation", "date"), value="ge2026-02-31")
@example(asked=("Observation", "identifier"), value="\x00")
@example(asked=("Observation", "_id"), value=".x00")
def test_whatever_is_searched_for_is_found_or_refused(site: Made, asked: tuple[str, str], value: str) -> None:
    kind, name = asked
    answer = site.client.get(f"/fhir/{kind}", params={name: value}, headers=site.header)
    assert answer.status_code in {200, 400, 406}
    assert answer.json()["resourceType"] in {"Bundle", "OperationOutcome"}


def test_a_cursor_counts_for_its_own_question_only(site: Made) -> None:
    page = site.read("/fhir/Observation?_count=1")
    cursor = page["link"][1]["url"].partition("_cursor=")[2]
    assert site.get(f"/fhir/Observation?_count=2&_cursor={cursor}").status_code == 200
    assert site.get(f"/fhir/Observation?status=final&_cursor={cursor}").status_code == 400


def test_behind_tls_every_address_is_one_of_tls(site: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    console = site.rig.app.state.console
    over_tls = dataclasses.replace(console, settings=replace(console.settings, secure_cookies=True))
    monkeypatch.setattr(site.rig.app.state, "console", over_tls)
    page = site.read("/fhir/Observation?device=https://testserver.local/fhir/Device/scale-1&_count=1")
    assert {link["url"].partition("://")[0] for link in page["link"]} == {"https"}
    assert page["entry"][0]["fullUrl"].startswith("https://testserver.local/fhir/Observation/")


def test_a_search_by_post_finds_the_same_and_names_nobody_in_its_address(site: Made) -> None:
    site.rig.trail.entries.clear()
    asked = {"subject:identifier": "1.p_1", "_count": "3", "Jones": "1931"}
    answer = site.client.post("/fhir/Observation/_search", data=asked, headers=site.header)
    page = answer.json()
    assert (answer.status_code, faults(page)) == (200, [])
    follows = {link["relation"]: link["url"] for link in page["link"]}["next"]
    found = [entry["resource"] for entry in page["entry"]] + site.found(follows)
    assert found == site.found("/fhir/Observation?subject:identifier=1.p_1")
    (use, *_) = site.rig.trail.entries
    assert (use.route, use.query) == ("/fhir/Observation/_search", ("_count", "subject:identifier"))
    told = str([entry["resource"]["identifier"] for entry in page["entry"]])
    assert use.shown
    assert all(event in told for event in use.shown)
    device = site.client.post("/fhir/Device/_search?manufacturer=holo", headers=site.header)
    assert [entry["resource"]["id"] for entry in device.json()["entry"]] == ["dxa-1"]


def test_a_search_by_post_is_kept_under_no_key_and_takes_a_form_alone(site: Made) -> None:
    address, header = "/fhir/Observation/_search", {**site.header, "Idempotency-Key": "k1"}
    first = site.client.post(address, data={"identifier": "HIP"}, headers=header)
    second = site.client.post(address, data={"identifier": "SPINE"}, headers=header)
    assert [len(answer.json()["entry"]) for answer in (first, second)] == [2, 1]
    refused = site.client.post(address, json={"identifier": "HIP"}, headers=site.header)
    assert (refused.status_code, faults(refused.json())) == (415, [])
    unreadable = site.client.post(
        address, content=b"&".join([b"a=1"] * 101), headers={**site.header, "Content-Type": FORM}
    )
    assert unreadable.status_code == 400


def test_a_search_that_cannot_be_put_on_record_is_not_answered_by_post_either(site: Made, tmp_path: Path) -> None:
    with serving(
        tmp_path, trail=BrokenTrail(), measurements=DatabaseMeasurements(site.database.connect, "test-site")
    ) as both:
        rig, client = both
        answer = client.post(
            "/fhir/Observation/_search", data={"identifier": "HIP"}, headers=rig.token(Scope.FHIR_READ)
        )
    assert answer.status_code == 503
    assert (faults(answer.json()), "0.71" in answer.text) == ([], False)


# --- manner ------------------------------------------------------------------------------------------------


def test_who_has_the_version_is_told_so(site: Made) -> None:
    address = f"/fhir/Observation/{id_of(site.events['hip'], '0')}"
    first = site.get(address)
    assert first.headers["etag"] == f'W/"{first.json()["meta"]["versionId"]}"'
    again = site.get(address, **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("", "application/fhir+json", 200),
        ("", "application/fhir+json; fhirVersion=4.0", 200),
        ("", "application/fhir+xml, application/json;q=0.5", 200),
        ("", "*/*", 200),
        ("?_format=json", "application/fhir+xml", 200),
        ("?_format=application/fhir%2Bjson", "text/html", 200),
        ("?_format=application/fhir+json", "text/html", 200),
        ("", "application/fhir+xml", 406),
        ("", "application/fhir+json; fhirVersion=3.0", 406),
        ("", "application/fhir+json;q=0", 406),
        ("?_format=xml", "*/*", 406),
    ],
)
def test_json_of_r4_is_spoken_and_nothing_else(site: Made, query: str, accept: str, status: int) -> None:
    answer = site.get(f"/fhir/Device{query}", Accept=accept)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/fhir+json"


def test_what_goes_wrong_is_an_operation_outcome(site: Made) -> None:
    wrong = {"Authorization": f"Bearer bwt_{'x' * 43}"}
    other = site.rig.token(Scope.GATES_READ, name="Other")
    told = {
        (401, "login"): site.client.get("/fhir/Observation"),
        (401, "login "): site.client.get("/fhir/Device", headers=wrong),
        (403, "forbidden"): site.client.get("/fhir/Device", headers=other),
        (404, "not-found"): site.get("/fhir/Patient/1"),
        (404, "not-found "): site.get("/fhir/Observation/nothing"),
        (404, "not-found  "): site.get("/fhir/Device/dxa-9"),
        (404, "not-found   "): site.get("/fhir/DeviceMetric/dxa-1..weight"),
        (405, "not-supported"): site.client.post("/fhir/Observation", headers=site.header),
        (406, "not-supported"): site.get("/fhir/Device", Accept="application/fhir+xml"),
    }
    for (status, code), answer in told.items():
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/fhir+json"
        assert (faults(answer.json()), answer.json()["issue"][0]["code"]) == ([], code.strip())
    assert "Bearer" in told[401, "login"].headers["www-authenticate"]


def test_too_many_requests_a_database_that_is_away_and_a_fault_of_ours_are_outcomes_too(tmp_path: Path) -> None:
    def away() -> Db:
        raise DatabaseAwayError("the embedded database is not up yet")

    limits = ApiSettings(requests_a_minute=3)
    with serving(tmp_path, api=limits, measurements=DatabaseMeasurements(away, "test-site")) as (rig, client):
        header = rig.token(Scope.FHIR_READ)
        answers = [client.get("/fhir/Observation?identifier=A", headers=header)]
        rig.site.views["dxa-1"] = replace(rig.site.views["dxa-1"], id="x" * 80)
        answers += [client.get("/fhir/Device", headers=header), client.get("/fhir/metadata")]
        answers += [client.get("/fhir/Device/dxa-2", headers=header), client.get("/fhir/Device", headers=header)]
    assert [answer.status_code for answer in answers] == [503, 500, 200, 200, 429]
    codes = [answer.json()["issue"][0]["code"] for answer in answers if answer.status_code != 200]
    assert codes == ["transient", "exception", "throttled"]
    assert "not up yet" in answers[0].text


def test_reads_linked_to_patients_are_on_record_and_those_of_devices_are_not(site: Made) -> None:
    site.rig.trail.entries.clear()
    observation = id_of(site.events["hip"], "0")
    site.get(f"/fhir/Observation/{observation}")
    site.get("/fhir/Observation?identifier=HIP&subject:identifier=1.p_1&Jones=1931")
    site.get(f"/fhir/Provenance/{id_of(site.events['hip'])}")
    site.get("/fhir/Device/dxa-1")
    assert [(use.route, use.subject, use.query) for use in site.rig.trail.entries] == [
        ("/fhir/Observation/{observation_id}", {"observation_id": observation}, ()),
        ("/fhir/Observation", {}, ("identifier", "subject:identifier")),
        ("/fhir/Provenance/{provenance_id}", {"provenance_id": id_of(site.events["hip"])}, ()),
    ]


def test_a_clinician_reads_and_an_engineer_does_not(site: Made) -> None:
    assert site.client.get("/fhir/Device", auth=("Pat Nurse", PASSWORD)).status_code == 200
    assert site.client.get("/fhir/Device", auth=("Eng Ineer", PASSWORD)).status_code == 403
