"""Comparing scanners over sites: what a group of readings comes to, whatever order they come in."""

import random
from collections.abc import Iterable
from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from streams.fleet.combine import REMEMBERED, Combination
from streams.fleet.messages import (
    Comparison,
    CrossCalibrationEstimated,
    Read,
    ScannerRead,
    SharedStepEstimated,
)
from tests.comparisons import MONDAY, scanner_reads, upgraded, visits


def said(reads: Iterable[Read]) -> dict[str, Comparison]:
    combination = Combination()
    for read in reads:
        combination.take(read)
    return dict(combination.news().comparisons)


def steps(reads: Iterable[Read]) -> dict[str, SharedStepEstimated]:
    return {key: one for key, one in said(reads).items() if isinstance(one, SharedStepEstimated)}


def test_a_step_that_came_with_a_version_is_shared_whenever_each_site_took_it() -> None:
    found = steps(upgraded(0.6))["Example#software#2"]
    assert found.shared
    assert found.percent.lower is not None
    assert found.percent.upper is not None
    assert found.percent.lower < 0.6 < found.percent.upper
    assert found.percent.value == pytest.approx(0.6, abs=0.2)
    assert [step.device for step in found.scanners] == [f"site-{n}/dxa" for n in range(6)]
    assert [(step.since - MONDAY.date()).days for step in found.scanners] == [
        60,
        77,
        94,
        112,
        128,
        147,
    ]  # 111 was a Sunday, 145 a Saturday
    assert all((step.n_before, step.n_after) == (25, 25) for step in found.scanners)


def test_a_version_without_a_step_is_shown_to_have_none() -> None:
    found = steps(upgraded(0.0))["Example#software#2"]
    assert not found.shared
    assert found.percent.lower is not None
    assert found.percent.upper is not None
    assert found.percent.lower < 0.0 < found.percent.upper
    assert found.percent.upper - found.percent.lower < 1.0


def test_one_scanners_own_step_is_not_shared() -> None:
    reads: list[Read] = [
        read
        for n in range(6)
        for read in scanner_reads(f"site-{n}/dxa", 240, step=3.0 if n == 2 else 0.0, at=100, software=("1", "2"))
    ]
    assert not any(found.shared for found in steps(reads).values())


def test_a_step_of_all_at_one_time_is_found_without_any_word_of_software() -> None:
    reads: list[Read] = [read for n in range(6) for read in scanner_reads(f"site-{n}/dxa", 240, step=-0.6, at=140)]
    found = steps(reads)
    assert list(found) == ["Example#time"]
    shared = found["Example#time"]
    assert shared.shared
    assert shared.percent.value == pytest.approx(-0.6, abs=0.25)
    assert abs((shared.since - (MONDAY + timedelta(days=140)).date()).days) <= 14


def test_two_scanners_are_too_few_to_share_a_step() -> None:
    assert not steps(upgraded(2.0, scanners=2))


