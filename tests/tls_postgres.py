"""A real PostgreSQL that speaks TLS: Debian's, for the one in our wheel is built without."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from storage import account
from tests.certificates import Authority
from tests.peers import free_port

HBA = "hostssl all all 127.0.0.1/32 scram-sha-256\n"
PASSWORD = "invented"  # noqa: S105 - of an invented user


@contextmanager
def tls_postgres(authority: Authority) -> Iterator[str]:
    """Run a server that lets user `fleet` in over TLS only; yield its URL, without TLS and password."""
    programs, port = _programs(), free_port()
    with tempfile.TemporaryDirectory(prefix="bonewatch-postgres-") as name:  # pytest's own folders are root's alone
        cluster = Path(name) / "cluster"
        user = account.of_server(cluster)
        account.give(Path(name), user)
        account.write(Path(name), "password", PASSWORD, user)
        words = ["-D", str(cluster), "-U", "fleet", "-A", "scram-sha-256", f"--pwfile={name}/password", "--no-sync"]
        made = subprocess.run(
            [programs / "initdb", *words], cwd=name, capture_output=True, text=True, check=False, **user.switch
        )
        assert made.returncode == 0, made.stderr
        certificate, key = authority.issue("localhost")
        for file, text in {"pg_hba.conf": HBA, "server.crt": certificate, "server.key": key}.items():
            account.write(cluster, file, text, user)
        (cluster / "server.key").chmod(0o600)
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "ssl": "on"}
        options = [word for setting, value in settings.items() for word in ("-c", f"{setting}={value}")]
        with (Path(name) / "postgres.log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", cluster, *options], cwd=name, stdout=log, stderr=log, **user.switch
            )
        try:
            _wait_ready(f"host=127.0.0.1 port={port} user=fleet dbname=postgres password={PASSWORD} sslmode=require")
            yield f"postgresql://fleet@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(30)


def _programs() -> Path:
    """Return the newest of Debian's; skip where there is none (never in CI)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        reason = "PostgreSQL is not installed (tests/system-packages.txt names its package)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return found[-1].parent


def _wait_ready(conninfo: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(conninfo).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL did not get ready"
            time.sleep(0.1)
        else:
            return
