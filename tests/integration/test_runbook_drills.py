"""The runbook's drills: the commands that it prints are run as they stand, and say what it says that they say."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bonewatch.alive import MARK
from tests.running import SiteProcess, configuration, seed

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
SECOND_PLACE = "/mnt/second-place"


def drill(title: str) -> list[tuple[str, str]]:
    """The commands of one drill, each with what it says by the page; empty where the page does not tell."""
    text = RUNBOOK.read_text(encoding="utf-8").split(f"## Drill: {title}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [(line.partition("# says:")[0].strip(), line.partition("# says:")[2].strip()) for line in lines]


class Department:
    """A folder with a site that was away for two hours, a second place, and the launcher's name for this program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.second_place = folder / "second place"
        self.second_place.mkdir()
        seed(folder, configuration(scanners=2, database="enabled = true"))
        (folder / "var" / MARK).write_text((datetime.now(UTC) - timedelta(hours=2)).isoformat())
        with SiteProcess(folder):
            pass
        launcher = folder / "bonewatch"
        launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bonewatch "$@"\n')
        launcher.chmod(0o755)

    def run(self, command: str) -> tuple[int, str]:
        """Carry a line of the page out, with this department's second place in the place of the page's."""
        copies = sorted(self.second_place.glob("*"))
        if copies:
            command = re.sub(rf"{SECOND_PLACE}/my-hospital-\w+", f'"{copies[-1]}"', command)
        command = re.sub(rf"archive {SECOND_PLACE} ", f'archive "{self.second_place}" --same-disk ', command)
        assert SECOND_PLACE not in command
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=os.environ | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Department:
    return Department(tmp_path_factory.mktemp("drill"))


DRILLS = ("Bonewatch is down", "back to the version before", "restore from the second place")


def test_the_commands_of_the_drills_run_as_printed_and_the_restored_site_starts(department: Department) -> None:
    """One after the other: the third restores the copy that the second takes."""
    for title in DRILLS:
        assert sum(bool(says) for _, says in drill(title)) >= 2
    for command, says in [step for title in DRILLS for step in drill(title)]:
        status, said = department.run(command)
        assert says in " ".join(said.split()), f"{command}: {said}"
        assert status == 0, f"{command}: {said}"
    _, copied = department.run(f"./bonewatch check-archive {SECOND_PLACE}/my-hospital-x")
    _, restored = department.run("./bonewatch log verify -c site.toml")
    assert re.findall(r"Head (\w+)", copied) == re.findall(r"Head (\w+)", restored) != []
    with SiteProcess(department.folder) as site:
        assert site.get("/healthz").status_code == 200
