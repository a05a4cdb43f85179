"""The stream of server-sent events that keeps pages live."""

from collections.abc import AsyncIterator
from typing import Any, Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage

from dashboards.auth import PUBLIC_STATUS
from dashboards.context import Console

RETRY_MS: Final = 2000


@get("/events", opt=PUBLIC_STATUS)
async def events(console: NamedDependency[Console]) -> Response[Any]:
    """Send what happens to devices, as ids to re-read; nothing else travels this way."""
    if console.live.full:
        return Response({"detail": "Too many live pages"}, status_code=503, headers={"Retry-After": "30"})

    async def stream() -> AsyncIterator[ServerSentEventMessage]:
        async for message in console.live.messages():
            yield ServerSentEventMessage(data=message.device_id, event=message.event, retry=RETRY_MS)

    return ServerSentEvent(stream(), headers={"X-Accel-Buffering": "no"})
