"""A device's record as a report takes it: facts and outcomes with their times, and where in the log it ends."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from streams.messages import (
    CalibrationCheckRead,
    CheckJudged,
    Fact,
    Outcome,
    PhantomMeasured,
    QcJudged,
    UtcTime,
    VendorQcReported,
)

T = TypeVar("T")
QcFact = PhantomMeasured | VendorQcReported | CalibrationCheckRead


class Anchor(msgspec.Struct, frozen=True):
    """Where a log stood: its last event's place and link. Kept elsewhere, it proves that nothing before was changed."""

    log_id: str
    position: int
    link: str
    recorded_at: UtcTime | None


class Told(NamedTuple, Generic[T]):
    """A fact or an outcome: when it was recorded, its id, what it says."""

    at: datetime
    id: str
    matter: T


@dataclass(frozen=True)
class DeviceRecord:
    """What reports need of one device's log, as far as it goes.

    Of readings `qc` and `checks` hold the highest revision of each, by time of measurement. `read` are the facts behind
    those of the period, by event id. Outcomes about gates and patients' measurements are of the period alone.
    """

    device: str
    anchor: Anchor
    facts: tuple[Told[Fact], ...]
    outcomes: tuple[Told[Outcome], ...]
    qc: tuple[QcJudged, ...]
    checks: tuple[CheckJudged, ...]
    read: Mapping[str, QcFact]

    def facts_of(self, kind: type[T]) -> Iterator[Told[T]]:
        """Yield the facts of one type in the order of the log."""
        yield from _of(self.facts, kind)

    def outcomes_of(self, kind: type[T]) -> Iterator[Told[T]]:
        """Yield the outcomes of one type in the order of the log."""
        yield from _of(self.outcomes, kind)


def _of(told: Iterable[Told[Any]], kind: type[T]) -> Iterator[Told[T]]:
    for one in told:
        if isinstance(one.matter, kind):
            yield Told(one.at, one.id, one.matter)
