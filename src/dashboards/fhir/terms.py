"""Codes, units and identifiers: LOINC, SNOMED CT, UCUM, HL7's own, and Bonewatch's where those have none.

Our systems are UUIDs, for there is no address that a hospital's programs could rely on; `docs/fhir.md` lists them.

SNOMED CT's left femur is that of HL7's example of a bone density (observation-example-bmd), its other codes are by
DICOM's context groups 244 and 4031; LOINC's codes are those of `streams.quantities`.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from dashboards.fhir.model import FhirJson
from streams import quantities
from streams.quantities import PSEUDONYM_SYSTEM, Quantity, loinc

LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
UCUM: Final = "http://unitsofmeasure.org"
IDENTIFIER_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
OBSERVATION_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
OBSERVATION_STATUS: Final = "http://hl7.org/fhir/observation-status"
DATA_ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


class Ours(StrEnum):
    """Systems of Bonewatch's own."""

    CODES = "urn:uuid:8806b26f-127e-4f23-8db3-59fa5de4e92f"
    MEASUREMENT = "urn:uuid:7d56774a-82d8-41a4-b474-bd21f26e4147"
    DEVICE = "urn:uuid:d5f28bc2-4395-4c72-ad3a-b4517d838627"
    PSEUDONYM = f"urn:uuid:{PSEUDONYM_SYSTEM}"
    EVENT = "urn:uuid:e0934abf-627c-4d90-bd3c-01cc3d75bdaf"
    REVIEW = "urn:uuid:af0dfb17-4183-4e5b-8a81-bcfba629a67e"
    STUDY = "urn:uuid:1a99a9c9-6409-4f8f-9d65-3c6c9b9a23fc"
    SERIAL_COMPARISON = "urn:uuid:34d6c0aa-3b2a-4dd0-8239-8299177992d0"


class Quality(NamedTuple):
    """Something that is measured: our code and words, LOINC's code and words, UCUM's unit."""

    code: str
    words: str
    unit: str
    loinc: tuple[str, str] | None = None

    @property
    def concept(self) -> FhirJson:
        """What it is, as a CodeableConcept."""
        codings = [coding(LOINC, *self.loinc)] if self.loinc else []
        return {"coding": [*codings, coding(Ours.CODES, self.code, self.words)], "text": self.words}

    def of(self, anatomy: str, region: str) -> "Quality":
        """Return the same of a region, with LOINC's code where there is one."""
        return self._replace(loinc=loinc(Quantity(self.code, self.words, self.unit), anatomy, region))

    def quantity(self, value: float) -> FhirJson:
        """Return a value in its unit."""
        return {"value": value, "unit": self.unit.strip("{}"), "system": UCUM, "code": self.unit}


WEIGHT: Final = Quality(*quantities.WEIGHT, loinc(quantities.WEIGHT))
HEIGHT: Final = Quality(*quantities.HEIGHT, loinc(quantities.HEIGHT))
BMD: Final = Quality(*quantities.BMD)
BMC: Final = Quality(*quantities.BMC)
AREA: Final = Quality(*quantities.AREA)
T_SCORE: Final = Quality(*quantities.T_SCORE)
Z_SCORE: Final = Quality(*quantities.Z_SCORE)
ANYTHING: Final = Quality("measurement", "Measurement of a patient", "1")

QUALITY_OF_KIND: Final = {"scanner": BMD, "scale": WEIGHT, "hoist": WEIGHT, "stadiometer": HEIGHT}
"""What a device measures, by its kind."""

SITES: Final = {
    "hip": ("71341001", "Femur"),
    "spine": ("122496007", "Lumbar spine"),
    "forearm": ("14975008", "Forearm"),
    "whole_body": ("38266002", "Entire body"),
}
"""SNOMED CT's body structures by anatomy."""

SIDES: Final = {"left": "7771000", "right": "24028007"}
LATERALITY: Final = "272741003"


def coding(system: str, code: str, display: str | None = None) -> FhirJson:
    """Return a Coding."""
    return {"system": str(system), "code": code, "display": display}


def concept(system: str, code: str, display: str | None = None) -> FhirJson:
    """Return a CodeableConcept of one code."""
    return {"coding": [coding(system, code, display)]}


def identifier(system: str, value: str) -> FhirJson:
    """Return an Identifier of ours."""
    return {"system": str(system), "value": value}


def accession(number: str) -> FhirJson:
    """Return a request's accession number; who assigns it is not known here."""
    return {"type": concept(IDENTIFIER_TYPE, "ACSN", "Accession ID"), "value": number}


def serial_number(serial: str) -> FhirJson:
    """Return a device's serial number as an Identifier."""
    return {"type": concept(IDENTIFIER_TYPE, "SNO", "Serial Number"), "value": serial}


def instant(moment: datetime) -> str:
    """Return a time with its zone, UTC."""
    return moment.astimezone(UTC).isoformat()
