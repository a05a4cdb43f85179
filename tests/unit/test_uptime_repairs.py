"""Planned service, failures and repairs in the reckoning of uptime, worked out by hand."""

import pytest

from streams.messages import FaultCleared, FaultLogged, ReturnDecided, ServiceKind
from streams.uptime.account import Stages
from tests.downtime import FAULT, OPERATOR, QC_FAILED, QC_MISSING, VERIFY, WITH_ENGINEER, Told, handed_back, handed_over
from tests.unit.uptime_rig import HOUR, confirmed, hours_lost, reckoned

# --- planned service ---------------------------------------------------------------------------------------


def planned() -> Told:
    return Told().staged(
        "2026-01-05T09:00", "with_engineer", handed_over(ServiceKind.UPGRADE), WITH_ENGINEER, QC_MISSING
    )


def test_the_verification_after_planned_service_is_planned_too() -> None:
    told = (
        planned()
        .staged("2026-01-05T11:00", "handed_back", handed_back(), WITH_ENGINEER, VERIFY)
        .staged("2026-01-05T12:00", "verifying", ReturnDecided("h1", returns=True, decided_by=OPERATOR), VERIFY)
        .staged("2026-01-05T13:00", "clinical", None)
    )
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert (account.planned_s, account.unplanned_s, account.failures) == (4 * HOUR, 0.0, 0)
    assert account.availability == 1.0
    assert account.availability_with_planned == pytest.approx(5 / 9)


def test_a_verification_that_fails_after_planned_service_is_not_planned() -> None:
    told = (
        planned()
        .staged("2026-01-05T11:00", "verifying", None, VERIFY)
        .gates("2026-01-05T12:00", VERIFY, QC_FAILED, first=(confirmed(),))
        .staged("2026-01-05T14:00", "clinical", None)
    )
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert (account.planned_s, account.unplanned_s, account.failures) == (3 * HOUR, 2 * HOUR, 1)


def test_planned_work_on_a_device_that_stands_still_with_a_fault_is_not_planned_time() -> None:
    told = (
        Told()
        .gates("2026-01-05T09:00", FAULT)
        .staged("2026-01-05T10:00", "with_engineer", handed_over(ServiceKind.PLANNED_MAINTENANCE), FAULT, WITH_ENGINEER)
        .staged("2026-01-05T11:00", "clinical", None)
    )
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert (account.planned_s, account.unplanned_s) == (0.0, 2 * HOUR)


def test_the_next_service_is_judged_by_its_own_kind() -> None:
    told = (
        planned()
        .staged("2026-01-05T10:00", "clinical", None)
        .staged("2026-01-05T11:00", "with_engineer", handed_over(ServiceKind.BREAKDOWN), WITH_ENGINEER)
        .staged("2026-01-05T13:00", "clinical", None)
    )
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert (account.planned_s, account.unplanned_s, account.failures) == (1 * HOUR, 2 * HOUR, 1)


# --- failures and repairs ----------------------------------------------------------------------------------


def test_without_a_failure_the_time_between_failures_is_a_lower_bound() -> None:
    account = reckoned(Told(), "2026-01-05", "2026-04-05")
    assert (account.failures, account.mtbf_s, account.up_s) == (0, None, 585 * HOUR)
    assert account.mtbf_above_s == pytest.approx(585 / 2.9957 * HOUR)  # 195.28 h


def test_a_first_scan_that_fails_and_passes_when_repeated_is_downtime_but_no_failure() -> None:
    told = Told().held("2026-01-05T09:00", "2026-01-05T09:30", QC_FAILED)
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert (hours_lost(account), account.failures) == ({"qc_failed": 0.5}, 0)


def test_a_confirmed_failure_of_qc_is_one() -> None:
    told = Told().gates("2026-01-05T12:00", QC_FAILED, first=(confirmed(),)).gates("2026-01-05T13:00")
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert (account.failures, account.mtbf_s) == (1, 8 * HOUR)


