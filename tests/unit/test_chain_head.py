"""The chain of a site's log as its records come: content decides what follows, and no header switches the check off."""

import random

import pytest

from streams.chain import first_link, next_link
from streams.fleet.chain_head import MISSING, ChainHead, Link

Row = tuple[int, bytes, bytes, tuple[bytes, ...]]


def chain(count: int) -> list[Row]:
    rows, link = list[Row](), first_link("log")
    for position in range(1, count + 1):
        body = f"event {position}".encode()
        link = next_link(link, body, (b"outcome",))
        rows.append((position, link, body, (b"outcome",)))
    return rows


ROWS = chain(60)
FORGED: Row = (30, b"q" * 32, b"forged", ())


def verdicts(rows: list[Row]) -> list[Link]:
    head = ChainHead()
    return [head.take(*row) for row in rows]


def odd(rows: list[Row]) -> list[tuple[int, Link]]:
    """Places among some rows, from 0, at which the verdict is another than sound."""
    return [(place, link) for place, link in enumerate(verdicts(rows)) if link is not Link.SOUND]


def at(position: int, row: Row) -> Row:
    return (position, *row[1:])


def test_a_sound_log_is_sound_from_wherever_it_is_read() -> None:
    assert odd(ROWS) == odd(ROWS[25:]) == []


@pytest.mark.parametrize("wrong", [10**12, 12, 9 + MISSING, 1, 2**63 - 1])
def test_a_wrong_position_is_refused_and_switches_nothing_off(wrong: int) -> None:
    rows = [*ROWS[:9], at(wrong, ROWS[9]), *ROWS[10:29], FORGED, *ROWS[30:]]
    assert odd(rows) == [(9, Link.MISPLACED), (29, Link.BREAKS)]


@pytest.mark.parametrize("place", [0, 1])
def test_a_wrong_position_at_the_start_parks_nobody_else(place: int) -> None:
    rows = [*ROWS[:place], at(10**12, ROWS[place]), *ROWS[place + 1 : 29], FORGED, *ROWS[30:]]
    assert odd(rows) == [(29, Link.BREAKS)]


def test_of_two_wrong_positions_that_agree_the_log_recovers_too() -> None:
    rows = [*ROWS[:9], at(500, ROWS[9]), at(501, ROWS[10]), *ROWS[11:29], FORGED, *ROWS[30:]]
    assert odd(rows) == [(9, Link.MISPLACED), (11, Link.MISPLACED), (29, Link.BREAKS)]


def test_a_position_and_a_link_that_are_both_wrong_are_refused_and_the_next_row_is_followed() -> None:
    rows = [*ROWS[:9], (10**12, b"q" * 32, *ROWS[9][2:]), *ROWS[10:29], FORGED, *ROWS[30:]]
    assert odd(rows) == [(9, Link.MISPLACED), (29, Link.BREAKS)]


@pytest.mark.parametrize("altered", [(30, ROWS[29][1], b"altered", ()), (30, b"q" * 32, *ROWS[29][2:]), FORGED])
def test_an_altered_row_breaks_the_chain_alone(altered: Row) -> None:
    assert odd([*ROWS[:29], altered, *ROWS[30:]]) == [(29, Link.BREAKS)]


def test_a_hole_is_no_break_and_what_follows_it_is_checked() -> None:
    assert odd([*ROWS[:10], *ROWS[14:]]) == []
    assert odd([*ROWS[:10], *ROWS[14:29], FORGED, *ROWS[30:]]) == [(25, Link.BREAKS)]
    assert odd([*ROWS[:10], ROWS[28], FORGED, *ROWS[30:]]) == [(11, Link.BREAKS)]


def test_two_rows_in_each_others_place_are_sound() -> None:
    assert odd([*ROWS[:10], ROWS[11], ROWS[10], *ROWS[12:]]) == []


def test_what_comes_again_is_old_and_so_is_a_forged_row_with_an_old_position() -> None:
    assert odd([*ROWS[:20], *ROWS[5:40]]) == [(20, Link.OLD), (21, Link.OLD)], "then it is followed once more"
    assert odd([*ROWS[:20], *ROWS[5:9], *ROWS[20:]]) == [(20, Link.OLD), (21, Link.OLD)]
    assert odd([*ROWS[:20], at(3, FORGED), *ROWS[20:]]) == [(20, Link.OLD)]


def test_a_row_that_cannot_be_read_leaves_its_link() -> None:
    head = ChainHead()
    for row in ROWS[:10]:
        head.take(*row)
    head.pass_over(*ROWS[10][:2])
    assert head.take(*ROWS[11]) is Link.SOUND
    assert head.take(12 + 1, b"q" * 32, b"forged", ()) is Link.BREAKS
    head.pass_over(10**12, b"q" * 32)
    assert head.take(*ROWS[13]) is Link.SOUND


@pytest.mark.parametrize("seed", range(50))
def test_after_any_mix_of_bad_records_a_forged_row_is_seen_again(seed: int) -> None:
    rng, head = random.Random(seed), ChainHead()  # noqa: S311 - repeatable, not secret
    for row in ROWS[:20]:
        bad = at(rng.choice([1, 25, 10**12, row[0] + MISSING]), row)
        worse = (*bad[:1], rng.randbytes(32), rng.randbytes(3), ())
        head.take(*rng.choice([row, row, row, bad, worse]))
    for row in ROWS[20:29]:
        head.take(*row)
    assert head.take(*FORGED) is Link.BREAKS
