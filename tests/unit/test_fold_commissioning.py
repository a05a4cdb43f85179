"""Into clinical use: records, baselines, the sign-off, adopting; steps between epochs; studies between scanners."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from streams.commands import (
    AcceptBaseline,
    AcceptCrossCalibration,
    RecordCommissioning,
    Refusal,
    ReviewStep,
    SignOffCommissioning,
    WithdrawCrossCalibration,
)
from streams.messages import (
    BaselineProposed,
    CommissioningSignedOff,
    CrossCalibrationAccepted,
    DeviceReconfigured,
    GateStatus,
    Person,
    PhantomMeasured,
    StateChanged,
    StudyKind,
)
from streams.policy import CommissioningStep, DeviceKind, DevicePolicy
from tests.folding import DEVICE, ENGINEER, MONDAY, OPERATOR, PHANTOM, PHYSICIST, POLICY, Folded, baseline

DIGEST = "0123456789abcdef" * 4


class Installed(Folded):
    """A scanner that came under watch on Monday and is not signed off."""

    def __init__(self, policy: DevicePolicy = POLICY) -> None:
        super().__init__(policy, is_signed_off=False)
        self.asked = 0

    def ask(self, command: type, actor: Person, /, **fields: object) -> Refusal | None:
        self.asked += 1
        return self.command(command(device=DEVICE, actor=actor, request_id=f"r{self.asked}", **fields))

    def record(self, step: CommissioningStep, actor: Person = OPERATOR, **fields: object) -> Refusal | None:
        given: dict[str, object] = {
            "done_on": "2026-10-30",
            "done_by": "Ines Taller",
            "organisation": "Invented Ltd",
            "is_satisfactory": True,
            "endorsed_by": "Ray Adviser" if step is CommissioningStep.CRITICAL_EXAMINATION else "",
        }
        return self.ask(RecordCommissioning, actor, step=step, **{**given, **fields})

    def record_all(self) -> None:
        for step in CommissioningStep:
            assert self.record(step) is None

    def sign_off(self, actor: Person = PHYSICIST, **fields: object) -> Refusal | None:
        return self.ask(SignOffCommissioning, actor, **fields)


def refused(refusal: Refusal | None, words: str) -> None:
    assert refusal is not None
    assert words in refusal.text


def test_a_new_scanner_is_in_use_once_records_baseline_and_sign_off_are_there() -> None:
    scanner = Installed()
    scanner.fact(baseline())
    scanner.vendor_qc()
    scanner.scan(1.0)
    assert scanner.codes == ["not_commissioned"]
    refused(scanner.sign_off(), "the critical examination, the measurement of output and scatter, the electrical")
    scanner.record_all()
    assert scanner.codes == ["not_commissioned"]
    assert scanner.sign_off(note="all looked at") is None
    assert scanner.status is GateStatus.OPEN
    assert scanner.state.stage == "clinical"


def test_the_gate_says_what_commissioning_still_lacks() -> None:
    scanner = Installed(replace(POLICY, commissioning_waived=(CommissioningStep.ARCHIVE_RECOVERY,)))
    for step in (CommissioningStep.OUTPUT_AND_SCATTER, CommissioningStep.ELECTRICAL_SAFETY):
        scanner.record(step)
    reason = next(r for r in scanner.state.gates["all"].reasons if r.code.value == "not_commissioned")
    missing = f"a baseline for {PHANTOM}, the critical examination, the acceptance tests"
    assert reason.clears_when == f"Missing: {missing}. A physicist signs it off."


def test_a_sign_off_without_a_baseline_is_refused() -> None:
    scanner = Installed()
    scanner.record_all()
    refused(scanner.sign_off(), f"a baseline for {PHANTOM}")


def test_a_step_that_is_found_wanting_later_is_off_the_record_until_it_is_done_again() -> None:
    scanner = Installed()
    scanner.fact(baseline())
    scanner.record_all()
    scanner.record(CommissioningStep.ELECTRICAL_SAFETY, is_satisfactory=False, result="leakage 2 mA")
    refused(scanner.sign_off(), "the electrical safety test")
    scanner.record(CommissioningStep.ELECTRICAL_SAFETY)
    assert scanner.sign_off() is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"done_on": "30/10/2026"}, "as a date, such as 2026-11-02"),
        ({"done_on": "2026-11-03"}, "lies in the future"),
        ({"done_on": "1926-11-02"}, "lies before 1990"),
        ({"done_by": " "}, "Give who did it"),
        ({"organisation": ""}, "Give their organisation"),
        ({"is_satisfactory": False}, "Give the result"),
        ({"endorsed_by": ""}, "Give the radiation protection adviser"),
        ({"actor": ENGINEER}, "may not do this"),
    ],
)
def test_a_record_that_lacks_something_is_refused(fields: dict[str, object], words: str) -> None:
    scanner = Installed()
    refused(scanner.record(CommissioningStep.CRITICAL_EXAMINATION, **fields), words)  # type: ignore[arg-type]
    assert scanner.state.commissioning.done == ()


@pytest.mark.parametrize("actor", [OPERATOR, ENGINEER, Person("Ann Admin", "admin")])
def test_only_a_physicist_signs_off(actor: Person) -> None:
    scanner = Installed()
    scanner.fact(baseline())
    scanner.record_all()
    refused(scanner.sign_off(actor), "may not do this")
    assert scanner.state.stage == "commissioning"


def test_a_scanner_in_service_is_adopted_with_its_past_commissioning() -> None:
    scanner = Installed()
    refused(scanner.sign_off(in_service_since="2021-03-01", note="in the red folder"), "a baseline for")
    scanner.fact(baseline())
    refused(scanner.sign_off(in_service_since="2021-03-01"), "Give where the records")
    refused(scanner.sign_off(in_service_since="2031-03-01", note="in the red folder"), "lies in the future")
    assert scanner.sign_off(in_service_since="2021-03-01", note="in the red folder") is None
    assert scanner.state.stage == "clinical"
    refused(scanner.sign_off(), "It is not in commissioning: it is clinical")


def test_another_scanner_under_the_same_name_is_commissioned_from_the_beginning() -> None:
    policy = replace(POLICY, serial="1")
    scanner = Installed(policy)
    scanner.record_all()
    scanner.fact(baseline())
    scanner.sign_off()
    assert scanner.state.stage == "clinical"
    scanner.fact(DeviceReconfigured(replace(policy, serial="2")))
    scanner.fact(baseline())
    assert scanner.state.stage == "commissioning"
    assert not scanner.state.commissioning.is_signed
    refused(scanner.sign_off(), "the critical examination")


def test_the_last_thing_that_was_missing_brings_it_into_use_whatever_it_was() -> None:
    scanner = Installed()
    scanner.fact(CommissioningSignedOff(PHYSICIST))
    outcomes = scanner.fact(baseline())
    assert StateChanged(stage="clinical", previous="commissioning") in outcomes


def test_scales_are_not_signed_off() -> None:
    scale = Installed(DevicePolicy(DeviceKind.SCALE))
    refused(scale.sign_off(), "Scanners are commissioned so")
    assert scale.state.stage == "commissioning"


# --- epochs ------------------------------------------------------------------------------------------------


def _routine(scanner: Folded, days: int, bmd: float = 1.004, *, scans: int = 1) -> list[BaselineProposed]:
    proposals = []
    for _ in range(days):
        scanner.until(scanner.now + timedelta(days=1))
        for _ in range(scans):
            scanner.now += timedelta(minutes=5)
            scanner.scans += 1
            before = scanner.scans
            outcomes = scanner.fact(_measured(scanner, bmd, before))
            proposals += [one for one in outcomes if isinstance(one, BaselineProposed)]
    return proposals


def _measured(scanner: Folded, bmd: float, number: int) -> PhantomMeasured:
    return PhantomMeasured(PHANTOM, "L1-L4", bmd, scanner.now, f"routine-{number}")


def test_a_second_epoch_is_proposed_once_after_25_days() -> None:
    scanner = Folded()
    scanner.fact(baseline())
    assert _routine(scanner, 24) == []
    (proposal,) = _routine(scanner, 1)
    assert (proposal.epoch, proposal.n) == (2, 25)
    assert proposal.mean_g_cm2 == pytest.approx(1.004)
    assert proposal.step_percent == pytest.approx(0.4)
    assert _routine(scanner, 10) == []


def test_many_scans_on_few_days_propose_nothing() -> None:
    scanner = Folded()
    scanner.fact(baseline())
    assert _routine(scanner, 12, scans=3) == []


def test_an_established_baseline_is_not_proposed_anew() -> None:
    scanner = Folded()
    scanner.fact(replace(baseline(), established=True, n=25))
    assert _routine(scanner, 30) == []


def test_failed_days_count_for_nothing() -> None:
    scanner = Folded()
    scanner.fact(baseline())
    assert _routine(scanner, 20) == []
    assert _routine(scanner, 4, bmd=2.0) == []
    assert _routine(scanner, 4) == []
    assert len(_routine(scanner, 1)) == 1


def test_a_step_breaks_comparability_until_a_physicist_has_looked_at_it() -> None:
    scanner = Installed()
    scanner.fact(CommissioningSignedOff(PHYSICIST))
    scanner.fact(baseline())
    refused(scanner.ask(ReviewStep, PHYSICIST, phantom_id=PHANTOM, is_comparable=True, decision="fine"), "No step")
    _routine(scanner, 25)
    assert scanner.ask(AcceptBaseline, PHYSICIST, phantom_id=PHANTOM, reason="25 routine days") is None
    epoch, step = scanner.state.chart(PHANTOM).unreviewed_step or (0, 0.0)
    assert epoch == 2
    assert step == pytest.approx(0.4)
    refused(
        scanner.ask(ReviewStep, OPERATOR, phantom_id=PHANTOM, is_comparable=True, decision="fine"), "may not do this"
    )
    refused(scanner.ask(ReviewStep, PHYSICIST, phantom_id=PHANTOM, is_comparable=True, decision=" "), "Give your")
    looked = {"phantom_id": PHANTOM, "is_comparable": True, "decision": "0.4 %: within the phantom's precision"}
    assert scanner.ask(ReviewStep, PHYSICIST, **looked) is None
    assert scanner.state.chart(PHANTOM).unreviewed_step is None


# --- studies -----------------------------------------------------------------------------------------------


def _study(scanner: Installed, actor: Person = PHYSICIST, **fields: object) -> Refusal | None:
    given: dict[str, object] = {
        "study_id": "old-to-new",
        "kind": StudyKind.PHANTOM,
        "other_device": "test-site/dxa-0",
        "region": "L1-L4",
        "method": "deming",
        "slope": 1.02,
        "intercept_g_cm2": -0.01,
        "standard_error_g_cm2": 0.004,
        "lower_g_cm2": 0.7,
        "upper_g_cm2": 1.5,
        "n": 20,
        "data_digest": DIGEST,
        "valid_from": MONDAY,
        "reason": "the old scanner leaves",
    }
    return scanner.ask(AcceptCrossCalibration, actor, **{**given, **fields})


def test_each_acceptance_of_a_study_is_a_new_version_of_it() -> None:
    scanner = Installed()
    versions = []
    fold = scanner.fact

    def noting(fact: object, *, identity: str | None = None) -> object:
        versions.extend([fact.version] if isinstance(fact, CrossCalibrationAccepted) else [])
        return fold(fact, identity=identity)  # type: ignore[arg-type]

    scanner.fact = noting  # type: ignore[method-assign, assignment]
    assert [_study(scanner), _study(scanner, slope=1.03), _study(scanner, study_id="other")] == [None] * 3
    assert versions == [1, 2, 1]
    withdrawal = {"study_id": "old-to-new", "reason": "wrong file"}
    assert scanner.ask(WithdrawCrossCalibration, PHYSICIST, **withdrawal) is None
    refused(scanner.ask(WithdrawCrossCalibration, PHYSICIST, study_id="none", reason="x"), "No study named none")
    assert _study(scanner) is None
    assert versions == [1, 2, 1, 3]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"other_device": DEVICE}, "not cross-calibrated with itself"),
        ({"kind": StudyKind.IN_VIVO, "n": 30}, "reference of its approval"),
        ({"kind": StudyKind.IN_VIVO, "n": 29, "approval_reference": "REC 26/0001"}, "At least 30 pairs"),
        ({"n": 9}, "At least 10 pairs"),
        ({"slope": 0.0}, "positive slope"),
        ({"intercept_g_cm2": float("nan")}, "finite numbers"),
        ({"lower_g_cm2": 1.5}, "range of the study"),
        ({"upper_g_cm2": float("inf")}, "range of the study"),
        ({"data_digest": "abc"}, "digest"),
        ({"valid_until": MONDAY}, "ends before it begins"),
        ({"valid_from": MONDAY.replace(tzinfo=None)}, "no time zone"),
        ({"reason": ""}, "Give the reason"),
        ({"actor": OPERATOR}, "may not do this"),
    ],
)
def test_an_equation_that_cannot_be_one_is_refused(fields: dict[str, object], words: str) -> None:
    scanner = Installed()
    refused(_study(scanner, **fields), words)  # type: ignore[arg-type]
    assert scanner.state.studies == ()


def test_a_thirteenth_study_is_refused_and_none_of_the_twelve_is_forgotten() -> None:
    scanner = Installed()
    for number in range(12):
        assert _study(scanner, study_id=f"study-{number}") is None
    refused(_study(scanner, study_id="one more"), "12 studies are on record")
    assert _study(scanner, study_id="study-0") is None
    assert dict(scanner.state.studies)["study-0"] == 2
    assert scanner.ask(WithdrawCrossCalibration, PHYSICIST, study_id="study-1", reason="wrong file") is None


def test_another_scanner_has_no_study_of_the_one_before() -> None:
    policy = replace(POLICY, serial="1")
    scanner = Installed(policy)
    assert _study(scanner) is None
    scanner.fact(DeviceReconfigured(replace(policy, serial="2")))
    assert scanner.state.studies == ()


# --- what a review by fresh eyes found -----------------------------------------------------------------------


def test_an_unsatisfactory_step_stands_against_the_sign_off_of_an_adopted_scanner_too() -> None:
    scanner = Installed()
    scanner.fact(baseline())
    scanner.record(CommissioningStep.CRITICAL_EXAMINATION, is_satisfactory=False, result="the interlock fails")
    adopted: dict[str, object] = {"in_service_since": "2021-03-01", "note": "in the red folder"}
    refused(scanner.sign_off(PHYSICIST, **adopted), "On record as not satisfactory: the critical examination.")
    scanner.record(CommissioningStep.CRITICAL_EXAMINATION)
    assert scanner.sign_off(PHYSICIST, **adopted) is None


def test_a_scanner_that_came_under_watch_when_it_was_new_is_not_adopted() -> None:
    scanner = Installed()
    scanner.fact(baseline())
    refused(
        scanner.sign_off(in_service_since="2026-11-02", note="in the red folder"), "Put its commissioning on record"
    )
    assert scanner.sign_off(in_service_since="2026-11-01", note="in the red folder") is None


def test_an_unreviewed_step_is_not_forgotten_by_the_next_epoch() -> None:
    scanner = Installed()
    scanner.fact(CommissioningSignedOff(PHYSICIST))
    scanner.fact(baseline())
    scanner.fact(replace(baseline(epoch=2, mean=1.012), step_percent=1.2))
    _routine(scanner, 12, bmd=1.012)
    refused(
        scanner.ask(AcceptBaseline, PHYSICIST, phantom_id=PHANTOM, reason="more days"), "step of +1.20 % to epoch 2"
    )
    looked = {"phantom_id": PHANTOM, "is_comparable": False, "decision": "the tube was replaced"}
    assert scanner.ask(ReviewStep, PHYSICIST, **looked) is None
    assert scanner.ask(AcceptBaseline, PHYSICIST, phantom_id=PHANTOM, reason="more days") is None
