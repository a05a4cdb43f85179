"""What a panel asks: SQL with the columns that it answers, or PromQL."""

from enum import StrEnum
from typing import Final

import msgspec

GRAMS_PER_CM2: Final = "suffix: g/cm²"
SIGMAS: Final = "suffix: sigmas"
PERCENT: Final = "percent"
SECONDS: Final = "s"
DAYS: Final = "suffix: d"
HOURS: Final = "suffix: h"
COUNT: Final = "none"
EVENTS_PER_SECOND: Final = "cps"
BYTES: Final = "bytes"


class ColumnType(StrEnum):
    """What Grafana makes of a column."""

    TIME = "time"
    NUMBER = "number"
    TEXT = "text"
    FLAG = "boolean"


class Format(StrEnum):
    """How Grafana reads the rows; a time series wants a column `time`, in order."""

    TIME_SERIES = "time_series"
    TABLE = "table"


class Column(msgspec.Struct, frozen=True):
    """A column as the panel shows it; `unit` is one of Grafana's, of numbers alone."""

    name: str
    type: ColumnType
    unit: str = ""
    decimals: int | None = None


class SqlQuery(msgspec.Struct, frozen=True):
    """A question to PostgreSQL.

    `aggregate` is the same question to a view of days, where there is one. Panels ask it of a TimescaleDB, which keeps
    the days; elsewhere it is a plain view, slower than the rows of `sql`, which are read by month.
    """

    name: str
    sql: str
    columns: tuple[Column, ...]
    format: Format = Format.TABLE
    aggregate: str = ""


class PromQuery(msgspec.Struct, frozen=True):
    """A question to Prometheus; `legend` names each series by its labels."""

    name: str
    expr: str
    legend: str
    unit: str = COUNT


def time(name: str = "time") -> Column:
    """Return a column of instants."""
    return Column(name, ColumnType.TIME)


def number(name: str, unit: str = COUNT, decimals: int | None = None) -> Column:
    """Return a column of numbers."""
    return Column(name, ColumnType.NUMBER, unit, 0 if decimals is None and unit == COUNT else decimals)


def text(name: str) -> Column:
    """Return a column of words."""
    return Column(name, ColumnType.TEXT)


def flag(name: str) -> Column:
    """Return a column of yes and no."""
    return Column(name, ColumnType.FLAG)


def words(code: str) -> str:
    """Return SQL that makes words of a column of codes: ``qc_failed`` becomes ``QC failed``."""
    return f"replace(upper(left({code}, 1)) || substr(replace({code}, '_', ' '), 2), 'Qc ', 'QC ')"


def listed(codes: str) -> str:
    """Return SQL that makes words of a column that holds an array of codes."""
    return words(f"array_to_string({codes}, ', ')")
