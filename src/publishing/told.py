"""What a receiver that keeps values is told of measurements: each value with a status, and what takes which back.

A receiver knows a value again by accession number, code and sub-id, which analyses of one acquisition share: what comes
later replaces what it has. The status is of HL7 table 0085: ``P`` for what a scanner measured (it is not reported
yet), ``F`` for weight and height, ``C`` where a physicist's decision about what was sent was made, changed or taken
back, and ``W`` ("post original as wrong"), without a value, where a value that was sent is not to be used: its
acquisition's newest analysis is withheld, or has no such value. What was never sent is not taken back.

What another scanner would have read is not among the values: it is for serial comparison only, and a receiver might
take it for the result.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from publishing.delivery import ComposeError
from publishing.measured import Analysis, Judged, MeasuredLog, covers, is_in_force, size_at
from publishing.published import Notice
from publishing.terms import AREA, BMC, BMD, HEIGHT, T_SCORE, WEIGHT, Z_SCORE, Quality
from streams import codec
from streams.messages import (
    MeasurementsAmended,
    MeasurementValidated,
    MeasurementWithheld,
    ReasonCode,
    RegionMeasured,
    UtcTime,
)

TYPES: Final = tuple(
    str(kind.__struct_config__.tag) for kind in (MeasurementValidated, MeasurementWithheld, MeasurementsAmended)
)
"""What it is drawn from: a subscription must select all three, for one takes back what another said."""

CORRECTED: Final = "C"
WRONG: Final = "W"
_CHANGED: Final = "A physicist's decision about this measurement was changed or taken back."


class Value(NamedTuple):
    """One value; `told` is None where it is taken back."""

    quality: Quality
    region: str
    laterality: str
    sub_id: str
    told: float | None
    status: str

    @property
    def key(self) -> tuple[str, str]:
        """What a receiver knows it again by, within its accession number."""
        return self.quality.code, self.sub_id


class Told(NamedTuple):
    """What is said of one measurement at once."""

    analysis: Analysis
    values: Sequence[Value]
    notes: Sequence[str]


class Teller:
    """Draws from a notice, and from what the log holds before it, what is to be told; for one thread.

    Parameters
    ----------
    log
        The site log's file: what was sent before stands there.
    """

    def __init__(self, log: Path) -> None:
        self._log = MeasuredLog(log)

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def told(self, notice: Notice) -> Iterator[Told]:
        """Yield what a notice says of measurements: nothing where a receiver has, and may use, nothing of it.

        Raises
        ------
        ComposeError
            If nobody could tell whose measurement it is.
        UndecodableError
            If the log holds something that this version cannot read.
        """
        match codec.decode_outcome(notice.body).outcome:
            case MeasurementValidated() as validated:
                yield from self._validated(notice, validated)
            case MeasurementWithheld() as withheld:
                yield from self._withheld(notice, withheld)
            case MeasurementsAmended() as amended:
                yield from self._amended(notice, amended)
            case _:
                return

    def _validated(self, notice: Notice, validated: MeasurementValidated) -> Iterator[Told]:
        analysis, newest = self._log.analysis(notice, validated), self._newest_other(notice, validated)
        if newest is not None and newest.rank > analysis.rank:
            return
        sent = _values(newest) if newest is not None and _is_of_somebody(newest.judged) else ()
        if not _is_of_somebody(validated):
            if newest is None or not sent:
                raise ComposeError("it has neither accession number nor pseudonym: nobody could tell whose it is")
            why = "Not to be used: a newer analysis of this scan names neither request nor person."
            yield Told(newest, _taken_back(sent, ()), [why])
            return
        if newest is not None and sent and newest.judged.accession_number != validated.accession_number:
            why = "Not to be used: a newer analysis of this scan has another accession number."
            yield Told(newest, _taken_back(sent, ()), [why])
            sent = ()
        decisions = self._log.decisions(notice, validated)
        values = _replacing(sent, _values(analysis), is_decided=bool(decisions))
        missing = _taken_back(sent, values)
        notes = [*_notes(validated, decisions)]
        if missing:
            notes.append("What is posted as wrong is not among the values of the newer analysis of this scan.")
        if values or missing:
            yield Told(analysis, (*values, *missing), notes)

    def _withheld(self, notice: Notice, withheld: MeasurementWithheld) -> Iterator[Told]:
        analysis, newest = self._log.analysis(notice, withheld), self._newest_other(notice, withheld)
        if newest is None or newest.rank > analysis.rank or not _is_of_somebody(newest.judged):
            return
        if values := _taken_back(_values(newest), ()):
            why = f"Not to be used: a newer analysis of this scan is withheld ({_codes(withheld.reasons)})."
            yield Told(newest, values, [why])

    def _amended(self, notice: Notice, amended: MeasurementsAmended) -> Iterator[Told]:
        for analysis in self._log.concerned(notice, amended):
            judged, values = analysis.judged, _values(analysis, CORRECTED)
            if not values or not isinstance(judged, MeasurementValidated) or not _is_of_somebody(judged):
                continue
            notes = [*_notes(judged, self._log.decisions(notice, judged))]
            is_about = is_in_force(amended) and covers(amended, judged)
            yield Told(analysis, values, notes if is_about else [*notes, _CHANGED])

    def _newest_other(self, notice: Notice, judged: Judged) -> Analysis | None:
        return max(self._log.others(notice, judged), key=lambda other: other.rank, default=None)


def digest(*parts: str) -> str:
    """Return twelve characters that stand for these parts."""
    return sha256("\x1f".join(parts).encode()).hexdigest()[:12]


def acquisition(judged: Judged) -> str:
    """Return what analyses of one scan share."""
    return judged.acquisition_id or judged.subject_event_id


def _values(analysis: Analysis, status: str = "") -> tuple[Value, ...]:
    """Return a measurement's values with their own status, or with this one."""
    judged = analysis.judged
    if isinstance(judged, MeasurementWithheld):
        return ()
    found = []
    for quality, told, region in _measured(judged):
        name, side = (region.region, region.laterality) if region is not None else ("", "")
        sub_id = digest(acquisition(judged), name, side)
        found.append(Value(quality, name, side, sub_id, told, status or quality.status))
    return tuple(found)


