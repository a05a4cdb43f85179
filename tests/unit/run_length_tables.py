"""How run lengths agree with what was published or computed by R."""

import csv
from pathlib import Path

from qa_models.run_rules import WESTERN_ELECTRIC

WE_1, WE_2, WE_3, WE_4 = WESTERN_ELECTRIC
PRINTED = 1.1e-6
"""The last of the six decimals that spc prints, give or take one."""


def rows(path: Path) -> list[dict[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def agrees(value: float, printed: str) -> bool:
    """Whether a value is the printed one but for its rounding: tables of 1982 round 1.3254 to 1.32."""
    unit = 10.0 ** -len(printed.partition(".")[2])
    return abs(value - float(printed)) <= 0.6 * unit
