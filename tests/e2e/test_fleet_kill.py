"""The fleet's kill campaign in short; ``python -m tests.fleet_campaign`` runs the long one (docs/fleet.md)."""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from storage.log_rows import readable
from storage.sink import Sink
from streams.sqlite_log import SqliteEventLog
from tests.fleet_campaign.campaign import KINDS, Databases, Plan, on_topics, run
from tests.fleet_campaign.expected import differences, straight
from tests.kafka import RealKafka, real_kafka
from tests.postgres import Server, ServerDatabase, database, embedded, server
from tests.site_logs import write_log

__all__ = ["database", "embedded", "server"]


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[RealKafka]:
    with real_kafka(tmp_path / "kafka") as broker:
        yield broker


@pytest.fixture
def databases(server: Server) -> Iterator[Databases]:
    """Two empty databases without a schema: the sinks make theirs, both at once."""
    made = Databases(server.create("template1"), server.create("template1"))
    yield made
    for conninfo in made:
        server.drop(conninfo)


def test_killed_workers_sinks_forwarders_and_a_broker_lose_double_and_change_nothing(
    kafka: RealKafka, databases: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("BONEWATCH_FLEET_SEED", random.SystemRandom().randrange(10_000)))
    plan = Plan(sites=3, devices=5, kills=5, days_before=10, seed=seed, caught_up_within_s=120)

    def say(words: str) -> None:
        with capsys.disabled():
            sys.stdout.write(words + "\n")

    result = run(tmp_path / "fleet", kafka, databases, plan, say)
    assert result.faults == [], f"BONEWATCH_FLEET_SEED={seed} gives these kills again"
    assert result.kills.total() == 5
    assert all(result.kills[kind] >= 1 for kind in KINDS)
    assert result.outcomes > result.events > 500


def test_a_row_lost_doubled_or_changed_is_a_difference(database: ServerDatabase, tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    write_log(path, "here", devices=1, days=3)
    with SqliteEventLog(path, read_only=True) as log:
        rows = readable(log.rows())
    sink = Sink(database.connect)
    sink.apply("here", rows, len(rows))
    sink.close()
    replayed = straight([path])
    with database.connect() as db:
        assert differences(db, replayed) == []
        db.execute("DELETE FROM stage_changes")
        db.execute("UPDATE gates SET status = 'open', device_seq = 0")
        db.execute("UPDATE qc_revisions SET device_seq = 1000 WHERE revision = 0")
        tables = {words.partition(":")[0].strip() for words in differences(db, replayed)}
    assert tables == {"stage_changes", "gates", "qc_revisions"}


def test_an_outcome_missing_or_other_on_the_topics_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    write_log(path, "here", devices=1, days=3)
    replayed = straight([path])
    outcomes = list(replayed.by_id.values())
    assert on_topics(replayed, outcomes) == []
    assert on_topics(replayed, [*outcomes, outcomes[-1]]) == [], "the same once more counts once"
    assert on_topics(replayed, outcomes[1:]) == ["1 outcomes are on no topic"]
    other = msgspec.structs.replace(outcomes[3], device_seq=999)
    assert "are not the replay's" in " ".join(on_topics(replayed, [*outcomes[:3], other, *outcomes[4:]]))
    assert "goes back to" in " ".join(on_topics(replayed, outcomes[::-1]))
