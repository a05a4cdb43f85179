"""A worker's desk: rows of the sites it has in hand go in, what must be published comes out. Pure, and per site.

An adapter (a consumer group, Faust) brings records and takes away records in the order of DESIGN 6.2: outcomes
acknowledged, then the table, then the source.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from streams import codec
from streams.envelope import (
    Headers,
    LogRow,
    Record,
    RejectedRecordError,
    Rejection,
    dead_letter,
    record_from_outcome,
    record_from_read,
    refold_requested,
    row_from_record,
)
from streams.fleet.chain_head import ChainHead, Link
from streams.fleet.check import (
    Kind,
    Known,
    Received,
    beginning,
    blob_from_known,
    is_outdated,
    parked,
    receive,
)
from streams.fleet.comparable import comparable
from streams.fleet.site_life import SiteLife, blob_from_life, life_key
from streams.fleet.taking_up import TakenUp
from streams.messages import GateChanged, RecordedOutcome
from streams.record_border import place_of
from streams.topics import DEAD_LETTERS, GATES, OUTCOMES, READS, WORKER_STATES

GATE_KEY: Final = "#"
"""Between device and mode in the key of a gate: each mode's latest gate is kept."""


TOMBSTONE: Final = b""
"""A record with this value is sent without any: on a compacted topic it ends what stood under its key."""


@dataclass
class Plan:
    """What one batch of records leads to.

    `outcomes` and `reads` (for the comparison of scanners) are published first, then the `states` of the devices
    that changed; `counts` and `divergences` are for metrics and alarms, as are devices `parked` just now, with why.
    `gaps` are devices to be folded anew from the topic, each with its log: their rows are missing, or somebody asks.
    `lives` are those of sites that were forgotten, or begin anew; their devices of before have no state.
    """

    outcomes: list[tuple[str, Record]] = field(default_factory=list)
    states: dict[str, Known | None] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    divergences: list[str] = field(default_factory=list)
    parked: dict[str, str] = field(default_factory=dict)
    reads: list[tuple[str, Record]] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)
    lives: dict[str, SiteLife] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """Count one of a kind."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def records(self) -> list[tuple[str, Record]]:
        """Return the table's records, to be sent once the outcomes are acknowledged; a life before its devices."""
        blobs = {life_key(site): blob_from_life(life) for site, life in self.lives.items()}
        blobs |= {
            device.encode(): blob_from_known(known) if known else TOMBSTONE for device, known in self.states.items()
        }
        return [(WORKER_STATES, Record(device, blob, [])) for device, blob in blobs.items()]


