"""The site's news as server-sent events: a real log behind a real server on loopback, read as a program would."""

import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import httpx
import msgspec
import pytest
from argon2 import PasswordHasher
from structlog.testing import capture_logs

from dashboards.access.scopes import Scope
from dashboards.api.event_stream import AT_ONCE
from dashboards.api.events import PART_OF_TYPE, EventType
from dashboards.app import create_app
from dashboards.audit.trail import MemoryTrail
from dashboards.server import ConsoleServer
from dashboards.settings import HttpSettings, StreamSettings
from dashboards.users import UserStore
from publishing.published import TYPES, OtherLogError, PublishedLog, Selection
from streams.engine import SiteEngine
from streams.messages import Draft, PatientMeasured, RegionMeasured, event_id
from streams.roles import Role
from streams.sqlite_log import SqliteEventLog
from streams.sqlite_readings import SqliteReadings
from tests.folding import DEVICE, MONDAY, POLICY, WEEKDAY_CLINIC

OTHER: Final = "test-site/dxa-2"
EVENTS: Final = "/api/v1/events"
CONFIGURED: Final = dict.fromkeys((DEVICE, OTHER), (POLICY, WEEKDAY_CLINIC))
WITHHELD: Final = "bonewatch.measurement-withheld.v1"
GATE: Final = "bonewatch.gate-changed.v1"


class Told(NamedTuple):
    """An event as a reader sees it, or (`data` blank) a sign of life."""

    id: str
    event: str
    data: str
    comment: str


