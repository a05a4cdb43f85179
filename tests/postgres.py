"""Real PostgreSQL for tests: one embedded server a session, a migrated database of its own for each test.

The same tests run against TimescaleDB where ``BONEWATCH_TEST_TIMESCALE_URL`` names a server in which this user may
make databases.
"""

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from storage.connection import Db, open_connection
from storage.embedded import OWNER, EmbeddedPostgres
from storage.migrate import migrate
from storage.sink import SinkRow
from streams import codec
from streams.chain import first_link, next_link
from streams.fold import FOLD_VERSION
from streams.fold.device import step
from streams.messages import Event, Fact, Outcome, event_id
from streams.policy import ClinicCalendar, DevicePolicy
from streams.refold import recorded
from tests.folding import DEVICE, MONDAY, POLICY, WEEKDAY_CLINIC, Folded

TIMESCALE_URL = os.environ.get("BONEWATCH_TEST_TIMESCALE_URL", "")
TEMPLATE_FREE_WITHIN_S = 30.0
FLAVOURS = ["native", *(["timescale"] if TIMESCALE_URL else [])]


@dataclass
class ServerDatabase:
    """One database of a running server (see `storage.connection.Database`); remembers what it handed out."""

    conninfo: str
    opened: list[Db] = field(default_factory=list)

    def connect(self) -> Db:
        self.opened.append(open_connection(self.conninfo))
        return self.opened[-1]

    def stop(self) -> None:
        for db in self.opened:
            db.close()


@dataclass
class Server:
    """A server, and a migrated database in it from which others are copied."""

    conninfo: str
    template: str

    def create(self, template: str) -> str:
        """Make a database; return how to connect to it."""
        name = f"test_{uuid.uuid4().hex}"
        until = time.monotonic() + TEMPLATE_FREE_WITHIN_S
        with psycopg.connect(self.conninfo, autocommit=True) as admin:
            while True:
                try:
                    admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
                except psycopg.errors.ObjectInUse:  # a worker of TimescaleDB looks into the template now and then
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.2)
                else:
                    return make_conninfo(self.conninfo, dbname=name)

    def drop(self, conninfo: str) -> None:
        name = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
        with psycopg.connect(self.conninfo, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The session's own server."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "database")
    with server.connect() as db:
        db.execute("ALTER SYSTEM SET fsync = off")  # no test cuts the computer's power
        db.execute("SELECT pg_reload_conf()")
    yield server
    server.stop()


@pytest.fixture(scope="session", params=FLAVOURS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Each flavour's server, with a migrated template."""
    if request.param == "timescale":
        conninfo = TIMESCALE_URL
    else:
        running: EmbeddedPostgres = request.getfixturevalue("embedded")
        conninfo = make_conninfo("", host=running.host, user=OWNER, dbname="postgres")
    server = Server(conninfo, "template1")
    migrated = server.create("template1")
    with open_connection(migrated) as db:
        assert migrate(db).flavour == request.param
    server.template = str(psycopg.conninfo.conninfo_to_dict(migrated)["dbname"])
    yield server
    server.drop(migrated)


@pytest.fixture
def database(server: Server) -> Iterator[ServerDatabase]:
    """A migrated, empty database."""
    made = ServerDatabase(server.create(server.template))
    yield made
    made.stop()
    server.drop(made.conninfo)


@pytest.fixture
def bare_database(server: Server) -> Iterator[ServerDatabase]:
    """A database without a schema."""
    made = ServerDatabase(server.create("template1"))
    yield made
    made.stop()
    server.drop(made.conninfo)


class Recorded(Folded):
    """A device folded by hand whose events stand in a log with a chain."""

    def __init__(
        self,
        policy: DevicePolicy = POLICY,
        calendar: ClinicCalendar = WEEKDAY_CLINIC,
        *,
        start: datetime = MONDAY,
        log: "MemoryLog | None" = None,
        device: str = DEVICE,
        is_signed_off: bool = True,
    ) -> None:
        self.log = log if log is not None else MemoryLog()
        self.device = device
        super().__init__(policy, calendar, start=start, is_signed_off=is_signed_off)

    def _fold(self, fact: Fact, identity: str | None) -> tuple[Outcome, ...]:
        seq = self.state.device_seq + 1
        name = identity or event_id(self.device, str(seq))
        event = Event(name, self.device, self.log.log_id, seq, self.now, FOLD_VERSION, fact)
        event = codec.decode_event(codec.encode(event))
        result = step(self.state, event)
        self.state = result.state
        self.log.append(event, result.outcomes)
        return result.outcomes


class MemoryLog:
    """Rows of a log as a site would have written them."""

    def __init__(self, log_id: str = "log") -> None:
        self.log_id = log_id
        self.rows: list[SinkRow] = []

    def append(self, event: Event, outcomes: Sequence[Outcome]) -> None:
        of_event = recorded(event, outcomes)
        body, bodies = codec.encode(event), tuple(codec.encode(outcome) for outcome in of_event)
        before = self.rows[-1].link if self.rows else first_link(self.log_id)
        link = next_link(before, body, bodies)
        self.rows.append(SinkRow(event, of_event, len(self.rows) + 1, link, body, bodies))
