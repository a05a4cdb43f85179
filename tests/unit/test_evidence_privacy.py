"""What may be told of a message in an evidence pack: every type that can hold a patient's data has its list."""

import json
from typing import get_args

import msgspec
import pytest

from streams import codec
from streams.messages import (
    DeviceRetired,
    Event,
    Fact,
    Message,
    Outcome,
    PatientMeasured,
    RegionMeasured,
    SessionOpened,
    SessionPurpose,
    type_name,
)
from streams.record.evidence import OPEN_FIELDS, part_of
from tests.folding import MONDAY, OPERATOR

OF_PATIENTS = {
    "accession_number",
    "pseudonym",
    "requests",
    "measured",
    "regions",
    "weight_kg",
    "height_cm",
    "cross_calibrated",
    "mpps_uid",
    "study_instance_uid",
    "procedure_code",
    "population",
    "anatomy",
}
"""Fields of messages that say something of a patient."""


def event(fact: Fact) -> bytes:
    return codec.encode(Event("e1", "bath/dxa-1", "log", 1, MONDAY, 3, fact))


@pytest.mark.parametrize("message", [*get_args(Fact), *get_args(Outcome)], ids=lambda one: one.__name__)
def test_a_type_with_a_patients_data_is_never_told_whole(message: type[Message]) -> None:
    fields = {field.name for field in msgspec.structs.fields(message)}
    name = str(message.__struct_config__.tag)
    if fields & OF_PATIENTS:
        assert name in OPEN_FIELDS
    assert not OPEN_FIELDS.get(name, frozenset()) & OF_PATIENTS
    assert OPEN_FIELDS.get(name, frozenset()) <= fields


def test_of_a_patients_measurement_only_the_open_fields_are_told() -> None:
    fact = PatientMeasured("ACC1", MONDAY, "2.25.1", "PSEUDO", (RegionMeasured("L1-L4", 1.1),), mode="spine-hip")
    part = part_of(event(fact), "fact")
    assert part.text is None
    assert part.told is not None
    assert part.told["fact"] == {"type": type_name(fact), "measured_at": "2026-11-02T07:45:00Z", "mode": "spine-hip"}
    assert not [one for one in ("ACC1", "PSEUDO", "2.25.1", "1.1") if one in json.dumps(part.told)]


def test_a_session_is_told_whole_where_it_is_a_check_and_without_its_request_where_it_is_a_patients() -> None:
    check = SessionOpened("s1", SessionPurpose.CHECK, OPERATOR, MONDAY, standard_id="W50")
    patient = SessionOpened("s2", SessionPurpose.PATIENT, OPERATOR, MONDAY, accession_number="ACC1")
    assert part_of(event(check), "fact").text == event(check).decode()
    told = part_of(event(patient), "fact")
    assert told.text is None
    assert "ACC1" not in json.dumps(told.told)


def test_what_a_later_version_wrote_is_withheld() -> None:
    body = json.loads(event(DeviceRetired("worn out", OPERATOR)))
    assert part_of(json.dumps(body).encode(), "fact").text is not None
    body["fact"]["patients_name"] = "Invented Person"
    part = part_of(json.dumps(body).encode(), "fact")
    assert (part.text, part.told and part.told["fact"]["reason"]) == (None, "worn out")
    assert "Invented" not in json.dumps(part.told)
    body["fact"]["type"] = "bonewatch.device-retired.v9"
    part = part_of(json.dumps(body).encode(), "fact")
    assert (part.text, part.told and part.told["fact"]) == (None, {"type": "bonewatch.device-retired.v9"})
