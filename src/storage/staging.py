"""COPY into temporary tables, then one statement a table: the quickest way in that can also merge."""

from collections.abc import Iterable
from typing import Final

from storage.connection import Db
from storage.rows import TABLES, Table, TableRow

STAGED_AS: Final[dict[type[TableRow], str]] = {table.row: f"stage_{table.name}" for table in reversed(TABLES)}
"""One staging table for each kind of row, whether one table takes it or two."""

DEAD_ROWS_MAX: Final = 5_000
"""Deleting the rows of the last batch is quick, truncating is thorough: the latter once there are so many."""


class Staging:
    """The staging tables of one connection; their rows are those of the last batch."""

    def __init__(self, db: Db) -> None:
        self._db = db
        self._dead = dict.fromkeys(STAGED_AS, 0)
        for table in TABLES:
            stage = f"stage_{table.name}"
            if STAGED_AS[table.row] == stage:
                db.execute(f"CREATE TEMP TABLE {stage} (LIKE {table.name} INCLUDING DEFAULTS)".encode())

    def merge(self, rows: Iterable[TableRow]) -> None:
        """Take rows into their tables; inside a transaction."""
        by_kind: dict[type[TableRow], list[TableRow]] = {}
        for row in rows:
            by_kind.setdefault(type(row), []).append(row)
        for kind, staged in by_kind.items():
            self._stage(kind, staged)
        for table in TABLES:
            if table.row in by_kind:
                self._db.execute(merge_statement(table).encode())

    def _stage(self, kind: type[TableRow], rows: list[TableRow]) -> None:
        name = STAGED_AS[kind]
        is_full = self._dead[kind] > DEAD_ROWS_MAX
        self._db.execute((f"TRUNCATE {name}" if is_full else f"DELETE FROM {name}").encode())  # noqa: S608 - our table
        self._dead[kind] = len(rows) + (0 if is_full else self._dead[kind])
        with self._db.cursor().copy(f"COPY {name} ({', '.join(kind._fields)}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)


def merge_statement(table: Table) -> str:
    """Return the statement that takes staged rows into a table.

    Names are of `TABLES` alone, never of a row.
    """
    columns, key, stage = ", ".join(table.row._fields), ", ".join(table.key), STAGED_AS[table.row]
    if not table.newest_by:
        return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {stage} ON CONFLICT DO NOTHING"  # noqa: S608
    newest = ", ".join(f"{name} DESC" for name in table.newest_by)
    changed = ", ".join(f"{name} = excluded.{name}" for name in table.row._fields if name not in table.key)
    coming = ", ".join(f"excluded.{name}" for name in table.newest_by)
    standing = ", ".join(f"t.{name}" for name in table.newest_by)
    return (
        f"INSERT INTO {table.name} AS t ({columns})"  # noqa: S608 - see above
        f" SELECT DISTINCT ON ({key}) {columns} FROM {stage} ORDER BY {key}, {newest}"
        f" ON CONFLICT ({key}) DO UPDATE SET {changed} WHERE ({coming}) > ({standing})"
    )
