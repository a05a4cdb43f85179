"""Entries of the equipment log, incidents, files added to them: they are kept for people, and alter nothing.

What an entry is about, and whether an incident is open, stands in the log and not in a device's state: incidents have
no bound, a state has. `refuse_unnamed` asks the log, at the command's turn; the rest is decided as everywhere.
"""

import re
from datetime import datetime
from typing import Final, Protocol

from streams.commands import AddAttachment, CloseIncident, Command, Decision, MakeLogEntry, RecordIncident, Refusal
from streams.fold.decisions.base import MISSING, NOT_NOW, decided, drafts_from, refuse_role, refuse_text
from streams.fold.state import DeviceState
from streams.messages import (
    AttachmentAdded,
    EntryKind,
    IncidentClosed,
    IncidentRecorded,
    LogEntryMade,
)
from streams.roles import Permission

INCIDENT_KINDS: Final = ("incident", "near_miss")
"""What people report; an override and a bypass open incidents of their own kinds."""
MAX_FILES: Final = 20
"""Files added to one thing; local policy."""
MAX_FILE_BYTES: Final = 10_000_000
"""The largest file that is kept; local policy."""
MEDIA_TYPES: Final = frozenset({"application/pdf", "image/png", "image/jpeg"})
MAX_NAME: Final = 120

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Named(Protocol):
    """What stands in a device's log under a name: an event's id, or an outcome's."""

    def has(self, device: str, name: str) -> bool:
        """Whether the log of the device holds an event or an outcome of this id."""

    def incident(self, device: str, incident_id: str) -> bool | None:
        """Whether an incident is open; None where there is none of this id."""

    def files(self, device: str, about: str) -> int:
        """Return how many files were added to what `about` names."""


def refuse_unnamed(command: Command, named: Named) -> Refusal | None:
    """Refuse a command about something that the device's log does not hold, or about an incident that is closed."""
    match command:
        case CloseIncident(device=device, incident_id=incident_id):
            is_open = named.incident(device, incident_id)
            if is_open is None:
                return Refusal(MISSING, "There is no such incident on this device.")
            return None if is_open else Refusal(NOT_NOW, "That incident is closed already.")
        case MakeLogEntry(device=device, about=about) if about:
            return _refuse_about(named, device, about)
        case AddAttachment(device=device, about=about):
            if named.files(device, about) >= MAX_FILES:
                return Refusal(NOT_NOW, f"{MAX_FILES} files were added to it already: add this one to another entry.")
            return _refuse_about(named, device, about)
        case _:
            return None


def _refuse_about(named: Named, device: str, about: str) -> Refusal | None:
    if named.has(device, about):
        return None
    return Refusal(MISSING, "What it is about is not in the log of this device.")


@decided.register
def _make_log_entry(command: MakeLogEntry, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.WRITE_LOG) or refuse_text("the text", command.text)
    if refusal is None and command.kind is EntryKind.COMMENT and not command.about:
        refusal = Refusal(MISSING, "A comment names the entry that it is about.")
    return refusal or drafts_from(
        command, LogEntryMade(command.kind, command.text.strip(), command.actor, command.about)
    )


@decided.register
def _record_incident(command: RecordIncident, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.WRITE_LOG)
    if refusal is None and command.kind not in INCIDENT_KINDS:
        refusal = Refusal(MISSING, "Say whether it was an incident or a near miss.")
    refusal = refusal or refuse_text("what happened", command.text)
    return refusal or drafts_from(command, IncidentRecorded(command.kind, command.text.strip(), command.actor))


@decided.register
def _close_incident(command: CloseIncident, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = refuse_role(command, Permission.CLOSE_INCIDENT) or refuse_text("what was found", command.finding)
    if refusal is None and not command.incident_id:
        refusal = Refusal(MISSING, "Name the incident.")
    return refusal or drafts_from(command, IncidentClosed(command.incident_id, command.finding.strip(), command.actor))


@decided.register
def _add_attachment(command: AddAttachment, state: DeviceState, now: datetime) -> Decision:  # noqa: ARG001
    refusal = (
        refuse_role(command, Permission.WRITE_LOG)
        or _refuse_file(command)
        or refuse_text("the note", command.text, required=False)
    )
    if refusal is None and not command.about:
        refusal = Refusal(MISSING, "A file is added to something: name it.")
    return refusal or drafts_from(
        command, AttachmentAdded(command.attachment, command.about, command.actor, command.text.strip())
    )


def _refuse_file(command: AddAttachment) -> Refusal | None:
    """Refuse a file that no store of ours would have taken."""
    file = command.attachment
    if not _DIGEST.fullmatch(file.digest):
        return Refusal(MISSING, "A file is named by the SHA-256 of its content.")
    if file.media_type not in MEDIA_TYPES:
        return Refusal(MISSING, "A PDF, a PNG or a JPEG is kept.")
    if not 0 < file.size <= MAX_FILE_BYTES:
        return Refusal(MISSING, f"A file has at most {MAX_FILE_BYTES / 1e6:g} MB, and is not empty.")
    if not 0 < len(file.name) <= MAX_NAME or not file.name.isprintable() or set(file.name) & set("/\\"):
        return Refusal(MISSING, f"A file's name has at most {MAX_NAME} characters, and no path in it.")
    return None
