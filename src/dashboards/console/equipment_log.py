"""The equipment log's pages: the list of a device, one thing in it with what was added, files up and down."""

import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from litestar import Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Template
from msgspec.structs import replace

from dashboards.auth import Visit, require
from dashboards.console.action import Action, Asked, Field
from dashboards.console.carrying_out import DONE, CarriedOut, asked_by, carry_out
from dashboards.console.catalogue import ACTIONS
from dashboards.console.comments import subject
from dashboards.console.log_words import KINDS
from dashboards.console.templates import page
from dashboards.console.typed import Typed
from dashboards.context import Console
from dashboards.sessions import Session
from dashboards.uploads import Sent
from streams.attachments import FileRefusedError, FileStoreError, KeptFile, clean_name
from streams.commands import AddAttachment, Refusal
from streams.equipment_log import LogItem, LogKind
from streams.fold.decisions import NOT_NOW, STALE
from streams.fold.decisions.records import MAX_FILE_BYTES, MAX_FILES
from streams.messages import Attachment, AttachmentAdded, event_id
from streams.readings import DeviceView
from streams.roles import Permission

SHOWN: Final = 50
_TOP: Final = 1 << 62
MAX_FORM_BYTES: Final = 65_536
"""What a form with a file has beside the file."""

_NOTE: Final = Field(
    name="text", label="What is it?", hint="Such as: service report, signed form, photo of the damage", required=False
)


def _no_command(asked: Asked, typed: Typed, view: DeviceView) -> AddAttachment:
    raise NotImplementedError("a file is added by the form that carries it")


ADD_FILE: Final = Action(
    slug="add-file",
    title="Add a file",
    intro=f"A PDF, PNG or JPEG of at most {MAX_FILE_BYTES / 1e6:g} MB: the service report, the signed paper, a photo."
    " It is kept encrypted, and can be read by everybody who signs in: nothing that names a patient.",
    submit="Add file",
    done="File added.",
    permission=Permission.WRITE_LOG,
    offered=lambda _: False,
    fields=lambda _, __: (_NOTE,),
    command=_no_command,
    page="log",
)


@get("/devices/{device_id:str}/log", sync_to_thread=True)
def log_page(
    console: NamedDependency[Console],
    request: Visit,
    device_id: FromPath[str],
    *,
    kind: FromQuery[str] = "",
    before: FromQuery[int] = 0,
    done: FromQuery[str] = "",
) -> Template:
    """Show the newest of the log, of one kind or of all, from a place in the log back."""
    view = console.device(device_id)
    chosen = LogKind(kind) if kind in set(LogKind) else None
    kinds = (chosen,) if chosen else ()
    before = min(max(before, 0), _TOP)  # a number that the log can count to
    items = console.equipment_log.items(view.id, kinds=kinds, before=before or None, limit=SHOWN + 1)
    return page(
        console,
        request,
        "log.html",
        view=view,
        kinds=KINDS,
        chosen=chosen,
        items=items[:SHOWN],
        earlier=items[SHOWN - 1].place if len(items) > SHOWN else None,
        before=before,
        actions=_offered(request.user, view),
        done=ACTIONS[done].done if done in ACTIONS else "",
    )


@get("/devices/{device_id:str}/log/{item_id:str}", sync_to_thread=True)
def item_page(
    console: NamedDependency[Console],
    request: Visit,
    device_id: FromPath[str],
    item_id: FromPath[str],
    *,
    done: FromQuery[str] = "",
) -> Template:
    """Show one thing in the log, with what was said about it and added to it."""
    view = console.device(device_id)
    item = _item(console, view, item_id)
    return page(
        console,
        request,
        "log_item.html",
        view=view,
        item=item,
        around=console.equipment_log.about(view.id, item.id),
        about=subject(console, view, about) if (about := getattr(item.matter, "about", "")) else None,
        may_write=request.user is not None and request.user.may(Permission.WRITE_LOG),
        may_close=request.user is not None and request.user.may(Permission.CLOSE_INCIDENT),
        done=ADD_FILE.done if done == ADD_FILE.slug else "",
    )


@get("/devices/{device_id:str}/log/{item_id:str}/file", sync_to_thread=True)
def file_form(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], item_id: FromPath[str]
) -> Response[Any]:
    """Show the form with which a file is added."""
    require(request, ADD_FILE.permission)
    view = console.device(device_id)
    return _file_form(console, request, view, _item(console, view, item_id), typed=Typed({}, console.time))


@post(
    "/devices/{device_id:str}/log/{item_id:str}/file",
    status_code=200,
    request_max_body_size=MAX_FILE_BYTES + MAX_FORM_BYTES,
)
async def add_file(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], item_id: FromPath[str]
) -> Response[Any]:
    """Keep a file durably, then record it; or show the form again with what is wrong."""
    form = dict(await request.form())  # Litestar's own reading, for a `data` of ours, puts files on the disk
    return await sync_to_thread(_answer_file, console, request, device_id, item_id, form)


