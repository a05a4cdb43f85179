"""How a serial line stands, and which reading is one measurement."""

from decimal import Decimal

import pytest

from collectors.protocols.items import Condition, DeviceError, Identity, Item, Noise, Quantity, Reading
from collectors.serial.link import Link, LinkState
from collectors.serial.plateau import Plateau


def weight(value: str | None, condition: Condition = Condition.STABLE) -> Reading:
    return Reading(Quantity.WEIGHT, None if value is None else Decimal(value), condition, "kg")


def states(link: Link, *steps: tuple[float, list[Item]]) -> list[LinkState]:
    found = []
    for now, items in steps:
        link.took(items, 20, now)
        link.passed(now)
        found.append(link.state)
    return found


def test_a_device_is_trusted_once_it_has_given_its_serial_number() -> None:
    link = Link("A1", can_be_asked=True, silent_after_s=10)
    assert link.opened(0)
    before, _ = link.took([weight("70")], 20, 1)
    assert (before, link.state) == ([], LinkState.OPEN)
    after, changed = link.took([Identity("A1"), weight("71")], 20, 2)
    assert (after, changed, link.state) == ([weight("71")], True, LinkState.HEARD)


def test_swapped_devices_are_told_and_not_trusted_until_they_are_back() -> None:
    link = Link("A1", can_be_asked=True)
    link.opened(0)
    taken, _ = link.took([Identity("B2"), weight("70")], 20, 1)
    assert (taken, link.state) == ([], LinkState.SWAPPED)
    assert "B2, not A1" in link.why
    taken, _ = link.took([weight("70")], 20, 2)
    assert taken == []
    taken, _ = link.took([Identity("A1"), weight("70")], 20, 3)
    assert (taken, link.state) == ([weight("70")], LinkState.HEARD)


def test_a_device_swapped_behind_an_open_port_is_found_when_it_is_next_asked() -> None:
    link = Link("A1", can_be_asked=True)
    link.opened(0)
    assert states(link, (1, [Identity("A1")]), (61, [Identity("B2")]), (62, [weight("70")])) == [
        LinkState.HEARD,
        LinkState.SWAPPED,
        LinkState.SWAPPED,
    ]


def test_after_the_cable_was_out_the_serial_number_is_asked_again() -> None:
    link = Link("A1", can_be_asked=True)
    link.opened(0)
    link.took([Identity("A1")], 20, 1)
    assert link.closed("unplugged")
    assert not link.closed("unplugged")
    link.opened(5)
    assert link.took([weight("70")], 20, 6)[0] == []


def test_what_cannot_be_asked_is_trusted_and_says_so() -> None:
    link = Link("A1", can_be_asked=False)
    link.opened(0)
    assert link.took([weight("70")], 20, 1)[0] == [weight("70")]
    assert link.state is LinkState.UNVERIFIED


def test_a_frame_with_another_serial_number_is_not_trusted_even_where_none_can_be_asked_for() -> None:
    link = Link("A1", can_be_asked=False)
    link.opened(0)
    assert link.took([Identity("B2"), weight("70")], 20, 1)[0] == []
    assert link.state is LinkState.SWAPPED


def test_silence_is_told_once_and_ends_with_a_frame() -> None:
    link = Link(silent_after_s=10)
    link.opened(0)
    link.took([weight("70")], 20, 1)
    assert not link.passed(11)
    assert link.passed(11.1)
    assert not link.passed(12)
    assert link.state is LinkState.SILENT
    _, changed = link.took([weight("70")], 20, 13)
    assert (changed, link.state) == (True, LinkState.UNVERIFIED)


def test_a_device_that_speaks_on_a_key_is_never_silent() -> None:
    link = Link(silent_after_s=None)
    link.opened(0)
    assert not link.passed(1e6)


def test_bytes_of_another_protocol_are_told_as_such() -> None:
    link = Link(silent_after_s=10)
    link.opened(0)
    noise = Noise(b"x" * 20, "no line")
    assert states(link, (1, [noise]), (2, [noise]), (3, [noise]), (4, [noise])) == [
        LinkState.OPEN,
        LinkState.OPEN,
        LinkState.OPEN,
        LinkState.NOISY,
    ]
    assert "check protocol, baud rate and parity" in link.why
    assert states(link, (30, [weight("70")])) == [LinkState.UNVERIFIED]


def test_a_devices_own_errors_are_counted() -> None:
    link = Link()
    link.opened(0)
    link.took([DeviceError("ES"), DeviceError("ET")], 4, 1)
    assert link.errors == 2


# --- one measurement a person ------------------------------------------------------------------------------


def counted(*readings: Reading, agree: int = 2) -> list[str]:
    plateau = Plateau(agree=agree)
    return [str(found.value) for reading in readings if (found := plateau.take(reading)) is not None]


def test_a_person_who_stands_still_is_measured_once() -> None:
    assert counted(weight("0"), weight("70.5"), weight("70.5"), weight("70.5")) == ["70.5"]


def test_the_next_person_is_measured_after_the_first_has_stepped_off() -> None:
    assert counted(weight("70.5"), weight("0"), weight("70.5")) == ["70.5", "70.5"]


def test_a_person_who_moves_and_stands_again_is_measured_again() -> None:
    unstable = weight("70.9", Condition.UNSTABLE)
    assert counted(weight("70.5"), unstable, weight("70.6")) == ["70.5", "70.6"]


@pytest.mark.parametrize("condition", [Condition.UNSTABLE, Condition.OVERLOAD, Condition.UNDERLOAD, Condition.INVALID])
def test_what_the_device_does_not_vouch_for_never_counts(condition: Condition) -> None:
    assert counted(*[weight("70.5", condition)] * 5, *[weight(None, condition)] * 5) == []


def test_zero_and_less_are_no_measurements() -> None:
    assert counted(weight("0"), weight("-0.1"), weight("0.0")) == []


def test_where_stability_is_not_told_readings_must_agree() -> None:
    untold = Condition.UNTOLD
    assert counted(weight("70.5", untold)) == []
    assert counted(weight("70.5", untold), weight("70.6", untold), weight("70.6", untold)) == ["70.6"]
    assert counted(weight("70.5", untold), weight(None, Condition.OVERLOAD), weight("70.5", untold)) == []
    assert counted(weight("70.5", untold), agree=1) == ["70.5"]
