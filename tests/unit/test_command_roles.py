"""Who may ask for what: every command there is, in every role, by a table that is written here by hand."""

import types
import typing
from datetime import datetime
from enum import Enum
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec
import pytest
from msgspec.structs import fields

from streams import commands as known
from streams.commands import Command, Refusal
from streams.fold.decisions import decide
from streams.messages import Person
from streams.roles import Role
from tests.folding import DEVICE, MONDAY, in_service

STAFF: Final = {"operator", "physicist"}
PHYSICIST: Final = {"physicist"}
WITH_ENGINEER: Final = {"operator", "physicist", "engineer"}
MAY: Final[dict[type[msgspec.Struct], set[str]]] = {
    known.EnterVendorQc: STAFF,
    known.EnterPhantomScan: STAFF,
    known.OpenSession: STAFF,
    known.CloseSession: STAFF,
    known.EnterCheck: STAFF,
    known.EnterMeasurement: STAFF,
    known.AcceptBaseline: PHYSICIST,
    known.ReleaseQc: PHYSICIST,
    known.DecideReview: PHYSICIST,
    known.WithdrawDecision: PHYSICIST,
    known.ReleaseMeasurement: PHYSICIST,
    known.OverrideGate: STAFF,
    known.EndOverride: STAFF,
    known.LogFault: WITH_ENGINEER,
    known.ClearFault: {"physicist", "engineer"},
    known.HandOver: STAFF,
    known.HandBack: WITH_ENGINEER,
    known.DecideReturn: STAFF,
    known.RecordRemoteService: STAFF,
    known.VerifyMeasurement: PHYSICIST,
    known.RecordCommissioning: STAFF,
    known.SignOffCommissioning: PHYSICIST,
    known.ReviewStep: PHYSICIST,
    known.AcceptCrossCalibration: PHYSICIST,
    known.WithdrawCrossCalibration: PHYSICIST,
    known.RecordDuty: {"operator", "physicist", "engineer", "service"},
    known.MakeLogEntry: {"operator", "physicist", "engineer", "manager"},
    known.AddAttachment: {"operator", "physicist", "engineer", "manager"},
    known.RecordIncident: {"operator", "physicist", "engineer", "manager"},
    known.CloseIncident: {"physicist", "manager"},
    known.RetireDevice: {"physicist", "admin"},
}


def some(kind: Any) -> Any:
    """Return a value of a type: what it is does not matter here."""
    origin = get_origin(kind)
    if origin in {types.UnionType, typing.Union}:
        return some(get_args(kind)[0])
    if origin is typing.Annotated:
        return some(get_args(kind)[0])
    if origin is tuple:
        return ()
    if issubclass(kind, Enum):
        return next(iter(kind))
    if issubclass(kind, msgspec.Struct):
        return kind(**needed(kind))
    plain: dict[type, object] = {str: "x", bool: True, float: 1.0, int: 1, datetime: MONDAY}
    return plain[kind]


def needed(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return values for the fields of a struct that have no default."""
    hints = get_type_hints(kind)
    return {field.name: some(hints[field.name]) for field in fields(kind) if field.required}


def test_the_table_has_every_command() -> None:
    assert set(get_args(Command)) == MAY.keys()


@pytest.mark.parametrize("role", [*(one.value for one in Role), "janitor"])
@pytest.mark.parametrize("kind", MAY, ids=lambda kind: kind.__name__)
def test_a_role_is_refused_what_it_may_not_and_nothing_else_for_its_role(kind: type[Any], role: str) -> None:
    scanner = in_service()
    command = kind(**needed(kind) | {"device": DEVICE, "actor": Person("Somebody", role)})
    answer = decide(scanner.state, command, expected_device_seq=scanner.state.device_seq, now=scanner.now)
    is_refused = isinstance(answer, Refusal) and "may not do this" in answer.text
    assert is_refused is (role not in MAY[kind])
