"""Kills parts of a running fleet at random while its sites record, then compares everything with a straight replay."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from storage.checksum import checksums
from storage.connection import open_connection
from storage.errors import DatabaseAwayError
from storage.log_rows import batches, readable
from storage.migrate import migrate
from storage.sink import Sink, positions
from streams import codec
from streams.broker import Broker
from streams.messages import GateChanged, RecordedOutcome
from streams.sqlite_log import SqliteEventLog
from streams.topics import DEAD_LETTERS, OUTCOMES
from tests.fleet_campaign.expected import Straight, differences, straight
from tests.fleet_campaign.ground import Fleet
from tests.kafka import RealKafka, wait_until

KINDS = ("worker", "sink", "forwarder", "broker")
WEIGHTS = (5, 5, 5, 2)
FEW = 10
CUT_LINES = ("ConnectionResetError", "BrokenPipeError", "ConnectionRefusedError")
"""What the Kafka client may log with a traceback of its own when the broker is killed."""

TROUBLE = ("fold_diverges", "device_refolded", "device_parked", "log_forked", "event_too_large")


@dataclass(frozen=True)
class Plan:
    """How large a campaign is; a seed gives the same kills in the same order."""

    sites: int
    devices: int
    kills: int
    days_before: int
    seed: int
    caught_up_within_s: float

    def victims(self) -> list[str]:
        """Return what kind is killed at each turn: each kind at least once."""
        rng = random.Random(self.seed)  # noqa: S311 - whom to kill, not a secret
        drawn = [*KINDS, *rng.choices(KINDS, WEIGHTS, k=max(0, self.kills - len(KINDS)))][: self.kills]
        rng.shuffle(drawn)
        return drawn


@dataclass
class Result:
    """What a campaign saw; empty `faults` is the one good end."""

    kills: Counter[str]
    events: int = 0
    outcomes: int = 0
    published: int = 0
    took_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def doubled(self) -> int:
        """How many outcomes stand twice on the topics: each has the identity and the content of the first."""
        return self.published - self.outcomes


class Databases(NamedTuple):
    """Where the fleet's sinks write, and an empty one for the straight replay."""

    fleet: str
    straight: str


def run(folder: Path, kafka: RealKafka, databases: Databases, plan: Plan, say: Callable[[str], None]) -> Result:
    """Run one campaign; every wait in it is bounded."""
    started = time.monotonic()
    fleet = Fleet(folder, kafka, databases.fleet, [f"site-{n:02}" for n in range(plan.sites)], plan.devices)
    result = Result(Counter())
    say(f"seed {plan.seed}: {plan.sites} sites of {plan.devices} devices, {plan.kills} kills")
    fleet.prepare()
    try:
        fleet.live(plan.days_before)
        fleet.start()
        for victim in _turns(fleet, plan, say):
            result.kills[victim] += 1
        replayed = straight(fleet.log(site) for site in fleet.sites)
        result.events, result.outcomes = len(replayed.events), len(replayed.by_id)
        say(f"{result.events} events, {result.outcomes} outcomes; waiting until all of them are there")
        result.faults += _arrival(fleet, databases, replayed, plan.caught_up_within_s)
    finally:
        fleet.stop()
    there = _published(kafka.broker)
    result.published = len(there)
    result.faults += _compare(fleet, databases, replayed, there)
    result.took_s = time.monotonic() - started
    return result


def _turns(fleet: Fleet, plan: Plan, say: Callable[[str], None]) -> Iterator[str]:
    """A day passes at every site; somewhere in it, something is killed, and started again."""
    rng = random.Random(plan.seed + 1)  # noqa: S311 - when to kill, not a secret
    for turn, kind in enumerate(plan.victims(), start=1):
        day = threading.Thread(target=fleet.live, args=(1,))
        day.start()
        time.sleep(rng.uniform(0.0, 3.0))
        if kind == "broker":
            fleet.kafka.kill()
            time.sleep(rng.uniform(0.0, 2.0))
            fleet.kafka.start()
            name = kind
        else:
            part = rng.choice([part for part in fleet.parts if part.kind == kind and part.runs])
            name = part.name
            part.kill()
            time.sleep(rng.choice((0.0, 0.5, 2.0)))
            part.start()
        day.join()
        say(f"kill {turn}: {name}")
        yield kind
        if rng.random() < 0.1:  # two workers rebalance without a kill too
            worker = rng.choice([part for part in fleet.parts if part.kind == "worker" and part.name != name])
            worker.ask_to_stop()
            worker.wait()
            worker.start()
            say(f"stopped and started {worker.name}")


def _arrival(fleet: Fleet, databases: Databases, replayed: Straight, within_s: float) -> list[str]:
    """Wait until the database and the topics have everything; say what has not come."""
    ends = {}
    for site in fleet.sites:
        with SqliteEventLog(fleet.log(site), read_only=True) as log:
            ends[site] = log.last_position()
    watched = Arrived(fleet.kafka.broker)

    def is_there() -> bool:
        try:
            with open_connection(databases.fleet) as db:
                reached = {site: at.log_position for site, at in positions(db).items() if site in ends}
        except DatabaseAwayError:
            return False
        return reached == ends and watched.count() >= len(replayed.by_id)

    try:
        wait_until(is_there, within_s=within_s)
    except AssertionError as error:
        return [str(error), *(f"{part.name} does not run" for part in fleet.parts if not part.runs)]
    finally:
        watched.close()
    return []


