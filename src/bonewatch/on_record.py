"""What is done on the command line stands on the record of use too, as what the machine's user did."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path

from bonewatch.errors import ConfigError
from dashboards.audit.trail import AUDIT_FILE, AuditEntry, AuditError, SqliteTrail


@contextmanager
def on_record(data_dir: Path) -> Iterator[Callable[[str, str, Mapping[str, str]], None]]:
    """Open a site's record of use, beside a running site or before its first start; yield what puts a use on it.

    That takes the kind of thing and what was done with it, ``route`` and ``method`` of the entry, and what it was
    about. Where the record cannot be opened, nothing is begun.

    Raises
    ------
    ConfigError
        The record cannot be written.
    """
    try:
        with closing(SqliteTrail(data_dir / AUDIT_FILE)) as trail:

            def put(kind: str, what: str, subject: Mapping[str, str]) -> None:
                trail.append(_entry(kind, what, subject)).result()

            yield put
    except AuditError as error:
        raise ConfigError(str(error)) from error


def _entry(kind: str, what: str, subject: Mapping[str, str]) -> AuditEntry:
    return AuditEntry(
        at=datetime.now(UTC),
        who=_machine_user(),
        way="command line",
        address="",
        method=what,
        route=kind,
        status=200,
        subject=dict(subject),
    )


def _machine_user() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid {os.getuid()}"
