"""Cumulative exports: each row is recorded once, however often and in whatever file it comes."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonewatch.configuration.loading import load
from bonewatch.errors import ConfigError
from collectors.files.intake import ROWS
from collectors.files.map_file import map_from_toml
from collectors.files.memory import MEMORY_FILE
from streams.messages import PhantomMeasured, Verdict
from streams.messages import Source as Route
from streams.policy import Phantom, PhantomRole
from tests.exported_files import PHANTOM_MAP, VENDOR_MAP, csv_export, line
from tests.integration.exports_rig import CONFIGURATION, DEVICE, POLICY, Watched, running, source, watched
from tests.kafka import wait_until
from tests.site_logs import facts_in

__all__ = ["watched"]  # fixtures, used by their names


# --- cumulative exports ------------------------------------------------------------------------------------


def test_an_export_that_grows_records_each_row_once_and_is_left_where_it_is(watched: Watched) -> None:
    for days in (2, 3, 5):
        path = watched.write(csv_export(line(day, f"0,98{day}") for day in range(1, days + 1)))
        watched.look()
    assert watched.values == [0.981, 0.982, 0.983, 0.984, 0.985]
    assert (watched.read.rows, watched.read.new, watched.read.seen) == (5, 2, 3)
    assert path.exists()


exports = st.lists(
    st.tuples(st.integers(1, 20), st.sampled_from(["0,981", "0,99", "x", "9,0"])), max_size=12, unique_by=lambda r: r[0]
)


@settings(max_examples=40)
@given(rows=exports, cuts=st.lists(st.integers(0, 12), max_size=4), days=st.integers(0, 20))
def test_any_series_of_cumulative_exports_leaves_what_the_last_one_alone_leaves(
    rows: list[tuple[int, str]], cuts: list[int], days: int
) -> None:
    """Whether rows were live or history when they were first seen depends on when, and on nothing else."""
    lines = [line(day, bmd) for day, bmd in rows]
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        series, alone = Watched(Path(one)), Watched(Path(other))
        for cut in sorted(cuts):
            series.write(csv_export(lines[:cut]))
            series.look()
            series.now += timedelta(days=days)
            series.restart()
        for watched in (series, alone):
            watched.write(csv_export(lines))
            watched.look()
        assert content(series) == content(alone)
        assert sorted(content(alone).values()) == sorted(
            float(bmd.replace(",", ".")) for _, bmd in rows if bmd.startswith("0")
        )
        assert series.read.rejected == alone.read.rejected


def content(watched: Watched) -> dict[str, float]:
    return {name: fact.bmd_g_cm2 for name, fact in watched.site.facts.items() if isinstance(fact, PhantomMeasured)}


def test_an_unchanged_file_is_not_opened_again_even_after_a_restart(watched: Watched) -> None:
    path = watched.write(csv_export([line(2)]))
    watched.look()
    before = ROWS.labels(DEVICE, "seen")._value.get()
    watched.restart()
    watched.look(3)
    path.touch()
    watched.look(3)
    assert ROWS.labels(DEVICE, "seen")._value.get() == before, "another time and the same bytes is no other file"
    path.write_bytes(csv_export([line(2), line(3)]))
    watched.look()
    assert ROWS.labels(DEVICE, "seen")._value.get() == before + 1


def test_whatever_lies_there_is_remembered_and_of_what_is_gone_the_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.files.memory._REMEMBERED", 10)
    watched = Watched(tmp_path, source(), source(title="b.toml"), source(title="c.toml"))
    for day in range(1, 6):
        watched.write(csv_export([line(day)]), f"{day}.csv")
    watched.look()
    before = ROWS.labels(DEVICE, "seen")._value.get()
    watched.look(3)
    watched.restart()
    watched.look(3)
    assert ROWS.labels(DEVICE, "seen")._value.get() == before, "15 readings of 5 files"
    for day in range(1, 5):
        (watched.folder / f"{day}.csv").unlink()
    watched.write(csv_export([line(6)]), "6.csv")
    watched.look()
    assert len(msgspec.json.decode((watched.data_dir / MEMORY_FILE).read_bytes())) == 10


def test_what_was_read_is_written_down_once_a_look(watched: Watched) -> None:
    for day in range(1, 6):
        watched.write(csv_export([line(day)]), f"{day}.csv")
    missing: list[bool] = []
    watched.site.before_append = lambda: missing.append(not (watched.data_dir / MEMORY_FILE).exists())
    watched.look()
    assert missing == [True] * 5
    written = (watched.data_dir / MEMORY_FILE).stat().st_mtime_ns
    watched.look(3)
    assert (watched.data_dir / MEMORY_FILE).stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "change",
    [
        {"column_map": map_from_toml(PHANTOM_MAP + "[regions]\na = 'L1-L4'\n", "qc.toml")},
        {"policy": msgspec.structs.replace(POLICY, phantoms=(*POLICY.phantoms, Phantom("B", PhantomRole.INDEPENDENT)))},
        {"log_id": "of a log restored from a backup"},
    ],
)  # fmt: skip
def test_a_file_is_read_again_when_what_it_would_become_is_another(watched: Watched, change: dict[str, object]) -> None:
    watched.write(csv_export([line(2)]))
    watched.look()
    watched.sources = (msgspec.structs.replace(source(), **change),)
    watched.restart()
    watched.look()
    assert (watched.read.seen, watched.read.new) == (1, 0)


def test_another_value_under_the_same_key_is_refused_kept_and_counted(watched: Watched) -> None:
    watched.write(csv_export([line(2, "0,987")]))
    watched.look()
    watched.now += timedelta(days=40)
    watched.write(csv_export([line(2, "0,988"), line(3)]))
    watched.look()
    assert sorted(watched.values) == [0.987, 0.987]
    assert watched.read.rejected == {"conflict": 1}
    ((number, code, reason, text),) = watched.kept()
    assert (number, code) == ("2", "conflict")
    assert "recorded before with other content" in reason
    assert '"bmd_g_cm2":0.988' in text


def test_old_rows_are_history_and_new_ones_live(watched: Watched) -> None:
    watched.write(csv_export([line(2, month=3), line(7), line(9)]))
    watched.look()
    routes = [fact.source for fact in watched.site.facts.values() if isinstance(fact, PhantomMeasured)]
    assert routes == [Route.HISTORY, Route.HISTORY, Route.IMPORT], "older than 14 days on 22 November at noon, or not"


# --- whole files only --------------------------------------------------------------------------------------


def test_a_row_that_somebody_records_meanwhile_is_known_or_a_conflict(watched: Watched) -> None:
    """The log is asked before, and says so once more when it records."""
    watched.write(csv_export([line(12), line(13), line(14)]))
    seen = Watched(watched.folder.parent / "other")
    seen.write(csv_export([line(12), line(13, "0,99")]))
    seen.look()

    def meanwhile() -> None:
        watched.site.facts |= {name: fact for name, fact in seen.site.facts.items() if name not in watched.site.facts}

    watched.site.before_append = meanwhile
    watched.look()
    assert (watched.read.seen, watched.read.new, watched.read.rejected) == (1, 1, {"conflict": 1})
    assert sorted(watched.values) == [0.987, 0.987, 0.99]


def test_one_file_may_be_of_several_devices_and_kinds(tmp_path: Path) -> None:
    only = '\n[[only]]\ncolumn = "Outcome"\nvalues = ["PASS", "FAIL"]\n'
    other = source(VENDOR_MAP + only, "*/both.csv", device="site/dxa-2", title="vendor.toml")
    watched = Watched(tmp_path, source(VENDOR_MAP, "a/*.csv"), other)
    watched.write(b"When,Outcome,Who\n2026-11-20 07:30:00,PASS,Oz\n2026-11-21 07:30:00,in limits,Oz\n", "a/both.csv")
    watched.look()
    assert len(watched.site.facts) == 3


# --- the site ----------------------------------------------------------------------------------------------


def recorded(folder: Path) -> list[PhantomMeasured]:
    return [fact for fact in facts_in(folder / "var" / "site-log.sqlite") if isinstance(fact, PhantomMeasured)]


def test_a_site_takes_a_growing_export_once_across_restarts(tmp_path: Path) -> None:
    exported = tmp_path / "exports" / "dxa-1"
    exported.mkdir(parents=True)
    for days in (20, 28):
        with running(tmp_path) as site:
            (exported / "qc.csv").write_bytes(csv_export(line(day, year=2019, month=3) for day in range(1, days + 1)))
            wait_until(lambda: len(recorded(tmp_path)) == days)  # noqa: B023 - it is called in this turn
            judged = [one.verdict for one in site.readings.qc("dxa-1")]
    assert judged == [Verdict.NO_BASELINE] * 28
    assert [fact.measured_at.day for fact in recorded(tmp_path)] == [*range(1, 29)]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("maps/qc.toml", "maps/none.toml", "none.toml cannot be read"),
        ("maps/qc.toml", "maps/wrong.toml", "wrong.toml: .*columns.bmd is missing"),
        ("maps/qc.toml", "maps/check.toml", 'kind = "check" does not fit a scanner'),
        ('folder = "exports"\n', "", "line 24: .files. names no folder"),
        ("dxa-1/*.csv", "../*.csv", "a pattern within the folder"),
        ("poll_s = 0.2", "poll_s = 0.0", "line 16: poll_s lies between"),
        ("poll_s = 0.2", "max_rows = 0", "line 16: max_rows lies between"),
        ("  [[device.file]]\n  files = \"dxa-1/*.csv\"\n  map = \"maps/qc.toml\"\n", "", "no device has"),
    ],
)  # fmt: skip
def test_a_configuration_or_a_map_that_does_not_hold_says_so(tmp_path: Path, old: str, new: str, words: str) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "qc.toml").write_text(PHANTOM_MAP)
    (maps / "wrong.toml").write_text(PHANTOM_MAP.replace('bmd = "BMD gesamt"', ""))
    (maps / "check.toml").write_text(
        VENDOR_MAP.replace("vendor_qc", "check")
        .replace('result = "Outcome"', 'standard = "a"\nread = "b"')
        .partition("[words]")[0]
        + '[units]\nread = "kg"\n'
    )
    path = tmp_path / "site.toml"
    assert old in CONFIGURATION
    path.write_text(CONFIGURATION.replace(old, new))
    with pytest.raises(ConfigError, match=words):
        load(path)
