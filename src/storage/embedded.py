"""A PostgreSQL of the site's own: a unix socket, peer authentication, no network, gone when the site is.

It holds a projection of the log and nothing else. So a folder of another PostgreSQL version or layout is not
upgraded: a new one is made, the sink fills it from the log, and the old one goes.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Final

import structlog

from storage import account, programs
from storage.connection import Db, open_connection
from storage.errors import DatabaseAwayError, EmbeddedServerError, ServerInUseError
from storage.server_processes import clear_locks, wait_until_gone

LAYOUT: Final = 1
"""Changes when a folder made by an earlier program cannot be used as it is."""

CLUSTER: Final = f"{programs.MAJOR}-{LAYOUT}"
OWNER: Final = "bonewatch"
READER: Final = "bonewatch_reader"
SOCKET: Final = ".s.PGSQL.5432"
SOCKET_PATH_MAX: Final = 100
"""The kernel takes 107 bytes; libpq counts a few itself."""

READY_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 10.0
LOG_BYTES: Final = 1_000_000
SYNC: Final = "syncfs" if sys.platform == "linux" else "fsync"
"""One call where the system has it: file by file takes seconds on a busy disk."""

HERE: Final = "/proc/self/cwd"
"""The server's data folder as the server itself may name it, even where it may not read the folders above."""

_HBA: Final = "local all all peer map=site\n"

_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "max_connections": "20",
    "shared_buffers": "32MB",
    "io_method": "sync",
    "recovery_init_sync_method": SYNC,
    "synchronous_commit": "off",  # what a power cut takes is applied again: the position is in the same transaction
    "jit": "off",
    "log_min_messages": "warning",
    "log_error_verbosity": "terse",  # no row of a table in a log file
    "log_min_error_statement": "panic",
}

_SCRIPT: Final = 'exec 3<&0; (read -r _ <&3; kill -INT $$) & exec nice -n 5 "$@" </dev/null 3<&-'
"""Becomes the server, and ends it when our end of the pipe closes: even a killed site leaves none behind."""


class EmbeddedPostgres:
    """The embedded server of one data folder.

    Parameters
    ----------
    folder
        Where it keeps its files; made if missing. The process that runs the server holds a lock on it.
    installed
        Where PostgreSQL's programs are.
    """

    def __init__(self, folder: Path, *, installed: Path | None = None) -> None:
        self._folder = folder
        self._installed = installed
        self._cluster = folder / CLUSTER
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._seen: int | None = None
        self._logger = structlog.get_logger("storage.embedded")

    @property
    def pid(self) -> int | None:
        """The server's process, None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def host(self) -> str:
        """What libpq takes as the host: the socket's folder, by a short name where its own is too long."""
        if len(os.fsencode(self._cluster / SOCKET)) <= SOCKET_PATH_MAX:
            return str(self._cluster)
        if self._seen is None:
            self._seen = os.open(self._cluster, os.O_PATH | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._seen}"

    def connect(self) -> Db:
        """Return a new connection as the owner, after starting the server if it does not run.

        Raises
        ------
        DatabaseAwayError
            The server did not get ready.
        EmbeddedServerError
            It cannot run here as things are.
        ServerInUseError
            Another process runs it: `attach`.
        """
        self.start()
        return self._open()

    def attach(self) -> Db:
        """Return a connection to the server that another process runs."""
        if not (self._cluster / SOCKET).exists():
            raise DatabaseAwayError("the embedded database is not up yet")
        return self._open()

    def start(self) -> None:
        """Make the cluster if there is none, start the server, wait until it answers; nothing if it runs."""
        if self.pid is not None:
            return
        self._release_process()
        self._take_lock()
        user = account.of_server(self._cluster)
        found = programs.usable(self._installed or programs.installed(), self._folder, user)
        wait_until_gone(self._cluster)  # of a site that was killed; its server is about to end
        if not self._cluster.exists():
            self._make_cluster(found, user)
        clear_locks(self._cluster)
        started = time.monotonic()
        self._launch(found, user)
        self._wait_ready()
        self._logger.info("embedded_database_ready", seconds=round(time.monotonic() - started, 2))
        self._drop_other_layouts()

    def stop(self) -> None:
        """Stop the server in order, by force if it takes too long, and give the folder free."""
        self._release_process()
        if self._seen is not None:
            os.close(self._seen)
            self._seen = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self._folder / "server.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise ServerInUseError("another process runs the embedded database") from error
        self._lock = lock

    def _make_cluster(self, found: Path, user: account.Account) -> None:
        """Run initdb in a new folder, and give it its name when it is whole."""
        new = self._folder / f"{CLUSTER}.new"
        wait_until_gone(new)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        account.give(new, user)
        command = [
            str(found / "initdb"),
            "-D",
            HERE,
            "-U",
            OWNER,
            "--auth=peer",
            "--encoding=UTF8",
            "--no-locale",
            f"--sync-method={SYNC}",
        ]
        made = subprocess.run(
            ["nice", "-n", "5", *command, "--no-instructions"], cwd=new, capture_output=True, check=False, **user.switch
        )
        if made.returncode != 0:
            said = made.stderr.decode("utf-8", "replace").strip().splitlines()
            raise EmbeddedServerError(f"initdb failed: {said[-1] if said else made.returncode}")
        account.write(new, "pg_hba.conf", _HBA, user)
        new.rename(self._cluster)

    def _launch(self, found: Path, user: account.Account) -> None:
        people = dict.fromkeys((account.own_name(), user.name))
        lines = [f"site {name} {role}\n" for name in people for role in (OWNER, READER)]
        account.write(self._cluster, "pg_ident.conf", "".join(lines), user)
        options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with self._open_log() as log:
            self._process = subprocess.Popen(
                ["sh", "-c", _SCRIPT, "sh", str(found / "postgres"), "-D", HERE, *options],
                cwd=self._cluster,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the site; it stops the server itself
                **user.switch,
            )

    def _open_log(self) -> IO[bytes]:
        path = self._folder / "server.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            if self.pid is None:
                self._release_process()
                raise DatabaseAwayError(f"the embedded server ended at once; {self._folder / 'server.log'} says why")
            try:
                self._open().close()
            except DatabaseAwayError:
                time.sleep(0.02)
            else:
                return
        raise DatabaseAwayError(f"the embedded server was not ready within {READY_WITHIN_S:g} s")

    def _open(self) -> Db:
        return open_connection("", host=self.host, port="5432", user=OWNER, dbname="postgres")

    def _release_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is not None:
                break
            process.send_signal(number)
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._logger.warning("embedded_database_does_not_stop", signal=number)
        process.wait(STOP_WITHIN_S)
        if process.stdin is not None:
            process.stdin.close()

    def _drop_other_layouts(self) -> None:
        for other in self._folder.glob("*-*"):
            if other.is_dir() and other.name != CLUSTER and other.name.replace("-", "").isdigit():
                shutil.rmtree(other, ignore_errors=True)
                self._logger.info("embedded_database_replaced", layout=other.name)
