"""Connections as this package wants them, and a PostgreSQL server that somebody else runs."""

import os
from pathlib import Path
from typing import Final, Protocol

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from storage.errors import DatabaseAwayError, DatabaseRefusedError, StorageError
from streams.addresses import is_loopback

PASSWORD_VARIABLE: Final = "BONEWATCH_DATABASE_PASSWORD"  # noqa: S105 - the variable's name, not what it holds
CONNECT_TIMEOUT_S: Final = 5
SILENT_NETWORK_MS: Final = 20_000
"""A server that does not acknowledge what was sent for this long counts as away."""

NAMED_MODES: Final = {"disable", "require", "verify-ca", "verify-full"}
"""What a URL across a network may say of TLS: libpq's default only looks like it, and goes without if need be."""

_REFUSALS: Final = (
    ("certificate verify failed", "is sslrootcert the CA that signed its certificate?"),
    ("server certificate for", "sslmode=verify-full wants the name that is in its certificate"),
    ("root certificate file", "sslrootcert names the PEM of who signed its certificate"),
    ("does not support SSL", "switch TLS on there (ssl = on), or say sslmode=disable if you mean it"),
    ("SSL off", "it lets this user in over TLS only: sslmode=verify-full"),
    ("no encryption", "it lets this user in over TLS only: sslmode=verify-full"),
    ("password authentication failed", "the password comes from its file or from BONEWATCH_DATABASE_PASSWORD"),
    ("no password supplied", "the password comes from its file or from BONEWATCH_DATABASE_PASSWORD"),
    ("no pg_hba.conf entry", "its pg_hba.conf must let this user in from here"),
)
"""What libpq or the server say when waiting does not help, and what does."""

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
    DatabaseRefusedError
        If the server is there and does not take us, with what to change.
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
        why = str(error).splitlines()[0]
        advice = next((advice for sign, advice in _REFUSALS if sign in str(error)), None)
        if advice is not None:
            raise DatabaseRefusedError(f"the database refuses: {why}; {advice}") from error
        raise DatabaseAwayError(f"the database cannot be reached: {why}") from error
    return db


def tls_fault(url: str) -> str | None:
    """Return what is wrong with how a URL travels: across a network it says what it wants of TLS."""
    try:
        said = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "the url is no connection URL of PostgreSQL"
    hosts = str(said.get("hostaddr") or said.get("host") or "").split(",")
    if all(_is_here(host) for host in hosts) or said.get("sslmode") in NAMED_MODES:
        return None
    return (
        "the url goes across a network: add ?sslmode=verify-full&sslrootcert=/path/of/ca.pem "
        "(or sslmode=disable, if everybody on the way may read and change it)"
    )


def _is_here(host: str) -> bool:
    """Whether what is sent there stays on this computer: a socket, or a loopback address."""
    return not host or host.startswith(("/", "@")) or is_loopback(host)


class GivenServer:
    """A PostgreSQL or TimescaleDB that an administrator runs.

    Parameters
    ----------
    url
        A libpq URL without a password.
    password_file
        Holds the password in its first line; none: the environment says it, or the server asks for none.

    Raises
    ------
    StorageError
        If the URL goes across a network and does not say what it wants of TLS.
    """

    def __init__(self, url: str, password_file: Path | None = None) -> None:
        fault = tls_fault(url)
        if fault is not None:
            raise StorageError(fault)
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
