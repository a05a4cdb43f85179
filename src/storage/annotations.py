"""What rules say of a measurement and the same person's earlier ones: outside the log, made anew whenever asked.

A rule that changes gets another version. Limits of weight and height are local policy. A least significant change is
of one scanner: across scanners the change is told without a claim of significance, for which the generalised one
would be needed (Shepherd and Lu, J Clin Densitom 2007;10:249-258).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from storage.settings import AnnotationRules
from streams.measurements import Annotation, Measurement, RawRegion, SerialValue

LOCAL_POLICY: Final = "local policy"
VERSION: Final = {
    "weight_change": 1,
    "height_loss": 1,
    "last_comparable": 1,
    "not_comparable": 1,
    "follow_up_scanner": 2,
    "last_visit": 1,
}
"""The version of each rule, by the kind of its annotation."""


class Step(NamedTuple):
    """A step of a phantom's chart that no physicist has found comparable, and when it was."""

    device: str
    phantom_id: str
    at: datetime


class Comparability(NamedTuple):
    """What the record says of comparing: steps, and the cross-calibrations in force now (device, study, version)."""

    steps: frozenset[Step]
    studies: frozenset[tuple[str, str, int]]


class Compared(NamedTuple):
    """A region beside the last comparable one: both in the terms of one scanner."""

    earlier: Measurement
    now_g_cm2: float
    then_g_cm2: float
    study: SerialValue | None


def annotations_of(
    one: Measurement, earlier: Sequence[Measurement], rules: AnnotationRules, record: Comparability
) -> list[Annotation]:
    """Return what the rules say of a measurement.

    Parameters
    ----------
    earlier
        The same person's, validated or released, from before it.
    """
    newest_first = sorted(earlier, key=lambda other: (other.measured_at, other.event_id), reverse=True)
    comparisons = [(region, _compared(one, region, newest_first, record)) for region in one.regions]
    return [
        *_weight(one, newest_first, rules),
        *_height(one, newest_first, rules),
        *(note for region, found in comparisons for note in _region(one, region, found, newest_first)),
        *(
            note
            for side in dict.fromkeys(region.laterality for region in one.regions)
            for note in _follow_up(one, side, [f for region, f in comparisons if f and region.laterality == side])
        ),
        *_last_visit(one, newest_first),
    ]


# --- weight and height -------------------------------------------------------------------------------------


def _weight(one: Measurement, earlier: Sequence[Measurement], rules: AnnotationRules) -> Iterator[Annotation]:
    last = next((other for other in earlier if other.weight_kg is not None), None)
    if one.weight_kg is None or last is None or last.weight_kg is None:
        return
    change = round(one.weight_kg - last.weight_kg, 3)
    if abs(change) >= rules.weight_change_kg:
        text = f"Weight changed by {change:+.1f} kg since the last one: BMD may not be comparable"
        made_from = (last.event_id, one.event_id)
        yield _note("weight_change", text, made_from, value=change, limit=rules.weight_change_kg, unit="kg")


def _height(one: Measurement, earlier: Sequence[Measurement], rules: AnnotationRules) -> Iterator[Annotation]:
    heights = [(other.height_cm, other) for other in earlier if other.height_cm is not None]
    if one.height_cm is None or not heights:
        return
    greatest, when = max(heights, key=lambda found: found[0])
    loss = round(greatest - one.height_cm, 3)
    if loss > rules.height_loss_cm:
        text = f"Height is {loss:.1f} cm below the greatest earlier one"
        made_from = (when.event_id, one.event_id)
        yield _note("height_loss", text, made_from, value=loss, limit=rules.height_loss_cm, unit="cm")


def _note(kind: str, text: str, made_from: tuple[str, ...], *, value: float, limit: float, unit: str) -> Annotation:
    return Annotation(
        kind, VERSION[kind], text, made_from, value=value, limit=limit, unit=unit, source=LOCAL_POLICY, is_beyond=True
    )


# --- comparable measurements -------------------------------------------------------------------------------


def _region(
    one: Measurement, region: RawRegion, found: Compared | None, earlier: Sequence[Measurement]
) -> Iterator[Annotation]:
    """Yield the change of a region since the last comparable one, or why an earlier one is not comparable."""
    if found is None:
        last = next((other for other in earlier if _same(one, other, region) is not None), None)
        if last is not None:
            text = f"Not comparable with that of {last.measured_at:%Y-%m-%d} on {last.device}: " + (
                "a step of the scanner is not reviewed" if _is_same_scanner(one, last) else "no study in force"
            )
            yield _told("not_comparable", text, (last, one), region, last.device)
        return
    change = found.now_g_cm2 - found.then_g_cm2
    percent = 100.0 * change / found.then_g_cm2
    text = f"BMD changed by {percent:+.1f} % ({change:+.3f} g/cm2) since {found.earlier.measured_at:%Y-%m-%d}"
    told = _told("last_comparable", text, (found.earlier, one), region, found.earlier.device)
    if found.earlier.amendments or one.amendments:
        told = _with(told, "; a decision of a physicist is in force about one of the two", codes=("amended",))
    if found.study is not None:
        words = (
            f"; by cross-calibration {found.study.study_id}, version {found.study.version}: no claim of significance"
        )
        told = _with(told, words, value=percent, unit="percent", is_cross_calibrated=True)
        yield told
        return
    limit = next((c for c in one.changes if c.region == region.region and c.anatomy == one.anatomy), None)
    if limit is None:
        yield _with(
            told, "; no least significant change is configured: no claim of significance", value=percent, unit="percent"
        )
        return
    value = percent if limit.unit == "percent" else change
    is_beyond = abs(value) >= limit.value
    words = f"; {'beyond' if is_beyond else 'within'} the least significant change ({limit.source})"
    yield _with(told, words, value=value, limit=limit.value, unit=limit.unit, source=limit.source, is_beyond=is_beyond)


