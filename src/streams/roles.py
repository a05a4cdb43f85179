"""Roles and what each may ask for: the one table that code, console and documents share."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """In what capacity a person acts."""

    OPERATOR = "operator"
    PHYSICIST = "physicist"
    ENGINEER = "engineer"
    MANAGER = "manager"
    SERVICE = "service"
    ADMIN = "admin"


class Permission(StrEnum):
    """One thing that can be asked for."""

    VIEW = "view"
    ENTER_QC = "enter_qc"
    LOG_FAULT = "log_fault"
    CLEAR_FAULT = "clear_fault"
    ACCEPT_BASELINE = "accept_baseline"
    RELEASE_QC = "release_qc"
    DECIDE_REVIEW = "decide_review"
    RELEASE_MEASUREMENT = "release_measurement"
    LOOK_UP_PATIENT = "look_up_patient"
    OVERRIDE_GATE = "override_gate"
    OVERRIDE_FAILED_QC = "override_failed_qc"
    HAND_OVER = "hand_over"
    HAND_BACK = "hand_back"
    DECIDE_RETURN = "decide_return"
    VERIFY_MEASUREMENT = "verify_measurement"
    RECORD_COMMISSIONING = "record_commissioning"
    SIGN_OFF = "sign_off"
    ACCEPT_STUDY = "accept_study"
    RECORD_DUTY = "record_duty"
    WRITE_LOG = "write_log"
    CLOSE_INCIDENT = "close_incident"
    RETIRE_DEVICE = "retire_device"
    ACKNOWLEDGE_ALERT = "acknowledge_alert"
    TAKE_EVIDENCE = "take_evidence"
    READ_AUDIT = "read_audit"
    MANAGE_USERS = "manage_users"


_EVERYBODY: Final = frozenset(Role)
_STAFF: Final = frozenset({Role.OPERATOR, Role.PHYSICIST})
_PHYSICIST: Final = frozenset({Role.PHYSICIST})

PERMITTED: Final[dict[Permission, frozenset[Role]]] = {
    Permission.VIEW: _EVERYBODY,
    Permission.ENTER_QC: _STAFF,
    Permission.LOG_FAULT: frozenset({Role.OPERATOR, Role.PHYSICIST, Role.ENGINEER}),
    Permission.CLEAR_FAULT: frozenset({Role.PHYSICIST, Role.ENGINEER}),
    Permission.ACCEPT_BASELINE: _PHYSICIST,
    Permission.RELEASE_QC: _PHYSICIST,
    Permission.DECIDE_REVIEW: _PHYSICIST,
    Permission.RELEASE_MEASUREMENT: _PHYSICIST,
    Permission.LOOK_UP_PATIENT: _STAFF,
    Permission.OVERRIDE_GATE: _STAFF,
    Permission.OVERRIDE_FAILED_QC: _STAFF,
    Permission.HAND_OVER: _STAFF,
    Permission.HAND_BACK: frozenset({Role.OPERATOR, Role.PHYSICIST, Role.ENGINEER}),
    Permission.DECIDE_RETURN: _STAFF,
    Permission.VERIFY_MEASUREMENT: _PHYSICIST,
    Permission.RECORD_COMMISSIONING: _STAFF,
    Permission.SIGN_OFF: _PHYSICIST,
    Permission.ACCEPT_STUDY: _PHYSICIST,
    Permission.RECORD_DUTY: frozenset({Role.OPERATOR, Role.PHYSICIST, Role.ENGINEER, Role.SERVICE}),
    Permission.WRITE_LOG: frozenset({Role.OPERATOR, Role.PHYSICIST, Role.ENGINEER, Role.MANAGER}),
    Permission.CLOSE_INCIDENT: frozenset({Role.PHYSICIST, Role.MANAGER}),
    Permission.RETIRE_DEVICE: frozenset({Role.PHYSICIST, Role.ADMIN}),
    Permission.ACKNOWLEDGE_ALERT: frozenset(Role) - {Role.SERVICE},
    Permission.TAKE_EVIDENCE: frozenset({Role.PHYSICIST, Role.MANAGER, Role.ADMIN}),
    Permission.READ_AUDIT: frozenset({Role.MANAGER, Role.ADMIN}),
    Permission.MANAGE_USERS: frozenset({Role.ADMIN}),
}
"""Who may ask for what. An operator's override of a failed QC also needs a named physicist's advice.

An engineer hands back and never decides on a return, nor does anybody under the engineer's name.
"""


def may(role: str, permission: Permission) -> bool:
    """Return whether `role` may ask for `permission`; an unknown role may nothing."""
    return role in {r.value for r in PERMITTED[permission]}
