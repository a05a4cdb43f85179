"""Where the hash chain of a site's log stands, as its records come: what follows, what breaks it, what jumps.

The position in a record's headers is not covered by the chain; the links are. So a row that continues the chain is
the next one whatever its headers say, and a position alone moves nothing.
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final, NamedTuple

from streams.chain import next_link

MISSING: Final = 1_000
"""Rows that may be missing on a topic in one place; a position further on is no site's."""
LOOSE: Final = 8
"""Links after which the next row may come, beside the one that the chain is known to have reached."""


class Link(Enum):
    """What a row is to the chain."""

    SOUND = auto()
    """It continues the chain, or comes behind a hole: nothing gainsays it."""
    OLD = auto()
    """The chain has passed its position: it came before, or was missing."""
    BREAKS = auto()
    MISPLACED = auto()
    """Its headers name a position that is not its own."""


class Reached(NamedTuple):
    """A position and its link; only where it is `sure` must the row of the next position continue it."""

    position: int
    link: bytes
    sure: bool


class ChainHead:
    """How far a site's chain was followed.

    A row that cannot be checked (one behind a hole) does not move the head; its link is kept beside it until a row
    continues it, as are those of records that could not be read. The first row after a take-over is believed, and
    its position as soon as the next one confirms it.

    Parameters
    ----------
    position, link
        Where it was left off by somebody who had checked it; 0 where nobody had.
    """

    def __init__(self, position: int = 0, link: bytes = b"") -> None:
        self._head = Reached(position, link, sure=True) if position and link else None
        self._loose: list[Reached] = []
        self._since = 0
        self._disputed: int | None = None
        self._old: Reached | None = None

    def take(self, position: int, link: bytes, body: bytes, outcomes: Iterable[bytes]) -> Link:
        """Take in the next row."""
        outcomes = tuple(outcomes)
        self._since += 1
        if self._head is None:
            self._head = Reached(position, link, sure=False)
            return Link.SOUND
        for before in (self._head, *self._loose):
            if next_link(before.link, body, outcomes) == link:
                return self._continued(before, position, link)
        if not self._head.sure:
            breaks = position == self._head.position + 1
            self._head = Reached(position, link, sure=False)
            return Link.BREAKS if breaks else Link.SOUND
        if position <= self._head.position:
            self._passed(Reached(position, link, sure=True), (body, *outcomes))
            return Link.OLD
        self._keep(Reached(self._head.position + 1, next_link(self._head.link, body, outcomes), sure=False))
        if position > self._head.position + self._since + MISSING:
            return Link.MISPLACED
        breaks = any(position == one.position + 1 for one in (self._head, *self._loose) if one.sure)
        self._keep(Reached(position, link, sure=not breaks))
        return Link.BREAKS if breaks else Link.SOUND

    def pass_over(self, position: int, link: bytes) -> None:
        """Take in what the headers of a record say that holds no row: the next one may follow it."""
        self._since += 1
        if self._head is not None and self._head.position < position <= self._head.position + self._since + MISSING:
            self._keep(Reached(position, link, sure=False))

    def _continued(self, before: Reached, position: int, link: bytes) -> Link:
        """Move the head to a row that continues the chain.

        Where it stands is known as soon as two rows that follow each other say so; until then either may lie.
        """
        assert self._head is not None  # noqa: S101 - it is what was continued, or stands beside that
        if position == before.position + 1 or position - 1 == self._disputed:
            self._move(Reached(position, link, sure=True))
            return Link.SOUND
        if before is self._head and before.sure:
            self._move(Reached(before.position + 1, link, sure=True))
            self._disputed = position
            return Link.MISPLACED
        if before is self._head:
            self._head = Reached(position, link, sure=False)
            return Link.SOUND
        self._keep(Reached(position, link, sure=False))
        return Link.SOUND

    def _passed(self, row: Reached, bodies: tuple[bytes, ...]) -> None:
        """Go back to where two rows follow each other: a log that is sent again, or a head that lied."""
        before, self._old = self._old, row
        follows = before is not None and row.position == before.position + 1
        if before is not None and follows and next_link(before.link, bodies[0], bodies[1:]) == row.link:
            assert self._head is not None  # noqa: S101 - what is old is behind it
            self._loose = [*self._loose, self._head][-LOOSE:]
            self._head, self._old = row, None

    def _move(self, to: Reached) -> None:
        disputed = self._disputed is not None and to.position == self._disputed + 1
        if self._head is None or not self._head.sure or disputed or to.position > self._head.position:
            self._head, self._since = to, 0
        self._loose = [one for one in self._loose if one.position > self._head.position]
        self._disputed = None

    def _keep(self, one: Reached) -> None:
        self._loose = [*self._loose, one][-LOOSE:]
