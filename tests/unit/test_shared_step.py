"""Steps that scanners share: combined as R's metafor combines them; the group's chart followed by hand."""

import math
import random

import pytest

from qa_models.shared_step import GroupSignal, Step, Week, group_signals, shared_step, step_between
from tests.r_language import r_lines

BCG = [
    (-0.8893, 0.3256), (-1.5854, 0.1946), (-1.3481, 0.4154), (-1.4416, 0.0200), (-0.2175, 0.0512), (-0.7861, 0.0069),
    (-1.6209, 0.2230), (0.0120, 0.0040), (-0.4694, 0.0564), (-1.3713, 0.0730), (-0.3394, 0.0124), (0.4459, 0.5325),
    (-0.0173, 0.0714),
]  # fmt: skip
"""Log relative risks and variances of thirteen vaccine trials as metafor's manual prints them (Colditz 1994)."""


def steps_of(pairs: list[tuple[float, float]]) -> list[Step]:
    return [Step(size, math.sqrt(variance), 25, 25) for size, variance in pairs]


def rma(pairs: list[tuple[float, float]], level: float) -> str:
    """Return the call of metafor; its test "adhoc" is Hartung and Knapp's with the factor held at one or more."""
    y, v = (", ".join(repr(pair[i]) for pair in pairs) for i in (0, 1))
    call = f'rma(yi = c({y}), vi = c({v}), method = "DL", test = "adhoc", level = {level})'
    return f"with({call}, c(b, ci.lb, ci.ub, sqrt(tau2)))"


def test_the_vaccine_trials_come_out_as_published() -> None:
    """metafor's manual: by DerSimonian and Laird, estimate -0.7141 and tau2 0.3088."""
    found = shared_step(steps_of(BCG), confidence=0.95)
    assert found.size == pytest.approx(-0.7141, abs=1e-4)
    assert found.between_sd**2 == pytest.approx(0.3088, abs=5e-4)  # the data are rounded to four places


def test_random_steps_are_combined_as_in_metafor() -> None:
    rng = random.Random(11)  # noqa: S311 - invented steps
    sets = []
    for _ in range(40):
        own, scanners = rng.choice([0.0, 0.1, 0.4]), rng.randint(3, 13)
        sets.append([(rng.gauss(0.5, own) + rng.gauss(0, 0.15), rng.uniform(0.01, 0.04)) for _ in range(scanners)])
    said = r_lines("metafor", [rma(pairs, 99) for pairs in sets])
    assert len(said) == 4 * len(sets)
    for place, pairs in enumerate(sets):
        found = shared_step(steps_of(pairs), confidence=0.99)
        ours = [found.size, *found.interval, found.between_sd]
        assert ours == pytest.approx(said[4 * place : 4 * place + 4], rel=1e-9, abs=1e-12)


def test_scanners_that_agree_by_chance_do_not_make_a_step_certain() -> None:
    """Four equal steps: the plain factor of Hartung and Knapp would be zero, and the interval a point."""
    found = shared_step([Step(0.3, 0.2, 25, 25)] * 4, confidence=0.95)
    half = 3.182446305284263 * 0.2 / 2  # t(3) at 97.5 %, published tables: 3.182
    assert found.interval == pytest.approx((0.3 - half, 0.3 + half))
    assert not found.shared


def test_a_step_that_one_scanner_carries_is_not_shared() -> None:
    """The interval alone leaves out zero; without the third scanner nothing is left of it."""
    steps = [Step(0.11, 0.1, 25, 25), Step(0.10, 0.1, 25, 25), Step(0.9, 0.02, 500, 500)]
    shared = [shared_step([*steps, *([Step(0.85, 0.05, 25, 25)] * more)]).shared for more in (0, 6)]
    assert shared == [False, True]


