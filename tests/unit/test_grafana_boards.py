"""Dashboards as code: tidy, worded, decoded by Grafana's own types, and the files in deploy/ are what the code says."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus, units

from dashboards.grafana.board import COLUMNS, Board
from dashboards.grafana.catalogue import boards, documents
from dashboards.grafana.expansion import TimeRange, expand, quoted
from dashboards.grafana.files import PROVIDER, files, write
from dashboards.grafana.panels import over_time
from dashboards.grafana.queries import ColumnType, Format, PromQuery, SqlQuery, number
from dashboards.grafana.queries import time as time_column
from dashboards.grafana.sources import Sources, SqlDataquery, register

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
BOARDS = boards()
UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
NOON = TimeRange(datetime(2026, 11, 2, 12, tzinfo=UTC), datetime(2026, 11, 3, 12, 30, 0, 500_000, tzinfo=UTC))


@cache
def read(uid: str) -> Any:
    return json.loads(documents(Sources())[uid])


def each(kind: type) -> list[Any]:
    return [pytest.param(q, id=f"{b.uid}-{q.name}") for b in BOARDS for q in b.queries if isinstance(q, kind)]


def covered(uid: str) -> list[tuple[int, int]]:
    """Every cell of the grid that a panel takes, once for each panel that does."""
    cells: list[tuple[int, int]] = []
    for panel in read(uid)["panels"]:
        at = panel["gridPos"]
        cells += product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
    return cells


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_panels_fill_24_columns_without_overlap_or_gap(board: Board) -> None:
    cells = covered(board.uid)
    assert len(cells) == len(set(cells))
    height = max(row for _, row in cells) + 1
    assert set(cells) == set(product(range(COLUMNS), range(height)))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_every_panel_says_what_it_is_and_what_it_means_to_be_empty(board: Board) -> None:
    assert board.description.endswith(".")
    assert len({panel.title for panel in board.panels}) == len(board.panels)
    for panel, shown in zip(board.panels, read(board.uid)["panels"], strict=True):
        assert panel.description[0].isupper(), panel.title
        assert panel.description.endswith("."), panel.title
        assert shown["title"] == panel.title
        assert shown["description"] == panel.description
        assert shown["fieldConfig"]["defaults"]["noValue"] == panel.empty != ""


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_grafanas_own_types_read_what_is_written(board: Board) -> None:
    register_default_plugins()
    register()
    written = read(board.uid)
    decoded = model.Dashboard.from_json(written)
    again = json.loads(json.dumps(decoded, cls=JSONEncoder))
    no_marks: dict[str, Any] = {"annotations": None}  # the SDK's type of an annotation's question holds no SQL
    assert again | no_marks == written | no_marks
    kinds = {type(target) for panel in decoded.panels or [] for target in getattr(panel, "targets", None) or []}
    assert kinds <= {SqlDataquery, prometheus.Dataquery}
    assert kinds != set()


def test_uids_are_for_ever() -> None:
    assert [board.uid for board in BOARDS] == [
        "bonewatch-fleet", "bonewatch-scanner", "bonewatch-checks", "bonewatch-gates", "bonewatch-faults",
        "bonewatch-uptime", "bonewatch-reviews", "bonewatch-pipeline",
    ]  # fmt: skip


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_every_panel_and_variable_asks_a_source_by_its_uid(board: Board) -> None:
    text = documents(Sources("their-db", "their-prom"))[board.uid]
    assert '"uid": "bonewatch"' not in text
    assert '"uid": "prometheus"' not in text
    read_again = json.loads(text)
    assert {panel["datasource"]["uid"] for panel in read_again["panels"]} <= {"their-db", "their-prom"}
    assert {one["datasource"]["uid"] for one in read_again["templating"]["list"]} <= {"their-db"}
    assert {one["target"]["datasource"]["uid"] for one in read_again["annotations"]["list"]} <= {"their-db"}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_links_between_dashboards_name_one_that_is_there(board: Board) -> None:
    uids = {other.uid for other in BOARDS}
    links = [part.split("?")[0] for part in json.dumps(read(board.uid)).split("/d/")[1:]]
    assert set(links) <= uids


@pytest.mark.parametrize("query", each(SqlQuery))
def test_units_and_decimals_of_a_column_are_those_of_the_panel(query: SqlQuery) -> None:
    (board,) = (board for board in BOARDS if query in board.sql)
    (place,) = (n for n, panel in enumerate(board.panels) if query in panel.queries)
    overrides = read(board.uid)["panels"][place]["fieldConfig"]["overrides"]
    by_name = {one["matcher"]["options"]: {p["id"]: p["value"] for p in one["properties"]} for one in overrides}
    for column in query.columns:
        if column.type is ColumnType.NUMBER:
            assert by_name[column.name]["unit"] == column.unit
            assert by_name[column.name]["decimals"] == column.decimals
            assert column.unit.startswith("suffix: ") or column.unit in UNITS
    if query.format is Format.TIME_SERIES:
        assert query.columns[0] == time_column()
        assert "ORDER BY" in query.sql


@pytest.mark.parametrize("query", each(PromQuery))
def test_units_of_metrics_are_those_of_grafana(query: PromQuery) -> None:
    assert query.unit in UNITS


def test_a_look_for_a_column_that_is_not_there_is_refused() -> None:
    query = SqlQuery("q", "SELECT 1", (number("There"),))
    with pytest.raises(ValueError, match="Not there"):
        over_time("T", "D.", query, width=24, looks={"Not there": {}})


@pytest.mark.parametrize("query", each(SqlQuery))
def test_no_question_names_what_is_linked_to_patients(query: SqlQuery) -> None:
    for word in ("accession", "pseudonym", "current_", "amended_", "review_measurements", "equipment_log", "incidents"):
        assert word not in query.sql + query.aggregate


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_files_in_deploy_are_what_the_code_says() -> None:
    made = files(Sources(timescale=True))
    for name, text in made.items():
        assert (DEPLOY / name).read_text(encoding="utf-8") == text, (
            f"run: ./bonewatch grafana write deploy/grafana --timescale ({name})"
        )
    there = {f"dashboards/{path.name}" for path in (DEPLOY / "dashboards").iterdir()}
    assert there == made.keys() - {PROVIDER}


def test_a_timescaledb_is_asked_for_its_days_and_for_the_rest_as_any_other() -> None:
    asked = {uid: documents(Sources(timescale=True))[uid] for uid in ("bonewatch-fleet", "bonewatch-scanner")}
    assert "bonewatch.qc_daily" in asked["bonewatch-fleet"]
    assert "bonewatch.qc_daily" in asked["bonewatch-scanner"]
    rows, days = documents(Sources()), documents(Sources(timescale=True))
    assert not any("bonewatch.qc_daily" in text for text in rows.values())
    assert {uid for uid in rows if rows[uid] != days[uid]} == {"bonewatch-fleet", "bonewatch-scanner"}


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    assert len(write(tmp_path, Sources())) == len(BOARDS) + 1
    assert write(tmp_path, Sources()) == []
    (tmp_path / "dashboards" / "bonewatch-gates.json").write_text("{}")
    assert [path.name for path in write(tmp_path, Sources())] == ["bonewatch-gates.json"]


def test_the_command_says_what_it_wrote_and_what_it_cannot(tmp_path: Path) -> None:
    def told(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "bonewatch", "grafana", "write", *words], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    assert told(str(tmp_path), "--path", "/there")[0] == 0
    assert "path: /there" in (tmp_path / PROVIDER).read_text()
    assert told(str(tmp_path), "--path", "/there") == (0, "Nothing to change.\n")
    (tmp_path / "file").write_text("")
    status, words = told(str(tmp_path / "file"))
    assert status == 1
    assert "cannot be written to" in words


# --- expansion, by the examples of Grafana's documentation -----------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        ("$__timeFilter(t)", "t BETWEEN '2026-11-02T12:00:00Z' AND '2026-11-03T12:30:00.500000Z'"),
        ("t > $__timeFrom()", "t > '2026-11-02T12:00:00Z'"),
        ("t < $__timeTo()", "t < '2026-11-03T12:30:00.500000Z'"),
        ("d IN (${device:sqlstring})", "d IN ('a/1','b''2')"),
    ],
)
def test_macros_and_variables_are_filled_in(sql: str, expanded: str) -> None:
    assert expand(sql, NOON, {"device": ["a/1", "b'2"]}) == expanded


@pytest.mark.parametrize("sql", ["$__interval", "$device", "${device}", "${device:csv}", "$__timeGroup(t, '1d')"])
def test_what_is_not_known_or_not_quoted_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="nothing that a panel"):
        expand(sql, NOON, {"device": ["a"]})


def test_a_variable_that_nothing_is_chosen_for_is_refused() -> None:
    with pytest.raises(ValueError, match="phantom"):
        expand("${phantom:sqlstring}", NOON, {"device": ["a"]})


def test_what_somebody_chooses_cannot_leave_its_quotes() -> None:
    assert quoted(["'; DROP TABLE gates; --"]) == "'''; DROP TABLE gates; --'"
