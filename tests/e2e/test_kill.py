"""Power cuts: the real site is killed at random points in a stream of scans, and nothing acknowledged is lost."""

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from simulators.ris import VirtualRis
from simulators.scanner import ScannerConnectionError
from streams.messages import PhantomMeasured, event_id
from streams.refold import replay, verify
from streams.sqlite_log import SqliteEventLog
from tests.running import ScannerConsole, SiteProcess, configuration, console, seed
from tests.site_logs import facts_in

KILLS = int(os.environ.get("BONEWATCH_KILLS", "25"))
"""The long run has 200: ``BONEWATCH_KILLS=200 pytest tests/e2e/test_kill.py``."""
KILLS_PER_LOG = 20
STREAMS = 2
REFUSED = 0xC100


class Stream:
    """Scans sent one after another until the line breaks; what was not acknowledged is sent again next time."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self.unanswered: Dataset | None = None
        self._values = (1.0, 1.06)
        self._sent = 0

    def send(self, dxa: ScannerConsole, stop: threading.Event) -> None:
        while not stop.is_set():
            report = self.unanswered or self._next(dxa)
            self.unanswered = report
            answer = dxa.send(report)
            if answer.status != 0x0000:
                return
            self.acknowledged.append(answer.sop_instance_uid)
            self.unanswered = None

    def _next(self, dxa: ScannerConsole) -> Dataset:
        self._sent += 1
        return dxa.report(self._values[self._sent % 2])


def expected_status(folder: Path) -> int:
    """What a query must get, read off the log by the plain rule: the last scan passed, or it failed."""
    scans = [
        fact.bmd_g_cm2
        for fact in facts_in(folder / "var" / "site-log.sqlite")
        if isinstance(fact, PhantomMeasured) and fact.region == "L1-L4"
    ]
    return 0x0000 if scans and scans[-1] == 1.0 else REFUSED


def check_log(folder: Path, acknowledged: list[str]) -> list[str]:
    """Return what is wrong with a log after a kill."""
    with SqliteEventLog(folder / "var" / "site-log.sqlite", read_only=True) as log:
        ids = [row.event_id for row in log.rows()]
        faults = [*verify(log).faults, *replay(log).differences]
    lost = [uid for uid in acknowledged if ids.count(event_id(uid, "L1-L4")) != 1]
    return faults + [f"{uid} was acknowledged and is not in the log once" for uid in lost]


def kill_rounds(folder: Path, ris_port: int, rounds: int, seed_number: int) -> tuple[int, list[str]]:
    """Kill the site so often; return how many scans were acknowledged and everything that was wrong."""
    chance = random.Random(seed_number)  # noqa: S311 - when to kill, not a secret
    folder.mkdir()
    seed(folder, configuration(ris_port, scanners=1))
    stream, wrong = Stream(), []
    for _ in range(rounds):
        expected = expected_status(folder)
        site = SiteProcess(folder)
        try:
            with suppress(ScannerConnectionError), console("DXA1", site.dicom_port, phantom="SPINE-0001") as dxa:
                if dxa.worklist().status != expected:
                    wrong.append(f"after a restart the gate is not {expected:#06x}")
                stop = threading.Event()
                sender = threading.Thread(target=stream.send, args=(dxa, stop))
                sender.start()
                time.sleep(chance.uniform(0.0, 0.4))
                site.kill()
                stop.set()
                sender.join()
        finally:
            site.kill()
        wrong += check_log(folder, stream.acknowledged)
    return len(stream.acknowledged), wrong


@pytest.fixture
def ris() -> Iterator[VirtualRis]:
    ris = VirtualRis()
    ris.start()
    yield ris
    ris.stop()


@pytest.mark.timeout(1200)
def test_kills_lose_nothing_double_nothing_and_leave_the_gate_right(tmp_path: Path, ris: VirtualRis) -> None:
    logs = KILLS // KILLS_PER_LOG
    with ThreadPoolExecutor(STREAMS) as pool:
        results = list(pool.map(lambda n: kill_rounds(tmp_path / f"log-{n}", ris.port, KILLS_PER_LOG, n), range(logs)))
    assert [wrong for _, wrong in results if wrong] == []
    assert sum(acknowledged for acknowledged, _ in results) > KILLS, "the streams must have been under way"
