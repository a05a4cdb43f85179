"""What can be asked for through a form: who may, when it is offered, its fields, the command it becomes."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec

from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import Command
from streams.messages import Person
from streams.readings import DeviceView
from streams.roles import Permission


class FieldKind(StrEnum):
    """How a field looks."""

    TEXT = "text"
    NUMBER = "number"
    LONG_TEXT = "long_text"
    CHOICE = "choice"
    TICK = "tick"
    CLOCK = "clock"
    MOMENT = "moment"
    DAY = "day"
    HIDDEN = "hidden"
    PASSWORD = "password"  # noqa: S105 - a kind of field


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a form.

    `suggestions` may be typed over; `local_policy` labels a number that the guideline does not give; `later`
    fields are rarely needed and folded away.
    """

    name: str
    label: str
    kind: FieldKind = FieldKind.TEXT
    hint: str = ""
    value: str = ""
    choices: dict[str, str] = {}
    suggestions: tuple[str, ...] = ()
    required: bool = True
    local_policy: bool = False
    later: bool = False


class Asked(msgspec.Struct, frozen=True):
    """What every command carries."""

    device: str
    actor: Person
    request_id: str


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that people do to a device through a form.

    `barred` says in a sentence why it cannot be done now, where people would look for it; blank otherwise. `prepare`
    completes a command with what is on record and nobody types. `prefill` fills in fields by what the address that
    led to the form names; `page` is the page of the device that the form belongs to, its own where none is named.
    """

    slug: str
    title: str
    intro: str
    submit: str
    done: str
    permission: Permission
    offered: Callable[[DeviceView], bool]
    fields: Callable[[Console, DeviceView], Sequence[Field]]
    command: Callable[[Asked, Typed, DeviceView], Command]
    grave: bool = False
    barred: Callable[[DeviceView], str] = lambda _: ""
    prepare: Callable[[Console, DeviceView, Typed, Command], Command] = lambda _, __, ___, command: command
    prefill: Callable[[DeviceView, Mapping[str, str]], Mapping[str, str]] = lambda _, __: {}
    page: str = ""

    def address(self, view: DeviceView) -> str:
        """Return the address of the page that the form belongs to."""
        return f"/devices/{view.id}{'/' if self.page else ''}{self.page}"
