"""The equipment logs of all devices in one list, the newest first."""

from typing import Final, NamedTuple

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Template

from dashboards.auth import Visit
from dashboards.console.log_words import KINDS
from dashboards.console.templates import page
from dashboards.context import Console
from streams.equipment_log import LogItem, LogKind
from streams.readings import DeviceView

SHOWN: Final = 100


class Entry(NamedTuple):
    """An item of a log and the device that it is of."""

    view: DeviceView
    item: LogItem


@get("/log", sync_to_thread=True)
def whole_log_page(
    console: NamedDependency[Console], request: Visit, *, kind: FromQuery[str] = "", device: FromQuery[str] = ""
) -> Template:
    """Show the newest of every device's log, of one kind or device or of all; older things stand in each log."""
    chosen = LogKind(kind) if kind in set(LogKind) else None
    views = console.readings.devices()
    found = [
        Entry(view, item)
        for view in views
        if device in {"", view.id}
        for item in console.equipment_log.items(view.id, kinds=(chosen,) if chosen else (), limit=SHOWN)
    ]
    entries = sorted(found, key=lambda entry: entry.item.at, reverse=True)[:SHOWN]
    return page(
        console, request, "whole_log.html", entries=entries, kinds=KINDS, chosen=chosen, views=views, device=device
    )
