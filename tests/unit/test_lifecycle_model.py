"""Some thousand sequences against the rules; the long campaign: ``python -m tests.lifecycle_model``."""

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from streams.messages import (
    CommissioningSignedOff,
    EquipmentHandedOver,
    HandoverForm,
    Person,
    ReturnDecided,
    VendorQcReported,
)
from tests.folding import MONDAY, OPERATOR, PHYSICIST, baseline
from tests.lifecycle_model.machine import SEEN, Department
from tests.lifecycle_model.oracle import Oracle, Reading

SEQUENCES = 1_000


def test_no_sequence_opens_a_gate_that_breaks_a_rule() -> None:
    chosen = settings(
        max_examples=SEQUENCES,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,  # the same each time: what must come up in them is counted below; the campaign's are random
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Department, settings=chosen)
    assert SEEN["open, serviced"] > 20
    assert SEEN["overridden, serviced"] > 5


def test_the_oracle_objects_where_the_rules_do() -> None:
    """It could not fail otherwise: each rule is broken once by hand."""
    oracle = Oracle()
    assert "no baseline" in oracle.why_not_open(MONDAY)
    oracle.take(baseline(), MONDAY)
    assert "not signed off" in oracle.why_not_open(MONDAY)
    assert oracle.may_never_be_overridden() == ["not commissioned"]
    oracle.take(CommissioningSignedOff(PHYSICIST, "2020-01-31"), MONDAY)
    oracle.take(VendorQcReported(passed=True, measured_at=MONDAY, performed_by="Oz", reviewed_by="Pat"), MONDAY)
    assert oracle.why_not_open(MONDAY) == ["independent phantom: no pass of today after service"]
    oracle.phantom.append(Reading(MONDAY, MONDAY, passed=True))
    assert oracle.why_not_open(MONDAY) == []
    assert len(oracle.why_not_open(MONDAY + timedelta(days=1))) == 2
    oracle.phantom.append(Reading(MONDAY + timedelta(minutes=1), MONDAY + timedelta(minutes=1), passed=False))
    assert oracle.why_not_open(MONDAY) == ["independent phantom: its newest reading failed"]
    engineer = Person("Eve Engineer", "engineer")
    oracle.take(EquipmentHandedOver("h", HandoverForm.GENERAL, "", engineer, "Eve", "Ltd"), MONDAY)
    assert "handed over by a engineer" in oracle.why_not_open(MONDAY)
    assert oracle.may_never_be_overridden() == ["not in the department's custody"]
    for fact, words in (
        (CommissioningSignedOff(PHYSICIST), "signed off without the records of commissioning"),
        (CommissioningSignedOff(OPERATOR, "2020-01-31"), "signed off by a operator"),
        (ReturnDecided("h", True, Person("eve", "physicist")), "who did the work decided on the return"),  # noqa: FBT003
    ):
        oracle.take(fact, MONDAY)
        assert words in oracle.broken
