"""Observations: one for each value of a measurement; one without a value where there is none to use.

The status follows FHIR's definitions. A BMD is ``preliminary`` ("data may be incomplete or unverified": it is not
reported yet), weight and height are ``final``; a physicist's decision in force makes either ``amended``. What is
withheld is ``registered`` ("there is no result yet available"): a physicist may release it. An analysis with a newer
one of the same acquisition beside it is ``entered-in-error`` ("withdrawn following previous release"), or
``cancelled`` if it never was released. None of these three has a value.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

from dashboards.fhir.device import Devices
from dashboards.fhir.identity import id_of, names_of
from dashboards.fhir.model import FhirJson, versioned
from dashboards.fhir.terms import (
    ANYTHING,
    AREA,
    BMC,
    BMD,
    DATA_ABSENT,
    HEIGHT,
    LATERALITY,
    OBSERVATION_CATEGORY,
    QUALITY_OF_KIND,
    SIDES,
    SITES,
    SNOMED,
    T_SCORE,
    WEIGHT,
    Z_SCORE,
    Ours,
    Quality,
    accession,
    coding,
    concept,
    identifier,
    instant,
)
from streams.measurements import Amendment, Measurement, RawRegion, SerialValue, serial_values
from streams.quantities import is_lumbar

PROFILES: Final = {
    "weight": "http://hl7.org/fhir/StructureDefinition/bodyweight",
    "height": "http://hl7.org/fhir/StructureDefinition/bodyheight",
}
"""HL7's vital signs that these are, where the person is known."""

WITHOUT_VALUE: Final = frozenset({"registered", "cancelled", "entered-in-error"})
SERIAL_IS_FOR: Final = "for serial comparison with the named device only; never for T-score or FRAX"


class Part(NamedTuple):
    """One value of a measurement: how its id ends, what it is, the value, and the region that it is of."""

    key: str
    quality: Quality
    value: float | None = None
    region: RawRegion | None = None


def observations(one: Measurement, devices: Devices) -> list[FhirJson]:
    """Return the observations of a measurement, in one order for good."""
    return [_observation(one, part, devices) for part in _parts(one, devices)]


def observation_ids(one: Measurement, devices: Devices) -> list[str]:
    """Return the ids of a measurement's observations."""
    return [_id(one, part) for part in _parts(one, devices)]


def event_of(observation_id: str) -> str | None:
    """Return which measurement an observation is of; None for what is no id of one."""
    names = names_of(observation_id)
    return names[0] if names else None


def person(pseudonym: str) -> FhirJson | None:
    """Refer to a person by pseudonym: there is no Patient to look up."""
    return {"type": "Patient", "identifier": identifier(Ours.PSEUDONYM, pseudonym)} if pseudonym else None


def described(one: Measurement) -> str:
    """Return the device as it was at a measurement."""
    words = [" ".join(filter(None, (one.make, one.model)))]
    words += [f"serial {one.serial}"] if one.serial else []
    words += [f"software {one.software}"] if one.software else []
    return ", ".join(filter(None, words)) or one.device.rpartition("/")[2]


def _parts(one: Measurement, devices: Devices) -> list[Part]:
    if one.standing == "withheld":
        kind = one.kind or devices.kind(one.device)
        return [Part("", QUALITY_OF_KIND.get(kind, ANYTHING))]
    found = []
    if one.weight_kg is not None:
        found.append(Part("weight", WEIGHT, one.weight_kg))
    if one.height_cm is not None:
        found.append(Part("height", HEIGHT, one.height_cm))
    places = zip(count(), one.regions, strict=False)
    return found + [Part(str(place), BMD.of(one.anatomy, of.region), of.bmd_g_cm2, of) for place, of in places]


def _observation(one: Measurement, part: Part, devices: Devices) -> FhirJson:
    status = _status(one, part)
    has_value = status not in WITHOUT_VALUE
    return versioned(
        "Observation",
        id=_id(one, part),
        meta={"profile": [PROFILES[part.key]]} if part.key in PROFILES and one.pseudonym else None,
        extension=list(_serial_comparisons(one, part.region)) if has_value else None,
        identifier=[
            identifier(Ours.MEASUREMENT, one.event_id),
            *([accession(one.accession_number)] if one.accession_number else []),
        ],
        basedOn=[{"type": "ServiceRequest", "identifier": accession(one.accession_number)}]
        if one.accession_number
        else None,
        status=status,
        category=[concept(OBSERVATION_CATEGORY, _category(part))],
        code=part.quality.concept,
        subject=person(one.pseudonym),
        effectiveDateTime=instant(one.measured_at),
        issued=instant(max([one.recorded_at, *(amendment.decided_at for amendment in one.amendments)])),
        valueQuantity=part.quality.quantity(part.value) if has_value and part.value is not None else None,
        dataAbsentReason=_absent(one, status) if not has_value else None,
        note=list(_notes(one, part)),
        bodySite=_body_site(one, part.region) if part.region is not None else None,
        method={"text": f"DXA, mode {one.mode}"} if part.region is not None and one.mode else None,
        device=devices.reference(one.device, described(one)),
        component=list(_components(one, part.region)) if has_value and part.region is not None else None,
    )


