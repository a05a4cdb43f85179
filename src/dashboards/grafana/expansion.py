"""SQL as Grafana would send it: its macros and variables filled in, by the documentation of its PostgreSQL source.

Tests and the benchmark ask what Grafana would ask; nothing of a site uses it. Macros that no panel of ours has are
refused, not guessed.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

_VARIABLE: Final = re.compile(r"\$\{(\w+):sqlstring\}")
_TIME_FILTER: Final = re.compile(r"\$__timeFilter\(([^()]+)\)")
_LEFT_OVER: Final = re.compile(r"\$(?:__|\{)?\w+")


class TimeRange(NamedTuple):
    """What the time picker says."""

    since: datetime
    until: datetime


def expand(sql: str, over: TimeRange, chosen: Mapping[str, Sequence[str]]) -> str:
    """Return the statement for a time range and the chosen values of the variables.

    Raises
    ------
    ValueError
        If something of Grafana's is left that this does not know, or a variable was not chosen.
    """
    since, until = (f"'{_rfc3339(one)}'" for one in over)
    sql = _VARIABLE.sub(lambda found: quoted(_values(found[1], chosen)), sql)
    sql = _TIME_FILTER.sub(lambda found: f"{found[1]} BETWEEN {since} AND {until}", sql)
    sql = sql.replace("$__timeFrom()", since).replace("$__timeTo()", until)
    left = _LEFT_OVER.search(re.sub(r"'(?:[^']|'')*'", "''", sql))
    if left is not None:
        raise ValueError(f"{left[0]} is nothing that a panel of ours may use")
    return sql


def quoted(values: Sequence[str]) -> str:
    """Return values as ``:sqlstring`` writes them: each in single quotes, those within doubled, commas between."""
    return ",".join("'" + value.replace("'", "''") + "'" for value in values)


def _values(name: str, chosen: Mapping[str, Sequence[str]]) -> Sequence[str]:
    if name not in chosen:
        raise ValueError(f"the variable {name} is used, and nothing is chosen for it")
    return chosen[name]


def _rfc3339(when: datetime) -> str:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")
