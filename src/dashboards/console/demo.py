"""The demonstration's panel: make something happen to the department and watch the board."""

from litestar import post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.response import Template

from dashboards.auth import Visit, require_loopback, signed_in
from dashboards.console.forms import FormData
from dashboards.console.templates import page
from dashboards.context import Console


@post("/demo/run", sync_to_thread=True, status_code=200)
def run_demo_action(console: NamedDependency[Console], request: Visit, data: FormData) -> Template:
    """Make it happen and say so."""
    signed_in(request)
    require_loopback(request)
    name, device_id = str(data.get("name", "")), str(data.get("device_id", "")) or None
    offered = {(action.name, action.device_id) for action in console.demo.actions()} if console.demo else set()
    if console.demo is None or (name, device_id) not in offered:
        raise NotFoundException("The demonstration does not offer this")
    return page(console, request, "parts/demo_result.html", text=console.demo.run(name, device_id))
