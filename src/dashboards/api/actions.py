"""`/api/v1/devices/{id}/actions`: what people do through the console's forms, for programs and the command line.

What writes carries name and password (HTTP Basic) or a token and no session counts, so that no page of another site can
send it; the checks are those of the forms.
"""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody

from dashboards.access.needs import needs
from dashboards.access.scopes import Scope
from dashboards.api.shapes import ActionOut, ActionsOut, AskedIn, DoneOut, FieldOut
from dashboards.auth import Visit, require, signed_in
from dashboards.console.action import Action, Field
from dashboards.console.carrying_out import carry_out
from dashboards.console.catalogue import ACTIONS, offered
from dashboards.console.typed import Typed
from dashboards.context import Console
from dashboards.errors import refusal


@get("/devices/{device_id:str}/actions", **needs(Scope.ACTIONS_WRITE), sync_to_thread=True)
def list_actions(console: NamedDependency[Console], request: Visit, device_id: FromPath[str]) -> ActionsOut:
    """What the person may do to a device now, with the fields."""
    session = signed_in(request)
    view = console.device(device_id)
    actions = tuple(
        ActionOut(
            action.slug, action.title, action.intro, tuple(_field_out(one) for one in action.fields(console, view))
        )
        for action in offered(view, session)
    )
    return ActionsOut(view.device_seq, actions)


@post(
    "/devices/{device_id:str}/actions/{slug:str}",
    **needs(Scope.ACTIONS_WRITE, writes=True),
    sync_to_thread=True,
    status_code=200,
)
def do_action(
    console: NamedDependency[Console],
    request: Visit,
    device_id: FromPath[str],
    slug: FromPath[str],
    data: JSONBody[AskedIn],
) -> DoneOut:
    """Do it once, or say what is missing, by field."""
    action = _action(slug)
    view, session = console.device(device_id), require(request, action.permission)
    about = {"request_id": data.request_id, "expected_device_seq": str(data.device_seq)}
    typed = Typed(data.values | about, console.time)
    result = carry_out(console, action, view, session, typed)
    if result.is_done:
        return DoneOut(action.done)
    detail = result.refusal.text if result.refusal else "Some fields are missing or not right"
    raise refusal(result.status, detail, typed.errors)


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
