"""A secured Kafka: everybody may do what its role needs, nobody else's, and a refusal says what to do."""

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType
from kafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from storage.connection import open_connection
from streams import codec
from streams.access import FleetRole, grants
from streams.access_admin import grant, remove, stands
from streams.broker import Broker
from streams.forwarder import Forwarder, last_sent
from streams.refusal import RefusedError, refused_access, require_accepted, why_refused
from streams.sqlite_log import SqliteEventLog
from streams.topic_admin import administration, create
from streams.topics import GATES, OUTCOMES, SITE_HEADS, device_events, fleet_topics, site_topic
from tests.certificates import Authority
from tests.kafka import RealKafka, real_kafka, wait_until
from tests.site_logs import write_log
from tests.tls_postgres import PASSWORD, tls_postgres


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with real_kafka(tmp_path_factory.mktemp("kafka"), secure=True) as broker:
        create(broker.broker, fleet_topics(2))
        yield broker


def user(kafka: RealKafka, role: FleetRole, name: str = "") -> Broker:
    """Make a user of a role; return where it finds the broker."""
    name = name or f"{role}-{uuid.uuid4().hex[:8]}"
    if role is FleetRole.SITE:
        create(kafka.broker, (site_topic(name),))
    grant(kafka.broker, role, name, password=f"of {name}")
    return kafka.as_user(name, f"of {name}")


def name_of(broker: Broker) -> str:
    assert broker.username is not None
    return broker.username


@pytest.fixture(scope="module")
def bath(kafka: RealKafka) -> Broker:
    return user(kafka, FleetRole.SITE, "bath")


@pytest.fixture(scope="module")
def york(kafka: RealKafka) -> Broker:
    return user(kafka, FleetRole.SITE, "york")


def send(broker: Broker, topic: str, *, key: bytes = b"k") -> None:
    """Write one record, or raise what the broker says."""
    producer = KafkaProducer(**broker.options(), acks="all", enable_idempotence=True)
    with closing(producer):
        producer.send(topic, key=key, value=b"{}", partition=0).get(timeout=20)


def may_write(broker: Broker, topic: str) -> bool:
    """Whether a user may write on a topic; what else fails is raised."""
    try:
        send(broker, topic)
    except KafkaError as error:
        if refused_access(error) is None:
            raise
        return False
    return True


def words(broker: Broker, folder: Path) -> list[str]:
    """What a command line needs to sign in as a user."""
    secret = folder / f"password-of-{name_of(broker)}"
    secret.write_text(f"{broker.password}\n")
    signed_in = ["--username", name_of(broker), "--password-file", str(secret)]
    return ["--servers", broker.servers, "--ca-file", str(broker.ca_file), *signed_in]


def bonewatch(*command: str) -> "subprocess.CompletedProcess[str]":
    whole = [sys.executable, "-m", "bonewatch", "fleet", *command]
    return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def running(*command: str, log: Path) -> Iterator[None]:
    """A process of the fleet for the length of a block; it ends in order."""
    with log.open("wb") as said:
        process = subprocess.Popen([sys.executable, "-m", "bonewatch", "fleet", *command], stdout=said, stderr=said)
    try:
        yield
    finally:
        process.terminate()
        status = process.wait(30)
    assert status == 0, log.read_text()


def forwarded(path: Path, site: str, broker: Broker) -> int:
    """Send a whole log; return how many outcomes stand in it."""
    write_log(path, site, devices=1, days=5)
    with SqliteEventLog(path, read_only=True) as log:
        last = log.last_position()
        for position in Forwarder(log, site, broker).batches():
            if position == last:
                break
        return sum(len(row.outcomes) for row in log.rows())


def read(broker: Broker, group: str, topics: list[str], count: int) -> list[Any]:
    consumer = KafkaConsumer(*topics, **broker.options(), group_id=group, auto_offset_reset="earliest")
    found: list[Any] = []
    with closing(consumer):
        for _ in range(60):
            for records in consumer.poll(timeout_ms=500).values():
                found += records
            if len(found) >= count:
                return found
    raise AssertionError(f"{len(found)} of {count} came")


