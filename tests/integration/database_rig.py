"""A scanner's eventful days as rows of a log, and how tests bring rows to the sink."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from storage.connection import Db
from storage.rows import TABLES
from storage.sink import Sink, SinkRow
from streams.messages import FaultCleared, FaultLogged, QcReleased, ReviewDecided
from tests.folding import MONDAY, PHANTOM, PHYSICIST, baseline
from tests.postgres import MemoryLog, Recorded, Server, ServerDatabase

SITE = "test-site"


def scanner(log: MemoryLog | None = None, *, device: str = "test-site/dxa-1", is_signed_off: bool = True) -> Recorded:
    """A scanner with a baseline of 1.000 whose QC of Monday 07:45 has passed."""
    made = Recorded(log=log, device=device, is_signed_off=is_signed_off)
    made.fact(baseline())
    made.vendor_qc()
    made.scan(1.0)
    made.now += timedelta(minutes=1)
    return made


def eventful() -> Recorded:
    """A scanner that saw a failure, its repeat and release, a fault, a late reading and a re-analysis, over days."""
    made = scanner()
    made.scan(1.03)
    made.now += timedelta(minutes=2)
    made.scan(1.03)
    made.fact(QcReleased(PHANTOM, "the table was moved", PHYSICIST))
    made.scan(1.001)
    made.fact(FaultLogged("f1", "laser \\ 'off'\tand \"odd\"\nline", stops_scanning=True, logged_by=PHYSICIST))
    made.until(MONDAY + timedelta(days=1))
    made.fact(FaultCleared("f1", "replaced", PHYSICIST))
    made.vendor_qc()
    made.scan(1.002, acquisition="again")
    made.now += timedelta(minutes=5)
    made.scan(1.025, acquisition="again")
    made.now += timedelta(days=2)
    for _ in range(9):
        made.scan(1.008)
        made.now += timedelta(minutes=1)
    made.scan(1.0, at=made.now - timedelta(days=1))
    made.fact(ReviewDecided(PHANTOM, "no action", PHYSICIST))
    return made


EVENTFUL = eventful().log.rows


def apply(sink: Sink, rows: list[SinkRow], source: str = SITE) -> None:
    sink.apply(source, rows, rows[-1].position)


def empty(db: Db) -> None:
    """Empty every table, so that one database serves many examples."""
    tables = ", ".join([*(table.name for table in TABLES), "sink_positions", "refused_rows"])
    db.execute(f"TRUNCATE {tables}".encode())


@pytest.fixture(scope="module")
def examples(server: Server) -> Iterator[ServerDatabase]:
    """One database for many examples."""
    made = ServerDatabase(server.create(server.template))
    yield made
    made.stop()
    server.drop(made.conninfo)