def repaired() -> Told:
    """A fault that begins without stopping, is handed over at once with its number, and passes before the decision."""
    fault = FaultLogged("f1", "as the test says", stops_scanning=False, logged_by=OPERATOR)
    return (
        Told()
        .then("2026-01-05T08:00", fault)
        .staged("2026-01-05T10:00", "with_engineer", handed_over(ServiceKind.BREAKDOWN, "f1"), WITH_ENGINEER)
        .staged("2026-01-05T13:00", "handed_back", handed_back(), WITH_ENGINEER, VERIFY)
        .gates("2026-01-05T13:45", WITH_ENGINEER)  # everything has passed; the decision is awaited
        .staged("2026-01-05T14:00", "clinical", ReturnDecided("h1", returns=True, decided_by=OPERATOR))
    )


def test_a_repair_is_timed_stage_by_stage() -> None:
    account = reckoned(repaired(), "2026-01-05", "2026-01-05")
    stages = Stages.of(account.repairs)
    assert stages == Stages(attended=(2.0, 1), fixed=(3.0, 1), qa_passed=(0.75, 1), released=(0.25, 1), whole=(6.0, 1))
    assert account.unplanned_s == 4 * HOUR  # it was in use until it was handed over
    assert account.failures == 1


def test_a_fault_put_right_without_an_engineer_has_no_attendance() -> None:
    fault = FaultLogged("f1", "as the test says", stops_scanning=True, logged_by=OPERATOR)
    told = (
        Told()
        .gates("2026-01-05T10:00", FAULT, first=(fault,))
        .gates("2026-01-05T11:00", VERIFY, first=(FaultCleared("f1", "as the test says", OPERATOR),))
        .gates("2026-01-05T11:30")
    )
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert Stages.of(account.repairs) == Stages(None, (1.0, 1), (0.5, 1), (0.0, 1), (1.5, 1))
    assert hours_lost(account) == {"fault_stops_scanning": 1.0, "verification_required": 0.5}


def test_a_repair_that_did_not_work_goes_on_until_it_does() -> None:
    told = (
        Told()
        .staged("2026-01-05T09:00", "with_engineer", handed_over(ServiceKind.BREAKDOWN), WITH_ENGINEER)
        .staged("2026-01-05T10:00", "handed_back", handed_back(is_working=False), WITH_ENGINEER, VERIFY)
        .staged("2026-01-05T12:00", "with_engineer", handed_over(ServiceKind.BREAKDOWN), WITH_ENGINEER)
        .staged("2026-01-05T15:00", "handed_back", handed_back(), WITH_ENGINEER, VERIFY)
        .staged("2026-01-05T16:00", "clinical", ReturnDecided("h1", returns=True, decided_by=OPERATOR))
    )
    account = reckoned(told, "2026-01-05", "2026-01-05")
    assert account.failures == 1
    assert Stages.of(account.repairs) == Stages((0.0, 1), (6.0, 1), (1.0, 1), (0.0, 1), (7.0, 1))


def test_a_fault_over_months_is_lost_in_each_counted_once_and_repaired_in_the_last() -> None:
    told = Told().held("2026-01-30T12:00", "2026-03-03T12:00", FAULT)  # a Friday to a Tuesday
    months = [
        reckoned(told, "2026-01-01", "2026-01-31"),
        reckoned(told, "2026-02-01", "2026-02-28"),
        reckoned(told, "2026-03-01", "2026-03-31"),
    ]
    # 6 h of 30 January; all 20 clinics of February; 9 h of 2 March and 3 h of 3 March
    assert [account.unplanned_s / HOUR for account in months] == [6.0, 180.0, 12.0]
    assert [account.failures for account in months] == [1, 0, 0]
    assert [account.going_on for account in months] == [0, 1, 1]
    assert [len(account.repairs) for account in months] == [0, 0, 1]
    assert (months[1].availability, months[1].mtbf_above_s) == (0.0, None)
    whole = reckoned(told, "2026-01-01", "2026-03-31")
    assert whole.unplanned_s == sum(account.unplanned_s for account in months)