def _id(one: Measurement, part: Part) -> str:
    return id_of(one.event_id, part.key) if part.key else id_of(one.event_id)


def _status(one: Measurement, part: Part) -> str:
    if one.status == "superseded":
        return "cancelled" if one.standing == "withheld" else "entered-in-error"
    if one.status == "withheld":
        return "registered"
    if one.amendments:
        return "amended"
    return "preliminary" if part.region is not None else "final"


def _category(part: Part) -> str:
    return "vital-signs" if part.quality.code in PROFILES else "imaging"


def _absent(one: Measurement, status: str) -> FhirJson:
    if status == "registered":
        words = f"withheld: {', '.join(one.reason_codes)}"
        return {"coding": [coding(DATA_ABSENT, "temp-unknown", "Temporarily Unknown")], "text": words}
    return {"text": "a newer analysis of the same acquisition is there: take that one"}


def _body_site(one: Measurement, of: RawRegion) -> FhirJson:
    """Return where it was measured, with its side."""
    words = f"{of.region}, {of.laterality}" if of.laterality else of.region
    site = SITES.get(one.anatomy)
    if site is None or (one.anatomy == "spine" and not is_lumbar(of.region)):
        return {"text": words}
    code, name = site
    if side := SIDES.get(of.laterality):
        return {"coding": [coding(SNOMED, f"{code}:{LATERALITY}={side}")], "text": words}
    return {"coding": [coding(SNOMED, code, name)], "text": words}


def _components(one: Measurement, of: RawRegion) -> Iterator[FhirJson]:
    for quality, value in ((T_SCORE, of.t_score), (Z_SCORE, of.z_score), (BMC, of.bmc_g), (AREA, of.area_cm2)):
        if value is not None:
            yield {"code": quality.of(one.anatomy, of.region).concept, "valueQuantity": quality.quantity(value)}


def _serial_comparisons(one: Measurement, of: RawRegion | None) -> Iterator[FhirJson]:
    """Yield what other scanners would read: as extensions, so that nobody takes one for the value by accident."""
    values: Sequence[SerialValue] = serial_values(one) if of is not None else ()
    for value in values:
        if of is None or value.region != of.region:
            continue
        parts: list[tuple[str, str, Any]] = [
            ("is-for", "valueString", SERIAL_IS_FOR),
            ("as-device", "valueString", value.as_device),
            ("bmd", "valueQuantity", BMD.quantity(value.bmd_g_cm2)),
            ("standard-error", "valueQuantity", BMD.quantity(value.standard_error_g_cm2)),
            ("study", "valueIdentifier", identifier(Ours.STUDY, f"{value.study_id}/{value.version}")),
        ]
        found = [{"url": url, name: content} for url, name, content in parts]
        yield {"url": Ours.SERIAL_COMPARISON.value, "extension": found}


def _notes(one: Measurement, part: Part) -> Iterator[FhirJson]:
    """Yield what whoever reports must know."""
    if one.is_overridden:
        yield {"text": "Measured while the device's gate was overridden."}
    if one.issue_codes:
        yield {"text": f"Known of the device then: {', '.join(one.issue_codes)}."}
    if any(not standing.is_comparable for standing in one.qc):
        yield {
            "text": "Nobody has reviewed the step to the baseline in force: not to be compared with values before it."
        }
    if one.released_by:
        yield {"text": f"Released although it had been withheld: {one.release_reason}", "authorString": one.released_by}
    for change in one.changes if part.region is not None else ():
        if part.region is not None and change.region == part.region.region:
            words = f"Least significant change {change.value:g} {change.unit} ({change.population}; {change.source})."
            yield {"text": words}
    for amendment in one.amendments:
        yield {
            "authorString": amendment.decided_by,
            "time": instant(amendment.decided_at),
            "text": amended_words(amendment),
        }


def amended_words(amendment: Amendment) -> str:
    """Return a decision in words, with how far off the device is held to have been then."""
    words = f"{amendment.verdict}: {amendment.text}"
    if amendment.size is None:
        return words
    words += f" (the device was {amendment.size:+.3g} {amendment.unit} off"
    if amendment.size_low is None or amendment.size_high is None:
        return f"{words})"
    return f"{words}, 95 % interval {amendment.size_low:+.3g} to {amendment.size_high:+.3g})"
