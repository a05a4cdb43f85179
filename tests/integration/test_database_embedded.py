"""The embedded PostgreSQL as it runs on a site's computer: started, killed, left behind, found again."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from storage import account, programs
from storage.embedded import CLUSTER, EmbeddedPostgres
from storage.errors import DatabaseAwayError, EmbeddedServerError, ServerInUseError
from storage.server_processes import postgres_in

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster that was made and stopped, to copy."""
    folder = tmp_path_factory.mktemp("made") / "database"
    server = EmbeddedPostgres(folder)
    server.start()
    server.stop()
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "database"
    subprocess.run(["cp", "-a", str(made), str(copy)], check=True)
    return copy


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder)
    yield server
    server.stop()


def reconnected(server: EmbeddedPostgres) -> "psycopg.Connection[tuple[object, ...]]":
    """Connect as the sink does: try again."""
    return eventually(server.connect)


def eventually(
    work: Callable[[], "psycopg.Connection[tuple[object, ...]]"],
) -> "psycopg.Connection[tuple[object, ...]]":
    deadline = time.monotonic() + 30
    while True:
        try:
            return work()
        except DatabaseAwayError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def test_it_listens_on_no_network_and_lets_no_other_user_in(server: EmbeddedPostgres) -> None:
    with server.connect() as db:
        assert db.execute("SHOW listen_addresses").fetchall() == [("",)]
        assert db.execute("SHOW data_directory_mode").fetchall() == [("0700",)]
        rules = db.execute("SELECT type, auth_method FROM pg_hba_file_rules").fetchall()
        assert rules == [("local", "peer")]
        assert db.execute("SHOW synchronous_commit").fetchall() == [("off",)]


@as_root
def test_started_by_root_it_runs_without_rights(server: EmbeddedPostgres, folder: Path) -> None:
    server.start()
    assert server.pid is not None
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
    uid = int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1])
    assert uid != 0
    assert (folder / CLUSTER).stat().st_uid == uid
    assert (folder / CLUSTER).stat().st_mode & 0o777 == 0o700


def test_what_was_committed_is_there_after_a_restart(server: EmbeddedPostgres) -> None:
    with server.connect() as db:
        db.execute("CREATE TABLE kept AS SELECT 42 AS n")
    server.stop()
    assert server.pid is None
    with server.connect() as db:
        assert db.execute("SELECT n FROM kept").fetchall() == [(42,)]


def test_killed_it_starts_again_with_everything(server: EmbeddedPostgres) -> None:
    for turn in range(3):
        with reconnected(server) as db:
            db.execute(f"CREATE TABLE turn_{turn} AS SELECT 1 AS n".encode())
            db.execute("CHECKPOINT")
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
    with reconnected(server) as db:
        tables = db.execute("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'turn_%'").fetchall()
        assert tables == [(3,)]


HOLD = """
import sys, time
from pathlib import Path
from storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.connect().execute("CREATE TABLE IF NOT EXISTS seen (n integer)")
print("pid", server.pid, flush=True)
time.sleep(60)
"""


def test_a_killed_site_leaves_no_server_behind_and_the_next_one_starts(folder: Path, server: EmbeddedPostgres) -> None:
    site = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert site.stdout is not None
    assert any(line.startswith("pid ") for line in iter(site.stdout.readline, ""))
    with pytest.raises(ServerInUseError):
        server.connect()
    with server.attach() as beside:
        assert beside.execute("SELECT count(*) FROM seen").fetchall() == [(0,)]
    site.kill()
    site.wait()
    site.stdout.close()
    with server.connect() as db:
        assert db.execute("SELECT count(*) FROM seen").fetchall() == [(0,)]
    server.stop()
    assert postgres_in(folder / CLUSTER) == []


