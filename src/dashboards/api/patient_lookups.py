"""`POST /api/v1/patient-lookups`: somebody's last visit, for whoever books; a POST so that no address names anybody.

The patient's id is made into a pseudonym here and forgotten.
"""

from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from dashboards.access.needs import needs
from dashboards.access.scopes import Scope
from dashboards.auth import Visit
from dashboards.context import Console
from dashboards.errors import refusal
from dashboards.looking_up import last_visit
from streams.visits import LastVisit

Sent = Annotated[str, msgspec.Meta(max_length=64)]


class PatientLookup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is asked about: the patient's id as the scanners get it, or the accession number of an earlier request."""

    patient_id: Sent = ""
    accession_number: Sent = ""


class LookupAnswer(msgspec.Struct, frozen=True):
    """The last visit; null where nothing was measured here, or of somebody who is not known."""

    last_visit: LastVisit | None


@post(
    "/patient-lookups",
    **needs(Scope.MEASUREMENTS_READ, patient_linked=True, asks_only=True),
    status_code=200,
    sync_to_thread=True,
)
def look_up_patient(console: NamedDependency[Console], request: Visit, data: JSONBody[PatientLookup]) -> LookupAnswer:
    """Somebody's last visit: what the devices had, which scanner to book, weight and height then. Nothing is kept."""
    given = [name for name in ("patient_id", "accession_number") if getattr(data, name).strip()]
    if len(given) != 1:
        words = "Send one of the two"
        raise refusal(422, "Send patient_id or accession_number", {"patient_id": words, "accession_number": words})
    found = last_visit(console, request.scope, patient_id=data.patient_id, accession_number=data.accession_number)
    return LookupAnswer(found)
