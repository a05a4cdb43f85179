"""What the browser tests need of a console: its address, and hands to change the department behind it.

`FakeStage` puts the department in memory behind a real server. A stage over the real site gives the same and is
tested by the same tests.
"""

from pathlib import Path
from typing import Final, Protocol

from argon2 import PasswordHasher

from dashboards.app import create_app
from dashboards.server import ConsoleServer
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.roles import Role
from tests.console_fakes import FAILED, NOW, FakeDemo, FakeSite, department, held_gate

PASSWORD: Final = "correct horse battery"  # noqa: S105 - of invented users
OPERATOR: Final = "Pat Nurse"
PHYSICIST: Final = "Dr M Expert"


class Stage(Protocol):
    """A console to visit: scanner ``dxa-1`` lacks today's QC and is held, ``dxa-2`` is open and has a chart."""

    @property
    def url(self) -> str:
        """Where it is."""

    def close_gate(self, device_id: str) -> None:
        """Let two phantom scans fail."""

    def touch(self, device_id: str) -> None:
        """Let something else happen to a device, so that pages opened before are stale."""

    def stop(self) -> None:
        """Take the console away."""

    def start_again(self) -> None:
        """Bring it back at the same address."""


class FakeStage:
    """The department in memory, served on loopback; accounts for an operator and a physicist."""

    def __init__(self, folder: Path, *, demo: bool) -> None:
        self.site: FakeSite = department()
        self._demo = FakeDemo(self.site) if demo else None
        self._users = UserStore(folder / "users.sqlite", hasher=PasswordHasher(time_cost=1, memory_cost=64))
        self._users.add_user(OPERATOR, Role.OPERATOR, PASSWORD)
        self._users.add_user(PHYSICIST, Role.PHYSICIST, PASSWORD)
        self._server = self._serve(port=0)

    @property
    def url(self) -> str:
        return self._server.url

    def close_gate(self, device_id: str) -> None:
        self.site.change(device_id, gate=held_gate(FAILED))

    def touch(self, device_id: str) -> None:
        gate = self.site.views[device_id].gate
        self.site.change(device_id, gate=gate)

    def stop(self) -> None:
        self._server.stop()

    def start_again(self) -> None:
        self._server = self._serve(port=int(self.url.rsplit(":", 1)[1]))

    def end(self) -> None:
        """Stop for good."""
        self._server.stop()
        self._users.close()

    def _serve(self, port: int) -> ConsoleServer:
        settings = HttpSettings(site_name="Test hospital", port=port, heartbeat_s=1.0)
        app = create_app(
            site=self.site,
            readings=self.site,
            users=self._users,
            settings=settings,
            demo=self._demo,
            clock=lambda: NOW,
        )
        server = ConsoleServer(app, settings)
        server.start()
        return server
