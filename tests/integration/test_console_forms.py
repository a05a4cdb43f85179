"""The console's forms: what is recorded of them, and what a refusal looks like."""

import msgspec
import pytest

from streams.commands import (
    AcceptBaseline,
    ClearFault,
    DecideReview,
    EnterPhantomScan,
    EnterVendorQc,
    LogFault,
    OverrideGate,
    ReleaseQc,
    RetireDevice,
)
from streams.messages import Person, Reason, ReasonCode
from streams.readings import WithEngineer
from streams.site import EventConflictError, SiteUnavailableError
from tests.accounts import PASSWORD, clock
from tests.console_client import Visitor
from tests.console_fakes import FAILED, MISSING, NOW, FakeSite, held_gate, open_gate, phantom, scanner
from tests.integration.console_rig import QC_FORM, operator, physicist, site, users, visitor

__all__ = ["clock", "operator", "physicist", "site", "users", "visitor"]  # fixtures, used by their names


def test_the_daily_qc_is_recorded_with_performer_and_reviewer(operator: Visitor, site: FakeSite) -> None:
    answer = operator.fill_in(QC_FORM, result="passed", reviewed_by="Sam Lee", note="all well")
    assert answer.headers["location"] == "/devices/dxa-1?done=daily-qc"
    (command,) = site.commands
    assert isinstance(command, EnterVendorQc)
    assert command.actor == Person("The operator", "operator")
    assert (command.passed, command.reviewed_by, command.note) == (True, "Sam Lee", "all well")
    assert command.measured_at is None
    assert command.device == "bath/dxa-1"
    assert "Daily QC recorded." in operator.get(answer.headers["location"]).text


def test_an_engineer_finds_the_name_of_the_account_where_the_engineer_signs(
    visitor: Visitor, operator: Visitor, site: FakeSite
) -> None:
    given = WithEngineer("Ed Other", "Invented Ltd", NOW)
    site.views["dxa-1"] = msgspec.structs.replace(site.views["dxa-1"], service=given)
    assert 'value="Ed Other"' in operator.get("/devices/dxa-1/do/hand-back").text
    visitor.client.cookies.clear()
    visitor.sign_in("The engineer", PASSWORD)
    form = visitor.get("/devices/dxa-1/do/hand-back").text
    assert 'value="The engineer"' in form
    assert "Ed Other" not in form


def test_an_earlier_time_is_read_in_the_sites_zone(operator: Visitor, site: FakeSite) -> None:
    operator.fill_in(QC_FORM, result="failed", reviewed_by="Sam Lee", measured_at="2026-07-01T07:30")
    (command,) = site.commands
    assert isinstance(command, EnterVendorQc)
    assert command.measured_at is not None
    assert command.measured_at.isoformat() == "2026-07-01T06:30:00+00:00"


def test_a_time_that_the_clocks_skip_is_refused(operator: Visitor, site: FakeSite) -> None:
    answer = operator.fill_in(QC_FORM, result="passed", reviewed_by="Sam Lee", measured_at="2026-03-29T01:30")
    assert answer.status_code == 422
    assert not site.commands


def test_what_is_missing_is_named_beside_its_field_and_the_rest_is_kept(operator: Visitor, site: FakeSite) -> None:
    answer = operator.fill_in(QC_FORM, note="phantom on its side")
    assert answer.status_code == 422
    assert "Say whether the QC passed or failed" in answer.text
    assert 'href="#reviewed_by"' in answer.text
    assert "phantom on its side" in answer.text
    assert not site.commands


def test_a_stale_page_is_refused_and_keeps_what_was_typed(operator: Visitor, site: FakeSite) -> None:
    page = operator.get(QC_FORM).text
    site.change("dxa-1", gate=held_gate(FAILED))
    assert 'name="expected_device_seq" value="7"' in page
    answer = operator.fill_in(QC_FORM, expected_device_seq="7", result="passed", reviewed_by="Sam Lee")
    assert answer.status_code == 409
    assert "out of date" in answer.text
    assert 'value="Sam Lee"' in answer.text
    assert 'name="expected_device_seq" value="8"' in answer.text
    assert not site.commands


