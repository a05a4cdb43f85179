"""The page on choosing a chart shows what the command prints and draws."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bonewatch.design import Scanner
from bonewatch.design_plots import invented_year

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "choose-a-chart.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """What the page shows of the command; what it prints now, and the folder it draws into."""
    line, shown = re.findall(r"```console\n\$ \./bonewatch (.*)\n([^`]*)```", PAGE)[0]
    folder = tmp_path_factory.mktemp("charts") / "new"
    done = subprocess.run(
        [sys.executable, "-m", "bonewatch", *shlex.split(line), "--plots", str(folder)],
        capture_output=True,
        check=True,
        env=os.environ
        | {"COLUMNS": "80", "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error", "OPENBLAS_NUM_THREADS": "1"},
    )
    return shown, done.stdout.decode(), folder


def test_the_table_is_what_the_command_prints(command: tuple[str, str, Path]) -> None:
    shown, printed, _ = command
    assert shown.splitlines() == [line.rstrip() for line in printed.splitlines()]
    assert max(map(len, printed.splitlines())) <= 80


def test_the_plots_are_what_the_command_draws(command: tuple[str, str, Path]) -> None:
    drawn = {path.name: path.read_bytes() for path in command[2].iterdir()}
    kept = {path.name: path.read_bytes() for path in (DOCS / "images" / "charts").iterdir()}
    assert set(drawn) == set(re.findall(r"\(images/charts/(.*)\)", PAGE))
    assert [name for name in sorted(drawn | kept) if drawn.get(name) != kept.get(name)] == []


def test_the_invented_year_has_a_step_that_every_chart_notices() -> None:
    year = invented_year(Scanner(0.5, 5.0, 1.5, 0.5))
    assert len(year.days) == 261
    after = [x for day, x in zip(year.days, year.bmd_g_cm2, strict=True) if day >= year.step_day]
    before = year.bmd_g_cm2[: -len(after)]
    assert sum(before) / len(before) == pytest.approx(1.0, abs=0.0015)
    assert sum(after) / len(after) == pytest.approx(1.01, abs=0.0015)
    assert year.signals["tolerance"] == [abs(x - 1) > 0.015 for x in year.bmd_g_cm2]
    assert year.signals["cusum"] == [max(point.upper, point.lower) > 5 for point in year.sums]
    assert all(any(signals[-len(after) :]) for signals in year.signals.values())
