"""Why a device is down: one cause at a time, so that times by cause add up to the whole."""

from collections.abc import Collection
from typing import Final

from streams.messages import ReasonCode

PRECEDENCE: Final = (
    ReasonCode.FAULT_STOPS_SCANNING,
    ReasonCode.QC_FAILED,
    ReasonCode.CHECK_FAILED,
    ReasonCode.WITH_ENGINEER,
    ReasonCode.VERIFICATION_REQUIRED,
    ReasonCode.NO_BASELINE,
    ReasonCode.CLOCK_SUSPECT,
    ReasonCode.CHECK_DUE,
    ReasonCode.QC_MISSING,
    ReasonCode.INDEPENDENT_OVERDUE,
    ReasonCode.DUTY_OVERDUE,
    ReasonCode.DRIFT_UNREVIEWED,
)
"""Where several reasons hold a gate, the first of these accounts for the time: what is wrong with the device before
what is being done about it, and both before what is merely not done yet. Any other code comes after them, in the order
of `ReasonCode`."""

SERVICE: Final = frozenset({ReasonCode.WITH_ENGINEER, ReasonCode.VERIFICATION_REQUIRED})
"""Time that counts as planned where the work was."""

FAILURE: Final = frozenset({ReasonCode.FAULT_STOPS_SCANNING, ReasonCode.QC_FAILED, ReasonCode.CHECK_FAILED})
"""What is wrong with the device itself."""

NOT_PASSED: Final = frozenset(
    {
        ReasonCode.QC_FAILED,
        ReasonCode.CHECK_FAILED,
        ReasonCode.VERIFICATION_REQUIRED,
        ReasonCode.NO_BASELINE,
        ReasonCode.CLOCK_SUSPECT,
        ReasonCode.CHECK_DUE,
        ReasonCode.INDEPENDENT_OVERDUE,
        ReasonCode.QC_MISSING,
    }
)
"""While any of these stands, quality assurance has not passed."""

_ALL: Final = (*PRECEDENCE, *(code for code in ReasonCode if code not in PRECEDENCE))


def cause_of(codes: Collection[ReasonCode]) -> ReasonCode:
    """Return the one reason that accounts for a held gate; a gate held for none is not vouched for."""
    return next((code for code in _ALL if code in codes), ReasonCode.STATE_UNKNOWN)
