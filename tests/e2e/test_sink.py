"""A site and its database: it fills by itself, dies alone, and comes back from the log."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from simulators.ris import VirtualRis
from storage.embedded import CLUSTER, EmbeddedPostgres
from storage.errors import DatabaseAwayError
from storage.server_processes import postgres_in
from streams import codec
from streams.messages import GateChanged, QcJudged
from streams.sqlite_log import SqliteEventLog
from tests.running import SiteProcess, configuration, console, seed

FOLDER = Path("var") / "database"
LOG = Path("var") / "site-log.sqlite"


def eventually(what: Callable[[], bool], *, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def caught_up(site: SiteProcess) -> bool:
    """Whether the database has every event of the log as it stands now."""
    with SqliteEventLog(site.folder / LOG, read_only=True) as log:
        last = log.last_position()
    try:
        with EmbeddedPostgres(site.folder / FOLDER).attach() as db:
            reached = db.execute("SELECT position FROM sink_positions WHERE source = 'test-site'").fetchone()
    except (DatabaseAwayError, psycopg.Error):
        return False
    return reached == (last,)


def command(name: str, folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "bonewatch", "db", name, "-c", str(folder / "site.toml"), *more]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


def server_of(folder: Path) -> int:
    """The postmaster of a folder's cluster: the one whose number stands in its lock."""
    lock = folder / FOLDER / CLUSTER / "postmaster.pid"
    return int(lock.read_text(encoding="utf-8").splitlines()[0])


@pytest.fixture
def ris() -> Iterator[VirtualRis]:
    ris = VirtualRis()
    ris.start()
    yield ris
    ris.stop()


def test_scans_go_on_while_the_database_is_killed_and_it_catches_up(tmp_path: Path, ris: VirtualRis) -> None:
    seed(tmp_path, configuration(ris.port, scanners=1, database=""))
    with SiteProcess(tmp_path) as site, console("DXA1", site.dicom_port, phantom="SPINE-0001") as dxa:
        assert dxa.scan(1.0).status == 0x0000  # before the database is up
        eventually(lambda: caught_up(site))
        first = server_of(tmp_path)
        for turn in range(3):
            os.kill(server_of(tmp_path), signal.SIGKILL)
            assert dxa.scan(1.06).status == 0x0000
            assert dxa.worklist().status == 0xC100
            assert dxa.scan(1.0 + turn / 1000).status == 0x0000
            eventually(lambda: caught_up(site))
        assert server_of(tmp_path) != first
        assert site.metric("bonewatch_sink_failures_total") >= 3
        eventually(lambda: site.metric("bonewatch_sink_lag_events") == 0)
        assert site.get("/readyz").status_code == 200
        away = [line for line in site.log if '"database_away"' in line]
        assert 1 <= len(away) <= 3, "one line an episode"
        beside = json.loads(command("status", tmp_path, "--json").stdout)
        assert (beside["pending"], list(beside["sources"])) == ([], ["test-site"])
        refused = command("rebuild", tmp_path)
        assert (refused.returncode, "in use by another running site" in refused.stderr) == (1, True)
    assert postgres_in(tmp_path / FOLDER / CLUSTER) == []
    rebuilt = command("rebuild", tmp_path, "--json")
    assert rebuilt.returncode == 0, rebuilt.stderr
    said = json.loads(rebuilt.stdout)
    assert said["before"] == said["after"]
    check_content(tmp_path)


def check_content(folder: Path) -> None:
    """Every event, judgement and gate of the log stands in the database once."""
    with SqliteEventLog(folder / LOG, read_only=True) as log:
        rows = [(row.device, row.device_seq, row.outcomes) for row in log.rows()]
    outcomes = [codec.decode_outcome(body).outcome for _, _, bodies in rows for body in bodies]
    server = EmbeddedPostgres(folder / FOLDER)
    with server.connect() as db:
        events = db.execute("SELECT device, device_seq FROM events ORDER BY log_position").fetchall()
        revisions = db.execute("SELECT subject_event_id, revision, verdict FROM qc_revisions").fetchall()
        gates = db.execute("SELECT device, status FROM gate_changes").fetchall()
    server.stop()
    assert events == [(device, seq) for device, seq, _ in rows]
    judged = [(o.subject_event_id, o.revision, o.verdict.value) for o in outcomes if isinstance(o, QcJudged)]
    assert sorted(revisions) == sorted(judged)
    assert len(gates) == sum(isinstance(o, GateChanged) for o in outcomes)


def test_a_killed_site_leaves_no_server_and_its_successor_goes_on(tmp_path: Path) -> None:
    seed(tmp_path, configuration(scanners=1, database=""))
    for _ in range(2):
        site = SiteProcess(tmp_path)
        with console("DXA1", site.dicom_port, phantom="SPINE-0001") as dxa:
            assert dxa.scan(1.001).status == 0x0000
        eventually(lambda: caught_up(site))  # noqa: B023 - asked at once
        site.kill()
    eventually(lambda: postgres_in(tmp_path / FOLDER / CLUSTER) == [])
    check_content(tmp_path)


def test_another_log_of_the_site_is_not_mixed_in(tmp_path: Path) -> None:
    seed(tmp_path, configuration(scanners=1, database=""))
    with SiteProcess(tmp_path) as site:
        eventually(lambda: caught_up(site))
    (tmp_path / "var").rename(tmp_path / "lost")
    seed(tmp_path, configuration(scanners=1, database=""))  # a log begun anew
    (tmp_path / "lost" / "database").rename(tmp_path / FOLDER)
    with SiteProcess(tmp_path) as site:
        eventually(lambda: site.metric("bonewatch_sink_log_forked") == 1)
        assert site.get("/readyz").status_code == 200
        assert any('"log_forked"' in line and "it has another id" in line for line in site.log)
    assert json.loads(command("rebuild", tmp_path, "--json").stdout)["events"] > 0
    with SiteProcess(tmp_path) as site:
        eventually(lambda: caught_up(site))
        assert site.metric("bonewatch_sink_log_forked") == 0


def test_a_site_without_a_database_starts_none(tmp_path: Path) -> None:
    seed(tmp_path, configuration(scanners=1))
    with SiteProcess(tmp_path) as site:
        assert site.get("/readyz").status_code == 200
    assert not (tmp_path / FOLDER).exists()


def test_a_given_server_that_is_not_there_is_no_obstacle(tmp_path: Path) -> None:
    url = "postgresql://bonewatch@127.0.0.1:1/bonewatch"
    seed(tmp_path, configuration(scanners=1, database=f'url = "{url}"'))
    with SiteProcess(tmp_path) as site, console("DXA1", site.dicom_port, phantom="SPINE-0001") as dxa:
        eventually(lambda: site.metric("bonewatch_sink_failures_total") >= 2)
        assert dxa.scan(1.0).status == 0x0000
        eventually(lambda: site.metric("bonewatch_sink_lag_events") > 3)
    assert len([line for line in site.log if '"database_away"' in line]) == 1
    failed = command("status", tmp_path)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "the database cannot be reached" in failed.stderr
