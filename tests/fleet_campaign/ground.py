"""A fleet as people start it: each forwarder, worker and sink is a process of the command line, the broker a real one.

Only processes started here are ever killed, by their id.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.kafka import RealKafka
from tests.site_logs import write_log

LOG = Path("var") / "site-log.sqlite"
ENDS_WITHIN_S = 60.0
ASKED = {0, -signal.SIGKILL, -signal.SIGTERM}
"""How a process ends that was killed or asked to end; the last one had not come as far as to hear it."""

SITE = """
[site]
id = "{site}"
name = "Invented department"
time_zone = "Europe/London"
data_dir = "var"

[kafka]
bootstrap_servers = "{servers}"

[[device]]
id = "dxa-1"
kind = "scanner"
make = "Invented"
model = "Virtual 1"
serial = "V1"
ae_title = "DXA1"
  [[device.phantom]]
  role = "independent"
  patient_id = "SPINE-0001"
"""


class Part:
    """One process of the fleet, started again as often as it is killed."""

    def __init__(self, kind: str, name: str, words: Sequence[str], folder: Path) -> None:
        self.kind, self.name = kind, name
        self._command = [sys.executable, "-m", "bonewatch", "fleet", *words]
        self._output = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.ended: list[int | None] = []

    @property
    def said(self) -> str:
        """Everything that it wrote, over all its lives."""
        return self._output.read_text(encoding="utf-8") if self._output.exists() else ""

    def start(self) -> None:
        """Start it; one that has ended by itself is remembered in `ended`."""
        if self._process is not None and (status := self._process.poll()) not in ASKED:
            self.ended.append(status)
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"COLUMNS": "200"},
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        self.wait()

    def ask_to_stop(self) -> None:
        """Ask it to end, and do not wait."""
        self._signal(signal.SIGTERM)

    @property
    def runs(self) -> bool:
        """Whether it is alive."""
        return self._process is not None and self._process.poll() is None

    def wait(self) -> None:
        """Wait until it has ended; one that does not is killed, and remembered."""
        if self._process is None:
            return
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(ENDS_WITHIN_S)
            self.ended.append(-1)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


@dataclass
class Fleet:
    """Sites with their logs, and everything that brings them into a database."""

    folder: Path
    kafka: RealKafka
    conninfo: str
    sites: list[str]
    devices: int
    parts: list[Part] = field(default_factory=list)
    days: int = 0

    def prepare(self) -> None:
        """Write configurations and make the topics."""
        servers = self.kafka.broker.servers
        for site in self.sites:
            (self.folder / site / "var").mkdir(parents=True)
            text = SITE.format(site=site, servers=servers)
            (self.folder / site / "site.toml").write_text(text, encoding="utf-8")
        words = ["topics", *self.sites, "--servers", servers]
        done = subprocess.run(
            [sys.executable, "-m", "bonewatch", "fleet", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        for site in self.sites:
            self._part("forwarder", f"forwarder-{site}", ["forward", "-c", str(self.folder / site / "site.toml")])
        for n in (1, 2):
            self._part("worker", f"worker-{n}", ["worker", "--servers", servers])
            self._part("sink", f"sink-{n}", ["sink", "--servers", servers, "--database-url", self.conninfo])

    def _part(self, kind: str, name: str, words: Sequence[str]) -> None:
        self.parts.append(Part(kind, name, words, self.folder))

    def log(self, site: str) -> Path:
        """Return where a site's log is."""
        return self.folder / site / LOG

    def live(self, days: int) -> int:
        """Let every site record some more days; return how many events were new."""
        new = sum(
            write_log(self.log(site), site, devices=self.devices, days=days, from_day=self.days) for site in self.sites
        )
        self.days += days
        return new

    def start(self) -> None:
        """Start everything."""
        for part in self.parts:
            part.start()

    def stop(self) -> None:
        """Ask everything to end, then see that it did."""
        for part in self.parts:
            part.ask_to_stop()
        for part in self.parts:
            part.wait()
