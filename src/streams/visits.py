"""What whoever books or scans somebody again must know of the last time: plain values for pages and programs."""

from datetime import datetime

import msgspec


class SeveralPeopleError(Exception):
    """A request's number stands for more than one person."""


class PersonQuery(msgspec.Struct, frozen=True):
    """Who is asked about: by pseudonyms (one person's, of all versions), or by the number of an earlier request."""

    pseudonyms: tuple[str, ...] = ()
    accession_number: str = ""


class VisitMeasurement(msgspec.Struct, frozen=True):
    """A measurement of the last visit, as it stands now; `status` as of `streams.measurements.Measurement`."""

    event_id: str
    device: str
    kind: str
    mode: str
    anatomy: str
    measured_at: datetime
    status: str
    withheld_for: tuple[str, ...]
    issues: tuple[str, ...]
    is_overridden: bool
    is_amended: bool


class FollowUp(msgspec.Struct, frozen=True):
    """Where a site of the body is best measured again: on the scanner of the last one that can be compared.

    `laterality` is the side, blank where there is none or it is not known. `version` is the rule's. Where none
    can be compared it is that of the last one, and `why_not` is ``step`` (of the scanner since then, not reviewed) or
    ``replaced`` (the scanner is another one now).
    """

    anatomy: str
    device: str
    serial: str
    measured_at: datetime
    event_id: str
    is_comparable: bool
    why_not: str
    is_amended: bool
    version: int
    text: str
    laterality: str = ""


class Stature(msgspec.Struct, frozen=True):
    """The last weight (kg) or height (cm) that a device measured."""

    value: float
    unit: str
    measured_at: datetime
    event_id: str


class LastVisit(msgspec.Struct, frozen=True):
    """The last time that somebody was measured; `issues` are what the devices had then."""

    measured_at: datetime
    accession_numbers: tuple[str, ...]
    measurements: tuple[VisitMeasurement, ...]
    issues: tuple[str, ...]
    follow_up: tuple[FollowUp, ...]
    weight: Stature | None
    height: Stature | None
