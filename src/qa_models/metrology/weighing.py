"""Class III weighing: permitted errors, check weights, and whether the weights are good enough for it.

Masses in grams, exact (`qa_models.metrology.exact`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from qa_models.metrology.exact import Number, decimal_from, exact, exact_positive
from qa_models.metrology.verdict import Verdict

CLASS_III_BANDS: Final = ((500, Decimal("0.5")), (2000, Decimal(1)), (10_000, Decimal("1.5")))
"""Up to how many e, that number included, and the error permitted at initial verification, in e."""

MIN_LOAD_E: Final = 20
"""Min of a class III instrument, in e."""

COARSE_E_G: Final = 5
"""From this e on a class III instrument has at least 500 scale intervals, below it 100."""

M1_TOLERANCE_G: Final[Mapping[int, Decimal]] = {
    1_000: Decimal("0.05"),
    5_000: Decimal("0.25"),
    10_000: Decimal("0.5"),
    20_000: Decimal(1),
}
"""Weights of class M1 (OIML R 111) by nominal mass. From memory, not checked against the source: pass the
tolerances of your own certificates where it matters."""


def class_iii_mpe(load_g: Number, e_g: Number, *, in_service: bool) -> Decimal:
    """Return the maximum permissible error of a class III instrument, in grams.

    Parameters
    ----------
    load_g
        Net load, 0 to 10 000 e; 500 e and 2000 e belong to the band below them.
    e_g
        Verification scale interval, > 0.
    in_service
        Whether in use, when twice the error of initial verification is permitted.

    Raises
    ------
    ValueError
        If an argument is not a finite number or out of range.

    Examples
    --------
    >>> [class_iii_mpe(load_g, 50, in_service=False) for load_g in (25_000, 25_001, 100_001)]
    [Decimal('25.0'), Decimal('50'), Decimal('75.0')]

    References
    ----------
    .. [1] Non-automatic Weighing Instruments Regulations, SI 1995/1907, schedule 2, table 3 (now SI 2016/1152,
       schedule 6); the same as Directive 2014/31/EU, EN 45501 and OIML R 76-1.
    """
    load, e = exact("load_g", load_g), exact_positive("e_g", e_g)
    if load < 0:
        raise ValueError(f"load_g = {load_g!r} is negative")
    for upto_e, mpe_e in CLASS_III_BANDS:
        if load <= upto_e * e:
            return mpe_e * e * (2 if in_service else 1)
    raise ValueError(f"load_g = {load_g!r} is above {upto_e} e of {e_g!r} g, where class III ends")


@dataclass(frozen=True, slots=True)
class WeighingRange:
    """Range of a class III instrument: from zero to `max_g` in steps of `e_g`.

    Parameters
    ----------
    max_g
        Maximum capacity.
    e_g
        Verification scale interval, > 0.

    Raises
    ------
    ValueError
        If either is not a finite number above zero, or a class III range cannot have so few or so many
        intervals (500 to 10 000; from 100 where e is below 5 g).

    Examples
    --------
    >>> WeighingRange(150_000, 50).min_g
    Decimal('1000')
    """

    max_g: Number
    e_g: Number

    def __post_init__(self) -> None:
        """Refuse what is no range of class III."""
        e = exact_positive("e_g", self.e_g)
        intervals = exact_positive("max_g", self.max_g) / e
        fewest = 500 if e >= COARSE_E_G else 100
        if not fewest <= intervals <= CLASS_III_BANDS[-1][0]:
            raise ValueError(f"{self} has {intervals:g} intervals; class III has {fewest} to 10000")

    @property
    def min_g(self) -> Decimal:
        """Smallest load to be weighed, 20 e."""
        return MIN_LOAD_E * decimal_from(self.e_g)


@dataclass(frozen=True, slots=True)
class WeighingInstrument:
    """Scale of class III with one range or several, each from zero.

    Parameters
    ----------
    ranges
        Smallest first; both Max and e grow. An instrument that was not unloaded since a heavier load may
        still be in its larger range: judge it as an instrument of that range alone.

    Raises
    ------
    ValueError
        If there is no range, or they do not grow.

    Examples
    --------
    >>> scale = WeighingInstrument((WeighingRange(150_000, 50), WeighingRange(300_000, 100)))
    >>> scale.range_in_force(150_000).e_g, scale.range_in_force(150_001).e_g
    (50, 100)
    """

    ranges: tuple[WeighingRange, ...]

    def __post_init__(self) -> None:
        """Refuse ranges that are none or do not grow."""
        if not self.ranges:
            raise ValueError("ranges is empty")
        for smaller, larger in zip(self.ranges, self.ranges[1:], strict=False):
            grows = decimal_from(smaller.max_g) < decimal_from(larger.max_g)
            if not (grows and decimal_from(smaller.e_g) < decimal_from(larger.e_g)):
                raise ValueError(f"{larger} does not grow from {smaller} in both max_g and e_g")

    def range_in_force(self, load_g: Number) -> WeighingRange:
        """Return the smallest range that holds the load, when it was put on the empty instrument.

        Raises
        ------
        ValueError
            If the load is not a finite number, below the smallest Min or above the largest Max.
        """
        load = exact("load_g", load_g)
        if load < self.ranges[0].min_g:
            raise ValueError(f"load_g = {load_g!r} is below Min = {self.ranges[0].min_g} g")
        for weighing_range in self.ranges:
            if load <= decimal_from(weighing_range.max_g):
                return weighing_range
        raise ValueError(f"load_g = {load_g!r} is above Max = {self.ranges[-1].max_g!r} g")


@dataclass(frozen=True, slots=True)
class CheckWeightJudgement:
    """Verdict on one load, in grams.

    Parameters
    ----------
    verdict
        Pass, warn or fail.
    error_g
        Indication, corrected for rounding if it could be, less load.
    rounding_g
        How far the error may be from the true one because of rounding: 0 if corrected, else half of e.
    mpe_initial_g, mpe_in_service_g
        Maximum permissible errors of class III at this load.
    """

    verdict: Verdict
    error_g: Decimal
    rounding_g: Decimal
    mpe_initial_g: Decimal
    mpe_in_service_g: Decimal


def judge_check_weight(
    indication_g: Number,
    load_g: Number,
    instrument: WeighingInstrument,
    *,
    extra_weight_g: Number | None = None,
    in_service: bool = True,
) -> CheckWeightJudgement:
    """Judge what a scale shows for a known load.

    Parameters
    ----------
    indication_g
        What it shows.
    load_g
        Mass put on, between Min and Max.
    instrument
        Its ranges; that of the load is in force.
    extra_weight_g
        Small weights added until the display went up one step, 0 to e. They show where within its step the
        indication I lay: ``P = I + e/2 - extra`` (OIML R 76-1, A.4.4.3, from memory). Without them the true
        indication is known to half of e only, and the verdict holds for wherever it may lie.
    in_service
        False at initial verification, where only the smaller error is permitted.

    Returns
    -------
    CheckWeightJudgement
        Pass: certainly within the error of initial verification. Fail: certainly beyond the permitted one.
        Warn: anything between, within the permitted error in service but drifted, or not provable either way
        without extra weights.

    Raises
    ------
    ValueError
        If an argument is not a finite number, the load below Min or above Max, or extra_weight_g out of range.

    Examples
    --------
    >>> scale = WeighingInstrument((WeighingRange(200_000, 100),))
    >>> judgement = judge_check_weight(70_000, 70_000, scale, extra_weight_g=30)
    >>> judgement.verdict.value, judgement.error_g, judgement.mpe_initial_g, judgement.mpe_in_service_g
    ('pass', Decimal('20'), Decimal('100'), Decimal('200'))
    """
    e = decimal_from(instrument.range_in_force(load_g).e_g)
    error, rounding = exact("indication_g", indication_g) - decimal_from(load_g), e / 2
    if extra_weight_g is not None:
        extra = exact("extra_weight_g", extra_weight_g)
        if not 0 <= extra <= e:
            raise ValueError(f"extra_weight_g = {extra_weight_g!r} is not between 0 and e = {e} g")
        error, rounding = error + e / 2 - extra, Decimal(0)
    initial, later = (class_iii_mpe(load_g, e, in_service=used) for used in (False, True))
    verdict = _verdict(abs(error), rounding, initial, later if in_service else initial)
    return CheckWeightJudgement(verdict, error, rounding, initial, later)


def _verdict(error: Decimal, rounding: Decimal, passes_to: Decimal, fails_beyond: Decimal) -> Verdict:
    if error + rounding <= passes_to:
        return Verdict.PASS
    return Verdict.FAIL if error - rounding > fails_beyond else Verdict.WARN


def weights_adequate(
    nominal_g: Sequence[Number],
    mpe_g: Number,
    *,
    tolerances_g: Mapping[int, Decimal] = M1_TOLERANCE_G,
    share: int = 3,
) -> bool:
    """Return whether weights are good enough to test with: together they err by at most a third of the MPE.

    Parameters
    ----------
    nominal_g
        Nominal masses of the weights put on together, at least one.
    mpe_g
        Maximum permissible error at their sum (`class_iii_mpe`), > 0.
    tolerances_g
        Largest error by nominal mass; the default is class M1, from memory.
    share
        What part of the MPE they may take, >= 1: one third for 3.

    Raises
    ------
    ValueError
        If there is no weight or one without a tolerance, or an argument is not a number above zero.

    Examples
    --------
    >>> weights_adequate([20_000], class_iii_mpe(20_000, 50, in_service=False))
    True

    References
    ----------
    .. [1] UK Weighing Federation, code of practice for the testing of weighing instruments.
    """
    if not nominal_g:
        raise ValueError("nominal_g has no weights")
    if share < 1:
        raise ValueError(f"share = {share!r} is below 1")
    mpe = exact_positive("mpe_g", mpe_g)
    total = Decimal(0)
    for i, value in enumerate(nominal_g):
        nominal = exact_positive(f"nominal_g[{i}]", value)
        if nominal not in tolerances_g:
            raise ValueError(f"nominal_g[{i}] = {value!r} has no tolerance")
        total += tolerances_g[int(nominal)]
    return total * share <= mpe