def _answer_file(
    console: Console, request: Visit, device_id: str, item_id: str, data: Mapping[str, Any]
) -> Response[Any]:
    session = require(request, ADD_FILE.permission)
    view = console.device(device_id)
    item = _item(console, view, item_id)
    typed = Typed(data, console.time)
    result = _add(console, session, view, item, typed=typed, upload=data.get("file"))
    if result.is_done:
        return Redirect(f"/devices/{view.id}/log/{quote(item.id)}?done={ADD_FILE.slug}", status_code=303)
    if result.refusal is not None:
        view = console.device(device_id)
    return _file_form(console, request, view, item, typed=typed, result=result)


@get("/devices/{device_id:str}/files/{event_id:str}", sync_to_thread=True)
def give_file(
    console: NamedDependency[Console], request: Visit, device_id: FromPath[str], event_id: FromPath[str]
) -> Response[bytes]:
    """Give a file back as it came, to be saved and never to be shown as a page of ours."""
    require(request, Permission.VIEW)
    item = _item(console, console.device(device_id), event_id)
    if not isinstance(item.matter, AttachmentAdded):
        raise NotFoundException("There is no such file")
    file = item.matter.attachment
    try:
        data = console.files.read(file.digest)
    except FileStoreError as error:
        raise HTTPException(status_code=500, detail=str(error)) from error
    name = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
    return Response(data, media_type=file.media_type, headers={"content-disposition": name})


def _item(console: Console, view: DeviceView, item_id: str) -> LogItem:
    item = console.equipment_log.item(view.id, item_id)
    if item is None:
        raise NotFoundException("There is no such entry in this equipment log")
    return item


def _offered(visitor: Session | None, view: DeviceView) -> list[Action]:
    return [
        action
        for action in ACTIONS.values()
        if action.page == "log" and visitor is not None and visitor.may(action.permission) and action.offered(view)
    ]


def _add(
    console: Console, session: Session, view: DeviceView, item: LogItem, *, typed: Typed, upload: object
) -> CarriedOut:
    asked = asked_by(view, session, typed)
    if "request_id" not in typed.errors and (before := _recorded(console, view, asked.request_id)) is not None:
        if _is_same(before, item, upload):
            return CarriedOut(DONE)
        typed.values.pop("request_id", None)  # the form shown again is a request of its own
    if typed.values.get("expected_device_seq") != str(view.device_seq):  # before anything is kept
        text = "This page is out of date: the device has changed since it was loaded. Choose the file again."
        return CarriedOut(409, Refusal(STALE, text))
    if item.files >= MAX_FILES:
        text = f"{MAX_FILES} files were added to it already: add this one to another entry."
        return CarriedOut(409, Refusal(NOT_NOW, text))
    kept = _kept(console, typed, upload)
    if isinstance(kept, CarriedOut):
        return kept
    name = clean_name(upload.name if isinstance(upload, Sent) else "", kept.media_type)

    def command(asked: Asked, typed: Typed, _: DeviceView) -> AddAttachment:
        return AddAttachment(
            device=asked.device,
            actor=asked.actor,
            request_id=asked.request_id,
            attachment=Attachment(kept.digest, name, kept.media_type, kept.size),
            about=item.id,
            text=typed.optional("text"),
        )

    return carry_out(console, replace(ADD_FILE, command=command), view, session, typed)


def _recorded(console: Console, view: DeviceView, request_id: str) -> AttachmentAdded | None:
    """Return the file that a request added before."""
    found = console.equipment_log.item(view.id, event_id("command", view.device, request_id, "0"))
    return found.matter if found is not None and isinstance(found.matter, AttachmentAdded) else None


def _is_same(before: AttachmentAdded, item: LogItem, upload: object) -> bool:
    """Whether what is sent again was recorded: somebody's second click, or an answer that was lost."""
    digest = sha256(upload.data).hexdigest() if isinstance(upload, Sent) else ""
    return (before.about, before.attachment.digest) == (item.id, digest)


def _kept(console: Console, typed: Typed, upload: object) -> KeptFile | CarriedOut:
    """Keep what was sent, or say what is wrong with it."""
    typed.optional("text")
    if not isinstance(upload, Sent):
        typed.errors["file"] = "Choose one file"
    if typed.errors or not isinstance(upload, Sent):
        return CarriedOut(422)
    try:
        return console.files.keep(upload.data)
    except FileRefusedError as error:
        typed.errors["file"] = str(error)
        return CarriedOut(422)
    except FileStoreError as error:
        return CarriedOut(503, Refusal("unavailable", str(error)))


def _file_form(
    console: Console,
    visit: Visit,
    view: DeviceView,
    item: LogItem,
    *,
    typed: Typed,
    result: CarriedOut | None = None,
) -> Response[Any]:
    return page(
        console,
        visit,
        "add_file.html",
        status_code=result.status if result else 200,
        action=ADD_FILE,
        view=view,
        about=item,
        note=_NOTE,
        typed=typed,
        refusal=result.refusal if result else None,
        request_id=_request_id(typed),
    )


def _request_id(typed: Typed) -> str:
    """Return the name of the request that is shown again, so that it counts once; a new one where it has none."""
    sent = "" if "request_id" in typed.errors else typed.values.get("request_id", "")
    return sent or secrets.token_hex(16)


log_handlers = (log_page, item_page, file_form, add_file, give_file)