def test_scanners_that_stepped_either_way_share_nothing() -> None:
    found = shared_step([Step(size, 0.1, 25, 25) for size in (0.8, -0.7, 0.9, -1.0)])
    assert not found.shared
    assert found.between_sd > 0.5


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([Step(0.5, 0.1, 25, 25)] * 2, "2 scanners are too few"),
        ([Step(0.5, 0.1, 25, 25), Step(0.5, 0.0, 25, 25), Step(0.5, 0.1, 25, 25)], "standard error 2"),
        ([Step(math.nan, 0.1, 25, 25), Step(0.5, 0.1, 25, 25), Step(0.5, 0.1, 25, 25)], "size 1"),
    ],
)
def test_what_cannot_be_combined_is_refused(steps: list[Step], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shared_step(steps)


def test_a_step_has_welchs_error() -> None:
    """By hand: variances 2.5 and 10, five readings each: sqrt(0.5 + 2) = 1.5811388."""
    found = step_between([1.0, 2.0, 3.0, 4.0, 5.0], [12.0, 14.0, 16.0, 18.0, 20.0], min_scans=5)
    assert list(found) == pytest.approx([13.0, 1.5811388300841898, 5, 5])


def test_a_step_between_too_few_scans_or_without_spread_is_refused() -> None:
    with pytest.raises(ValueError, match="before"):
        step_between([1.0] * 9, [1.0, 2.0] * 5)
    with pytest.raises(ValueError, match="spread"):
        step_between([1.0] * 10, [2.0] * 10)


def own_weeks(levels: list[float], n: int = 5) -> dict[int, Week]:
    return {week: Week(level, n) for week, level in enumerate(levels)}


def test_one_scanner_far_off_speaks_only_for_itself() -> None:
    """By hand: each week counts 3 at most, so the CUSUM (k 0.5) stands at 2.5, 5.0, 7.5: the third signals."""
    flat, off = [0.0] * 4, [8.0] * 3
    assert group_signals({"a": own_weeks([*flat, *off])}) == (GroupSignal(6, 3, upward=True),)
    assert group_signals({"a": own_weeks([*flat, *off[:2]])}) == ()


def test_two_scanners_off_together_count_by_the_root_of_their_number() -> None:
    """By hand: 6 / sqrt 2 = 4.243 a week, 3.743 and 7.485 in the CUSUM: the second signals, and downwards as well."""
    for sign in (1, -1):
        weeks = {name: own_weeks([0.0] * 4 + [sign * 8.0] * 2) for name in "ab"}
        assert group_signals(weeks) == (GroupSignal(5, 3, upward=sign > 0),)


def test_a_week_counts_by_its_distance_from_the_past_in_standard_errors() -> None:
    """By hand: 20 scans at 0, then 5 at 1: 1 / sqrt(1/5 + 1/20) = 2; less k, 1.5 a first week; h just either side."""
    weeks = {"a": own_weeks([0.0] * 4 + [1.0])}
    assert len(group_signals(weeks, h=1.499)) == 1
    assert len(group_signals(weeks, h=1.501)) == 0


def test_a_scanner_counts_once_it_has_ten_scans() -> None:
    thin, enough = own_weeks([0.0, 8.0], n=9), own_weeks([0.0, 8.0], n=10)
    assert group_signals({"a": thin}, h=2.0) == ()
    assert group_signals({"a": enough}, h=2.0) == (GroupSignal(1, 0, upward=True),)


def test_a_step_that_came_to_stay_signals_once() -> None:
    weeks = {name: own_weeks([0.0] * 10 + [1.5] * 60) for name in "abc"}
    assert len(group_signals(weeks)) == 1


def test_offsets_of_thin_baselines_raise_no_alarm() -> None:
    """Eight scanners whose baselines are off by what ten scans leave, but for that steady: nothing to signal."""
    rng = random.Random(5)  # noqa: S311 - invented baselines
    weeks = {f"s{n}": own_weeks([rng.gauss(0.0, 10**-0.5)] * 104) for n in range(8)}
    assert group_signals(weeks) == ()
