"""A phantom that travels: scanners compared by analysis of covariance, held against R on thirteen real sites."""

import csv
from collections import defaultdict
from datetime import date
from pathlib import Path
from statistics import fmean

import pytest

from qa_models.cross_calibration import CirculatingPhantom, Visit, circulating_phantom
from tests.r_language import r_lines

FIVE = ("1", "2", "3", "4", "5")


@pytest.fixture(scope="module")
def visits(reference_data: Path) -> list[Visit]:
    """Visits of the bone phantom QC1 to thirteen scanners (R package XcalRep); one has no first visit."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with (reference_data / "xcalrep_qc1.csv").open() as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            found[row["site"], row["scan_date"]][row["section"]].append(float(row["vbmd_mg_cm3"]))
    return [
        Visit(site, date.fromisoformat(day).toordinal(), tuple(fmean(levels[section]) for section in FIVE))
        for (site, day), levels in found.items()
    ]


@pytest.fixture(scope="module")
def thirteen(visits: list[Visit]) -> CirculatingPhantom:
    return circulating_phantom(visits)


def r_vector(values: list[float] | list[str]) -> str:
    return "c(" + ", ".join(repr(value) for value in values) + ")"


def test_thirteen_real_scanners_come_out_as_in_r(visits: list[Visit], thirteen: CirculatingPhantom) -> None:
    names = [scanner.scanner for scanner in thirteen.scanners]
    assert len(names) == 13
    site = f"factor({r_vector([visit.scanner for visit in visits])}, levels = {r_vector(names)})"
    years = r_vector([(visit.day - thirteen.day) / 365.25 for visit in visits])
    for section in range(5):
        y = r_vector([visit.levels[section] for visit in visits])
        model = f"lm({y} ~ s + t, data = data.frame(s = {site}, t = {years}), contrasts = list(s = contr.sum))"
        whole = f"with(list(m = {model}), c(coef(m)[1:13], summary(m)$sigma, confint(m)['t', ], coef(m)['t']))"
        *said, sigma, t_lower, t_upper, t = r_lines("stats", [whole])
        width = r_lines("stats", [f"with(list(m = {model}), (confint(m)[2:13, 2] - confint(m)[2:13, 1]) / 2)"])
        level, *differences = said
        assert thirteen.levels[section] == pytest.approx(level, rel=1e-10)
        assert thirteen.visit_sd[section] == pytest.approx(sigma, rel=1e-10)
        trend = thirteen.trend_per_year[section]
        assert trend.interval is not None
        assert (trend.value, *trend.interval) == pytest.approx((t, t_lower, t_upper), rel=1e-8)
        for scanner, difference, half in zip(thirteen.scanners, differences, width, strict=False):
            ours = scanner.differences[section]
            assert ours.interval is not None
            assert ours.value == pytest.approx(difference, rel=1e-7, abs=1e-9)
            assert ours.interval.upper - ours.value == pytest.approx(half, rel=1e-9)
    assert thirteen.degrees_of_freedom == 38 - 13 - 1


def test_a_scanners_slope_is_that_of_its_visits_in_r(visits: list[Visit], thirteen: CirculatingPhantom) -> None:
    """Slope of each visit by R's lm, then its analysis of covariance over sites: estimate and interval."""
    consensus = r_vector(list(thirteen.levels))
    slopes = r_lines("stats", [f"coef(lm({r_vector(list(visit.levels))} ~ {consensus}))[2]" for visit in visits])
    names = [scanner.scanner for scanner in thirteen.scanners]
    site = f"factor({r_vector([visit.scanner for visit in visits])}, levels = {r_vector(names)})"
    years = r_vector([(visit.day - thirteen.day) / 365.25 for visit in visits])
    model = (
        f"lm({r_vector(slopes)} ~ s + t, data = data.frame(s = {site}, t = {years}), contrasts = list(s = contr.sum))"
    )
    mean, *contrasts = r_lines("stats", [f"coef({model})[1:13]"])
    half = r_lines("stats", [f"with(list(m = {model}), (confint(m)[2:13, 2] - confint(m)[2:13, 1]) / 2)"])
    assert mean == pytest.approx(1.0, rel=1e-12)
    for scanner, contrast, width in zip(thirteen.scanners, contrasts, half, strict=False):
        assert scanner.slope is not None
        assert scanner.slope.interval is not None
        assert scanner.slope.value == pytest.approx(1 + contrast, rel=1e-9)
        assert scanner.slope.interval.upper - scanner.slope.value == pytest.approx(width, rel=1e-8)


def test_the_site_without_a_first_visit_is_told_from_the_others(thirteen: CirculatingPhantom) -> None:
    """It reads two percent more than the consensus, known less well than the others; the file spells it so."""
    southampton = thirteen.scanner("Southamptom")
    assert southampton.visits == 2
    assert all(scanner.visits == 3 for scanner in thirteen.scanners if scanner is not southampton)
    assert southampton.slope is not None
    assert southampton.slope.interval is not None
    assert southampton.slope.interval.lower > 1.01
    slopes = {s.scanner: s.slope for s in thirteen.scanners if s.slope}
    widths = {name: slope.interval.upper - slope.value for name, slope in slopes.items() if slope.interval}
    assert max(widths, key=lambda name: widths[name]) == "Southamptom"


