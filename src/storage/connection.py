"""Connections as this package wants them, and a PostgreSQL server that somebody else runs."""

import os
from pathlib import Path
from typing import Final, Protocol

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from storage.errors import DatabaseAwayError, StorageError

PASSWORD_VARIABLE: Final = "BONEWATCH_DATABASE_PASSWORD"  # noqa: S105 - the variable's name, not what it holds
CONNECT_TIMEOUT_S: Final = 5
SILENT_NETWORK_MS: Final = 20_000
"""A server that does not acknowledge what was sent for this long counts as away."""

Db = Connection[TupleRow]


class Database(Protocol):
    """Where connections come from."""

    def connect(self) -> Db:
        """Return a new connection (see `open_connection`).

        Raises
        ------
        DatabaseAwayError
            It cannot be reached now.
        """

    def stop(self) -> None:
        """Give up what `connect` started."""


def open_connection(conninfo: str, **parameters: str) -> Db:
    """Connect in autocommit with our schema first and times in UTC.

    Raises
    ------
    DatabaseAwayError
        With the server's reason; libpq never puts a password into it.
    """
    try:
        whole = make_conninfo(
            conninfo,
            connect_timeout=CONNECT_TIMEOUT_S,
            tcp_user_timeout=SILENT_NETWORK_MS,
            application_name="bonewatch",
            client_encoding="utf8",
            **parameters,
        )
        db = psycopg.connect(whole, autocommit=True)
        db.execute("SET search_path = bonewatch, public")
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET DateStyle = 'ISO'")
    except psycopg.OperationalError as error:
        raise DatabaseAwayError(f"the database cannot be reached: {str(error).splitlines()[0]}") from error
    return db


class GivenServer:
    """A PostgreSQL or TimescaleDB that an administrator runs.

    Parameters
    ----------
    url
        A libpq URL without a password.
    password_file
        Holds the password in its first line; none: the environment says it, or the server asks for none.
    """

    def __init__(self, url: str, password_file: Path | None = None) -> None:
        self._url = url
        self._password_file = password_file

    def connect(self) -> Db:
        """Return a new connection; the password is read anew, so that it can be changed."""
        password = self._password()
        return open_connection(self._url, **({"password": password} if password else {}))

    def stop(self) -> None:
        """Leave the server alone: it is not ours."""

    def _password(self) -> str:
        if self._password_file is None:
            return os.environ.get(PASSWORD_VARIABLE, "")
        try:
            return self._password_file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"{self._password_file} cannot be read: {type(error).__name__}") from error