def test_a_refusal_keeps_the_request_id_and_a_new_form_has_another(operator: Visitor) -> None:
    first, second = operator.get(QC_FORM).text, operator.get(QC_FORM).text
    assert first != second
    answer = operator.fill_in(QC_FORM, request_id="a" * 32)
    assert f'value="{"a" * 32}"' in answer.text


def test_a_site_that_cannot_commit_says_that_nothing_was_recorded(operator: Visitor, site: FakeSite) -> None:
    site.fails_with = SiteUnavailableError("disk full")
    answer = operator.fill_in(QC_FORM, result="passed", reviewed_by="Sam Lee")
    assert answer.status_code == 503
    assert "Nothing was recorded" in answer.text
    assert 'value="Sam Lee"' in answer.text


def test_the_same_form_with_other_content_is_refused(operator: Visitor, site: FakeSite) -> None:
    site.fails_with = EventConflictError("e1")
    answer = operator.fill_in(QC_FORM, request_id="a" * 32, result="passed", reviewed_by="Sam Lee")
    assert answer.status_code == 409
    assert f'value="{"a" * 32}"' not in answer.text


@pytest.mark.parametrize("bmd", ["", "abc", "nan", "inf", "-1", "0", "5", "1e999"])
def test_a_bmd_that_is_no_bmd_is_refused(operator: Visitor, site: FakeSite, bmd: str) -> None:
    answer = operator.fill_in("/devices/dxa-2/do/phantom-scan", phantom_id="SPINE-5678", bmd_g_cm2=bmd)
    assert answer.status_code == 422
    assert not site.commands


def test_a_phantom_scan_by_hand(operator: Visitor, site: FakeSite) -> None:
    operator.fill_in("/devices/dxa-2/do/phantom-scan", phantom_id="SPINE-5678", bmd_g_cm2="1,0231", repeat="yes")
    (command,) = site.commands
    assert isinstance(command, EnterPhantomScan)
    assert (command.phantom_id, command.bmd_g_cm2, command.repeat) == ("SPINE-5678", 1.0231, True)


def test_a_phantom_of_another_scanner_is_refused(operator: Visitor, site: FakeSite) -> None:
    answer = operator.fill_in("/devices/dxa-2/do/phantom-scan", phantom_id="SPINE-1234", bmd_g_cm2="1.0")
    assert answer.status_code == 422
    assert not site.commands


def test_decisions_of_a_physicist(physicist: Visitor, site: FakeSite) -> None:
    failed_chart = phantom("SPINE-5678", drift_open=True, failure_confirmed=True)
    site.views["dxa-2"] = scanner("dxa-2", "DXA2", "Prodigy", held_gate(FAILED), (failed_chart,))
    chosen = {"phantom_id": "SPINE-5678"}
    for slug, fields in {
        "accept-baseline": chosen | {"reason": "ten scans looked at"},
        "release-qc": chosen | {"cause": "cable loose, reseated"},
        "decide-review": {"review_id": "R00000000001", "verdict": "annotate", "decision": "real; service called"},
        "override": {"reason": "urgent patient", "advised_by": "self", "by_telephone": "yes"},
        "log-fault": {"text": "table squeaks", "stops_scanning": "no"},
        "retire": {"reason": "replaced"},
    }.items():
        assert physicist.fill_in(f"/devices/dxa-2/do/{slug}", **fields).status_code == 303, slug
    wanted = [AcceptBaseline, ReleaseQc, DecideReview, OverrideGate, LogFault, RetireDevice]
    assert [type(command) for command in site.commands] == wanted


@pytest.mark.parametrize(
    ("first", "last"), [("2026-06-01", "9999-12-31"), ("0001-01-01", "2026-06-01"), ("2026-06-01", "2201-01-01")]
)
def test_a_baseline_from_history_names_days_that_can_be(
    physicist: Visitor, site: FakeSite, first: str, last: str
) -> None:
    site.views["dxa-2"] = msgspec.structs.replace(site.views["dxa-2"], stage="commissioning")
    answer = physicist.fill_in(
        "/devices/dxa-2/do/baseline-from-history", phantom_id="SPINE-5678", first=first, last=last, reason="a year"
    )
    assert answer.status_code == 422
    assert "Enter a day between 1990 and 2200, such as 2026-06-01" in answer.text
    assert not site.commands


