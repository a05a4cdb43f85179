"""The pages of the actions: show the form; carry it out, or show it again with what is missing."""

import secrets
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body, FromPath
from litestar.response import Redirect

from dashboards.auth import Visit, require
from dashboards.console.action import Action, Asked
from dashboards.console.catalogue import ACTIONS
from dashboards.console.templates import page
from dashboards.console.typed import Typed
from dashboards.context import Console
from dashboards.sessions import Session
from streams.commands import Refusal
from streams.fold.decisions import FORBIDDEN, NOT_NOW, STALE
from streams.readings import DeviceView
from streams.site import EventConflictError, SiteUnavailableError

FormData = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]

_STATUS_OF_REFUSAL: Final = {STALE: 409, NOT_NOW: 409, FORBIDDEN: 403}
"""By the refusal's code; anything else is 422: something is missing."""


@get("/devices/{device_id:str}/do/{slug:str}", sync_to_thread=True)
def show_form(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], slug: FromPath[str]
) -> Response[Any]:
    """Show an empty form."""
    action, view = _action(slug), console.device(device_id)
    require(request, action.permission)
    return _form(console, request, action, view, Typed({}, console.time))


@post("/devices/{device_id:str}/do/{slug:str}", sync_to_thread=True, status_code=200)
def submit_form(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], slug: FromPath[str], data: FormData
) -> Response[Any]:
    """Carry it out and go to the device's page, or show the form again with the refusal and what was typed."""
    action, view = _action(slug), console.device(device_id)
    session = require(request, action.permission)
    typed = Typed(data, console.time)
    expected = typed.values.get("expected_device_seq", "")
    if not expected.isdecimal() or len(expected) > 18:
        typed.errors["expected_device_seq"] = "This form is not complete. Check it and send it again."
    command = action.command(_asked(view, session, typed), typed, view)
    if typed.errors:
        return _form(console, request, action, view, typed, status_code=422)
    try:
        result = console.site.execute(command, expected_device_seq=int(expected))
    except EventConflictError:
        typed.values.pop("request_id", None)
        refused = Refusal(
            STALE, "This form was sent before with other content, which is in the record. Nothing new was recorded."
        )
        return _form(console, request, action, console.device(device_id), typed, refusal=refused, status_code=409)
    except SiteUnavailableError:
        refused = Refusal(
            "unavailable", "Nothing was recorded: the record cannot be written now. Try again in a moment."
        )
        return _form(console, request, action, view, typed, refusal=refused, status_code=503)
    if isinstance(result, Refusal):
        status = _STATUS_OF_REFUSAL.get(result.code, 422)
        return _form(console, request, action, console.device(device_id), typed, refusal=result, status_code=status)
    return Redirect(f"/devices/{view.id}?done={action.slug}", status_code=303)


def _action(slug: str) -> Action:
    if slug not in ACTIONS:
        raise NotFoundException("There is no such form")
    return ACTIONS[slug]


def _asked(view: DeviceView, session: Session, typed: Typed) -> Asked:
    request_id = typed.values.get("request_id", "")
    if not (request_id.isalnum() and request_id.isascii() and 16 <= len(request_id) <= 64):
        typed.errors["request_id"] = "This form is not complete. Check it and send it again."
    return Asked(view.device, session.person, request_id)


def _form(
    console: Console,
    visit: Visit,
    action: Action,
    view: DeviceView,
    typed: Typed,
    *,
    refusal: Refusal | None = None,
    status_code: int = 200,
) -> Response[Any]:
    kept_id = typed.values.get("request_id", "") if "request_id" not in typed.errors else ""
    return page(
        console,
        visit,
        "form.html",
        status_code=status_code,
        action=action,
        view=view,
        fields=action.fields(console, view),
        typed=typed,
        refusal=refusal,
        request_id=kept_id or secrets.token_hex(16),
    )


form_handlers = (show_form, submit_form)