class Arrived:
    """Counts the different outcomes on the topics, reading each record once."""

    def __init__(self, broker: Broker) -> None:
        self._consumer = KafkaConsumer(**broker.options(), enable_auto_commit=False)
        topics = sorted(OUTCOMES.values())
        places = [TopicPartition(t, p) for t in topics for p in self._consumer.partitions_for_topic(t) or ()]
        self._consumer.assign(places)
        self._consumer.seek_to_beginning(*places)
        self._ids: set[bytes] = set()

    def count(self) -> int:
        """Return how many have come so far."""
        while polled := self._consumer.poll(timeout_ms=500, max_records=5000):
            self._ids |= {dict(record.headers)["ce_id"] for records in polled.values() for record in records}
        return len(self._ids)

    def close(self) -> None:
        """Let the broker go."""
        self._consumer.close()


def _published(broker: Broker) -> list[RecordedOutcome]:
    """Return every outcome on the topics, each partition in its order."""
    consumer = KafkaConsumer(**broker.options(), enable_auto_commit=False)
    try:
        topics = sorted(OUTCOMES.values())
        places = [TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()]
        return [codec.decode_outcome(record.value) for record in _records(consumer, places)]
    finally:
        consumer.close()


def _records(consumer: Any, places: list[Any]) -> Iterator[Any]:
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    while any(consumer.position(place) < ends[place] for place in places):
        for records in consumer.poll(timeout_ms=500, max_records=5000).values():
            yield from records


def _compare(fleet: Fleet, databases: Databases, replayed: Straight, there: list[RecordedOutcome]) -> list[str]:
    faults = on_topics(replayed, there)
    with open_connection(databases.fleet) as db:
        found = differences(db, replayed)
        faults += found[:FEW] + ([f"and {len(found) - FEW} more"] if len(found) > FEW else [])
        content = checksums(db)
    expected = _filled_straight(fleet, databases.straight)
    faults += [f"checksum of {name or 'everything'}" for name in content if content[name] != expected[name]]
    consumer = KafkaConsumer(**fleet.kafka.broker.options(), enable_auto_commit=False)
    try:
        dead = consumer.end_offsets([TopicPartition(DEAD_LETTERS, 0)])
    finally:
        consumer.close()
    faults += ["there are dead letters"] if any(dead.values()) else []
    for part in fleet.parts:
        faults += [f"{part.name} said {words}" for words in _trouble(part.said)]
        faults += [f"{part.name} ended by itself with {status}" for status in part.ended]
    return faults


def _trouble(said: str) -> set[str]:
    """Return what a process must not say; of a traceback, the line that names the error."""
    lines, found = iter(said.splitlines()), set()
    for line in lines:
        if "Traceback" in line:
            error = next((after for after in lines if not after.startswith(" ")), line)
            found |= set() if error.startswith(CUT_LINES) else {error}
        elif any(word in line for word in TROUBLE):
            found.add(line)
    return found


def on_topics(replayed: Straight, there: list[RecordedOutcome]) -> list[str]:
    """Compare the outcomes on the topics, by identity; one that came twice must be the same, and each in order."""
    expected, seen = replayed.by_id, dict[str, RecordedOutcome]()
    last: dict[tuple[str, str], int] = {}
    faults: list[str] = stale_gates(replayed, there)
    for outcome in there:
        if outcome.outcome_id in seen:
            continue  # after a kill, what was not told to the broker in time comes again, from where it went on
        seen[outcome.outcome_id] = outcome
        lane = (outcome.device, type(outcome.outcome).__name__)
        if outcome.device_seq < last.get(lane, 0):
            faults.append(f"{lane} goes back to {outcome.device_seq}")
        last[lane] = outcome.device_seq
    other = [outcome for outcome in there if expected.get(outcome.outcome_id) != outcome]
    missing = expected.keys() - seen.keys()
    faults += [f"{len(other)} outcomes on the topics are not the replay's, first {other[0]}"] if other else []
    faults += [f"{len(missing)} outcomes are on no topic"] if missing else []
    return faults[:FEW]


def stale_gates(replayed: Straight, there: list[RecordedOutcome]) -> list[str]:
    """Say where the last record of a gate's key, which a compacted topic keeps, is not the newest gate."""
    newest, kept = _last_gates(outcome for _, outcome in replayed.outcomes), _last_gates(there)
    stale = [key for key, gate in newest.items() if key in kept and kept[key] != gate]
    return [f"the gate {device}#{mode} that stands last is not the newest" for device, mode in stale[:FEW]]


def _last_gates(outcomes: Iterable[RecordedOutcome]) -> dict[tuple[str, str], RecordedOutcome]:
    return {(o.device, o.outcome.mode): o for o in outcomes if isinstance(o.outcome, GateChanged)}


def _filled_straight(fleet: Fleet, conninfo: str) -> dict[str, str]:
    """Fill an empty database from the logs themselves, as a site does; return its checksums."""
    with open_connection(conninfo) as db:
        migrate(db)
    sink = Sink(lambda: open_connection(conninfo))
    for site in fleet.sites:
        with SqliteEventLog(fleet.log(site), read_only=True) as log:
            for batch in batches(log.rows(), 2000):
                sink.apply(site, readable(batch), batch[-1].position)
    sink.close()
    with open_connection(conninfo) as db:
        return checksums(db)