class Department:
    """A site of two scanners in the morning, before any QC: each measurement is withheld."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.now = MONDAY
        self.log = SqliteEventLog(folder / "site-log.sqlite")
        self.engine = SiteEngine(self.log, clock=lambda: self.now)
        self.engine.start(CONFIGURED)
        hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        self.users = UserStore(folder / "users.sqlite", hasher=hasher, clock=lambda: self.now)
        self.trail = MemoryTrail()
        self.published = PublishedLog(folder / "site-log.sqlite")
        self.path, self.patients = folder / "site-log.sqlite", 0
        http = HttpSettings(site_name="Test hospital", port=0, **settings)
        keys = {device.rpartition("/")[2]: device for device in (DEVICE, OTHER)}
        self.app = create_app(
            site=self.engine,
            readings=SqliteReadings(self.path, self.engine, keys),
            users=self.users,
            settings=http,
            clock=lambda: self.now,
            audit=self.trail,
            published=self.published,
        )
        self.server = ConsoleServer(self.app, http)
        self.url = self.server.start() + EVENTS
        self.all = self.token(*Scope)

    def token(self, *scopes: Scope, name: str = "RIS", lasts: timedelta = timedelta(days=1)) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.users.tokens.create(name, scopes, lasts)}"}

    def measure(self, times: int = 1, device: str = DEVICE) -> None:
        """Let patients be measured, all in one commit."""
        drafts = []
        for _ in range(times):
            self.patients += 1
            name = f"{self.patients}"
            fact = PatientMeasured(f"ACC{name}", self.now, f"scan-{name}", regions=(RegionMeasured("L1-L4", 0.93),))
            drafts.append(Draft(event_id(name), device, fact))
        self.engine.append(drafts)

    def recorded(self, type_: str = WITHHELD) -> list[str]:
        """The ids of outcomes of a type in the log, by a query of our own."""
        with closing(sqlite3.connect(self.path)) as db:
            rows = db.execute("SELECT outcome_id FROM outcomes WHERE type = ? ORDER BY position", (type_,))
            return [row[0] for row in rows]

    def link(self) -> str:
        """The beginning of the log's last link, by a query of our own."""
        with closing(sqlite3.connect(self.path)) as db:
            return str(db.execute("SELECT hex(link) FROM events ORDER BY position DESC").fetchone()[0])[:8].lower()

    @property
    def here(self) -> str:
        """The end of the log, as a place."""
        return self.published.mark(self.published.end())

    def told_since(self, place: str, headers: dict[str, str] | None = None, **query: Any) -> list[Told]:
        """Return the events behind a place."""
        answer = self.get(headers, since=place, **query)
        assert answer.status_code == 200, answer.text
        return [one for one in told(iter(answer.text.splitlines())) if one.data]

    @property
    def streams(self) -> int:
        watchers: int = self.app.state.live.watchers
        return watchers

    def get(self, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        """Ask for what there is, up to now."""
        asked = {"max_seconds": 0, **query}
        return httpx.get(self.url, params=asked, headers=self.all if headers is None else headers, timeout=20)

    @contextmanager
    def reading(self, headers: dict[str, str] | None = None, **query: Any) -> Iterator[Iterator[Told]]:
        """Read a stream for the length of a block."""
        headers = self.all | (headers or {})
        with httpx.stream("GET", self.url, params=query, headers=headers, timeout=20) as answer:
            assert answer.status_code == 200, answer.read()
            yield told(answer.iter_lines())

    def end(self) -> None:
        self.server.stop()
        self.published.close()
        self.users.close()
        self.engine.stop()
        self.log.close()


def told(lines: Iterator[str]) -> Iterator[Told]:
    """Parse a stream as WHATWG HTML 9.2.6 says, keeping comments."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        yield Told(*("\n".join(fields.get(name, [])) for name in ("id", "event", "data", "")))
        fields = {}


def outcome_ids(events: list[Told]) -> list[str]:
    return [msgspec.json.decode(one.data)["id"] for one in events if one.data]


def eventually(is_so: Callable[[], bool], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.005)


@contextmanager
def department(folder: Path, **settings: Any) -> Iterator[Department]:
    made = Department(folder, **settings)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """One for all tests that begin where the log ends."""
    with department(tmp_path_factory.mktemp("site")) as made:
        yield made


# --- what arrives --------------------------------------------------------------------------------------------


def test_an_event_is_a_cloud_event_with_its_place(site: Department) -> None:
    with site.reading(types=WITHHELD) as stream:
        begins = next(stream)
        site.measure()
        event = next(stream)
    assert (begins.event, begins.data, begins.comment) == ("", "", "begins")
    cloud = msgspec.json.decode(event.data)
    assert cloud["specversion"] == "1.0"
    assert (event.event, cloud["type"], cloud["subject"]) == (WITHHELD, WITHHELD, DEVICE)
    assert cloud["data"]["outcome"]["accession_number"] == f"ACC{site.patients}"
    assert cloud["id"] == site.recorded()[-1]
    assert re.fullmatch(rf"{site.log.log_id[:8]}-{cloud['logposition']}-1\.{site.link()}", event.id)


def test_who_is_cut_off_again_and_again_misses_nothing_and_gets_nothing_twice(site: Department) -> None:
    before, here = len(site.recorded()), site.here

    def write() -> None:
        for n in range(30):
            site.measure(n % 3 + 1)

    writer = threading.Thread(target=write)
    came, last = list[Told](), ""
    writer.start()
    while len(came) < 60:
        with site.reading({"Last-Event-ID": last} if last else {}, since=here, types=WITHHELD) as stream:
            for one in stream:
                last = one.id
                came += [one] if one.data else []
                if one.data and len(came) % 4 == 0:
                    break
    writer.join()
    assert outcome_ids(came) == site.recorded()[before:]
    assert len(came) == 60


def test_who_is_cut_off_before_the_first_event_comes_back_to_where_it_was(site: Department) -> None:
    with site.reading(types=WITHHELD) as stream:
        begins = next(stream)
    site.measure()
    with site.reading({"Last-Event-ID": begins.id}, types=WITHHELD) as stream:
        event = next(one for one in stream if one.data)
    assert outcome_ids([event]) == site.recorded()[-1:]


def test_a_long_replay_comes_whole_in_order_and_then_what_follows(site: Department) -> None:
    before, here, many = len(site.recorded()), site.here, 3 * AT_ONCE
    site.measure(many)
    assert outcome_ids(site.told_since(here, types=WITHHELD)) == site.recorded()[before:]
    with site.reading(since=here, types=WITHHELD) as stream:
        came = [one for one in islice(stream, many + 1) if one.data]
        site.measure()
        came.append(next(stream))
    assert outcome_ids(came) == site.recorded()[before:]


def test_without_a_place_a_stream_begins_now_and_with_one_behind_it(site: Department) -> None:
    here = site.here
    site.measure(3)
    first, *rest = site.told_since(here, types=WITHHELD)
    assert outcome_ids([first, *rest]) == site.recorded()[-3:]
    assert site.told_since(first.id, types=WITHHELD) == rest
    assert [one for one in told(iter(site.get().text.splitlines())) if one.data] == []


def test_a_stream_is_of_the_devices_and_types_asked_for(site: Department) -> None:
    site.measure()
    site.measure(1, OTHER)
    events = site.told_since("0", types=[WITHHELD, GATE], device="dxa-2")
    assert {msgspec.json.decode(one.data)["subject"] for one in events} == {OTHER}
    assert {one.event for one in events} == {WITHHELD, GATE}


def test_a_quiet_stream_gives_signs_of_life_and_says_how_to_come_back(tmp_path: Path) -> None:
    with department(tmp_path, heartbeat_s=0.05) as site:
        with site.reading(types=WITHHELD) as stream:
            signs = [next(stream) for _ in range(3)]
        assert [one.comment for one in signs] == ["begins", "goes on", "goes on"]
        assert {one.data for one in signs} == {""}
        assert "\nretry: 3000\n" in site.get().text.replace("\r\n", "\n")


def test_a_stream_is_kept_by_nobody_on_the_way_and_comes_as_it_is(site: Department) -> None:
    answer = site.get(site.all | {"Accept-Encoding": "gzip, br"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in answer.headers


# --- who may -------------------------------------------------------------------------------------------------


def test_each_is_told_what_its_scopes_permit_and_refused_what_they_do_not(site: Department) -> None:
    site.measure()
    gates, measurements = site.token(Scope.GATES_READ, name="G"), site.token(Scope.MEASUREMENTS_READ, name="M")
    others = site.token(*set(Scope) - {Scope.GATES_READ, Scope.MEASUREMENTS_READ}, name="O")
    kinds = [{one.event for one in site.told_since("0", headers)} for headers in (gates, measurements, site.all)]
    assert kinds == [{GATE}, {WITHHELD}, {GATE, WITHHELD}]
    assert site.get(gates, types=[GATE, WITHHELD]).status_code == 403
    refused = site.get(measurements, types=GATE)
    assert refused.status_code == 403
    assert 'scope="gates:read"' in refused.headers["www-authenticate"]
    assert [site.get(headers).status_code for headers in (others, {})] == [403, 401]


def test_every_published_type_is_told_and_has_its_scope() -> None:
    assert get_args(EventType) == tuple(PART_OF_TYPE) == TYPES
    assert [one for one, part in PART_OF_TYPE.items() if part is Scope.GATES_READ] == [GATE]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"since": "somewhere"}, 400),
        ({"since": "00000000-1"}, 409),
        ({"since": "99999"}, 409),
        ({"types": "bonewatch.review-opened.v1"}, 400),
        ({"max_seconds": -1}, 400),
        ({"device": "dxa-9"}, 404),
    ],
)
def test_what_cannot_be_meant_is_refused_with_words(site: Department, query: dict[str, Any], status: int) -> None:
    answer = site.get(**query)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    eventually(lambda: site.streams == 0)


def test_a_place_of_another_log_says_what_to_do(site: Department) -> None:
    answer = site.get(site.all | {"Last-Event-ID": "00000000-1-1"}, since="0")
    assert answer.status_code == 409
    assert "begin without Last-Event-ID" in answer.json()["detail"]


def test_a_place_in_a_record_that_was_restored_and_went_another_way_is_of_another_log(
    site: Department, tmp_path: Path
) -> None:
    copy = tmp_path / "restored.sqlite"
    with closing(sqlite3.connect(site.path)) as there, closing(sqlite3.connect(copy)) as here:
        there.backup(here)
    common = site.here
    site.measure()
    gone = site.here
    with SqliteEventLog(copy) as log, PublishedLog(copy) as restored:
        engine = SiteEngine(log, clock=lambda: site.now)
        engine.start(CONFIGURED)
        fact = PatientMeasured("ACC-other", site.now, "scan-other", regions=(RegionMeasured("L1-L4", 0.93),))
        for device in CONFIGURED:
            engine.append([Draft(event_id("other", device), device, fact)])
        engine.stop()
        assert restored.place_of(common).position < site.published.place_of(gone).position <= restored.end().position
        with pytest.raises(OtherLogError):
            restored.place_of(gone)


def test_a_stream_stands_once_on_the_record_of_use(site: Department) -> None:
    before, here = len(site.trail.entries), site.here
    site.measure(2)
    assert len(site.told_since(here, types=WITHHELD)) == 2
    assert [(one.who, one.route, one.status, one.query) for one in site.trail.entries[before:]] == [
        ("RIS", EVENTS, 200, ("max_seconds", "since", "types"))
    ]


def test_a_token_that_is_revoked_or_expires_ends_its_stream(tmp_path: Path) -> None:
    with department(tmp_path, streams=StreamSettings(checked_every_s=0.05)) as site:
        revoked = site.token(Scope.GATES_READ, name="Revoked")
        expires = site.token(Scope.GATES_READ, name="Expires", lasts=timedelta(hours=1))
        with site.reading(revoked) as one, site.reading(expires) as two, site.reading() as stays:
            assert {next(stream).comment for stream in (one, two, stays)} == {"begins"}
            site.users.tokens.revoke("Revoked")
            assert [end.comment for end in one] == ["ends: the credential does not suffice any more"]
            site.now += timedelta(hours=2)
            assert [end.comment for end in two if not end.data] == ["ends: the credential does not suffice any more"]
            site.measure()
            assert next(told for told in stays if told.event == WITHHELD)


def close_account(users: UserStore) -> None:
    users.disable("Pat Nurse")


def change_password(users: UserStore) -> None:
    users.set_password("Pat Nurse", "another horse battery")


@pytest.mark.parametrize("change", [close_account, change_password])
def test_a_person_whose_password_counts_no_more_hears_no_more(
    tmp_path: Path, change: Callable[[UserStore], None]
) -> None:
    with department(tmp_path, heartbeat_s=0.1, streams=StreamSettings(checked_every_s=0.02)) as site:
        site.users.add_user("Pat Nurse", Role.OPERATOR, "correct horse battery")
        auth = httpx.BasicAuth("Pat Nurse", "correct horse battery")
        with httpx.stream("GET", site.url, auth=auth, timeout=20) as answer:
            stream = told(answer.iter_lines())
            assert [next(stream).comment for _ in range(2)] == ["begins", "goes on"]
            change(site.users)
            assert [*stream][-1].comment == "ends: the credential does not suffice any more"


# --- how it ends ---------------------------------------------------------------------------------------------


def test_there_are_so_many_streams_at_once_and_a_place_comes_free(tmp_path: Path) -> None:
    with department(tmp_path, streams=StreamSettings(most=2)) as site, site.reading() as first:
        with site.reading() as second:
            assert {next(first).comment, next(second).comment} == {"begins"}
            answer = site.get()
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        eventually(lambda: site.streams == 1)
        assert site.get().status_code == 200


def test_a_stream_ends_after_its_time(tmp_path: Path) -> None:
    with department(tmp_path, streams=StreamSettings(lasts_s=0.1)) as site, site.reading(max_seconds=60) as stream:
        assert [one.comment for one in stream] == ["begins", "ends: its time is over; come back"]


def test_a_site_that_stops_ends_its_streams_and_has_told_what_came_before(tmp_path: Path) -> None:
    with department(tmp_path) as site, site.reading(types=WITHHELD) as stream:
        assert next(stream).comment == "begins"
        site.measure(20)
        came = [next(stream) for _ in range(10)]
        stopping = threading.Thread(target=site.server.stop)
        began = time.monotonic()
        stopping.start()
        came += list(stream)
        stopping.join()
        assert time.monotonic() - began < 3
        assert came[-1].comment == "ends: the site stops; come back"
        rest = site.published.after(site.published.place_of(came[-1].id), Selection((WITHHELD,)), 100).notices
        assert outcome_ids(came) + [one.id for one in rest] == site.recorded()


@contextmanager
def who_does_not_read(site: Department) -> Iterator[socket.socket]:
    """Ask for more than fits on the way, and take nothing of it."""
    assert site.server._socket is not None
    site.server._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    site.measure(300)
    host, port = site.server.url.removeprefix("http://").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        head = "".join(f"{name}: {value}\r\n" for name, value in ({"Host": host} | site.all).items())
        client.sendall(f"GET {EVENTS}?since=0 HTTP/1.1\r\n{head}\r\n".encode())
        yield client


def test_who_does_not_read_is_dropped_and_sees_that_it_was(tmp_path: Path) -> None:
    with (
        department(tmp_path, streams=StreamSettings(slow_s=0.2)) as site,
        capture_logs() as said,
        who_does_not_read(site) as client,
    ):
        eventually(lambda: site.streams == 1)
        eventually(lambda: site.streams == 0)
        client.settimeout(10)
        taken = b"".join(iter(lambda: client.recv(65536), b""))
        assert [one["event"] for one in said] == ["slow_stream_dropped"]
        assert taken.startswith(b"HTTP/1.1 200")
        assert taken.count(b"\r\nevent: ") < 300
        assert not taken.endswith(b"0\r\n\r\n")  # cut off, which is no end


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux tells how long a peer takes nothing")
def test_nothing_is_kept_for_a_peer_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboards.server.DEAF_S", 0.2)
    with department(tmp_path, streams=StreamSettings(slow_s=0.1)) as site, who_does_not_read(site):
        connections = site.server._server.server_state.connections
        eventually(lambda: len(connections) == 1)
        eventually(lambda: not connections)
