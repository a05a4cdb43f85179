"""Migrations as files: both flavours have the same numbers and make the same things."""

import re
from pathlib import Path

import pytest

from storage.errors import MigrationError
from storage.migrate import FOLDER, migrations


def test_both_flavours_have_the_same_numbers_and_names() -> None:
    native, timescale = migrations("native"), migrations("timescale")
    assert [(one.version, one.name) for one in native] == [(one.version, one.name) for one in timescale]
    assert [one.version for one in native] == list(range(1, len(native) + 1))


def test_both_flavours_define_the_same_functions_and_views() -> None:
    made = [
        [sorted(re.findall(r"(?:FUNCTION|VIEW) (\w+)(\([^)]*\))?", one.sql)) for one in migrations(flavour)]
        for flavour in ("native", "timescale")
    ]
    assert made[0] == made[1]


def test_the_daily_columns_are_the_same_in_both_flavours() -> None:
    columns = [
        re.findall(r" AS (\w+)", next(one.sql for one in migrations(flavour) if one.name == "daily"))
        for flavour in ("native", "timescale")
    ]
    assert columns[0] == columns[1] != []


@pytest.mark.parametrize("name", ["0002_gap.sql", "1_short.sql", "0001-dash.sql", "0001_a.other.sql"])
def test_a_file_that_is_no_migration_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("SELECT 1", encoding="utf-8")
    with pytest.raises(MigrationError):
        migrations("native", tmp_path)


def test_migrations_are_in_the_package_that_is_installed() -> None:
    assert FOLDER.parent.name == "storage"
    assert len(list(FOLDER.glob("*.sql"))) > len(migrations("native"))
