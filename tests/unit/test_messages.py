"""The vocabulary: versioned names, and JSON that gives back what went in."""

import re
from datetime import UTC, datetime
from importlib.metadata import packages_distributions
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import codec
from streams.chain import first_link, next_link
from streams.messages import Event, Fact, Outcome, PhantomMeasured, event_id, type_name
from tests.folding import MONDAY, PHANTOM

OURS = (
    "alerts",
    "bonewatch",
    "collectors",
    "dashboards",
    "publishing",
    "qa_models",
    "simulators",
    "storage",
    "streams",
)


def test_every_message_has_a_versioned_name_of_its_own() -> None:
    tags = [message.__struct_config__.tag for message in (*get_args(Fact), *get_args(Outcome))]
    assert len(tags) == len(set(tags))
    assert [tag for tag in tags if not re.fullmatch(r"bonewatch\.[a-z]+(-[a-z]+)*\.v\d+", tag)] == []


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_an_event_survives_its_bytes(bmd: float, at: datetime) -> None:
    fact = PhantomMeasured(PHANTOM, "L1-L4", bmd, at.replace(tzinfo=UTC), "a")
    event = Event("e", "s/d", "log", 1, MONDAY, 1, fact)
    assert codec.decode_event(codec.encode(event)) == event
    assert codec.encode(codec.decode_event(codec.encode(event))) == codec.encode(event)
    assert type_name(event.fact) == "bonewatch.phantom-measured.v1"


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b'{"fact": {"type": "bonewatch.phantom-measured.v9"}}', b"\xff"])
def test_what_is_no_message_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(codec.UndecodableError):
        codec.decode_event(data)
    with pytest.raises(codec.UndecodableError):
        codec.decode_outcome(data)


def test_a_time_without_a_zone_is_refused() -> None:
    event = Event("e", "s/d", "log", 1, MONDAY, 1, PhantomMeasured(PHANTOM, "L1-L4", 1.0, MONDAY, "a"))
    naive = codec.encode(event).replace(b'"measured_at":"2026-11-02T07:45:00Z"', b'"measured_at":"2026-11-02T07:45:00"')
    assert naive != codec.encode(event)
    with pytest.raises(codec.UndecodableError, match="timezone"):
        codec.decode_event(naive)


def test_identities_are_short_and_tell_their_parts_apart() -> None:
    assert len(event_id("1.2.3", "L1-L4")) == 24
    assert event_id("ab", "c") != event_id("a", "bc")
    assert event_id("a", "b") == event_id("a", "b")


def test_nothing_can_move_between_an_event_and_its_outcomes() -> None:
    start = first_link("log")
    assert next_link(start, b"ab", [b"c"]) != next_link(start, b"a", [b"bc"])
    assert next_link(start, b"a", [b"b", b"c"]) != next_link(start, b"a", [b"bc"])


def test_each_top_level_name_belongs_to_our_distribution_alone() -> None:
    owners = packages_distributions()
    assert {name: owners[name] for name in OURS} == {name: ["bonewatch"] for name in OURS}


def test_messages_are_frozen() -> None:
    fact = PhantomMeasured(PHANTOM, "L1-L4", 1.0, MONDAY, "a")
    with pytest.raises(AttributeError):
        fact.bmd_g_cm2 = 2.0  # type: ignore[misc]
    assert all(message.__struct_config__.frozen for message in (*get_args(Fact), *get_args(Outcome)))
    assert isinstance(fact, msgspec.Struct)