def test_a_missed_visit_changes_nothing_where_all_scanners_follow_one_trend() -> None:
    """By hand: y = scanner + day / 1000, exactly, so every visit says the same of its scanner."""
    offset = {"a": 0.000, "b": 0.030, "c": -0.015}
    whole = [
        Visit(name, day, tuple(level + add + day / 1000 for level in (0.5, 1.0)))
        for day in (0, 100, 200)
        for name, add in offset.items()
    ]
    without = [visit for visit in whole if (visit.scanner, visit.day) != ("b", 0)]
    for visits in (whole, without):
        found = circulating_phantom(visits)
        differences = {s.scanner: [d.value for d in s.differences] for s in found.scanners}
        assert differences == {
            "a": pytest.approx([-0.005, -0.005]),
            "b": pytest.approx([0.025, 0.025]),
            "c": pytest.approx([-0.020, -0.020]),
        }
        assert [trend.value for trend in found.trend_per_year] == pytest.approx([0.36525, 0.36525])
    means = [fmean(v.levels[0] for v in without if v.scanner == name) for name in "abc"]
    assert means[1] - fmean(means) == pytest.approx(0.0583, abs=1e-4)  # what plain means would have said: not 0.025


def test_a_value_is_carried_from_one_scanner_to_another_by_their_lines() -> None:
    """By hand: a reads 1.02 times the phantom less 0.01, b reads 0.98 times plus 0.02."""
    phantom, days = (0.5, 1.0, 1.5), (0, 7, 200)
    visits = [Visit("a", day, tuple(1.02 * x - 0.01 for x in phantom)) for day in days]
    visits += [Visit("b", day, tuple(0.98 * x + 0.02 for x in phantom)) for day in days]
    found = circulating_phantom(visits)
    assert found.convert(1.02 * 0.8 - 0.01, read_on="a", to="b").value == pytest.approx(0.98 * 0.8 + 0.02)
    assert found.convert(0.98 * 1.2 + 0.02, read_on="b", to="a").value == pytest.approx(1.02 * 1.2 - 0.01)
    assert found.convert(1.2, read_on="a", to="b").within_range
    assert not found.convert(1.6, read_on="a", to="b").within_range
    assert not found.convert(0.4, read_on="a", to="b").within_range
    assert found.scanner("a").residual_sd == pytest.approx(0.0, abs=1e-12)


def test_one_visit_each_compares_and_claims_no_certainty() -> None:
    found = circulating_phantom([Visit("a", 0, (1.00,)), Visit("b", 3, (1.02,))])
    assert list(found.levels) == pytest.approx([1.01])
    (difference,) = found.scanner("b").differences
    assert difference.value == pytest.approx(0.01)
    assert difference.interval is None
    assert (found.trend_per_year, found.visit_sd, found.degrees_of_freedom) == ((), (None,), 0)
    assert found.scanner("a").slope is None
    with pytest.raises(ValueError, match="one level gives no line"):
        found.convert(1.0, read_on="a", to="b")


@pytest.mark.parametrize(
    ("visits", "words"),
    [
        ([], "0 scanner was visited"),
        ([Visit("a", 0, (1.0,)), Visit("a", 9, (1.0,))], "1 scanner was visited"),
        ([Visit("a", 0, (1.0, 2.0)), Visit("b", 0, (1.0,))], r"visit 2 \(b\) has 1 levels, the first visit 2"),
        ([Visit("a", 0, ()), Visit("b", 0, ())], r"visit 1 \(a\) has 0 levels"),
        ([Visit("a", 0, (1.0,)), Visit("b", 0, (float("nan"),))], r"level 1 of visit 2 \(b\)"),
        ([Visit("a", float("inf"), (1.0,)), Visit("b", 0, (1.0,))], r"day of visit 1 \(a\)"),
        ([Visit("a", 0, (1.0, 1.0)), Visit("b", 0, (1.0, 1.0))], "there is no line"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(visits: list[Visit], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        circulating_phantom(visits)


def test_a_scanner_that_was_never_visited_is_named() -> None:
    found = circulating_phantom([Visit("a", 0, (1.0, 2.0)), Visit("b", 0, (1.1, 2.1))])
    with pytest.raises(KeyError, match="c"):
        found.convert(1.0, read_on="c", to="a")


def test_a_trend_that_nothing_is_left_to_judge_is_not_believed() -> None:
    """Eight days between two visits of one scanner say nothing of the year until the other's."""
    found = circulating_phantom([Visit("a", 0, (1.000,)), Visit("a", 8, (1.005,)), Visit("b", 365, (1.000,))])
    assert found.trend_per_year == ()
    assert found.degrees_of_freedom == 1
    (difference,) = found.scanner("a").differences
    assert difference.value == pytest.approx(0.00125)
    assert difference.interval is not None
    assert difference.interval.lower < 0 < difference.interval.upper
