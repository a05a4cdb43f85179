"""The handover form to print."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from dashboards.auth import Visit, require
from dashboards.context import Console
from dashboards.paper.handover_form import handover_form
from streams.roles import Permission


@get("/devices/{device_id:str}/handover-form.pdf", sync_to_thread=True)
def handover_form_pdf(
    console: NamedDependency[Console],
    request: Visit,
    device_id: FromPath[str],
    *,
    handover: FromQuery[str] = "",
    blank: FromQuery[bool] = False,
) -> Response[bytes]:
    """Return the form of a named handover, of the one that goes on, or a blank one."""
    require(request, Permission.VIEW)
    view = console.device(device_id)
    wanted = bool(handover) or (view.service is not None and not blank)
    found = console.equipment_log.handover(view.id, handover) if wanted else None
    if handover and found is None:
        raise NotFoundException("There is no such handover of this device")
    settings = console.settings
    pdf = handover_form(view, found, site_name=settings.site_name, zone=settings.zone, now=console.clock())
    name = f'inline; filename="handover-{view.id}.pdf"'
    return Response(pdf, media_type="application/pdf", headers={"content-disposition": name})
