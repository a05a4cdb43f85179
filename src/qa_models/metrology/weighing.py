"""Class III weighing: permitted errors, check weights, and whether the weights are good enough for it.

Masses in grams, exact (`qa_models.metrology.exact`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from qa_models.metrology.exact import Number, decimal_from, exact, exact_positive, exact_series, refuse_no_bool
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
        If a number is not finite or out of range, or `in_service` is neither True nor False.

    Examples
    --------
    >>> [class_iii_mpe(load_g, 50, in_service=False) for load_g in (25_000, 25_001, 100_001)]
    [Decimal('25.0'), Decimal('50'), Decimal('75.0')]

    References
    ----------
    .. [1] Non-automatic Weighing Instruments Regulations, SI 1995/1907, schedule 2, table 3 (now SI 2016/1152,
       schedule 6); the same as Directive 2014/31/EU, EN 45501 and OIML R 76-1.
    """
    refuse_no_bool("in_service", in_service)
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
        If there is no range, something else among them, or they do not grow.

    Examples
    --------
    >>> scale = WeighingInstrument((WeighingRange(150_000, 50), WeighingRange(300_000, 100)))
    >>> scale.range_in_force(150_000).e_g, scale.range_in_force(150_001).e_g
    (50, 100)
    """

    ranges: tuple[WeighingRange, ...]

    def __post_init__(self) -> None:
        """Refuse ranges that are none or do not grow."""
        if not isinstance(self.ranges, Iterable):
            raise ValueError(f"ranges = {self.ranges!r} is no series of ranges")  # noqa: TRY004 - see exact
        object.__setattr__(self, "ranges", tuple(self.ranges))  # a list could be edited behind our back
        if not self.ranges:
            raise ValueError("ranges is empty")
        for i, each in enumerate(self.ranges):
            if not isinstance(each, WeighingRange):
                raise ValueError(f"ranges[{i}] = {each!r} is no WeighingRange")  # noqa: TRY004 - see exact
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

        Examples
        --------
        >>> scale = WeighingInstrument((WeighingRange(60_000, 20), WeighingRange(150_000, 50)))
        >>> [scale.range_in_force(load_g).max_g for load_g in (400, 60_000, 60_020)]
        [60000, 60000, 150000]
        """
        load = exact("load_g", load_g)
        if load < self.ranges[0].min_g:
            raise ValueError(f"load_g = {load_g!r} is below Min = {self.ranges[0].min_g} g")
        for weighing_range in self.ranges:
            if load <= decimal_from(weighing_range.max_g):
                return weighing_range
        raise ValueError(f"load_g = {load_g!r} is above Max = {self.ranges[-1].max_g!r} g")

    def range_shown(self, indication_g: Number) -> WeighingRange:
        """Return the range whose steps the display has: the smallest that holds what it shows, or the largest.

        A faulty scale may show anything, and so no indication is refused for its size.

        Raises
        ------
        ValueError
            If the indication is not a finite number.

        Examples
        --------
        >>> scale = WeighingInstrument((WeighingRange(60_000, 20), WeighingRange(150_000, 50)))
        >>> [scale.range_shown(indication_g).e_g for indication_g in (-20, 60_000, 60_050, 150_450)]
        [20, 20, 50, 50]
        """
        indication = exact("indication_g", indication_g)
        holding = (each for each in self.ranges if indication <= decimal_from(each.max_g))
        return next(holding, self.ranges[-1])


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
        How far the error may be from the true one because of rounding: 0 if corrected, else half a step of the
        display, the e of the range it shows.
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
        Its ranges: that of the load permits an error, that of the indication has the steps of the display.
    extra_weight_g
        Small weights added until the display went up one step, 0 to e of the display. They show where within its
        step the indication I lay: ``P = I + e/2 - extra`` ([1]_, A.4.4.3, from memory). Without them the true
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
        If a number is not finite, the load below Min or above Max, extra_weight_g out of range, or `in_service`
        neither True nor False.

    Examples
    --------
    >>> scale = WeighingInstrument((WeighingRange(200_000, 100),))
    >>> judgement = judge_check_weight(70_000, 70_000, scale, extra_weight_g=30)
    >>> judgement.verdict.value, judgement.error_g, judgement.mpe_initial_g, judgement.mpe_in_service_g
    ('pass', Decimal('20'), Decimal('100'), Decimal('200'))

    References
    ----------
    .. [1] OIML R 76-1, "Non-automatic weighing instruments", part 1 (2006): 3.5 maximum permissible errors,
       A.4.4.3 error prior to rounding.
    """
    refuse_no_bool("in_service", in_service)
    e = decimal_from(instrument.range_in_force(load_g).e_g)
    step = decimal_from(instrument.range_shown(indication_g).e_g)
    error, rounding = decimal_from(indication_g) - decimal_from(load_g), step / 2
    if extra_weight_g is not None:
        extra = exact("extra_weight_g", extra_weight_g)
        if not 0 <= extra <= step:
            raise ValueError(f"extra_weight_g = {extra_weight_g!r} is not between 0 and e = {step} g")
        error, rounding = error + step / 2 - extra, Decimal(0)
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
    tolerances_g: Mapping[int, Number] | Mapping[Decimal, Number] | Mapping[float, Number] = M1_TOLERANCE_G,
    share: Number = 3,
) -> bool:
    """Return whether weights are good enough to test with: together they err by at most a third of the MPE.

    Parameters
    ----------
    nominal_g
        Nominal masses of the weights put on together, at least one: a list or a tuple, no array.
    mpe_g
        Maximum permissible error at their sum (`class_iii_mpe`), > 0.
    tolerances_g
        Largest error by nominal mass, both > 0; the default is class M1, from memory.
    share
        What part of the MPE they may take, >= 1: one third for 3.

    Raises
    ------
    ValueError
        If there is no weight or one without a tolerance, or a number is not finite and above zero.

    Examples
    --------
    >>> weights_adequate([20_000], class_iii_mpe(20_000, 50, in_service=False))
    True

    References
    ----------
    .. [1] UK Weighing Federation, code of practice for the testing of weighing instruments.
    """
    if hasattr(nominal_g, "ndim"):
        raise ValueError("nominal_g is an array; a list of masses is needed")
    nominal = exact_series("nominal_g", nominal_g, positive=True)
    if not nominal:
        raise ValueError("nominal_g has no weights")
    if exact("share", share) < 1:
        raise ValueError(f"share = {share!r} is below 1")
    mpe, tolerances = exact_positive("mpe_g", mpe_g), _tolerances(tolerances_g)
    for i, mass in enumerate(nominal):
        if mass not in tolerances:
            raise ValueError(f"nominal_g[{i}] = {nominal_g[i]!r} has no tolerance")
    return sum(tolerances[mass] for mass in nominal) * decimal_from(share) <= mpe


def _tolerances(tolerances_g: Mapping[Any, Number]) -> dict[Decimal, Decimal]:
    if not isinstance(tolerances_g, Mapping):
        raise ValueError(f"tolerances_g = {tolerances_g!r} is no mapping")  # noqa: TRY004 - see exact
    return {
        exact_positive("a mass of tolerances_g", mass): exact_positive(f"tolerances_g[{mass!r}]", tolerance)
        for mass, tolerance in tolerances_g.items()
    }
