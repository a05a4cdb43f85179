"""Where two folds of one device's past differ, in the words of what people would have seen."""

from enum import StrEnum

import msgspec

from streams.messages import UtcTime, Verdict


class Side(StrEnum):
    """Which rules alone said it."""

    IN_FORCE = "in_force"
    PROPOSED = "proposed"


class VerdictDifference(msgspec.Struct, frozen=True):
    """A reading that is judged otherwise; a verdict is None where these rules did not judge it."""

    event_id: str
    phantom_id: str
    measured_at: UtcTime
    bmd_g_cm2: float | None
    in_force: Verdict | None
    proposed: Verdict | None


class OnlyOne(msgspec.Struct, frozen=True):
    """A signal that began, or a review that was opened, under one set of rules alone."""

    side: Side
    what: str
    phantom_id: str
    at: UtcTime
    text: str


class GateDifference(msgspec.Struct, frozen=True):
    """A time in which the gate of a mode was held under one set of rules alone; hours are those of clinics in it."""

    held_by: Side
    mode: str
    since: UtcTime
    until: UtcTime
    clinic_hours: float


class NoticedFault(msgspec.Struct, frozen=True):
    """A fault that a physicist found real, and how long after its onset each set of rules said so; None: never.

    The onset is the estimate under the rules in force. A new baseline of the phantom ends the fault: what is said after
    it is of another.
    """

    phantom_id: str
    onset: UtcTime
    decided_at: UtcTime
    in_force_days: float | None
    proposed_days: float | None


class ChartPlace(msgspec.Struct, frozen=True):
    """A reading with both sets of limits, for the chart; g/cm2, sums in sigmas."""

    measured_at: UtcTime
    bmd_g_cm2: float
    target: float
    in_force: tuple[float, float]
    proposed: tuple[float, float]
    verdict_in_force: Verdict
    verdict_proposed: Verdict


class Difference(msgspec.Struct, frozen=True):
    """Everything that would have been otherwise on one device since a time; empty lists: nothing."""

    device: str
    since: UtcTime
    until: UtcTime | None
    events: int
    readings: int
    verdicts: tuple[VerdictDifference, ...] = ()
    only_one: tuple[OnlyOne, ...] = ()
    gates: tuple[GateDifference, ...] = ()
    faults: tuple[NoticedFault, ...] = ()
    places: dict[str, tuple[ChartPlace, ...]] = {}

    @property
    def is_none(self) -> bool:
        """Whether nothing would have been otherwise."""
        return not (self.verdicts or self.only_one or self.gates)