def _measured(one: MeasurementValidated) -> Iterator[tuple[Quality, float, RegionMeasured | None]]:
    """Yield all that the device gave, as it gave it."""
    for quality, told in ((WEIGHT, one.weight_kg), (HEIGHT, one.height_cm)):
        if told is not None:
            yield quality, told, None
    for region in one.regions:
        scores = ((T_SCORE, region.t_score), (Z_SCORE, region.z_score))
        for quality, told in ((BMD, region.bmd_g_cm2), (BMC, region.bmc_g), (AREA, region.area_cm2), *scores):
            if told is not None:
                yield quality, told, region


def _replacing(sent: Sequence[Value], now: Sequence[Value], *, is_decided: bool) -> tuple[Value, ...]:
    """Return what is told now: a correction where a final value, or one that was decided about, had been sent."""
    keys = {value.key for value in sent}
    return tuple(
        value._replace(status=CORRECTED) if value.key in keys and (is_decided or value.status == "F") else value
        for value in now
    )


def _taken_back(sent: Sequence[Value], now: Sequence[Value]) -> tuple[Value, ...]:
    """Return what was sent and is not told any more, without its values."""
    keys = {value.key for value in now}
    return tuple(value._replace(told=None, status=WRONG) for value in sent if value.key not in keys)


def _is_of_somebody(judged: Judged) -> bool:
    return bool(judged.accession_number or judged.pseudonym)


def _notes(one: MeasurementValidated, decisions: Sequence[MeasurementsAmended]) -> Iterator[str]:
    """Yield what whoever reports must know."""
    if one.is_overridden:
        yield "Measured while the device's gate was overridden."
    if one.issues:
        yield f"Known of the device then: {_codes(one.issues)}."
    if any(not standing.is_comparable for standing in one.qc):
        yield "The step to the baseline in force is not reviewed: not to be compared with values before it."
    if one.released_by is not None:
        yield f"Released by a person although it had been withheld: {one.reason}"
    for change in one.changes:
        words = f"{change.value:g} {change.unit.replace('_', '/')} ({change.population}; {change.source})"
        yield f"Least significant change of {change.region}: {words}."
    for decision in decisions:
        yield f"A physicist's decision, {decision.verdict}: {decision.text}{_how_far_off(decision, one.measured_at)}"


def _codes(reasons: Sequence[ReasonCode]) -> str:
    return ", ".join(reason.value for reason in reasons)


def _how_far_off(decision: MeasurementsAmended, at: UtcTime) -> str:
    size = size_at(decision, at)
    if size is None:
        return ""
    middle, low, high = size
    words = f" (the device was {middle:+.3g} {decision.unit} off"
    return f"{words})" if low is None or high is None else f"{words}, 95 % interval {low:+.3g} to {high:+.3g})"