class SiteDesk:
    """One site in a worker's hands: its devices as known, and where its hash chain stands.

    Parameters
    ----------
    site
        The site's id.
    known
        Its devices, restored from the worker's table.
    life
        Where its rows begin on its topic, from there too.
    """

    def __init__(self, site: str, known: Iterable[Known] = (), life: SiteLife | None = None) -> None:
        self.site = site
        self.life = life or SiteLife()
        self._known = {device.state.device: device for device in known}
        self._chain = ChainHead()

    def known(self, device: str) -> Known | None:
        """Return a device as it stands."""
        return self._known.get(device)

    def parked(self) -> int:
        """Return how many of its devices are parked."""
        return sum(bool(known.parked) for known in self._known.values())

    def renew(self, plan: Plan) -> None:
        """Have the devices folded anew whose states were made by other rules than those here."""
        for device, known in self._known.items():
            if is_outdated(known):
                plan.gaps[device] = known.log_id
                plan.count("outdated")

    def before(self, device: str, log_id: str) -> Known:
        """Return a device that is to be folded anew as it was known, or as one of a log that begins."""
        return self._known.get(device) or beginning(device, log_id)

    def take_up(self, plan: Plan, device: str, up: TakenUp, before: Known) -> Known:
        """Take a device over that was folded anew, once what of it had not been published is in the plan."""
        if up.known is before and not (before.parked or before.state.device_seq):
            return before  # somebody asked for a device that nobody has heard of
        plan.count("taken_up")
        at = up.known.state.now.isoformat() if up.known.state.now else ""
        plan.outcomes += [published(gate, at=at) for gate in up.gates]
        self._hold(plan, device, up.known)
        if up.known.parked:
            plan.parked[device] = up.known.parked
        return up.known

    def take(self, plan: Plan, key: bytes | None, value: bytes | None, headers: Headers, *, offset: int = 0) -> None:
        """Take in one record of the site's topic, from its offset there."""
        life = self.life.after(self.site, offset, headers)
        if life is not self.life:
            self._begin_anew(plan, life)
        if not life.has(offset):
            plan.count("forgotten")
            return
        asked_for = refold_requested(self.site, headers)
        if asked_for is not None:
            plan.gaps.setdefault(asked_for, self._known[asked_for].log_id if asked_for in self._known else "")
            return
        try:
            row = row_from_record(self.site, key, value, headers)
        except RejectedRecordError as error:
            self._pass_over(headers)
            self._refuse(plan, error, key, value, headers)
            return
        try:
            received = self._received(row)
        except RejectedRecordError as error:
            self._refuse(plan, error, key, value, headers)
            return
        if received.kind is Kind.GAP:
            plan.gaps[row.event.device] = row.event.log_id
        self.keep_row(plan, row, received)

    def keep_row(self, plan: Plan, row: LogRow, received: Received) -> None:
        """Put into the plan what became of a row."""
        self._keep(plan, row.event.device, received, at=row.event.recorded_at.isoformat())
        if received.kind is Kind.NEW:
            reads = comparable(row, received.known.state, received.outcomes)
            plan.reads += [(READS[type(read)], record_from_read(read)) for read in reads]

    def _received(self, row: LogRow) -> Received:
        """Take in a row as far as the chain allows; park the device whose row breaks it.

        A row whose place the chain has passed is new only if the topic says so, where what stands before it is.
        """
        link = self._chain.take(row.position, row.link, row.body, row.outcome_bodies)
        known, device = self._known.get(row.event.device), row.event.device
        if link is Link.MISPLACED:
            raise RejectedRecordError(Rejection.UNREADABLE, f"position {row.position} is not its own", device)
        if link is Link.BREAKS:
            why = f"{Kind.FORKED}: the chain breaks at position {row.position}"
            return parked(known, device, why, at=row.event.recorded_at)._replace(kind=Kind.FORKED)
        received = receive(known, row)
        if link is Link.OLD and received.kind is Kind.NEW:
            return Received(Kind.GAP, known or beginning(device, row.event.log_id))
        return received

    def _pass_over(self, headers: Headers) -> None:
        place = place_of(headers)
        if place is not None:
            self._chain.pass_over(place.position, place.link)

    def _refuse(
        self, plan: Plan, error: RejectedRecordError, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        """Park the device that a bad record belongs to; what belongs to nobody is a dead letter."""
        plan.count(error.rejection)
        if error.device is None or error.rejection is Rejection.FOREIGN_DEVICE:
            plan.outcomes.append((DEAD_LETTERS, dead_letter(Record(key or b"", value or b"", headers), str(error))))
            return
        received = parked(self._known.get(error.device), error.device, str(error))
        self._keep(plan, error.device, received, at="")

    def _keep(self, plan: Plan, device: str, received: Received, *, at: str) -> None:
        plan.count(received.kind)
        if received.unverified:
            plan.count("unverified")
        if received.divergence:
            plan.divergences.append(f"{device}: {received.divergence}")
        before = self._known.get(device)
        if received.known.parked and not (before and before.parked):
            plan.parked[device] = received.known.parked
            plan.gaps.pop(device, None)  # what was asked for before, or was missing, does not undo what came after it
        if received.known is not before:
            self._hold(plan, device, received.known)
        plan.outcomes += [published(outcome, at=at) for outcome in received.outcomes]

    def _hold(self, plan: Plan, device: str, known: Known) -> None:
        if known.life != self.life.forgotten_at:
            known = replace(known, life=self.life.forgotten_at)
        self._known[device] = plan.states[device] = known

    def _begin_anew(self, plan: Plan, life: SiteLife) -> None:
        """Drop all that is known of a site that was forgotten, or begin with the first row that counts.

        Its gates are ended on their topic: whoever follows it takes the next one whatever number it has.
        """
        for device, known in self._known.items():
            plan.outcomes += [(GATES, Record(gate_key(device, mode), TOMBSTONE, [])) for mode in known.state.gates]
            plan.states[device] = None
            plan.gaps.pop(device, None)
            plan.parked.pop(device, None)
        self._known, self._chain = {}, ChainHead()
        self.life = plan.lives[self.site] = life


def gate_key(device: str, mode: str) -> bytes:
    """Return the key of a gate: each mode's latest is kept."""
    return f"{device}{GATE_KEY}{mode}".encode()


def published(recorded: RecordedOutcome, *, at: str) -> tuple[str, Record]:
    """Return an outcome's topic and record."""
    record = record_from_outcome(recorded, codec.encode(recorded), at=at)
    if isinstance(recorded.outcome, GateChanged):
        record = record._replace(key=gate_key(recorded.device, recorded.outcome.mode))
    return OUTCOMES[type(recorded.outcome)], record
