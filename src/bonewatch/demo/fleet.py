"""A fleet on one computer: a real Kafka, two hospitals that send their logs, worker, sink, comparison, a database."""

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from bonewatch.errors import ConfigError
from bonewatch.fleet import ensure_topics
from storage.embedded import CLUSTER, OWNER, READER, EmbeddedPostgres
from streams.broker import Broker
from streams.sqlite_log import SqliteEventLog

SITES: Final = ("bath", "york")
KAFKA: Final = Path(__file__).resolve().parents[3] / "deploy" / "kafka" / "kafka"
SOCKET_FOLDER_MAX: Final = 80
READY_WITHIN_S: Final = 180.0
LOOK_S: Final = 0.5
STOP_WITHIN_S: Final = 20.0

_URL: Final = re.compile(r"http://\S+")


class FleetDemo:
    """The demonstration: enter it, go through `start`, leave it to stop everything.

    Parameters
    ----------
    data_dir
        Where everything lies; None: a temporary folder that is removed.
    servers
        A Kafka that runs already; empty: one is started from deploy/kafka.

    Raises
    ------
    ConfigError
        If something cannot be started, with what to do.
    """

    def __init__(self, data_dir: Path | None, servers: str) -> None:
        self._data_dir, self._servers = data_dir, servers
        self._stack = ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._folder = self._made_folder()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def start(self) -> Iterator[str]:
        """Start everything, and wait until the rows of both hospitals are in the database; yield what is going on."""
        yield "starting Kafka (the first time it is downloaded: about 45 MB)"
        servers = self._servers or self._kafka()
        yield "making the topics"
        broker = Broker(servers)
        ensure_topics(broker, list(SITES), partitions=2, replicas=1)
        yield "starting the database"
        url = self._database()
        yield "starting two hospitals, each with two years of phantom scans; a worker, a sink, a comparison"
        for site in SITES:
            words = ["--port", "0", "--dicom-port", "0", "--data-dir", str(self._folder / site), "--no-database"]
            self._run(site, "demo", "--site", site, "--kafka", servers, *words)
        self._metrics = free_port()
        self._run("worker", "fleet", "worker", "--servers", servers, "--metrics-port", str(self._metrics))
        self._run("sink", "fleet", "sink", "--servers", servers, "--database-url", url)
        self._run("compare", "fleet", "compare", "--servers", servers)
        deadline = time.monotonic() + READY_WITHIN_S
        while (missing := self._missing()) is not None:
            if time.monotonic() > deadline:
                raise ConfigError(f"the fleet did not get ready: {missing}; its logs are in {self._folder}")
            yield f"waiting: {missing}"
            time.sleep(LOOK_S)

    def where_to_look(self) -> list[str]:
        """Return what a visitor may look at, a line each."""
        counts = self._rows()
        return [
            "Two hospitals are in the fleet's database.",
            *(
                f"{site.title()}: {self._url(site)} ({counts.get(site, 0)} rows in the fleet's database)"
                for site in SITES
            ),
            f"Kafka: {self._servers or f'127.0.0.1:{self._kafka_port}'}",
            f"Database: psql -h {self._folder / 'database' / CLUSTER} -U {READER} postgres",
            "  for example: select device, mode, status, valid_until from bonewatch.gate_now",
            f"Worker's metrics: http://127.0.0.1:{self._metrics}/metrics",
            f"Logs: {self._folder}/*.log",
        ]

    def watch(self, stopped: threading.Event) -> int:
        """Wait until told to stop, or until a process has ended by itself: then say which, and return 1."""
        while not stopped.wait(LOOK_S):
            self._all_alive()
        return 0

    def _made_folder(self) -> Path:
        if self._data_dir is None:
            folder = Path(tempfile.mkdtemp(prefix="bonewatch-fleet-"))
            self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
            return folder
        folder = self._data_dir.resolve()
        if len(str(folder)) > SOCKET_FOLDER_MAX:
            raise ConfigError(f"{folder} is too long a name for the database's socket: take a shorter --data-dir")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _kafka(self) -> str:
        if not KAFKA.is_file():
            raise ConfigError("this installation has no deploy/kafka: name a Kafka that runs, with --servers")
        folder = self._folder / "kafka"
        self._kafka_port = free_port()
        self._stack.callback(subprocess.run, [str(KAFKA), "stop", str(folder)], capture_output=True, check=False)
        started = subprocess.run(
            [str(KAFKA), "start", str(folder), str(self._kafka_port)], capture_output=True, text=True, check=False
        )
        if started.returncode != 0:
            said = started.stderr.strip().splitlines()
            raise ConfigError(f"Kafka did not start: {said[-1] if said else started.returncode}")
        return f"127.0.0.1:{self._kafka_port}"

    def _database(self) -> str:
        self._server = EmbeddedPostgres(self._folder / "database")
        self._stack.callback(self._server.stop)
        self._server.connect().close()
        return f"postgresql://{OWNER}@/postgres?host={quote(str(self._folder / 'database' / CLUSTER), safe='')}"

    def _run(self, name: str, *words: str) -> None:
        """Start a process of ours, apart from the terminal's Ctrl-C: it is ended in its turn."""
        with (self._folder / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-m", "bonewatch", *words]
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._processes[name] = process
        self._stack.callback(_end, process)

    def _missing(self) -> str | None:
        """Return what is not there yet, in words; None when all is."""
        self._all_alive()
        for site in SITES:
            if not self._url(site):
                return f"{site.title()} is starting"
        rows = self._rows()
        for site in SITES:
            with SqliteEventLog(self._folder / site / "site-log.sqlite", read_only=True) as log:
                last = log.last_position()
            if rows.get(site, 0) < last:
                return f"{rows.get(site, 0)} of {last} rows of {site.title()} are in the database"
        return None if self._published() else "the worker has published nothing yet"

    def _all_alive(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                said = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise ConfigError(f"{name} ended by itself: {said[-1] if said else process.returncode}")

    def _url(self, site: str) -> str:
        said = (self._folder / f"{site}.log").read_text(encoding="utf-8", errors="replace")
        found = next((line for line in said.splitlines() if line.startswith("Bonewatch demo:")), "")
        return found and _URL.findall(found)[0]

    def _rows(self) -> dict[str, int]:
        """Return how far each hospital's log is in the database."""
        with self._server.connect() as db:
            there = db.execute("SELECT to_regclass('bonewatch.sink_state') IS NOT NULL").fetchone()
            if there != (True,):
                return {}
            return {str(site): int(n) for site, n in db.execute("SELECT source, position FROM sink_state")}

    def _published(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=5) as page:
                text = page.read().decode()
        except OSError:
            return False
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        said = {sample.name: sample.value for sample in samples if not sample.labels}
        return said.get("bonewatch_fleet_published_total", 0) > 0 and said.get("bonewatch_fleet_lag_events") == 0


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port of loopback that nobody listens on, with the next one free too: Kafka takes two."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = int(first.getsockname()[1])
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
            return port
