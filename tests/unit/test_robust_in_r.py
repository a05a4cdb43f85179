"""The robust estimators held against another implementation: R and its package robustbase."""

import os
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest

from qa_models.robust import MAD_TO_SIGMA, median_mad, qn_scale

SIZES = range(2, 41)

SCRIPT = f"""
samples <- strsplit(readLines(file("stdin")), " ")
for (sample in lapply(samples, as.numeric))
    cat(sprintf("%.17g %.17g\\n", robustbase::Qn(sample), mad(sample, constant = {MAD_TO_SIGMA!r})))
"""


def _samples() -> list[list[float]]:
    """One normal sample of each size, every third so coarse that values tie.

    All on grids of powers of two: the C code of robustbase 0.95 passes some of its answers through single
    precision, which then holds every distance exactly.
    """
    samples = [np.random.default_rng(n).normal(1.0, 0.01, n) for n in SIZES]
    grids = [2.0**-8 if n % 3 == 0 else 2.0**-22 for n in SIZES]
    return [(np.round(x / grid) * grid).tolist() for x, grid in zip(samples, grids, strict=True)]


@pytest.fixture(scope="module")
def in_r() -> list[tuple[float, float]]:
    """Qn and the scaled median absolute deviation of each sample, as R computes them."""
    if shutil.which("Rscript") is None:
        reason = "Rscript is not installed"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    lines = "\n".join(" ".join(map(repr, sample)) for sample in _samples())
    answer = subprocess.run(["Rscript", "-e", SCRIPT], input=lines, capture_output=True, text=True, check=True)
    return [(float(qn), float(mad)) for qn, mad in map(str.split, answer.stdout.splitlines())]


@pytest.mark.parametrize("n", SIZES)
def test_qn_and_mad_are_those_of_r(in_r: Any, n: int) -> None:
    sample, (qn, mad) = _samples()[n - 2], in_r[n - 2]
    assert qn_scale(sample, allow_zero=True) == pytest.approx(qn, rel=1e-9)
    assert median_mad(sample, allow_zero=True).sigma == pytest.approx(mad, rel=1e-9)
