"""The last visit of a person out of what was measured; expectations by hand."""

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from storage.annotations import Comparability, Step
from storage.last_visit import last_visit_of
from streams.measurements import Amendment, Measurement, RawRegion
from streams.visits import LastVisit, Stature
from tests.unit.test_annotations import BLANK, NOTHING, NOW, YEAR

HIP = (RawRegion("Total", "left", 0.81),)


def measured(name: str, *, years: float = 0, hours: float = 0, **more: Any) -> Measurement:
    at = NOW - years * YEAR + timedelta(hours=hours)
    own = {"event_id": name, "measured_at": at, "accession_number": f"of-{name}", "regions": HIP}
    return replace(BLANK, **(own | more))


def last(*measurements: Measurement, record: Comparability = NOTHING, serial: str = "S1") -> LastVisit:
    found = last_visit_of(measurements, record, {"bath/dxa-1": serial})
    assert found is not None
    return found


def test_of_somebody_who_was_never_measured_there_is_no_visit() -> None:
    assert last_visit_of([], NOTHING, {}) is None


def test_the_last_visit_is_one_request_or_the_same_half_day_and_tells_what_the_devices_had() -> None:
    found = last(
        measured("old", years=2, issue_codes=("no_baseline",)),
        measured("spine", issue_codes=("drift_unreviewed",), anatomy="spine"),
        measured("hip", hours=1, issue_codes=("check_due", "drift_unreviewed")),
        measured("bad", hours=2, status="withheld", reason_codes=("qc_failed",), regions=()),
        measured("late", hours=-20, accession_number="of-bad"),
    )
    assert [one.event_id for one in found.measurements] == ["late", "spine", "hip", "bad"]
    assert found.issues == ("drift_unreviewed", "check_due")
    assert found.measurements[-1].withheld_for == ("qc_failed",)
    assert found.accession_numbers == ("of-bad", "of-hip", "of-spine")


def test_each_hip_is_measured_again_where_that_hip_was() -> None:
    right = (RawRegion("Total", "right", 0.82),)
    found = last(measured("left", years=2), measured("right", years=1, device="bath/dxa-2", regions=right))
    told = [(one.anatomy, one.laterality, one.device) for one in found.follow_up]
    assert told == [("hip", "left", "bath/dxa-1"), ("hip", "right", "bath/dxa-2")]
    assert "right hip" in found.follow_up[1].text


def test_each_site_is_measured_again_where_the_last_comparable_one_was_made() -> None:
    step = Step("bath/dxa-1", "SPINE-1", NOW - YEAR)
    found = last(
        measured("hip on 1", years=3),
        measured("hip on 2", years=2, device="bath/dxa-2"),
        measured("hip on 1 later", years=1.5),
        measured("spine on 1", years=1.5, anatomy="spine"),
        measured("withheld", device="bath/dxa-3", status="withheld"),
        record=Comparability(frozenset({step}), frozenset()),
    )
    told = [(one.anatomy, one.device, one.event_id, one.is_comparable) for one in found.follow_up]
    assert told == [("hip", "bath/dxa-2", "hip on 2", True), ("spine", "bath/dxa-1", "spine on 1", False)]
    assert [one.why_not for one in found.follow_up] == ["", "step"]
    assert "Ask a physicist" in found.follow_up[1].text


def test_a_step_before_the_measurement_or_of_a_phantom_not_behind_it_does_not_count() -> None:
    before, other = Step("bath/dxa-1", "SPINE-1", NOW - YEAR), Step("bath/dxa-1", "OTHER", NOW + YEAR)
    found = last(measured("hip"), record=Comparability(frozenset({before, other}), frozenset()))
    assert [one.is_comparable for one in found.follow_up] == [True]


def test_nothing_is_compared_with_what_a_scanner_measured_that_has_been_replaced() -> None:
    (told,) = last(measured("hip"), serial="S2").follow_up
    assert (told.is_comparable, told.why_not) == (False, "replaced")
    assert "has been replaced since then" in told.text
    (told,) = last(measured("hip", device="bath/dxa-2"), serial="S2").follow_up
    assert told.is_comparable


def test_a_decision_of_a_physicist_is_told_with_the_scanner_to_book() -> None:
    decided = Amendment("r", 1, "amend", "reads high", "percent", 2.0, None, None, "Dr M Expert", NOW)
    found = last(measured("hip", amendments=(decided,)))
    assert (found.follow_up[0].is_amended, found.measurements[0].is_amended) == (True, True)
    assert found.follow_up[0].text.endswith("a physicist's decision is in force about it")


def test_weight_and_height_are_the_last_that_a_device_measured() -> None:
    found = last(
        measured("scale", years=1, weight_kg=62.4, regions=(), kind="scale"),
        measured("stadiometer", years=2, height_cm=161.0, regions=(), kind="stadiometer"),
        measured("older", years=3, weight_kg=70.0, height_cm=163.0),
        measured("hip"),
    )
    assert found.weight == Stature(62.4, "kg", NOW - YEAR, "scale")
    assert found.height == Stature(161.0, "cm", NOW - 2 * YEAR, "stadiometer")
