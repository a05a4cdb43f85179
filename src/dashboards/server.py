"""Serves the application from a thread of its own, and stops without waiting for live pages."""

import socket
import threading
import time
from typing import Final

import uvicorn
from litestar import Litestar

from dashboards.settings import HttpSettings

STARTED_WITHIN_S: Final = 20.0
STOPPED_WITHIN_S: Final = 10.0

DEAF_S: Final = 60.0
"""A peer that takes nothing of what was sent for so long is gone, where the system can tell (Linux)."""

_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)


class ConsoleServer:
    """Uvicorn in a thread; clients are known by their socket's address, never by a proxy's header.

    Raises
    ------
    OSError
        On `start`, if the address is taken.
    RuntimeError
        On `start`, if the application does not come up.
    """

    def __init__(self, app: Litestar, settings: HttpSettings) -> None:
        self._app = app
        self._settings = settings
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=3,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._socket: socket.socket | None = None
        self.url = ""
        """Where the console is, once started."""

    def start(self) -> str:
        """Listen, wait until requests are answered, and return the URL."""
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        listener = socket.create_server((self._settings.host, self._settings.port), family=family, backlog=128)
        # asyncio does it for sockets of its own making only; without, an answer's body waits 40 ms on its head
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _USER_TIMEOUT is not None:  # inherited by each connection
            listener.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(DEAF_S * 1000))
        self._socket = listener
        host, port = listener.getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._thread.start()
        give_up = time.monotonic() + STARTED_WITHIN_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < give_up:
            time.sleep(0.01)
        if not self._server.started:
            raise RuntimeError("the console did not start")
        return self.url

    def stop(self) -> None:
        """Let live pages go, finish what is being answered, and stop."""
        self._app.state.live.close()
        self._server.should_exit = True
        if self._thread.is_alive():  # it never ran where the address was taken
            self._thread.join(STOPPED_WITHIN_S)
        if self._socket is not None:
            self._socket.close()

    def _run(self) -> None:
        assert self._socket is not None  # noqa: S101 - set by `start` before the thread runs
        self._server.run(sockets=[self._socket])
