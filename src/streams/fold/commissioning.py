"""Into clinical use: the records of commissioning, the baselines, and the physicist's sign-off (DESIGN 5.3).

A scanner that was in use before is adopted: its past commissioning is accepted by the sign-off itself.
"""

from typing import Final

from msgspec.structs import replace

from streams.fold.state import Commissioning, DeviceState
from streams.messages import CommissioningRecorded, Reason, ReasonCode, StateChanged
from streams.policy import CommissioningStep, DeviceKind

COMMISSIONING: Final = "commissioning"
CLINICAL: Final = "clinical"

WORDS: Final = {
    CommissioningStep.CRITICAL_EXAMINATION: "the critical examination",
    CommissioningStep.OUTPUT_AND_SCATTER: "the measurement of output and scatter",
    CommissioningStep.ELECTRICAL_SAFETY: "the electrical safety test",
    CommissioningStep.ACCEPTANCE_TESTS: "the acceptance tests",
    CommissioningStep.ARCHIVE_RECOVERY: "the test that archived and old scans can be recovered",
}

Result = tuple[DeviceState, tuple[StateChanged, ...]]


def recorded(state: DeviceState, fact: CommissioningRecorded) -> Result:
    """Note one step; the last record of a step is the one that counts."""
    before = state.commissioning
    done = [step for step in before.done if step is not fact.step]
    failed = [step for step in before.failed if step is not fact.step]
    (done if fact.is_satisfactory else failed).append(fact.step)
    return replace(state, commissioning=replace(before, done=tuple(done), failed=tuple(failed))), ()


def signed_off(state: DeviceState) -> Result:
    """Note that a physicist takes responsibility; who it was stands in the log."""
    return into_service(replace(state, commissioning=replace(state.commissioning, is_signed=True)))


def into_service(state: DeviceState) -> Result:
    """Let a device that is commissioned be used for patients, if nothing is missing any more."""
    is_ready = is_scanner(state) and state.commissioning.is_signed and not phantoms_without_baseline(state)
    if state.stage != COMMISSIONING or not is_ready:
        return state, ()
    return replace(state, stage=CLINICAL), (StateChanged(stage=CLINICAL, previous=COMMISSIONING),)


def is_scanner(state: DeviceState) -> bool:
    """Whether it is commissioned at all; other equipment is in use once every standard has passed."""
    return state.policy is not None and state.policy.kind is DeviceKind.SCANNER


def begun_anew(state: DeviceState) -> DeviceState:
    """Return the state of another scanner under the same name: nothing that was on record counts."""
    return replace(state, stage=COMMISSIONING, commissioning=Commissioning(begun=state.now))


def phantoms_without_baseline(state: DeviceState) -> list[str]:
    """Return the phantoms that have no baseline yet."""
    phantoms = state.policy.own_phantoms if state.policy else ()
    return [phantom.patient_id for phantom in phantoms if state.chart(phantom.patient_id).baseline is None]


def steps_without_record(state: DeviceState) -> list[CommissioningStep]:
    """Return the steps that are required and not on record as satisfactory."""
    waived = state.policy.commissioning_waived if state.policy else ()
    return [step for step in CommissioningStep if step not in {*waived, *state.commissioning.done}]


def reasons(state: DeviceState) -> list[Reason]:
    """Return what commissioning holds the gate for."""
    if state.stage != COMMISSIONING:
        return []
    clears = "Every standard passes once."
    if is_scanner(state):
        missing = [f"a baseline for {name}" for name in phantoms_without_baseline(state)]
        missing += [WORDS[step] for step in steps_without_record(state)]
        first = f"Missing: {', '.join(missing)}. " if missing else ""
        clears = f"{first}A physicist signs it off."
    return [Reason(ReasonCode.NOT_COMMISSIONED, "not yet in clinical use", clears)]
