"""`/api/v1/devices/{id}/actions`: what people do through the console's forms, for programs and the command line.

Every request carries name and password (HTTP Basic) and no session counts, so that no page of another site can send
one; the checks are those of the forms.
"""

import base64
import binascii

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import (
    NotAuthorizedException,
    NotFoundException,
    PermissionDeniedException,
    ServiceUnavailableException,
    TooManyRequestsException,
)
from litestar.params import FromPath, JSONBody

from dashboards.api.shapes import ActionOut, ActionsOut, AskedIn, DoneOut, FieldOut
from dashboards.auth import PUBLIC, Visit
from dashboards.console.action import Action, Field
from dashboards.console.carrying_out import carry_out
from dashboards.console.catalogue import ACTIONS, offered
from dashboards.console.typed import Typed
from dashboards.context import Console
from dashboards.errors import problem
from dashboards.passwords import HashingBusyError
from dashboards.sessions import Session
from dashboards.users import LockedOutError, WrongCredentialsError


@get("/devices/{device_id:str}/actions", opt=PUBLIC, sync_to_thread=True)
def list_actions(console: NamedDependency[Console], request: Visit, device_id: FromPath[str]) -> ActionsOut:
    """What the person may do to a device now, with the fields."""
    session = who_asks(console, request)
    view = console.device(device_id)
    actions = tuple(
        ActionOut(
            action.slug, action.title, action.intro, tuple(_field_out(one) for one in action.fields(console, view))
        )
        for action in offered(view, session)
    )
    return ActionsOut(view.device_seq, actions)


@post("/devices/{device_id:str}/actions/{slug:str}", opt=PUBLIC, sync_to_thread=True, status_code=200)
def do_action(
    console: NamedDependency[Console],
    request: Visit,
    device_id: FromPath[str],
    slug: FromPath[str],
    data: JSONBody[AskedIn],
) -> Response[DoneOut] | Response[dict[str, object]]:
    """Do it once, or say what is missing, by field."""
    session, action = who_asks(console, request), _action(slug)
    view = console.device(device_id)
    if not session.may(action.permission):
        raise PermissionDeniedException(f"The role {session.role.value} may not do this")
    about = {"request_id": data.request_id, "expected_device_seq": str(data.device_seq)}
    typed = Typed(data.values | about, console.time)
    result = carry_out(console, action, view, session, typed)
    if result.is_done:
        return Response(DoneOut(action.done))
    detail = result.refusal.text if result.refusal else "Some fields are missing or not right"
    return problem(result.status, detail, errors=typed.errors)


def who_asks(console: Console, visit: Visit) -> Session:
    """Return who asks, by name and password."""
    name, password = _credentials(visit.headers.get("authorization", ""))
    try:
        user = console.users.verify(name[:200], password[:1000])
    except WrongCredentialsError as error:
        raise NotAuthorizedException(str(error)) from error
    except LockedOutError as error:
        raise TooManyRequestsException(str(error)) from error
    except HashingBusyError as error:
        raise ServiceUnavailableException(str(error)) from error
    return Session(user.name, user.role, console.clock(), demo=False)


def _credentials(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name = colon = password = ""
    if scheme.casefold() != "basic" or not colon:
        raise NotAuthorizedException("Send name and password (HTTP Basic); a browser's session does not count here")
    return name, password


def _action(slug: str) -> Action:
    if slug not in ACTIONS:
        raise NotFoundException("There is no such action")
    return ACTIONS[slug]


def _field_out(field: Field) -> FieldOut:
    return FieldOut(
        field.name,
        field.label,
        field.kind.value,
        field.required,
        hint=field.hint,
        value=field.value,
        choices=field.choices,
        suggestions=field.suggestions,
    )
