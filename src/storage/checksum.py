"""A checksum of everything that the log says: equal content, equal checksum, whenever and in whatever batches it came.

For each table in the order of `storage.rows.TABLES`, then ``refused_rows``: SHA-256 of what
``COPY (SELECT columns FROM table ORDER BY key) TO STDOUT`` prints, in UTF-8, times in UTC. The whole is the SHA-256
of the lines ``name digest``. Positions of sinks and times of migrations are no content.
"""

from hashlib import sha256
from typing import Final

import psycopg

from storage.connection import Db
from storage.errors import DatabaseAwayError
from storage.rows import TABLES

_PARTS: Final = (
    *((table.name, ", ".join(table.row._fields), ", ".join(table.key)) for table in TABLES),
    ("refused_rows", "source, log_position, sqlstate", "source, log_position"),
)


def checksums(db: Db) -> dict[str, str]:
    """Return the digest of each table, and of the whole under ``""``."""
    try:
        digests = {name: _digest(db, name, columns, key) for name, columns, key in _PARTS}
    except psycopg.Error as error:
        raise DatabaseAwayError(f"the content could not be read: {type(error).__name__}") from error
    lines = "".join(f"{name} {digest}\n" for name, digest in digests.items())
    return digests | {"": sha256(lines.encode()).hexdigest()}


def _digest(db: Db, name: str, columns: str, key: str) -> str:
    digest = sha256()
    query = f"COPY (SELECT {columns} FROM {name} ORDER BY {key}) TO STDOUT"  # noqa: S608 - names of our tables
    with db.cursor().copy(query.encode()) as copy:
        for block in copy:
            digest.update(block)
    return digest.hexdigest()
