"""Folds a device anew from its rows on the topic, in memory that does not grow with them. Pure.

The rows go in as they stand on the topic, in any order and repeated, and as often as it takes. First they are surveyed:
how far they reach without a gap, a number with two contents or another log (eight bytes a row). Then they are folded in
the order of their numbers; of rows that stand before one of a lower number only so many are held, and the topic is gone
through once more for the rest.
"""

from array import array
from typing import Final, NamedTuple

from streams.envelope import LogRow
from streams.fleet.check import EPOCH, Kind, Known, Received, beginning, notice, parked_as, receive
from streams.messages import GateChanged, RecordedOutcome
from streams.refold import recorded

WINDOW: Final = 500
"""Rows of one device that are held because one of a lower number is still to come."""
MOST: Final = 4_000_000
"""Events of one device that can be folded anew; a number beyond them takes no room."""

_DIGEST: Final = 2**64 - 1


class OnTopic(NamedTuple):
    """A device on its site's topic: its rows as they came, and numbers of records there that could not be read."""

    rows: tuple[LogRow, ...]
    unread: frozenset[int] = frozenset()


class TakenUp(NamedTuple):
    """A device folded anew: its rows that had not been taken in before, and gates to be published after theirs."""

    known: Known
    rows: tuple[tuple[LogRow, Received], ...] = ()
    gates: tuple[RecordedOutcome, ...] = ()


class Survey:
    """What stands on a topic of one device.

    Parameters
    ----------
    log_id
        Of the log that it is known by; empty: the first that comes.
    """

    def __init__(self, log_id: str = "") -> None:
        self.log_id, self.other_log = log_id, ""
        self._digests = array("Q")
        self._highest = self._unread = self._twice = 0

    def take(self, row: LogRow) -> None:
        """Take in a row."""
        number, self.log_id = row.event.device_seq, self.log_id or row.event.log_id
        if row.event.log_id != self.log_id:
            self.other_log = self.other_log or row.event.log_id
            return
        self._highest = max(self._highest, number)
        if number > MOST:
            return
        if number > len(self._digests):
            self._digests.frombytes(bytes(self._digests.itemsize * (number - len(self._digests))))
        digest = hash((row.link, row.body)) & _DIGEST or 1
        stands = self._digests[number - 1]
        if not stands:
            self._digests[number - 1] = digest
        elif stands != digest:
            self._twice = min(self._twice or number, number)

    def pass_over(self, number: int) -> None:
        """Take in the number of a record that cannot be read, or breaks the chain."""
        self._unread = max(self._unread, number)

    @property
    def is_empty(self) -> bool:
        """Whether there is no row of the log."""
        return not self._highest

    def reach(self) -> int:
        """Return the last number to which there is one row of each."""
        try:
            whole = self._digests.index(0)
        except ValueError:
            whole = len(self._digests)
        return min(whole, self._twice - 1) if self._twice else whole

    def behind(self, number: int) -> str:
        """Return why nothing follows a number, or empty where nothing is there to follow."""
        if self._twice == number + 1:
            return f"event {number + 1} came with two contents"
        if self._highest > number:
            return f"event {number + 1} is missing" if number < MOST else f"more than {MOST} events"
        return f"event {number + 1} cannot be read" if self._unread > number else ""


class TakingUp:
    """A device while it is folded from nothing, in the order of its numbers.

    Parameters
    ----------
    before
        The device as it was known.
    survey
        Of all its rows on the topic.
    """

    def __init__(self, before: Known, survey: Survey) -> None:
        self._before, self._survey = before, survey
        self._reach = 0 if survey.other_log else survey.reach()
        self._known = beginning(before.state.device, survey.log_id)
        self._window: dict[int, LogRow] = {}
        self._gates: dict[str, GateChanged] = {}

    @property
    def reached(self) -> int:
        """The last number folded."""
        return self._known.state.device_seq

    @property
    def is_done(self) -> bool:
        """Whether nothing more can be folded."""
        return self.reached >= self._reach

    def wants(self, number: int) -> bool:
        """Whether a row of this number could be taken now; 0 where the number is not known."""
        return not number or self.reached < number <= min(self._reach, self.reached + WINDOW)

    def take(self, row: LogRow) -> list[tuple[LogRow, Received]]:
        """Take in a row; return what became of it and of those that waited for it, if that was not known before."""
        number = row.event.device_seq
        if not self.wants(number) or row.event.log_id != self._survey.log_id:
            return []
        if number > self.reached + 1:
            self._window.setdefault(number, row)
            return []
        new = list[tuple[LogRow, Received]]()
        following: LogRow | None = row
        while following is not None:
            taken = receive(self._known, following)
            self._known = taken.known
            self._gates |= {o.outcome.mode: o.outcome for o in taken.outcomes if isinstance(o.outcome, GateChanged)}
            if self.reached > self._before.state.device_seq:
                new.append((following, taken))
            following = self._window.pop(self.reached + 1, None)
        return new

    def end(self) -> TakenUp:
        """Return the device as it stands now.

        Rows that came twice count once. What lies behind a missing or unreadable number, or one that stands there with
        two contents, is left out: the device is parked and its gates say so. A device that was known further than the
        topic reaches stays where it was known, parked; one with rows of another log is parked as forked. Otherwise it
        is no longer parked, and its last gates are published once more, under its number now, in the place of those
        that were held.
        """
        before, known = self._before, self._known
        if self._survey.other_log:
            return _still_parked(before, before, f"{Kind.FORKED}: rows of log {self._survey.other_log} stand there too")
        if self._survey.is_empty and (before.parked or not before.state.device_seq):
            return TakenUp(before)
        why = self._survey.behind(self.reached)
        if why or self.reached < before.state.device_seq:
            return _still_parked(before, known, why or f"event {self.reached + 1} is missing")
        again = notice(known, "taken_up", known.state.now or EPOCH)
        return TakenUp(known, (), recorded(again, self._gates.values()) if before.parked else ())


def take_up(before: Known, there: OnTopic) -> TakenUp:
    """Fold a device from nothing over rows that are all at hand (see `TakingUp.end`)."""
    survey = Survey(before.log_id)
    for row in there.rows:
        survey.take(row)
    for number in there.unread:
        survey.pass_over(number)
    taking, new = TakingUp(before, survey), list[tuple[LogRow, Received]]()
    while not taking.is_done:
        new += (taken for row in there.rows for taken in taking.take(row))
    return taking.end()._replace(rows=tuple(new))


def _still_parked(before: Known, known: Known, why: str) -> TakenUp:
    """Park a device as far as it could be folded, or where it was known if that is further."""
    if known.state.device_seq < before.state.device_seq:
        known = before
    held = parked_as(known, Kind.PARKED, why, known.state.now or EPOCH)
    return TakenUp(held.known, (), held.outcomes)
