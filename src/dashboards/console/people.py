"""People with an account: who they are, added, given a new password, closed. For administrators."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from dashboards.access.needs import ON_RECORD
from dashboards.audit.middleware import note_subject
from dashboards.auth import Visit, require
from dashboards.console.action import Field, FieldKind
from dashboards.console.forms import FormData
from dashboards.console.templates import page
from dashboards.console.typed import Typed
from dashboards.context import Console
from dashboards.passwords import HashingBusyError
from dashboards.sessions import Session
from dashboards.users import MIN_PASSWORD_CHARACTERS, LastOfRoleError
from streams.roles import Permission, Role

ROLES: Final = {
    Role.OPERATOR.value: "Operator: scans patients, enters the daily QC",
    Role.PHYSICIST.value: "Physicist: judges drift, accepts baselines, releases",
    Role.ENGINEER.value: "Engineer: repairs and hands back",
    Role.MANAGER.value: "Manager: reads uptime and the audit, closes incidents",
    Role.SERVICE.value: "Service: records due work",
    Role.ADMIN.value: "Administrator: people and access",
}
_PASSWORD: Final = Field(
    name="password",
    label="Password",
    kind=FieldKind.PASSWORD,
    hint=f"At least {MIN_PASSWORD_CHARACTERS} characters; three words or more. Tell it in person, not by e-mail.",
)
_WHO: Final = Field(name="name", label="Whom", kind=FieldKind.HIDDEN)
_ADDED: Final = (
    Field(name="name", label="Name", hint="As colleagues know it: it stands beside what the person records."),
    Field(name="role", label="Role", kind=FieldKind.CHOICE, choices=ROLES),
    _PASSWORD,
)


class Change(NamedTuple):
    """One thing that administrators do to an account."""

    title: str
    intro: str
    submit: str
    done: str
    fields: tuple[Field, ...]
    carry_out: Callable[[Console, Session, Typed], None]
    grave: bool = False


def _add(console: Console, _: Session, typed: Typed) -> None:
    name = typed.text("name", "Type the person's name")
    role = typed.choice("role", ROLES, "Choose a role")
    password = typed.secret("password", "Type a password")
    if not typed.errors:
        try:
            console.users.add_user(name, Role(role), password)
        except ValueError as error:
            typed.errors["password" if "password" in str(error) else "name"] = _sentence(error)


def _new_password(console: Console, _: Session, typed: Typed) -> None:
    password = typed.secret("password", "Type a password")
    if not typed.errors:
        try:
            console.users.set_password(typed.optional("name"), password)
        except ValueError as error:
            typed.errors["password"] = _sentence(error)


def _close(console: Console, session: Session, typed: Typed) -> None:
    name = typed.optional("name")
    if " ".join(name.split()).casefold() == session.name.casefold():
        typed.errors["name"] = "You cannot close your own account: ask another administrator to"
        return
    try:
        console.users.disable(name, keep=Role.ADMIN)
    except LastOfRoleError:
        typed.errors["name"] = "This is the last administrator who can sign in: add another one first"


CHANGES: Final[Mapping[str, Change]] = {
    "add": Change("Add a person", "They sign in with this name.", "Add person", "Person added.", _ADDED, _add),
    "password": Change(
        "Give a new password",
        "Who is signed in with the account is signed out. An account that was closed is opened again.",
        "Set password",
        "New password set.",
        (_WHO, _PASSWORD),
        _new_password,
    ),
    "close": Change(
        "Close an account",
        "The person is signed out at once and cannot sign in. What they recorded stays.",
        "Close account",
        "Account closed.",
        (_WHO,),
        _close,
        grave=True,
    ),
}
"""By the last part of their address."""


@get("/people", sync_to_thread=True)
def people_page(console: NamedDependency[Console], request: Visit, *, done: FromQuery[str] = "") -> Response[Any]:
    """Show every account."""
    require(request, Permission.MANAGE_USERS)
    told = CHANGES[done].done if done in CHANGES else ""
    return page(console, request, "people.html", people=console.users.users(), done=told, roles=ROLES)


@get("/people/{change:str}", sync_to_thread=True)
def change_form(
    console: NamedDependency[Console], request: Visit, change: FromPath[str], *, name: FromQuery[str] = ""
) -> Response[Any]:
    """Show an empty form; `name` is whose account it is about."""
    require(request, Permission.MANAGE_USERS)
    asked = _change(change)
    _refuse_unknown(console, asked, name)
    return _form(console, request, change, Typed({"name": name} if name else {}, console.time))


@post("/people/{change:str}", opt=ON_RECORD, sync_to_thread=True, status_code=200)
def carry_out_change(
    console: NamedDependency[Console], request: Visit, change: FromPath[str], data: FormData
) -> Response[Any]:
    """Do it, or show the form again with what is missing."""
    session = require(request, Permission.MANAGE_USERS)
    asked, typed = _change(change), Typed(data, console.time)
    _refuse_unknown(console, asked, typed.optional("name"))
    try:
        asked.carry_out(console, session, typed)
    except HashingBusyError as error:
        typed.errors["password"] = str(error)
        return _form(console, request, change, typed, status_code=503)
    if typed.errors:
        return _form(console, request, change, typed, status_code=422)
    _note(request, typed)
    return Redirect(f"/people?done={change}", status_code=303)


def _note(request: Request[Any, Any, Any], typed: Typed) -> None:
    """Have whose account it was stand in the record of use."""
    note_subject(request.scope, {"person": typed.optional("name")})


def _change(name: str) -> Change:
    if name not in CHANGES:
        raise NotFoundException("There is no such form")
    return CHANGES[name]


def _refuse_unknown(console: Console, change: Change, name: str) -> None:
    known = {user.name.casefold() for user in console.users.users()}
    if _WHO in change.fields and " ".join(name.split()).casefold() not in known:
        raise NotFoundException("There is no account of this name")


def _form(console: Console, visit: Visit, change: str, typed: Typed, *, status_code: int = 200) -> Response[Any]:
    typed.values.pop("password", None)
    asked, name = CHANGES[change], typed.values.get("name", "")
    return page(
        console,
        visit,
        "person_form.html",
        status_code=status_code,
        change=change,
        asked=asked,
        typed=typed,
        about=name if _WHO in asked.fields else "",
    )


def _sentence(error: ValueError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]


people_handlers = (people_page, change_form, carry_out_change)
