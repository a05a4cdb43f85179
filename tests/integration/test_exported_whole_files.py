"""Of an export folder only whole files of its own are read: steady, of a known name, within the limits."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from collectors.files.errors import ChangedError
from collectors.files.intake import content_of
from collectors.files.memory import MEMORY_FILE
from collectors.files.settings import FilesSettings
from collectors.folders import state_of
from tests.exported_files import HEADER, XLSX_MAP, csv_export, line, workbook
from tests.integration.exports_rig import Watched, source, watched

__all__ = ["watched"]  # fixtures, used by their names


def test_a_file_that_grows_is_left_until_it_is_steady(watched: Watched) -> None:
    for days in range(1, 5):
        watched.write(csv_export(line(day) for day in range(1, days + 1)))
        watched.look(1)
    assert watched.values == []
    watched.look(1)
    assert len(watched.values) == 4


def test_a_csv_whose_last_line_has_no_end_waits_for_it(watched: Watched) -> None:
    half = csv_export([line(2), line(3, "0,98765")]).partition(b"0,98765")[0] + b"0,98"
    watched.write(half)
    watched.look(3)
    watched.now += timedelta(seconds=299)
    watched.look()
    assert watched.values == []
    watched.write(csv_export([line(2), line(3, "0,98765")])[:-2])
    watched.look()
    watched.now += timedelta(seconds=301)
    watched.look()
    assert watched.values == [0.987, 0.98765], "steady for long enough, it is whole"


def test_half_a_workbook_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    watched = Watched(tmp_path, source(XLSX_MAP, "*.xlsx"))
    whole = workbook([[datetime(2026, 11, 2), datetime(2026, 1, 1, 7, 45).time(), "SPINE-1234", 0.98, "A", 1, None]])  # noqa: DTZ001
    watched.write(whole[:-300], "qc.xlsx")
    watched.look(3)
    assert not (watched.data_dir / MEMORY_FILE).exists()
    watched.write(whole, "qc.xlsx")
    watched.look()
    assert watched.values == [0.98]
    watched.write(whole[:-300], "qc.xlsx")
    watched.look()
    watched.now += timedelta(seconds=601)
    watched.look()
    assert watched.read.code == "unreadable"


@pytest.mark.parametrize("name", ["~$qc.csv", ".qc.csv", "qc.CSV.tmp", "a/b/c/d.csv", "other/qc.txt"])
def test_lock_files_hidden_files_and_files_of_nobody_are_left_alone(watched: Watched, name: str) -> None:
    watched.write(csv_export([line(2)]), name)
    watched.look(3)
    assert watched.values == []


def test_links_are_not_followed(watched: Watched, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_bytes(csv_export([line(2)]))
    (watched.folder / "qc.csv").symlink_to(secret)
    (watched.folder / "more").symlink_to(tmp_path)
    watched.look(3)
    assert watched.values == []


def test_a_refused_file_is_said_once_and_read_again_when_it_has_changed(watched: Watched) -> None:
    watched.write(csv_export([line(2)], header=HEADER.replace("Zeit", "Uhr")))
    with capture_logs() as logs:
        watched.look(4)
    assert [(log["code"], log["why"]) for log in logs if log["event"] == "file_refused"] == [
        ("header", 'there is no column "Zeit" in the header')
    ]
    watched.write(csv_export([line(2)]))
    watched.look()
    assert watched.values == [0.987]


def test_a_file_written_while_it_is_read_is_taken_at_the_next_look(watched: Watched) -> None:
    path = watched.write(csv_export([line(2), line(3)]))
    state = state_of(path)
    assert state is not None
    path.write_bytes(csv_export([line(2), line(3), line(4)]))
    with pytest.raises(ChangedError):
        content_of(path, watched.sources[0], state, watched.settings, zone=ZoneInfo("Europe/London"))


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    watched = Watched(tmp_path, settings=FilesSettings(max_bytes=1024))
    watched.write(csv_export([line(2)] * 30))
    watched.look()
    assert (watched.read.code, watched.values) == ("over_limit", [])


def test_capitals_of_a_files_name_say_nothing(watched: Watched) -> None:
    watched.write(csv_export([line(2)]), "QC.CSV")
    watched.look()
    assert watched.values == [0.987]
