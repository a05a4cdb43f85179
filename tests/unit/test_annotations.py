"""What rules say of a measurement beside the same person's earlier ones; changes worked out by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from storage.annotations import Comparability, Step, annotations_of
from storage.settings import AnnotationRules
from streams.measurements import Annotation, Measurement, RawRegion, SerialValue, serial_values
from streams.messages import QcStanding
from streams.policy import LeastSignificantChange

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
NOTHING = Comparability(frozenset(), frozenset())
LSC = LeastSignificantChange("Total", 4.0, "in-vivo study of 2025", "hip")
BLANK = Measurement(
    event_id="now",
    device="bath/dxa-1",
    measured_at=NOW,
    revision=0,
    recorded_at=NOW,
    status="validated",
    standing="validated",
    accession_number="ACC1",
    acquisition_id="a",
    pseudonym="p",
    mode="all",
    anatomy="hip",
    analysed_at=None,
    reason_codes=(),
    kind="scanner",
    make="Invented",
    model="Virtual 1",
    serial="S1",
    software="",
    weight_kg=None,
    height_cm=None,
    is_overridden=False,
    issue_codes=(),
    qc=(QcStanding("SPINE-1", 1, NOW),),
    changes=(),
    gate_since=None,
    released_by="",
    release_reason="",
)


def total(bmd: float, side: str = "left") -> tuple[RawRegion, ...]:
    return (RawRegion("Total", side, bmd),)


def now(**more: Any) -> Measurement:
    return replace(BLANK, **more)


def then(name: str = "then", *, years: float = 1, **more: Any) -> Measurement:
    own = {"event_id": name, "measured_at": NOW - years * YEAR, "accession_number": f"of-{name}"}
    return replace(BLANK, **(own | more))


def notes(one: Measurement, *earlier: Measurement, record: Comparability = NOTHING) -> dict[str, Annotation]:
    found = annotations_of(one, earlier, AnnotationRules(), record)
    return {note.kind: note for note in found}


# --- weight and height -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "is_said"), [(70.0, True), (70.1, False), (90.0, True), (89.9, False)])
def test_a_change_of_ten_kilograms_since_the_last_weight_is_said(weight: float, *, is_said: bool) -> None:
    found = notes(now(weight_kg=weight), then("old", years=2, weight_kg=40.0), then(weight_kg=80.0))
    assert ("weight_change" in found) is is_said
    if is_said:
        note = found["weight_change"]
        assert (note.value, note.limit, note.unit, note.source) == (weight - 80.0, 10.0, "kg", "local policy")
        assert (note.made_from, note.version) == (("then", "now"), 1)


@pytest.mark.parametrize(("height", "is_said"), [(166.0, False), (165.9, True)])
def test_a_loss_of_more_than_four_centimetres_of_the_greatest_height_is_said(height: float, *, is_said: bool) -> None:
    found = notes(now(height_cm=height), then("tallest", years=9, height_cm=170.0), then(height_cm=167.0))
    assert ("height_loss" in found) is is_said
    if is_said:
        assert found["height_loss"].made_from == ("tallest", "now")
        assert found["height_loss"].value == pytest.approx(4.1)


def test_limits_are_those_of_the_configuration() -> None:
    rules = AnnotationRules(weight_change_kg=5.0, height_loss_cm=2.0)
    earlier = [then(weight_kg=80.0, height_cm=170.0)]
    found = annotations_of(now(weight_kg=85.0, height_cm=167.5), earlier, rules, NOTHING)
    assert [(note.kind, note.limit) for note in found] == [("weight_change", 5.0), ("height_loss", 2.0)]


# --- comparable measurements -------------------------------------------------------------------------------


@pytest.mark.parametrize(("bmd", "is_beyond"), [(0.961, False), (0.96, True), (1.041, True)])
def test_a_change_on_the_same_scanner_is_held_against_the_least_significant_one(bmd: float, *, is_beyond: bool) -> None:
    found = notes(now(regions=total(bmd), changes=(LSC,)), then(regions=total(1.0)), then("older", years=2))
    note = found["last_comparable"]
    assert note.value == pytest.approx(100 * (bmd - 1.0))
    assert (note.limit, note.unit, note.source) == (4.0, "percent", "in-vivo study of 2025")
    assert (note.is_beyond, note.is_cross_calibrated) == (is_beyond, False)
    assert found["follow_up_scanner"].device == "bath/dxa-1"


def test_without_a_least_significant_change_nothing_is_claimed() -> None:
    note = notes(now(regions=total(0.5)), then(regions=total(1.0)))["last_comparable"]
    assert (note.value, note.limit, note.is_beyond) == (-50.0, None, None)
    assert "no claim of significance" in note.text


def test_the_other_side_another_anatomy_and_another_scanner_are_not_compared() -> None:
    one = now(regions=total(0.9))
    assert "last_comparable" not in notes(one, then(regions=total(1.0, "right")))
    assert "last_comparable" not in notes(one, then(regions=total(1.0), anatomy="whole_body"))
    found = notes(one, then(regions=total(1.0), device="bath/dxa-2", serial="S2"))
    assert set(found) == {"not_comparable"}
    assert "no study in force" in found["not_comparable"].text
    assert "last_comparable" not in notes(one, then(regions=total(1.0), serial="S0")), "replaced under the same name"


def test_a_step_that_nobody_reviewed_breaks_the_comparison_in_between_only() -> None:
    one, last = now(regions=total(0.9)), then(regions=total(1.0))

    def stepped(days: int, phantom: str = "SPINE-1") -> Comparability:
        step = Step("bath/dxa-1", phantom, NOW - timedelta(days=days))
        return Comparability(frozenset({step}), frozenset())

    assert "a step of the scanner is not reviewed" in notes(one, last, record=stepped(30))["not_comparable"].text
    assert "last_comparable" in notes(one, last, record=stepped(400))
    assert "last_comparable" in notes(one, last, record=stepped(30, "FOREARM-1"))


def test_another_scanners_value_is_compared_by_a_study_in_force_without_a_claim() -> None:
    value = SerialValue("Total", 0.98, 0.01, "dxa-1", "move", 2)
    last = then(regions=total(1.0), device="bath/dxa-2", serial="S2", cross_calibrated=(value,))
    one = now(regions=total(0.931), changes=(LSC,))
    in_force = Comparability(frozenset(), frozenset({("bath/dxa-2", "move", 2)}))
    found = notes(one, last, record=in_force)
    note = found["last_comparable"]
    assert note.value == pytest.approx(-5.0)  # 0.931 to 0.98
    assert (note.is_cross_calibrated, note.is_beyond, note.device) == (True, None, "bath/dxa-2")
    assert found["follow_up_scanner"].device == "bath/dxa-2"
    superseded = Comparability(frozenset(), frozenset({("bath/dxa-2", "move", 3)}))
    assert "last_comparable" not in notes(one, last, record=superseded)


def test_a_study_tells_no_side_so_that_of_two_sides_there_is_no_value_for_comparison() -> None:
    values = (SerialValue("Total", 0.92, 0.01, "dxa-2", "move", 1), SerialValue("Neck", 0.7, 0.01, "dxa-2", "move", 1))
    both = (*total(0.9, "left"), *total(0.7, "right"), RawRegion("Neck", "left", 0.68))
    assert [one.region for one in serial_values(now(regions=both, cross_calibrated=values))] == ["Neck"]
    assert serial_values(now(regions=total(0.9), cross_calibrated=values[:1])) == values[:1]


def test_this_value_as_the_other_scanner_reads_it_serves_as_well() -> None:
    value = SerialValue("Total", 1.1, 0.01, "bath/dxa-2", "back", 1)
    one = now(regions=total(1.0), cross_calibrated=(value,))
    last = then(regions=total(1.0), device="bath/dxa-2", serial="S2")
    in_force = Comparability(frozenset(), frozenset({("bath/dxa-1", "back", 1)}))
    assert notes(one, last, record=in_force)["last_comparable"].value == pytest.approx(10.0)
    both = replace(one, regions=(*total(1.0), *total(1.0, "right")))
    assert "last_comparable" not in notes(both, last, record=in_force), "a study does not name the side"


# --- the visit before --------------------------------------------------------------------------------------


def test_issues_of_the_last_visit_are_said_and_of_none_before() -> None:
    last = [
        then("spine", accession_number="V2", issue_codes=("drift_unreviewed",)),
        then("hip", accession_number="V2", issue_codes=("drift_unreviewed", "independent_overdue")),
    ]
    older = then("older", years=3, issue_codes=("state_unknown",))
    note = notes(now(), older, *last)["last_visit"]
    assert set(note.codes) == {"drift_unreviewed", "independent_overdue"}
    assert set(note.made_from) == {"spine", "hip"}
    assert "last_visit" not in notes(now(), older, then("clean"))
    assert "last_visit" not in notes(now(issue_codes=("x",)), then(accession_number="ACC1", issue_codes=("y",)))
