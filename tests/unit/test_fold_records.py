"""The equipment log's commands: who may write what, what is missing, and that none of it alters a device."""

from typing import Any

import pytest
from msgspec.structs import replace

from streams.commands import AddAttachment, CloseIncident, Command, MakeLogEntry, RecordIncident, Refusal
from streams.fold.decisions.records import MAX_FILES, refuse_unnamed
from streams.fold.state import blob_from_state
from streams.messages import Attachment, EntryKind, Person
from tests.folding import ENGINEER, OPERATOR, PHYSICIST, Folded, in_service

MANAGER = Person("Mo Manager", "manager")
ADMIN = Person("Al Admin", "admin")
FILE = Attachment("a" * 64, "report.pdf", "application/pdf", 1200)


def ask(folded: Folded, command: type[Command], actor: Person = OPERATOR, /, **fields: object) -> Refusal | None:
    whole: Any = {"device": folded.state.device, "actor": actor, "request_id": "r1", **fields}
    return folded.command(command(**whole))


def refused(command: type[Command], actor: Person = OPERATOR, /, **fields: object) -> Refusal:
    refusal = ask(in_service(), command, actor, **fields)
    assert refusal is not None
    return refusal


@pytest.mark.parametrize("person", [OPERATOR, PHYSICIST, ENGINEER, MANAGER])
def test_entries_incidents_comments_and_files_alter_nothing_but_the_place_in_the_log(person: Person) -> None:
    folded = in_service()
    before = folded.state
    for kind, fields in (
        (MakeLogEntry, {"kind": EntryKind.DAILY, "text": "quiet day"}),
        (MakeLogEntry, {"kind": EntryKind.COMMENT, "text": "seen", "about": "e1"}),
        (RecordIncident, {"kind": "near_miss", "text": "wrong side"}),
        (AddAttachment, {"attachment": FILE, "about": "e1"}),
    ):
        assert ask(folded, kind, person, **fields) is None
    after = replace(folded.state, device_seq=before.device_seq, now=before.now)
    assert folded.state.device_seq == before.device_seq + 4
    assert blob_from_state(after) == blob_from_state(before)


@pytest.mark.parametrize("person", [PHYSICIST, MANAGER])
def test_an_incident_is_closed_with_what_was_found(person: Person) -> None:
    assert ask(in_service(), CloseIncident, person, incident_id="i1", finding="cable was loose") is None


@pytest.mark.parametrize("person", [OPERATOR, ENGINEER, ADMIN])
def test_who_works_the_device_does_not_close_its_incidents(person: Person) -> None:
    assert refused(CloseIncident, person, incident_id="i1", finding="cable").code == "forbidden"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (MakeLogEntry, {"kind": EntryKind.DAILY, "text": "x"}),
        (RecordIncident, {"kind": "incident", "text": "x"}),
        (AddAttachment, {"attachment": FILE, "about": "e1"}),
    ],
)
def test_an_administrator_writes_nothing(kind: type[Command], fields: dict[str, object]) -> None:
    assert refused(kind, ADMIN, **fields).code == "forbidden"


@pytest.mark.parametrize(
    ("kind", "person", "fields", "says"),
    [
        (MakeLogEntry, OPERATOR, {"kind": EntryKind.DAILY, "text": " "}, "Give the text"),
        (MakeLogEntry, OPERATOR, {"kind": EntryKind.OTHER, "text": "x" * 501}, "under 500"),
        (MakeLogEntry, OPERATOR, {"kind": EntryKind.COMMENT, "text": "x"}, "names the entry"),
        (RecordIncident, OPERATOR, {"kind": "incident", "text": ""}, "Give what happened"),
        (RecordIncident, OPERATOR, {"kind": "override", "text": "x"}, "incident or a near miss"),
        (CloseIncident, PHYSICIST, {"incident_id": "i1", "finding": ""}, "Give what was found"),
        (CloseIncident, PHYSICIST, {"incident_id": "", "finding": "x"}, "Name the incident"),
        (AddAttachment, OPERATOR, {"attachment": FILE, "about": ""}, "added to something"),
    ],
)
def test_what_is_missing_is_said(kind: type[Command], person: Person, fields: dict[str, object], says: str) -> None:
    refusal = refused(kind, person, **fields)
    assert refusal.code == "missing"
    assert says in refusal.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"digest": "../../etc/passwd"},
        {"digest": "A" * 64},
        {"media_type": "text/html"},
        {"size": 0},
        {"size": 10_000_001},
        {"name": ""},
        {"name": "../report.pdf"},
        {"name": "a\\b.pdf"},
        {"name": "line\nbreak.pdf"},
        {"name": "x" * 121},
    ],
)
def test_a_file_that_no_store_would_have_taken_is_refused(wrong: dict[str, Any]) -> None:
    assert refused(AddAttachment, attachment=replace(FILE, **wrong), about="e1").code == "missing"


def test_a_page_that_is_out_of_date_writes_nothing() -> None:
    folded = in_service()
    command = MakeLogEntry(
        device=folded.state.device, actor=OPERATOR, request_id="r1", kind=EntryKind.DAILY, text="quiet"
    )
    refusal = folded.command(command, stale_by=1)
    assert refusal is not None
    assert refusal.code == "stale"


class Log:
    """What a log holds of one device: two events, an open incident and a closed one."""

    def has(self, device: str, name: str) -> bool:
        return (device, name) in {("s/d", "e1"), ("s/d", "full")}

    def incident(self, device: str, incident_id: str) -> bool | None:
        return {("s/d", "open"): True, ("s/d", "closed"): False}.get((device, incident_id))

    def files(self, device: str, about: str) -> int:
        return MAX_FILES if (device, about) == ("s/d", "full") else MAX_FILES - 1


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        (CloseIncident, {"incident_id": "open", "finding": "x"}, None),
        (CloseIncident, {"incident_id": "closed", "finding": "x"}, "not_now"),
        (CloseIncident, {"incident_id": "e1", "finding": "x"}, "missing"),
        (MakeLogEntry, {"kind": EntryKind.COMMENT, "text": "x", "about": "e1"}, None),
        (MakeLogEntry, {"kind": EntryKind.COMMENT, "text": "x", "about": "e2"}, "missing"),
        (MakeLogEntry, {"kind": EntryKind.DAILY, "text": "x"}, None),
        (AddAttachment, {"attachment": FILE, "about": "e1"}, None),
        (AddAttachment, {"attachment": FILE, "about": "e2"}, "missing"),
        (AddAttachment, {"attachment": FILE, "about": "full"}, "not_now"),
    ],
)
@pytest.mark.parametrize("device", ["s/d", "s/other"])
def test_only_what_stands_in_the_device_s_own_log_can_be_written_about(
    kind: type[Command], fields: dict[str, Any], code: str | None, device: str
) -> None:
    whole: Any = {"device": device, "actor": PHYSICIST, "request_id": "r1", **fields}
    refusal = refuse_unnamed(kind(**whole), Log())
    if device == "s/other" and (fields.get("about") or "incident_id" in fields):
        code = "missing"
    assert (refusal.code if refusal else None) == code
