"""What goes into the database together: rows of a log, what is none, and what the workers say of devices."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from streams.envelope import LogRow
from streams.fleet.site_life import SiteLife

SinkRow = LogRow
"""One row of a log: event, outcomes, its place in the log and its link of the hash chain."""


class Reached(NamedTuple):
    """How far a source has been taken in; `position` is where its reader resumes.

    A source that was forgotten, and of which nothing has come since, has no `log_id`.
    """

    position: int
    log_id: str
    log_position: int
    link: bytes
    life: SiteLife = SiteLife()


class Refusal(NamedTuple):
    """A record of a source that holds no row of its log, by its place there; `device` is empty where unknown."""

    position: int
    device: str
    rejection: str


class Batch(NamedTuple):
    """Rows of one source, and where its reader resumes once they stand (a place in a log, a Kafka offset).

    `refusals` are records that are no rows; `mended` are places of such that can be read now and stand in `rows`.
    `life` is which life of its site it is of: if that was forgotten meanwhile, nothing of it is taken.
    """

    source: str
    rows: Sequence[SinkRow]
    position: int
    refusals: Sequence[Refusal] = ()
    mended: Sequence[int] = ()
    life: SiteLife = SiteLife()


class FleetDevice(NamedTuple):
    """A device as the fleet's workers know it from `at` on, and where they said so on their table's partition."""

    device: str
    device_seq: int
    parked: str
    at: datetime
    diverged_at_seq: int | None
    offset: int


class Applied(NamedTuple):
    """What a transaction did; `refused` rows are kept by place in ``refused_rows``, the log holds them."""

    rows: int
    refused: int