def test_a_fleet_of_the_right_users_works_over_tls_to_its_database(
    kafka: RealKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, epr = user(kafka, FleetRole.SITE, "exeter"), user(kafka, FleetRole.SUBSCRIBER)
    monkeypatch.setenv("BONEWATCH_DATABASE_PASSWORD", PASSWORD)
    authority = Authority("a test's own")
    ca = authority.write(tmp_path / "database-ca.pem")
    count = forwarded(tmp_path / "exeter.sqlite", "exeter", site)
    with ExitStack() as stack:
        url = f"{stack.enter_context(tls_postgres(authority))}?sslmode=verify-full&sslrootcert={ca}"
        for name, role in (("worker", FleetRole.WORKER), ("compare", FleetRole.WORKER), ("sink", FleetRole.SINK)):
            more = ["--database-url", url] if role is FleetRole.SINK else []
            command = [name, *words(user(kafka, role), tmp_path), *more]
            stack.enter_context(running(*command, log=tmp_path / f"{name}.log"))
        outcomes = read(epr, name_of(epr), sorted(OUTCOMES.values()), count)
        with open_connection(url, password=PASSWORD) as db:
            statement = "SELECT count(*) FROM events WHERE device LIKE 'exeter/%'"
            with SqliteEventLog(tmp_path / "exeter.sqlite", read_only=True) as log:
                wait_until(lambda: _made(db) and db.execute(statement).fetchall() == [(log.last_position(),)])
    assert len({codec.decode_outcome(record.value).outcome_id for record in outcomes}) == count > 10
    assert "broker_refuses" not in "".join(log.read_text() for log in tmp_path.glob("*.log"))


def _made(db: Any) -> bool:
    return bool(db.execute("SELECT to_regclass('bonewatch.events') IS NOT NULL").fetchone()[0])


def test_another_site_neither_writes_nor_reads_a_sites_topic(bath: Broker, york: Broker) -> None:
    send(bath, device_events("bath"))
    for broker, topic in ((york, device_events("bath")), (bath, device_events("york"))):
        with pytest.raises(TopicAuthorizationFailedError):
            send(broker, topic)
        with pytest.raises(TopicAuthorizationFailedError):
            last_sent(broker.options(), topic.rpartition(".")[2])


def test_a_site_reads_no_outcomes_and_joins_no_group(bath: Broker) -> None:
    assert not may_write(bath, GATES)
    with pytest.raises(GroupAuthorizationFailedError):
        read(bath, "bonewatch-fleet", [device_events("bath")], 1)


def test_a_subscriber_reads_what_is_published_in_its_own_groups_only(kafka: RealKafka, bath: Broker) -> None:
    epr = user(kafka, FleetRole.SUBSCRIBER)
    send(kafka.broker, GATES)
    assert read(epr, f"{name_of(epr)}-test", [GATES], 1) != []
    with pytest.raises(GroupAuthorizationFailedError):
        read(epr, "bonewatch-sink", [GATES], 1)
    with pytest.raises(TopicAuthorizationFailedError):
        last_sent(epr.options(), name_of(bath))
    assert not may_write(epr, GATES)


def test_a_sink_writes_nothing(kafka: RealKafka, bath: Broker) -> None:
    sink = user(kafka, FleetRole.SINK)
    assert not any(may_write(sink, topic) for topic in (GATES, SITE_HEADS, device_events(name_of(bath))))


def test_a_worker_cannot_speak_for_a_site(kafka: RealKafka, bath: Broker) -> None:
    worker = user(kafka, FleetRole.WORKER)
    send(worker, GATES)
    assert not any(may_write(worker, topic) for topic in (device_events(name_of(bath)), SITE_HEADS))


def test_a_forwarder_that_is_refused_says_so_once_and_goes_on_when_it_is_let_in(
    kafka: RealKafka, tmp_path: Path
) -> None:
    site = f"site-{uuid.uuid4().hex[:8]}"
    broker = user(kafka, FleetRole.SITE, site)
    remove(kafka.broker, site)
    grant(kafka.broker, FleetRole.SUBSCRIBER, site, password=f"of {site}")  # a user, but not of a site
    write_log(tmp_path / "log.sqlite", site, devices=1, days=2)
    stopped = threading.Event()
    with SqliteEventLog(tmp_path / "log.sqlite", read_only=True) as log, structlog.testing.capture_logs() as said:
        thread = threading.Thread(target=Forwarder(log, site, broker).run, args=(stopped,))
        thread.start()
        try:
            wait_until(lambda: any(line["event"] == "broker_refuses" for line in said))
            grant(kafka.broker, FleetRole.SITE, site)
            last = log.last_position()
            wait_until(lambda: (tail := last_sent(broker.options(), site)) is not None and tail.position == last)
            wait_until(lambda: any(line["event"] == "broker_back" for line in said))
        finally:
            stopped.set()
            thread.join(30)
    refusals = [line["why"] for line in said if line["event"] == "broker_refuses"]
    assert len(refusals) == 1
    assert f"with {device_events(site)} (TopicAuthorizationFailedError)" in refusals[0]
    assert "`bonewatch fleet access`" in refusals[0]
    assert not any(line["event"] == "broker_away" for line in said)


def wrong(kafka: RealKafka, tmp_path: Path) -> dict[str, tuple[Broker, str]]:
    """Every way to get it wrong, with what must be said."""
    servers, admin = kafka.broker.servers, kafka.broker
    other = Authority("somebody else").write(tmp_path / "other.pem")
    return {
        "password": (kafka.as_user("admin", "swordfish"), "does not let 'admin' in: wrong password, or no such user"),
        "user": (kafka.as_user("nobody", "swordfish"), "does not let 'nobody' in"),
        "no TLS": (Broker(servers, None, "admin", admin.password), "speaks TLS and no CA is configured"),
        "no sign-in": (Broker(servers, admin.ca_file), "does it want a sign-in?"),
        "neither": (Broker(servers), "speaks TLS and no CA is configured"),
        "CA": (Broker(servers, other, "admin", admin.password), f"is {other} the CA that signed it"),
    }


@pytest.mark.parametrize("what", ["password", "user", "no TLS", "no sign-in", "neither", "CA"])
def test_what_is_wrong_is_said(kafka: RealKafka, tmp_path: Path, what: str) -> None:
    broker, said = wrong(kafka, tmp_path)[what]
    with pytest.raises(RefusedError) as refused:
        require_accepted(broker)
    assert said in str(refused.value)
    assert "swordfish" not in str(refused.value)


def test_who_is_right_or_meets_nobody_is_not_refused(kafka: RealKafka) -> None:
    require_accepted(kafka.broker)
    assert why_refused(Broker("127.0.0.1:1", kafka.broker.ca_file, "admin", "x")) is None
    assert refused_access(ConnectionError("away")) is None


@pytest.mark.parametrize("command", ["worker", "sink", "topics"])
def test_a_command_that_is_refused_ends_with_a_sentence(kafka: RealKafka, tmp_path: Path, command: str) -> None:
    more = {"sink": ["--database-url", "postgresql://me@localhost/x"]}.get(command, [])
    ended = bonewatch(command, *words(kafka.as_user("admin", "swordfish"), tmp_path), *more)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error 127.0.0.1:")
    assert "wrong password" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_rights_are_given_checked_and_taken_by_command(kafka: RealKafka, tmp_path: Path) -> None:
    site, secret = f"site-{uuid.uuid4().hex[:8]}", tmp_path / "new"
    as_admin = words(kafka.broker, tmp_path)
    secret.write_text("invented\n")
    create(kafka.broker, (site_topic(site),))
    before = bonewatch("access", "site", site, *as_admin, "--check")
    assert before.returncode == 1
    assert f"{site} may not write topic {device_events(site)}" in before.stdout
    given = bonewatch("access", "site", site, *as_admin, "--new-password-file", str(secret))
    assert given.returncode == 0, given.stdout + given.stderr
    assert f"granted {site} write topic {device_events(site)}" in given.stdout
    send(kafka.as_user(site, "invented"), device_events(site))
    with administration(kafka.broker) as admin:
        wide = ResourcePattern(ResourceType.TOPIC, "bonewatch.device-events.v1.", ACLResourcePatternType.PREFIXED)
        admin.create_acls([ACL("User:intruder", "*", ACLOperation.WRITE, ACLPermissionType.ALLOW, wide)])
        own = ResourcePattern(ResourceType.TOPIC, GATES)
        admin.create_acls([ACL(f"User:{site}", "*", ACLOperation.WRITE, ACLPermissionType.ALLOW, own)])
    checked = bonewatch("access", "site", site, *as_admin, "--check")
    assert checked.returncode == 1
    assert "User:intruder may write topic bonewatch.device-events.v1.*" in checked.stdout
    assert f"User:{site} may write topic {GATES}" in checked.stdout
    remove(kafka.broker, "intruder")
    taken = bonewatch("access", "site", site, *as_admin, "--remove")
    assert taken.returncode == 0
    assert "removed" in taken.stdout
    assert not stands(kafka.broker, FleetRole.SITE, site).has_password
    assert stands(kafka.broker, FleetRole.SITE, site).missing == grants(FleetRole.SITE, site)


def test_only_an_administrator_gives_rights(bath: Broker, tmp_path: Path) -> None:
    refused = bonewatch("access", "sink", "bath-2", *words(bath, tmp_path))
    assert refused.returncode == 1
    assert "ClusterAuthorizationFailedError" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("name", ["", "Bath", "bath/x", "bath.x", "*", "a" * 64])
def test_a_name_that_could_mean_another_is_refused(name: str) -> None:
    for role in FleetRole:
        with pytest.raises(ValueError, match="is no name"):
            grants(role, name)


def test_what_is_the_workers_own_is_for_no_subscriber() -> None:
    granted = {each.name for each in grants(FleetRole.SUBSCRIBER, "x") if each.kind == "topic"}
    internal = {topic.name for topic in fleet_topics(1)} - granted
    assert internal == {"bonewatch.worker-states.v1", "bonewatch.dead-letters.v1", SITE_HEADS}
    assert granted >= set(OUTCOMES.values())


@pytest.mark.parametrize("role", FleetRole)
def test_nobody_becomes_the_administrator_or_changes_its_password(
    kafka: RealKafka, tmp_path: Path, role: FleetRole
) -> None:
    new = tmp_path / "new-password"
    new.write_text("taken over\n")
    refused = bonewatch("access", role, "admin", *words(kafka.broker, tmp_path), "--new-password-file", str(new))
    assert refused.returncode != 0
    assert "'admin'" in refused.stderr
    removed = bonewatch("access", role, "admin", *words(kafka.broker, tmp_path), "--remove")
    assert removed.returncode != 0
    assert why_refused(kafka.broker) is None, "its password is what it was"


def test_nobody_changes_whom_it_is_signed_in_as(bath: Broker) -> None:
    with pytest.raises(ValueError, match="signed in as"):
        grant(bath, FleetRole.SITE, name_of(bath), password="another")
    with pytest.raises(ValueError, match="signed in as"):
        remove(bath, name_of(bath))


@pytest.mark.parametrize("name", ["bonewatch", "bonewatch-sink", "bonewatch-x", "bonewatchful"])
def test_no_site_and_no_subscriber_is_called_like_the_fleets_own_processes(name: str) -> None:
    for role in (FleetRole.SITE, FleetRole.SUBSCRIBER):
        with pytest.raises(ValueError, match="fleet's own"):
            grants(role, name)
    assert grants(FleetRole.WORKER, name)
