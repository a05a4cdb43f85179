"""Run every check of this repository in turn: lint, types, import contracts, tests.

``./bonewatch test`` calls it; words after it go to pytest alone (``./bonewatch test -k cusum``).
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BIN: Final = Path(sys.executable).parent

CHECKS: Final = (
    ("lint", ["ruff", "check", "."]),
    ("format", ["ruff", "format", "--check", "."]),
    ("types", ["mypy"]),
    ("import contracts", ["lint-imports"]),
)


SIDE_BY_SIDE: Final = ("--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder")
"""Three processes on two cores: a third of the time the tests wait for a server or a browser."""


def run(name: str, command: list[str]) -> bool:
    """Run one check; say how long it took and whether it passed."""
    started = time.monotonic()
    sys.stdout.write(f"== {name}: {' '.join(command)}\n")
    sys.stdout.flush()
    status = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, check=False).returncode
    verdict = "ok" if status == 0 else f"FAILED (exit {status})"
    sys.stdout.write(f"== {name}: {verdict} in {time.monotonic() - started:.1f} s\n\n")
    return status == 0


def main(words: list[str]) -> int:
    """Run all checks, even after a failure; the exit status is 1 if any failed."""
    if words:
        return 0 if run("tests", ["pytest", *words]) else 1
    results = [run(name, command) for name, command in CHECKS]
    if shutil.which("mvn"):  # once, and not in each of the tests' processes
        subprocess.run([str(ROOT / "deploy" / "kafka" / "kafka"), "install"], check=False)
    results.append(run("tests", ["pytest", *SIDE_BY_SIDE]))
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
