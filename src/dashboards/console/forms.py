"""The pages of the actions: show the form; carry it out, or show it again with what is missing."""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body, FromPath
from litestar.response import Redirect
from msgspec.structs import replace

from dashboards.auth import Visit, require
from dashboards.console.action import Action
from dashboards.console.carrying_out import carry_out
from dashboards.console.catalogue import ACTIONS
from dashboards.console.comments import subject
from dashboards.console.templates import page
from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import Refusal
from streams.readings import DeviceView
from streams.roles import Role

FormData = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]


@get("/devices/{device_id:str}/do/{slug:str}", sync_to_thread=True)
def show_form(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], slug: FromPath[str]
) -> Response[Any]:
    """Show an empty form; `chosen` is the value of a choice that was made on the way here.

    An engineer signs with the name of the account: it stands there already.
    """
    action, view = _action(slug), console.device(device_id)
    session = require(request, action.permission)
    chosen = request.query_params.get("chosen", "")
    signs = {"engineer": session.name} if session.role is Role.ENGINEER else {}
    prefilled = {**signs, **action.prefill(view, request.query_params)}
    return _form(console, request, action, view, Typed({}, console.time), prefilled=prefilled, chosen=chosen)


@post("/devices/{device_id:str}/do/{slug:str}", sync_to_thread=True, status_code=200)
def submit_form(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], slug: FromPath[str], data: FormData
) -> Response[Any]:
    """Carry it out and go to the device's page, or show the form again with the refusal and what was typed."""
    action, view = _action(slug), console.device(device_id)
    session = require(request, action.permission)
    typed = Typed(data, console.time)
    result = carry_out(console, action, view, session, typed)
    if result.is_done:
        return Redirect(f"{action.address(view)}?done={action.slug}", status_code=303)
    if result.refusal is not None:
        view = console.device(device_id)
    return _form(console, request, action, view, typed, refusal=result.refusal, status_code=result.status)


def _action(slug: str) -> Action:
    if slug not in ACTIONS:
        raise NotFoundException("There is no such form")
    return ACTIONS[slug]


def _form(
    console: Console,
    visit: Visit,
    action: Action,
    view: DeviceView,
    typed: Typed,
    *,
    prefilled: Mapping[str, str] | None = None,
    refusal: Refusal | None = None,
    status_code: int = 200,
    chosen: str = "",
) -> Response[Any]:
    given = dict(prefilled or {})
    fields = [
        replace(one, value=chosen if chosen and chosen in one.choices else given.get(one.name, one.value))
        for one in action.fields(console, view)
    ]
    about = typed.values.get("about") or given.get("about", "")
    kept_id = typed.values.get("request_id", "") if "request_id" not in typed.errors else ""
    return page(
        console,
        visit,
        "form.html",
        status_code=status_code,
        action=action,
        view=view,
        fields=fields,
        about=subject(console, view, about) if about else None,
        typed=typed,
        refusal=refusal,
        request_id=kept_id or secrets.token_hex(16),
    )


form_handlers = (show_form, submit_form)
