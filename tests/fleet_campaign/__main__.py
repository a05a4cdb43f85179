"""``python -m tests.fleet_campaign``: the long kill campaign; docs/fleet.md says what it does and how it went last."""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import make_conninfo

from storage.embedded import OWNER, EmbeddedPostgres
from tests.fleet_campaign.campaign import Databases, Plan, run
from tests.kafka import real_kafka

EVENTS_A_DAY = 3.06
"""Of a device in `tests.site_logs`, with what time brings."""


def main(words: Sequence[str]) -> int:
    """Run the campaign that the words ask for; 1 if anything was lost, doubled or changed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet_campaign", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--events", type=int, default=100_000, help="about so many")
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--devices", type=int, default=25, help="of each site")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--within-s", type=float, default=300.0, help="until all has arrived after the last kill")
    asked = parser.parse_args(words)
    days = round(asked.events / (asked.sites * asked.devices * EVENTS_A_DAY)) + 1
    plan = Plan(asked.sites, asked.devices, asked.kills, max(1, days - asked.kills), asked.seed, asked.within_s)
    os.nice(10)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bonewatch-fleet-") as name, real_kafka(Path(name) / "kafka") as kafka:
        server = EmbeddedPostgres(Path(name) / "database")
        try:
            result = run(Path(name) / "fleet", kafka, _databases(server), plan, lambda said: _say(started, said))
        finally:
            server.stop()
    kills = ", ".join(f"{count} {kind}" for kind, count in sorted(result.kills.items()))
    _say(started, f"{result.kills.total()} kills ({kills}); {result.events} events, {result.outcomes} outcomes")
    _say(started, f"{result.doubled} outcomes stand twice on the topics, the same each time; {result.took_s:.0f} s")
    for fault in result.faults:
        _say(started, f"FAULT {fault}")
    return 1 if result.faults else 0


def _databases(server: EmbeddedPostgres) -> Databases:
    with server.connect() as db:
        db.execute("CREATE DATABASE fleet")
        db.execute("CREATE DATABASE straight")
    conninfo = make_conninfo("", host=server.host, port=5432, user=OWNER)
    return Databases(make_conninfo(conninfo, dbname="fleet"), make_conninfo(conninfo, dbname="straight"))


def _say(started: float, words: str) -> None:
    sys.stdout.write(f"{time.monotonic() - started:6.1f} s  {words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
