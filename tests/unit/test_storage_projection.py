"""What a row of a log means to the tables, without a database."""

from datetime import timedelta

import pytest

from storage.equipment_rows import FaultRow
from storage.log_rows import readable
from storage.projection import rows_from, without_nul
from storage.qc_rows import BaselineRow, DecisionRow, QcRow, ReviewRow
from storage.rows import TABLES, BypassRow, ConfigurationRow, EventRow, GateRow, StageRow, TableRow
from storage.upkeep import month_after
from streams.messages import FaultLogged, PatientScanStarted, QcReleased
from streams.sqlite_log import Row
from tests.folding import DEVICE, MONDAY, PHANTOM, PHYSICIST, baseline
from tests.postgres import Recorded


def rows_of(device: Recorded) -> list[TableRow]:
    """The rows of the last event."""
    return list(rows_from(device.log.rows[-1]))


def test_an_event_stands_with_its_place_in_the_log() -> None:
    device = Recorded(is_signed_off=False)
    (event, configured, calendar, *outcomes) = rows_of(device)
    assert isinstance(event, EventRow)
    assert event[:3] == (DEVICE, 1, MONDAY)
    assert (event.type, event.log_id, event.log_position) == ("bonewatch.device-registered.v1", "log", 1)
    assert event.link == device.log.rows[0].link
    assert isinstance(configured, ConfigurationRow)
    assert (configured.make, configured.ae_title, configured.modes) == ("Invented", "DXA1", ["all"])
    assert '"patient_id":"SPINE-0001"' in configured.phantoms
    assert '"starts":"08:30"' in getattr(calendar, "clinics", "")
    assert [type(row) for row in outcomes] == [StageRow, GateRow]


def test_a_judged_scan_takes_its_numbers_along() -> None:
    device = Recorded()
    device.fact(baseline())
    device.scan(1.03)
    judged = next(row for row in rows_of(device) if isinstance(row, QcRow))
    assert (judged.phantom_id, judged.verdict, judged.bmd_g_cm2, judged.revision) == (PHANTOM, "fail", 1.03, 0)
    assert (judged.target_g_cm2, judged.sigma_g_cm2, judged.lower_g_cm2, judged.upper_g_cm2) == (
        1.0,
        0.005,
        0.985,
        1.015,
    )
    assert judged.deviation_percent == pytest.approx(3.0)
    assert judged.measured_at == MONDAY


def test_a_scan_without_a_baseline_has_no_place_on_a_chart() -> None:
    device = Recorded()
    device.scan(1.0)
    judged = next(row for row in rows_of(device) if isinstance(row, QcRow))
    assert (judged.verdict, judged.target_g_cm2, judged.signal, judged.violated) == ("no_baseline", None, None, None)


def test_a_confirmed_failure_opens_a_review_that_a_release_answers() -> None:
    device = Recorded()
    device.fact(baseline())
    device.scan(1.03)
    device.scan(1.03)
    opened = {(row.basis, row.phantom_id) for row in rows_of(device) if isinstance(row, ReviewRow)}
    assert ("failure", PHANTOM) in opened
    device.fact(QcReleased(PHANTOM, "moved", PHYSICIST))
    decision = next(row for row in rows_of(device) if isinstance(row, DecisionRow))
    assert (decision.is_release, decision.decision, decision.decided_by) == (True, "moved", PHYSICIST.name)


def test_a_gate_that_time_closed_took_effect_when_it_fell_due() -> None:
    device = Recorded()
    device.fact(baseline())
    device.vendor_qc()
    device.scan(1.0)
    midnight = device.state.deadline
    assert midnight is not None
    device.until(midnight + timedelta(hours=3))
    closed = [row for one in device.log.rows for row in rows_from(one) if isinstance(row, GateRow)]
    late = next(row for row in closed if row.effective_at == midnight)
    assert late.recorded_at == midnight + timedelta(hours=3)


def test_reasons_that_hold_and_warnings_are_told_apart() -> None:
    device = Recorded()
    device.fact(FaultLogged("f", "noise", stops_scanning=True, logged_by=PHYSICIST))
    rows = rows_of(device)
    gate = next(row for row in rows if isinstance(row, GateRow))
    fault = next(row for row in rows if isinstance(row, FaultRow))
    assert "fault_stops_scanning" in gate.reason_codes
    assert gate.warning_codes == []
    assert (fault.is_cleared, fault.stops_scanning, fault.person_role) == (False, True, "physicist")


def test_a_baseline_names_who_accepted_it() -> None:
    device = Recorded()
    device.fact(baseline(epoch=3))
    row = next(row for row in rows_of(device) if isinstance(row, BaselineRow))
    assert (row.epoch, row.accepted_by, row.accepted_by_role, row.n) == (3, PHYSICIST.name, "physicist", 10)


def test_a_bypass_stands_with_its_request_and_what_held() -> None:
    device = Recorded()
    device.fact(PatientScanStarted("RK9-0000001", MONDAY, mpps_uid="1.2.3"))
    (row,) = (row for row in rows_of(device) if isinstance(row, BypassRow))
    assert (row.scanned_at, row.accession_number, row.evidence) == (MONDAY, "RK9-0000001", "scan_started")
    assert (row.reason_codes, row.enforcement) == (
        ["qc_missing", "independent_overdue", "no_baseline", "not_commissioned"],
        "worklist",
    )


def test_rows_of_a_version_that_is_not_known_are_left_for_a_later_program() -> None:
    device = Recorded(is_signed_off=False)
    device.fact(baseline())
    first, second = (
        Row(one.position, one.event.event_id, DEVICE, one.event.device_seq, one.body, one.link, one.outcome_bodies)
        for one in device.log.rows
    )
    unknown = second._replace(body=second.body.replace(b"baseline-accepted.v1", b"baseline-accepted.v9"))
    odd = second._replace(outcomes=(b"{}",))
    assert readable([first, unknown, odd, second]) == device.log.rows


def test_nul_goes_from_texts_and_lists_and_json() -> None:
    device = Recorded()
    device.fact(FaultLogged("f\x00", "\\u0000 and \x00", stops_scanning=False, logged_by=PHYSICIST))
    event, fault = (without_nul(row) for row in rows_of(device)[:2])
    assert isinstance(event, EventRow)
    assert isinstance(fault, FaultRow)
    assert (fault.fault_id, fault.text) == ("f\ufffd", "\\u0000 and \ufffd")
    assert '"text":"\\\\u0000 and \ufffd"' in event.fact


def test_keys_are_columns_of_their_tables() -> None:
    for table in TABLES:
        assert {*table.key, *table.newest_by} <= set(table.row._fields), table.name
        assert not table.time or table.time in table.key, table.name


@pytest.mark.parametrize(
    ("months", "expected"), [(0, (2026, 11, 1)), (2, (2027, 1, 1)), (-11, (2025, 12, 1)), (-12, (2025, 11, 1))]
)
def test_months_are_counted_over_the_year(months: int, expected: tuple[int, int, int]) -> None:
    day = month_after(MONDAY.date(), months)
    assert (day.year, day.month, day.day) == expected
