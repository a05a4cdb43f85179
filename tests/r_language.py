"""R as the other software that numbers are held against."""

import os
import shutil
import subprocess
from collections.abc import Iterable

import pytest


def r_lines(package: str, calls: Iterable[str]) -> list[float]:
    """Return what each call of an R package gives, in one run of R; skip where there is no R (never in CI)."""
    if shutil.which("Rscript") is None:
        reason = "Rscript is not installed (tests/system-packages.txt names its package)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    lines = [f"suppressMessages(library({package}))", *(f'cat(sprintf("%.17g\\n", {call}))' for call in calls)]
    done = subprocess.run(
        ["Rscript", "-"], input="\n".join(lines), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()]
