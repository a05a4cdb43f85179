"""For machines that watch the machine: alive, ready, metrics. Open to all: they hold no patient data."""

from litestar import Response, get
from litestar.di import NamedDependency

from dashboards.auth import PUBLIC
from dashboards.context import Console


@get("/healthz", opt=PUBLIC, include_in_schema=False, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "alive"}


@get("/readyz", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
def readyz(console: NamedDependency[Console]) -> Response[dict[str, str]]:
    """Answer 200 while every device's state is known and commits succeed, else 503."""
    ready = console.site.ready
    return Response({"status": "ready" if ready else "not ready"}, status_code=200 if ready else 503)


@get("/metrics", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
def metrics(console: NamedDependency[Console]) -> Response[bytes]:
    """Render the metrics in Prometheus's text format."""
    return Response(console.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


health_handlers = (healthz, readyz, metrics)
