"""`bench dashboards` in its short form: every panel of every dashboard, in each way, and the console's pages."""

import json
import subprocess
import sys
from pathlib import Path

from bonewatch.bench.pages import PAGES, PAGES_OF_ADMINS
from dashboards.grafana.catalogue import boards


def test_it_times_every_question_and_page(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bonewatch", "bench", "dashboards", "--short", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr  # 1: a busy machine missed an aim
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    asked = {(one["board"], one["query"]) for one in told["panels"]}
    assert asked == {(board.uid, query.name) for board in boards() for query in board.sql}
    assert all(0 < one["p50_ms"] <= one["p95_ms"] for one in told["panels"])
    filled = {one["query"] for one in told["panels"] if one["span"] == "ten years" and one["rows"]}
    of_days = [query for board in boards() for query in board.sql if query.aggregate]
    assert {query.name for query in of_days} == {one["query"] for one in told["panels"] if one["daily"]}
    assert filled >= {
        "control_chart",
        "gate_history",
        "uptime_by_week",
        "reviews_waiting",
        "faults_by_month",
        "last_checks",
    }
    assert [page["page"] for page in told["pages"]] == [*PAGES, *PAGES_OF_ADMINS]
    assert list(tmp_path.iterdir()) == []
