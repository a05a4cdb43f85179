"""A worker and a sink as processes of the command line, their metrics, and site logs put on their topics by hand."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from streams import codec
from streams.broker import Broker
from streams.envelope import Record, record_from_row
from streams.sqlite_log import SqliteEventLog
from streams.topics import device_events
from tests.peers import free_port

ENDS_WITHIN_S = 60.0


class FleetProcess:
    """``bonewatch fleet worker`` or ``sink``."""

    def __init__(self, output: Path, *words: str) -> None:
        self._port, self._output = free_port(), output
        command = [sys.executable, "-m", "bonewatch", "fleet", *words, "--metrics-port", str(self._port)]
        with output.open("ab") as said:
            self._process = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL)

    def metric(self, name: str, **labels: str) -> float:
        """Return one number of its metrics, 0 where it has none or does not answer yet."""
        try:
            text = httpx.get(f"http://127.0.0.1:{self._port}/metrics", timeout=30.0).text
        except httpx.TransportError:
            return 0.0
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return next((one.value for one in samples if (one.name, one.labels) == (name, labels)), 0.0)

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self._output.read_text(encoding="utf-8")

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        self._process.terminate()
        try:
            return self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(ENDS_WITHIN_S)


@contextmanager
def fleet_process(output: Path, *words: str) -> Iterator[FleetProcess]:
    """One such process for the length of a block."""
    process = FleetProcess(output, *words)
    try:
        yield process
    finally:
        process.stop()


def fleet(*words: str) -> str:
    """Run a command of the fleet that ends by itself; return what it printed."""
    command = [sys.executable, "-m", "bonewatch", "fleet", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def records_of(path: Path, *, after: int = 0) -> list[Record]:
    """Return the records that a forwarder would make of a log."""
    with SqliteEventLog(path, read_only=True) as log:
        return [
            record_from_row(
                codec.decode_event(row.body),
                position=row.position,
                link=row.link,
                body=row.body,
                outcome_bodies=row.outcomes,
            )
            for row in log.rows(after=after)
        ]


def put(broker: Broker, site: str, records: Iterable[Record]) -> None:
    """Put records on a site's topic, in one batch where they are few, whatever a forwarder would say."""
    producer = KafkaProducer(**broker.options(), acks="all", linger_ms=500, batch_size=900_000)
    try:
        topic = device_events(site)
        sent = [producer.send(topic, key=r.key, value=r.value, headers=r.headers, partition=0) for r in records]
        producer.flush()
        for one in sent:
            one.get(timeout=30)
    finally:
        producer.close()
