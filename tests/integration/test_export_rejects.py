"""Rows of an export that are rejected are kept, encrypted, and only what is recorded or kept is ever removed."""

from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from collectors.files.settings import FilesSettings
from tests.exported_files import HEADER, csv_export, line
from tests.integration.exports_rig import PATIENT, Watched, watched

__all__ = ["watched"]  # fixtures, used by their names


# --- whole files only --------------------------------------------------------------------------------------


QUOTED = line(2) + '"24 h after service'


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        ([line(2)], False),
        ([line(2), line(3, "x")], False),
        ([line(2), line(3, "x"), line(4, "x")], True),
        ([line(2, scan="x" * 2001)], True),
        ([QUOTED, line(3)], True),
        (["x"], True),
    ],
)
def test_where_so_configured_a_file_goes_of_which_each_row_was_recorded_or_kept(
    tmp_path: Path,
    rows: list[str],
    left: bool,  # noqa: FBT001
) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(when_read="delete", max_rejects=1))
    header = HEADER.replace("Datum", "Tag") if rows == ["x"] else HEADER
    path = watched.write(csv_export(rows, header=header))
    watched.look(3)
    assert path.exists(), "whoever writes it may only have paused"
    watched.now += timedelta(seconds=301)
    watched.look()
    assert path.exists() is left


def test_a_file_whose_writer_pauses_at_the_end_of_a_line_is_not_removed_under_it(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(when_read="delete"))
    with (watched.folder / "qc.csv").open("wb") as file:
        file.write(csv_export([line(2), line(3)]))
        file.flush()
        watched.look(3)
        watched.now += timedelta(seconds=200)
        watched.look()
        file.write((line(4) + "\r\n").encode())
    watched.look()
    watched.now += timedelta(seconds=200)
    watched.look()
    assert len(watched.values) == 3
    assert list(watched.folder.iterdir()), "it was written a moment ago"
    watched.now += timedelta(seconds=101)
    watched.look()
    assert not list(watched.folder.iterdir())


def test_rejects_that_have_expired_are_kept_anew_before_their_file_is_removed(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(when_read="delete"))
    for rows in ([PATIENT], [PATIENT, line(4)]):
        path = watched.write(csv_export(rows))
        watched.look()
        watched.now += timedelta(seconds=301)
        watched.look()
        assert not path.exists()
        assert [row[1] for row in watched.kept()] == ["not_a_phantom"]
        watched.now += timedelta(days=31)
        watched.rejects.expire(watched.now)


def test_a_file_whose_rejects_are_gone_is_not_removed(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(when_read="delete"))
    path = watched.write(csv_export([PATIENT]))
    watched.look()
    watched.now += timedelta(days=31)
    watched.rejects.expire(watched.now)
    watched.look()
    assert path.exists()


# --- rejects -----------------------------------------------------------------------------------------------


def test_rejected_rows_are_kept_encrypted_and_a_patient_is_nowhere_else(watched: Watched) -> None:
    with capture_logs() as logs:
        watched.write(csv_export([line(2), PATIENT, line(4, "?")]), "IRIS INVENTED.csv")
        watched.look(3)
    assert [row[:2] for row in watched.kept()] == [["3", "not_a_phantom"], ["4", "number"]]
    assert "INVENTED IRIS" in watched.kept()[0]
    told = str(logs) + generate_latest().decode() + str(watched.site.facts)
    for path in watched.data_dir.rglob("*"):
        told += path.name + (path.read_bytes().decode("latin-1") if path.is_file() else "")
    assert "943 476 5919" not in told
    assert "IRIS" not in told
    assert "bonewatch_file_rows_total" in told


def test_a_rejected_cell_is_no_formula_to_a_spreadsheet(watched: Watched) -> None:
    watched.write(csv_export([line(2, "=1+1")]))
    watched.look()
    assert "'=1+1" in watched.kept()[0]


def test_the_same_rejects_are_kept_once_and_others_anew(watched: Watched) -> None:
    for rows in ([PATIENT], [PATIENT, line(4)], [PATIENT, line(4), line(5, "?")]):
        watched.write(csv_export(rows))
        watched.look()
    assert len(watched.rejects) == 2
    assert watched.read.rejected == {"not_a_phantom": 1, "number": 1}


def test_more_rejects_than_are_kept_are_counted(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(max_rejects=3))
    watched.write(csv_export([line(2)] + [line(3, "?")] * 10))
    watched.look()
    assert watched.read.rejected == {"number": 10}
    assert len(watched.kept()) == 3
