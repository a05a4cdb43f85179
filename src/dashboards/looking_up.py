"""Looks somebody's last visit up, for a program that books and for whoever scans; what was asked is kept nowhere."""

from typing import Final

from litestar.exceptions import ServiceUnavailableException
from litestar.types import Scope

from dashboards.audit.middleware import note_subject
from dashboards.context import Console
from dashboards.errors import refusal
from streams.measurements import MeasurementsAwayError
from streams.visits import LastVisit, PersonQuery, SeveralPeopleError

KEY_LOST: Final = (
    "A key of the pseudonyms is lost, so not everybody can be found by id: ask with the accession number of an earlier"
    " scan, and have `bonewatch pseudonym status` looked at"
)
NO_DATABASE: Final = "This site keeps no database, from which measurements are read: set [database] enabled = true"


def last_visit(console: Console, scope: Scope, *, patient_id: str, accession_number: str) -> LastVisit | None:
    """Return the last visit of whom either names; what was found goes on record by pseudonym or number.

    Raises
    ------
    ServiceUnavailableException
        There is no database, it cannot be read now, or nobody was found and a key is lost.
    HTTPException
        The number stands for several people (409).
    """
    if console.measurements is None:
        raise ServiceUnavailableException(NO_DATABASE)
    number = accession_number.strip().replace("\x00", "\ufffd")
    keys = console.pseudonyms if patient_id.strip() else None
    names = keys.all_of(patient_id) if keys is not None else ()
    try:
        found = console.measurements.last_visit(PersonQuery(names, number if not patient_id.strip() else ""))
    except MeasurementsAwayError as error:
        raise ServiceUnavailableException(f"Measurements cannot be read now: {error}") from error
    except SeveralPeopleError as error:
        raise refusal(409, "This accession number stands for several people: ask with the patient's id") from error
    if found is None and keys is not None and keys.missing():
        raise ServiceUnavailableException(KEY_LOST)
    if found is not None:
        note_subject(scope, {"pseudonym": names[0]} if names else {"accession_number": number})
    return found
