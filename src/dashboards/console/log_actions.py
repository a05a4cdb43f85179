"""Forms of the equipment log: an entry, a comment, an incident and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dashboards.console.action import Action, Asked, Field, FieldKind
from dashboards.console.log_words import ENTRY_KINDS, incident
from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import CloseIncident, MakeLogEntry, RecordIncident
from streams.messages import EntryKind
from streams.readings import DeviceView
from streams.roles import Permission

_ENTRIES: Final = {kind.value: words for kind, words in ENTRY_KINDS.items() if kind is not EntryKind.COMMENT}
_REPORTED: Final = {
    "incident": "An incident: something happened",
    "near_miss": "A near miss: it nearly happened",
}
_NO_PATIENTS: Final = "No patient names or numbers."


def _entry_fields(_: Console, __: DeviceView) -> Sequence[Field]:
    return (
        Field(name="kind", label="What is it about?", kind=FieldKind.CHOICE, choices=_ENTRIES, value="daily"),
        Field(name="text", label="What happened?", kind=FieldKind.LONG_TEXT, hint=_NO_PATIENTS),
    )


def _entry(asked: Asked, typed: Typed, _: DeviceView) -> MakeLogEntry:
    kind = typed.choice("kind", _ENTRIES, "Say what it is about")
    return MakeLogEntry(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        kind=EntryKind(kind) if kind in _ENTRIES else EntryKind.OTHER,
        text=typed.text("text", "Say what happened"),
    )


def _comment_fields(_: Console, __: DeviceView) -> Sequence[Field]:
    return (
        Field(name="about", label="What it is about", kind=FieldKind.HIDDEN),
        Field(name="text", label="Comment", kind=FieldKind.LONG_TEXT, hint=_NO_PATIENTS),
    )


def _comment(asked: Asked, typed: Typed, _: DeviceView) -> MakeLogEntry:
    return MakeLogEntry(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        kind=EntryKind.COMMENT,
        text=typed.text("text", "Write the comment"),
        about=typed.text("about", "Open the entry in the equipment log and comment on it there"),
    )


def _incident_fields(_: Console, __: DeviceView) -> Sequence[Field]:
    return (
        Field(name="kind", label="What was it?", kind=FieldKind.CHOICE, choices=_REPORTED),
        Field(
            name="text",
            label="What happened, and what was done at once?",
            kind=FieldKind.LONG_TEXT,
            hint=f"{_NO_PATIENTS} Report a radiation incident by your employer's procedure too.",
        ),
    )


def _incident(asked: Asked, typed: Typed, _: DeviceView) -> RecordIncident:
    return RecordIncident(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        kind=typed.choice("kind", _REPORTED, "Say whether it was an incident or a near miss"),
        text=typed.text("text", "Say what happened"),
    )


def _open(view: DeviceView) -> dict[str, str]:
    return {one.id: incident(one) for one in view.incidents}


def _close_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    choices = _open(view)
    only = next(iter(choices)) if len(choices) == 1 else ""
    return (
        Field(name="incident_id", label="Which incident?", kind=FieldKind.CHOICE, choices=choices, value=only),
        Field(name="finding", label="What was found, and what follows from it?", kind=FieldKind.LONG_TEXT),
    )


def _close(asked: Asked, typed: Typed, view: DeviceView) -> CloseIncident:
    return CloseIncident(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        incident_id=typed.choice("incident_id", _open(view), "Choose an incident that is open"),
        finding=typed.text("finding", "Say what was found"),
    )


def _named(name: str) -> Callable[[DeviceView, Mapping[str, str]], Mapping[str, str]]:
    """Fill in one field from the address that led to the form."""
    return lambda _, query: {name: query[name]} if name in query else {}


LOG_ACTIONS: Final = (
    Action(
        slug="log-entry",
        title="Write in the equipment log",
        intro="What the next person should know. A fault or an incident has a form of its own.",
        submit="Write entry",
        done="Entry written.",
        permission=Permission.WRITE_LOG,
        offered=lambda _: True,
        fields=_entry_fields,
        command=_entry,
        page="log",
    ),
    Action(
        slug="comment",
        title="Comment",
        intro="A comment stands beside what it is about, and alters nothing of it.",
        submit="Add comment",
        done="Comment added.",
        permission=Permission.WRITE_LOG,
        offered=lambda _: False,
        fields=_comment_fields,
        command=_comment,
        page="log",
        prefill=_named("about"),
    ),
    Action(
        slug="report-incident",
        title="Report an incident",
        intro="Also a near miss. It stays open until a physicist or a manager has looked into it.",
        submit="Report incident",
        done="Incident recorded: it is open until somebody has looked into it.",
        permission=Permission.WRITE_LOG,
        offered=lambda _: True,
        fields=_incident_fields,
        command=_incident,
        page="log",
    ),
    Action(
        slug="close-incident",
        title="Close an incident",
        intro="Say what came of looking into it. What was recorded then stays as it is.",
        submit="Close incident",
        done="Incident closed.",
        permission=Permission.CLOSE_INCIDENT,
        offered=lambda view: bool(view.incidents),
        fields=_close_fields,
        command=_close,
        page="log",
        prefill=_named("incident_id"),
    ),
)
