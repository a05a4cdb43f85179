"""What is due on a device, for people: QC, checks and other work in one list."""

from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from streams.messages import DutyStanding
from streams.policy import DutyKind


class QcKind(StrEnum):
    """What comes round by the policy of QC and checks, beside the kinds of `streams.policy.DutyKind`."""

    MANUFACTURER_QC = "manufacturer_qc"
    INDEPENDENT_QC = "independent_qc"
    CHECK = "check"


URGENCY: Final = (DutyStanding.OVERDUE, DutyStanding.DUE, DutyStanding.DUE_SOON, DutyStanding.OK)
"""The most urgent first."""


class DueItem(msgspec.Struct, frozen=True):
    """One piece of work: how it stands, on which day it is due (None: no more), and when it was done last.

    `duty_id` is that of a configured duty, which can be recorded as done; empty for QC and checks.
    """

    kind: QcKind | DutyKind
    name: str
    standing: DutyStanding
    due_on: date | None
    done_on: date | None
    duty_id: str = ""
    holds: bool = False
