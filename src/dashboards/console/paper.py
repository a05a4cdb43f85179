"""Paper of a device: the handover form, and the QC card for when Bonewatch itself is down."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from dashboards.auth import Visit, require
from dashboards.context import Console
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
    from dashboards.paper.handover_form import handover_form  # noqa: PLC0415 - a site starts sooner without it

    settings = console.settings
    pdf = handover_form(view, found, site_name=settings.site_name, zone=settings.zone, now=console.clock())
    name = f'inline; filename="handover-{view.id}.pdf"'
    return Response(pdf, media_type="application/pdf", headers={"content-disposition": name})


@get("/devices/{device_id:str}/qc-card.pdf", sync_to_thread=True)
def qc_card_pdf(console: NamedDependency[Console], request: Visit, device_id: FromPath[str]) -> Response[bytes]:
    """Return a scanner's QC card, with the limits that stand now."""
    require(request, Permission.VIEW)
    view = console.device(device_id)
    if view.kind != "scanner":
        raise NotFoundException("Only scanners have a QC card")
    from dashboards.paper.qc_card import qc_card  # noqa: PLC0415 - a site starts sooner without it

    settings = console.settings
    pdf = qc_card(view, site_name=settings.site_name, zone=settings.zone, now=console.clock())
    name = f'inline; filename="qc-card-{view.id}.pdf"'
    return Response(pdf, media_type="application/pdf", headers={"content-disposition": name})


paper_handlers = (handover_form_pdf, qc_card_pdf)