def test_a_fault_is_cleared_by_its_id(physicist: Visitor, site: FakeSite) -> None:
    physicist.fill_in("/devices/scale-1/do/clear-fault", fault_id="f1", text="display changed")
    (command,) = site.commands
    assert isinstance(command, ClearFault)
    assert (command.fault_id, command.text) == ("f1", "display changed")


def test_an_override_needs_what_the_site_says_it_needs(operator: Visitor, site: FakeSite) -> None:
    site.change("dxa-1", gate=held_gate(FAILED))
    answer = operator.fill_in("/devices/dxa-1/do/override", reason="Six patients wait")
    assert answer.status_code == 422
    assert "Name the physicist who advised it" in answer.text
    assert "Six patients wait" in answer.text
    assert not site.commands


@pytest.mark.parametrize("code", list(ReasonCode))
def test_an_override_is_offered_where_every_reason_may_be_overridden(
    operator: Visitor, site: FakeSite, code: ReasonCode
) -> None:
    site.change("dxa-1", gate=held_gate(FAILED, Reason(code, "as it is", "This clears it")))
    page, form = operator.get("/devices/dxa-1").text, operator.get("/devices/dxa-1/do/override").text
    may_be = code in {"state_unknown", "independent_overdue", "qc_failed", "verification_required"}
    assert ("do/override" in page) is may_be
    assert ("<form" in form[form.index("<main") :]) is may_be
    for text in (page, form):
        assert ("cannot be overridden: what clears it is listed above" in text) is not may_be
        assert text.count("cannot be overridden") <= 1
    assert may_be or "This clears it" in form


def test_a_hold_of_one_mode_bars_the_override_of_the_device(operator: Visitor, site: FakeSite) -> None:
    gates = {"spine": held_gate(FAILED), "forearm": held_gate(MISSING)}
    site.views["dxa-1"] = msgspec.structs.replace(site.views["dxa-1"], gate=held_gate(FAILED), gates=gates)
    assert "do/override" not in operator.get("/devices/dxa-1").text


def test_nobody_is_told_of_an_override_that_is_not_theirs_or_not_needed(visitor: Visitor, site: FakeSite) -> None:
    visitor.sign_in("The engineer", PASSWORD)
    assert "cannot be overridden" not in visitor.get("/devices/dxa-1").text
    visitor.sign_in("The operator", PASSWORD)
    assert "cannot be overridden" in visitor.get("/devices/dxa-1").text
    site.change("dxa-1", gate=open_gate())
    assert "cannot be overridden" not in visitor.get("/devices/dxa-1").text


def test_a_confirmed_failure_of_the_scanners_own_qc_can_be_released(physicist: Visitor, site: FakeSite) -> None:
    site.views["dxa-2"] = msgspec.structs.replace(
        site.views["dxa-2"],
        gate=held_gate(FAILED),
        vendor_qc_failure_confirmed=True,
        vendor_qc_passed_since_failure=True,
    )
    page = physicist.get("/devices/dxa-2").text
    assert "do/release-qc" in page
    assert "Failure confirmed; it has passed since" in page
    form = physicist.get("/devices/dxa-2/do/release-qc").text
    assert "The scanner&#39;s own QC" in form
    assert "SPINE-5678" not in form[form.index("<form", form.index("<main")) :]
    answer = physicist.fill_in("/devices/dxa-2/do/release-qc", phantom_id="manufacturer", cause="cable reseated")
    assert answer.status_code == 303
    (command,) = site.commands
    assert isinstance(command, ReleaseQc)
    assert (command.phantom_id, command.cause) == ("manufacturer", "cable reseated")


def test_an_override_ends_with_the_clinic_unless_told_otherwise(operator: Visitor, site: FakeSite) -> None:
    site.change("dxa-1", gate=held_gate(FAILED))
    assert 'value="16:30"' in operator.get("/devices/dxa-1/do/override").text
