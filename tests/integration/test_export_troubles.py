"""Trouble with a site, a folder or ourselves costs no export anything: it is said once and the file is read later."""

from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs

from collectors.files.memory import MEMORY_FILE
from tests.exported_files import csv_export, line
from tests.integration.exports_rig import NOW, Watched, source, watched
from tests.permissions import locked

__all__ = ["watched"]  # fixtures, used by their names


def test_while_the_site_cannot_record_the_file_waits(watched: Watched) -> None:
    watched.site.available = False
    watched.write(csv_export([line(2)]))
    watched.look(3)
    watched.site.available = True
    watched.look(1)
    assert watched.values == [0.987]


def test_a_stop_breaks_a_long_file_off_and_the_next_start_finishes_it(watched: Watched) -> None:
    watched.write(csv_export(line(day, month=month) for month in range(1, 11) for day in range(1, 28)))
    watched.look(1)
    watched.site.before_append = watched.watch.stop
    watched.look(1)
    assert len(watched.values) == 64, "one batch was under way"
    watched.site.before_append = lambda: None
    watched.restart()
    watched.look()
    assert len(watched.values) == 270
    assert watched.read.seen == 64


def broken() -> None:
    raise RuntimeError("something of ours")


def test_a_failure_of_ours_is_one_files_and_not_the_folders(watched: Watched) -> None:
    watched.site.before_append = broken
    watched.write(csv_export([line(2)]), "a.csv")
    watched.look()
    watched.site.before_append = lambda: None
    watched.write(csv_export([line(3)]), "b.csv")
    watched.look()
    assert watched.values == [0.987]


def test_a_failure_of_ours_that_passes_costs_a_file_nothing(watched: Watched) -> None:
    watched.site.before_append = broken
    watched.write(csv_export([line(2)]))
    watched.look()
    assert not (watched.data_dir / MEMORY_FILE).exists()
    watched.site.before_append = lambda: None
    watched.now += timedelta(seconds=6)
    watched.look(1)
    assert (watched.values, watched.read.code) == ([0.987], "read")


def test_a_failure_of_ours_that_stays_is_tried_less_and_less_often_then_at_each_start(watched: Watched) -> None:
    tried: list[float] = []

    def broken_now() -> None:
        tried.append((watched.now - NOW).total_seconds())
        broken()

    watched.site.before_append = broken_now
    watched.write(csv_export([line(2)]))
    with capture_logs() as logs:
        watched.look(1)
        for _ in range(5000):
            watched.look(1)
            watched.now += timedelta(seconds=1)
    assert tried == [0, 5, 15, 35, 75, 155, 315, 635]
    assert [(log["event"], log.get("code", log.get("error"))) for log in logs][-2:] == [
        ("file_failed", "RuntimeError"),
        ("file_refused", "internal"),
    ]
    assert watched.read.code == "internal"
    watched.restart()
    watched.look(3)
    assert len(tried) == 9
    watched.site.before_append = lambda: None
    watched.now += timedelta(seconds=6)
    watched.look(1)
    assert (watched.values, watched.read.code) == ([0.987], "read")


def test_a_folder_that_is_away_is_said_once_and_read_when_it_is_back(watched: Watched) -> None:
    watched.write(csv_export([line(2)]))
    away = watched.folder.rename(watched.folder.with_name("away"))
    with capture_logs() as logs:
        watched.look(3)
        away.rename(watched.folder)
        watched.look()
    assert [log["trouble"] for log in logs if log["event"] == "folder"] == ["FileNotFoundError", "none any more"]
    assert watched.values == [0.987]


def test_a_folder_in_it_that_cannot_be_read_is_said_once_and_stops_no_other(tmp_path: Path) -> None:
    watched = Watched(tmp_path, source(pattern="*.csv"))
    watched.write(csv_export([line(3, "0,98")]), "dxa-2/qc.csv")
    watched.write(csv_export([line(2)]), "dxa-1/qc.csv")
    with capture_logs() as logs:
        with locked(watched.folder / "dxa-2"):
            watched.look(3)
            assert watched.values == [0.987]
        watched.look()
    assert [log["trouble"] for log in logs if log["event"] == "folder"] == [
        "1 folders in it cannot be read: PermissionError",
        "none any more",
    ]
    assert watched.values == [0.987, 0.98]


def test_a_file_that_cannot_be_opened_is_said_once_and_read_when_it_can(watched: Watched) -> None:
    path = watched.write(csv_export([line(2)]))
    with capture_logs() as logs, locked(path):
        watched.look(4)
    assert [log["event"] for log in logs] == ["file_not_opened"]
    watched.look(1)
    assert watched.values == [0.987], "at the next look: it was locked for a moment"
