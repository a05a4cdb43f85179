"""Migrations on a real PostgreSQL: forward over data, once, by one migrator, and never after the fact."""

import shutil
import threading
from pathlib import Path

import pytest

from storage.checksum import checksums
from storage.connection import Db
from storage.errors import MigrationError
from storage.migrate import FOLDER, drop_everything, migrate, migrations, status
from storage.rows import TABLES
from storage.sink import Sink
from tests.folding import MONDAY
from tests.integration.database_rig import scanner
from tests.postgres import ServerDatabase


def columns_of(db: Db, table: str) -> list[str]:
    """Columns of a table in their order; none where it is not there."""
    query = "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 ORDER BY attnum"
    return [name for (name,) in db.execute(query, [table]).fetchall()]


def copied_out(db: Db, table: str, columns: list[str]) -> bytes:
    with db.cursor().copy(f"COPY (SELECT {', '.join(columns)} FROM {table}) TO STDOUT".encode()) as copy:
        return b"".join(copy)


def copied_in(db: Db, table: str, columns: list[str], rows: bytes) -> None:
    with db.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
        copy.write(rows)


def test_a_schema_grows_step_by_step_over_data(bare_database: ServerDatabase) -> None:
    """The first migrations, rows in tables and columns of that time, then the others: nothing is lost or differs."""
    device = scanner(is_signed_off=False)  # at that time nobody signed off
    db = bare_database.connect()
    before = migrate(db, up_to=5)
    assert len(before.applied) == 5
    assert len(before.pending) == len(migrations(status(db).flavour)) - 5 > 0
    known = {table.name: columns for table in TABLES if (columns := columns_of(db, table.name))}
    migrate(db)
    sink = Sink(bare_database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    sink.close()
    content = checksums(db)
    rows = {table: copied_out(db, table, columns) for table, columns in known.items()}
    drop_everything(db)
    migrate(db, up_to=5)
    for table in TABLES:
        if table.time and table.name in known:
            db.execute("SELECT make_month(%s, %s)", [table.name, MONDAY.date().replace(day=1)])
    for name, columns in known.items():
        copied_in(db, name, columns, rows[name])
    done = migrate(db)
    assert (done.applied[:5], done.pending) == (before.applied, ())
    assert checksums(db) == content
    assert db.execute("SELECT sum(readings) FROM qc_daily").fetchall() == [(2,)]
    device.scan(1.001)
    sink = Sink(bare_database.connect)
    sink.apply("test-site", device.log.rows, len(device.log.rows))
    assert db.execute("SELECT count(*) FROM qc_chart").fetchall() == [(3,)]
    sink.close()


def test_a_new_migration_changes_a_table_with_rows(bare_database: ServerDatabase, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    db = bare_database.connect()
    count = len(migrate(db, folder=folder).applied)
    with_rows = Sink(bare_database.connect)
    with_rows.apply("test-site", scanner().log.rows, 9)
    with_rows.close()
    later = folder / f"{count + 1:04}_note.sql"
    later.write_text("ALTER TABLE qc_readings ADD COLUMN seen boolean NOT NULL DEFAULT false;", encoding="utf-8")
    assert migrate(db, folder=folder).applied[-1] == f"{count + 1:04}_note"
    assert db.execute("SELECT count(*), bool_or(seen) FROM qc_readings").fetchall() == [(2, False)]


def test_an_applied_migration_that_changed_is_refused(bare_database: ServerDatabase, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    db = bare_database.connect()
    migrate(db, folder=folder)
    changed = folder / "0004_gates.sql"
    changed.write_text(changed.read_text(encoding="utf-8") + "-- a thought\n", encoding="utf-8")
    with pytest.raises(MigrationError, match="0004_gates has changed since it was applied"):
        migrate(db, folder=folder)


def test_a_failing_migration_leaves_nothing_of_itself(bare_database: ServerDatabase, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    db = bare_database.connect()
    count = len(migrate(db, folder=folder).applied)
    wrong = folder / f"{count + 1:04}_wrong.sql"
    wrong.write_text("CREATE TABLE half (n integer); SELECT 1 / 0;", encoding="utf-8")
    with pytest.raises(MigrationError, match="wrong failed, nothing of it stands: division by zero"):
        migrate(db, folder=folder)
    assert db.execute("SELECT to_regclass('half')").fetchall() == [(None,)]
    assert status(db, folder=folder).pending == (f"{count + 1:04}_wrong",)


def test_a_database_newer_than_the_program_is_left_alone(bare_database: ServerDatabase, tmp_path: Path) -> None:
    db = bare_database.connect()
    migrate(db)
    folder = copied(tmp_path)
    newest = max(path.name for path in folder.glob("*.sql")).partition("_")[0]
    for path in folder.glob(f"{newest}_*.sql"):
        path.unlink()
    with pytest.raises(MigrationError, match="newer than this program"):
        migrate(db, folder=folder)


def test_two_migrators_at_once_migrate_once(bare_database: ServerDatabase) -> None:
    connections = [bare_database.connect() for _ in range(4)]
    found: list[int] = []
    threads = [threading.Thread(target=lambda db=db: found.append(len(migrate(db).applied))) for db in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = len(migrations("native"))
    assert found == [expected] * 4
    assert connections[0].execute("SELECT count(*) FROM schema_migrations").fetchall() == [(expected,)]


def test_what_was_dropped_can_be_made_again(bare_database: ServerDatabase) -> None:
    db = bare_database.connect()
    first = migrate(db)
    drop_everything(db)
    assert status(db).applied == ()
    assert migrate(db) == first


def copied(folder: Path) -> Path:
    """The migrations in a folder where a test may change them."""
    return Path(shutil.copytree(FOLDER, folder / "migrations"))