def test_a_stale_lock_that_names_a_living_process_is_no_obstacle(server: EmbeddedPostgres, folder: Path) -> None:
    """After a power cut another process may have the old server's number; here one of the same user."""
    owner = pwd.getpwuid((folder / CLUSTER).stat().st_uid)
    other = subprocess.Popen(["sleep", "60"], user=owner.pw_uid if os.geteuid() == 0 else None)
    (folder / CLUSTER / "postmaster.pid").write_text(f"{other.pid}\n{folder / CLUSTER}\n", encoding="utf-8")
    (folder / CLUSTER / ".s.PGSQL.5432.lock").write_text(f"{other.pid}\n", encoding="utf-8")
    with server.connect() as db:
        assert db.execute("SELECT 1").fetchall() == [(1,)]
    other.kill()
    other.wait()


def test_a_path_longer_than_a_socket_may_have_is_no_obstacle(made: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("hospital-" * 12) / ("department-" * 10) / "database"
    deep.parent.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(made), str(deep)], check=True)
    server = EmbeddedPostgres(deep)
    with server.connect() as db:
        assert db.execute("SELECT 1").fetchall() == [(1,)]
    server.stop()


def test_a_cluster_of_another_version_is_replaced(server: EmbeddedPostgres, folder: Path) -> None:
    """It holds a projection: a new one is made and filled from the log; the old one goes."""
    (folder / CLUSTER).rename(folder / "17-1")
    with server.connect() as db:
        assert db.execute("SHOW server_version_num").fetchone() is not None
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [CLUSTER]


def test_a_cluster_half_made_is_made_again(tmp_path: Path) -> None:
    half = tmp_path / "database" / f"{CLUSTER}.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n", encoding="utf-8")
    server = EmbeddedPostgres(tmp_path / "database")
    server.connect().close()
    server.stop()


@as_root
def test_programs_that_the_server_may_not_read_are_copied_once() -> None:
    """The virtual environment of root's own home: nobody else can read it."""
    shared = Path("/tmp") / f"bonewatch-test-{os.getpid()}"  # noqa: S108 - a folder that others can reach
    shared.mkdir(mode=0o755)
    try:
        hidden = shared / "hidden"
        hidden.mkdir(mode=0o700)
        for part in programs.NEEDED:
            shutil.copytree(programs.installed().parents[2] / part, hidden / part, symlinks=True)
        folder = shared / "database"
        folder.mkdir(mode=0o755)
        server = EmbeddedPostgres(folder, installed=hidden / programs.PROGRAMS)
        server.connect().close()
        server.stop()
        (copy,) = folder.glob("programs-*")
        copied_at = copy.stat().st_mtime_ns
        server.connect().close()
        server.stop()
        assert copy.stat().st_mtime_ns == copied_at
        folder.chmod(0o700)
        with pytest.raises(EmbeddedServerError, match="can read neither"):
            server.connect()
        server.stop()
    finally:
        shutil.rmtree(shared)


def as_nobody(work: Callable[[], str]) -> str:
    """Do something as a user without rights; return what it said. A fork: that user may not read our Python."""
    reader, writer = os.pipe()
    nobody = pwd.getpwnam("nobody")
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            os.write(writer, work().encode())
        except BaseException as error:  # noqa: BLE001 - the parent must hear of it
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


@as_root
def test_an_unprivileged_site_runs_its_own() -> None:
    home = Path("/tmp") / f"bonewatch-test-own-{os.getpid()}"  # noqa: S108 - a folder that the other user can reach
    nobody = pwd.getpwnam("nobody")
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)

    def work() -> str:
        server = EmbeddedPostgres(home / "database")
        with server.connect() as db:
            (user,) = db.execute("SELECT current_user").fetchone() or ("",)
        server.stop()
        return str(user)

    try:
        assert as_nobody(work) == "bonewatch"
        assert (home / "database" / CLUSTER).stat().st_uid == nobody.pw_uid
    finally:
        shutil.rmtree(home)


@as_root
def test_a_cluster_of_somebody_else_is_refused_in_words() -> None:
    other = Path("/tmp") / f"bonewatch-test-else-{os.getpid()}"  # noqa: S108 - a folder that the other user can reach
    other.mkdir(mode=0o755)
    try:
        said = as_nobody(lambda: account.of_server(other).name)
    finally:
        other.rmdir()
    assert said.startswith("EmbeddedServerError: ")
    assert "belongs to another user" in said