def _told(kind: str, text: str, measured: tuple[Measurement, ...], region: RawRegion, device: str) -> Annotation:
    made_from = tuple(m.event_id for m in measured)
    return Annotation(
        kind, VERSION[kind], text, made_from, region=region.region, laterality=region.laterality, device=device
    )


def _with(told: Annotation, words: str, **more: Any) -> Annotation:
    return replace(told, text=told.text + words, **more)


def _compared(
    one: Measurement, region: RawRegion, earlier: Sequence[Measurement], record: Comparability
) -> Compared | None:
    for other in earlier:
        then = _same(one, other, region)
        if then is None or _has_step(one, other, record):
            continue
        if _is_same_scanner(one, other):
            return Compared(other, region.bmd_g_cm2, then.bmd_g_cm2, None)
        as_now = _as_other(other, then, one.device, record)
        if as_now is not None:
            return Compared(other, region.bmd_g_cm2, as_now.bmd_g_cm2, as_now)
        as_then = _as_other(one, region, other.device, record)
        if as_then is not None:
            return Compared(other, as_then.bmd_g_cm2, then.bmd_g_cm2, as_then)
    return None


def _same(one: Measurement, other: Measurement, region: RawRegion) -> RawRegion | None:
    """Return the same region and side of another measurement; a hip and a whole body both have a Total."""
    if one.anatomy != other.anatomy:
        return None
    its = (region.region, region.laterality)
    return next((r for r in other.regions if (r.region, r.laterality) == its), None)


def _is_same_scanner(one: Measurement, other: Measurement) -> bool:
    return (one.device, one.serial) == (other.device, other.serial)


def _has_step(one: Measurement, other: Measurement, record: Comparability) -> bool:
    """Whether a phantom that vouches for either has stepped between them, on its scanner, without a review."""
    behind = {(m.device, standing.phantom_id) for m in (one, other) for standing in m.qc}
    return any(
        (step.device, step.phantom_id) in behind and other.measured_at < step.at <= one.measured_at
        for step in record.steps
    )


def _as_other(measured: Measurement, region: RawRegion, device: str, record: Comparability) -> SerialValue | None:
    """Return a region as another scanner would read it, by a study in force.

    A study names its region alone: where both sides were measured its value cannot be told apart, so there is none.
    """
    if sum(r.region == region.region for r in measured.regions) > 1:
        return None
    names = {device, device.rpartition("/")[2]}
    for value in measured.cross_calibrated:
        is_in_force = (measured.device, value.study_id, value.version) in record.studies
        if is_in_force and value.region == region.region and value.as_device in names:
            return value
    return None


# --- the follow-up and the last visit ----------------------------------------------------------------------


def _follow_up(one: Measurement, side: str, found: Sequence[Compared]) -> Iterator[Annotation]:
    """Yield where to measure a side again: the other hip may have been measured elsewhere."""
    if found:
        last = max((compared.earlier for compared in found), key=lambda m: (m.measured_at, m.event_id))
        kind = "follow_up_scanner"
        of_side = f" ({side})" if side else ""
        text = f"Book the follow-up{of_side} on {last.device}: the last comparable measurement is from there"
        made_from = (last.event_id, one.event_id)
        yield Annotation(kind, VERSION[kind], text, made_from, device=last.device, laterality=side)


def _last_visit(one: Measurement, earlier: Sequence[Measurement]) -> Iterator[Annotation]:
    """Yield what whoever measures again must know of the visit before: one request, or without a number one day."""
    last = next((other for other in earlier if _visit(other) != _visit(one)), None)
    if last is None:
        return
    of_visit = [other for other in earlier if _visit(other) == _visit(last) and other.issue_codes]
    codes = tuple(dict.fromkeys(code for other in of_visit for code in other.issue_codes))
    if codes:
        text = f"At the last visit ({last.measured_at:%Y-%m-%d}) the device had: {', '.join(codes)}"
        made_from = tuple(other.event_id for other in of_visit)
        yield Annotation("last_visit", VERSION["last_visit"], text, made_from, codes=codes)


def _visit(measured: Measurement) -> object:
    return measured.accession_number or measured.measured_at.date()