def test_scanners_of_another_make_and_of_none_are_kept_apart() -> None:
    reads = upgraded(0.6)
    others = [replace(read, make="Other") for read in reads[: len(reads) // 6]]
    nameless = [replace(read, make="") for read in reads]
    assert said([*reads, *others, *nameless]) == said(reads)


def compared(reads: Iterable[Read]) -> CrossCalibrationEstimated:
    found = said(reads)["ESP-7"]
    assert isinstance(found, CrossCalibrationEstimated)
    return found


def test_scanners_are_compared_by_the_phantom_that_visited_them() -> None:
    found = compared(visits())
    assert [round(level.consensus_g_cm2, 4) for level in found.levels] == [0.5, 1.0, 1.5]
    slopes = {scanner.device: scanner.slope.value for scanner in found.scanners if scanner.slope}
    assert slopes == {
        "a/dxa": pytest.approx(1.0, abs=1e-3),
        "b/dxa": pytest.approx(1.01, abs=1e-3),
        "c/dxa": pytest.approx(0.99, abs=1e-3),
        "d/dxa": pytest.approx(1.0, abs=1e-3),
    }
    assert found.degrees_of_freedom == 12 - 4 - 1
    assert found.scanners[1].first_visit == date(2026, 1, 14)


def test_a_missed_first_visit_is_not_taken_for_another_calibration() -> None:
    whole, thinned = compared(visits(trend=0.02)), compared(visits(trend=0.02, missing="d"))
    plain = sum(r.bmd_g_cm2 for r in visits(trend=0.02, missing="d") if r.device == "d/dxa" and r.region == "L2") / 6
    others = sum(r.bmd_g_cm2 for r in visits(trend=0.02) if r.device == "a/dxa" and r.region == "L2") / 9
    assert plain / others - 1 > 0.004  # what a mean of what is there would have made of it
    expected = {scanner.device: scanner.differences_percent[1] for scanner in whole.scanners}
    found = {scanner.device: scanner.differences_percent[1] for scanner in thinned.scanners}
    assert found.keys() == expected.keys() == {"a/dxa", "b/dxa", "c/dxa", "d/dxa"}
    for device, difference in found.items():
        before = expected[device]
        assert difference is not None
        assert before is not None
        assert difference.value == pytest.approx(before.value, abs=0.1)
    assert {s.device: s.visits for s in thinned.scanners} == {"a/dxa": 3, "b/dxa": 3, "c/dxa": 3, "d/dxa": 2}
    trend = thinned.levels[1].trend_g_cm2_per_year
    assert trend is not None
    assert trend.value == pytest.approx(0.02, abs=0.004)


def test_the_order_and_the_repetition_of_deliveries_change_nothing() -> None:
    reads: list[Read] = [*visits(), *upgraded(0.6)]
    shuffled = list(reads)
    rng = random.Random(3)  # noqa: S311 - an order
    rng.shuffle(shuffled)
    by_device = sorted(shuffled, key=lambda read: read.device_seq)  # each device's own order is the log's
    assert said([*by_device, *reads]) == said(reads)


def test_a_reanalysis_takes_the_place_of_the_analysis() -> None:
    reads = visits()
    first = reads[0]
    again = replace(first, event_id="again", device_seq=999, bmd_g_cm2=0.7)
    late = said([*reads, again])
    assert late == said([again, *reads])
    assert late != said(reads)
    assert compared([*reads, again]).readings == len(reads)


def test_a_visit_without_the_usual_regions_is_left_out_and_counted() -> None:
    short = [r for r in visits() if not (r.device == "c/dxa" and r.event_id[1] == "2" and r.region == "L3")]
    found = compared(short)
    assert found.visits_left_out == 1
    assert {s.device: s.visits for s in found.scanners}["c/dxa"] == 2


def test_one_scanner_alone_is_compared_with_nobody() -> None:
    assert not said([read for read in visits() if read.device == "a/dxa"])


def test_nothing_is_said_twice() -> None:
    combination = Combination()
    for read in visits():
        assert combination.take(read)
    assert len(combination.news().comparisons) == 1
    assert not any(combination.take(read) for read in visits())
    assert combination.news() == ([], [])


def test_a_scanners_memory_is_bounded() -> None:
    combination = Combination()
    for read in scanner_reads("site/dxa", 2 * REMEMBERED):
        combination.take(read)
    (scanners,) = combination._scanners.values()
    assert [len(series) for series in scanners.series.values()] == [REMEMBERED]


def test_a_group_that_cannot_be_compared_stops_no_other() -> None:
    """Two regions that read alike give no line; a chart without spread gives no sigmas."""
    combination = Combination()
    for visit in visits():
        combination.take(replace(visit, phantom="FLAT", bmd_g_cm2=1.0))
        combination.take(visit)
    for scan in upgraded(0.6):
        combination.take(replace(scan, make="Flat", sigma_g_cm2=0.0))
        combination.take(scan)
    news = combination.news()
    assert {key for key, _ in news.comparisons} >= {"ESP-7", "Example#software#2"}
    assert [(group, "there is no line" in why) for group, why in news.failures] == [("FLAT", True)]


def versions(*stretches: tuple[str, int, float]) -> list[ScannerRead]:
    """Six scanners that take one version after another: name, readings, percent from the first."""
    found = []
    for n in range(6):
        rng = random.Random(n)  # noqa: S311 - invented scans
        day = 0
        for software, count, percent in stretches:
            for _ in range(count):
                bmd = round((1 + percent / 100) * rng.gauss(1.0, 0.004), 4)
                one = next(scanner_reads(f"site-{n}/dxa", 1))
                when = MONDAY + timedelta(days=day)
                found.append(replace(one, software=software, bmd_g_cm2=bmd, device_seq=day + 1, measured_at=when))
                day += 1
    return found


def test_a_step_is_not_credited_to_the_version_after_it() -> None:
    found = steps(versions(("1", 25, 0.0), ("2", 12, 1.0), ("3", 25, 1.0)))
    assert found["Example#software#2"].shared
    assert not found["Example#software#3"].shared


def test_readings_of_an_unnamed_version_speak_for_none() -> None:
    found = steps(versions(("1", 25, 0.0), ("", 25, 1.0), ("2", 25, 1.0)))["Example#software#2"]
    assert found.percent.value == pytest.approx(1.0, abs=0.2)
    assert found.shared
    assert "Example#software#2" not in steps(versions(("", 25, 1.0), ("2", 25, 1.0)))


def test_a_phantom_that_was_replaced_does_not_hide_its_scanner() -> None:
    old = [replace(read, phantom="old") for read in versions(("1", 400, 0.0))]
    later = MONDAY + timedelta(days=500)
    new = [
        replace(read, phantom="new", device_seq=read.device_seq + 400, measured_at=read.measured_at - MONDAY + later)
        for read in versions(("1", 30, 0.0), ("2", 25, 0.8))
    ]
    assert steps([*old, *new])["Example#software#2"].shared


def test_a_later_signal_of_nothing_does_not_hide_a_step_that_was_shared() -> None:
    """After the step that all share, one scanner alone goes astray: the chart may signal, the step stays said."""
    reads: list[Read] = [read for n in range(6) for read in scanner_reads(f"site-{n}/dxa", 400, step=-0.6, at=140)]
    astray = [
        replace(read, bmd_g_cm2=read.bmd_g_cm2 * 1.05)
        if read.device == "site-0/dxa" and read.device_seq > 300
        else read
        for read in reads
    ]
    assert steps(astray)["Example#time"].shared
