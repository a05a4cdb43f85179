"""What console, API and command line ask about alerts: what stands, who was told, and that somebody takes one."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
import structlog

from alerts import metrics
from alerts.book import Alert, Book
from alerts.change import Change
from alerts.condition import Severity
from alerts.deliveries import ChannelTrouble, Unreached
from alerts.links import Linked, LinkError, Links
from alerts.policy import NotAcknowledged, Note, acknowledge
from alerts.queue import Queue
from alerts.told import Happening, HistoryRow

USED: Final = "This link was used before"
GONE: Final = "The alerts of this link are not kept any more"


class Telling(msgspec.Struct, frozen=True):
    """Somebody was told of an alert, by which channel, when."""

    person: str
    channel: str
    at: datetime


class AlertView(msgspec.Struct, frozen=True):
    """An alert, and who was told of it."""

    alert: Alert
    told: tuple[Telling, ...] = ()


class Answered(NamedTuple):
    """What became of an acknowledgement, alert by alert: taken, or why not."""

    taken: tuple[Alert, ...]
    refused: tuple[str, ...]


class Desk:
    """The alerts of one site; safe from any thread.

    Parameters
    ----------
    queue
        Book, deliveries, history.
    links
        Opens the links of messages.
    unreached_s
        A message that no channel has taken for so long has reached nobody.
    clock
        The aware time now.
    """

    def __init__(
        self,
        queue: Queue,
        links: Links,
        *,
        unreached_s: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._queue, self._links, self._clock = queue, links, clock
        self._unreached_s = unreached_s
        self._listeners: list[Callable[[], None]] = []
        self._logger = structlog.get_logger("alerts")
        self.failing = ""
        """Why nothing is looked for at the moment; empty when all is well."""

    # --- looking -------------------------------------------------------------------------------------------

    def open(self) -> list[AlertView]:
        """Return the alerts that stand, the most urgent first, of those what nobody takes, by when they matter."""
        return self._views(sorted(self._queue.book().alerts.values(), key=_urgency))

    def resolved(self, most: int = 20) -> list[AlertView]:
        """Return the alerts that are over, the latest first."""
        return self._views(self._queue.book().resolved[::-1][:most])

    def view(self, alert_id: str) -> AlertView | None:
        """Return one alert, open or lately over."""
        alert = self._queue.book().alert(alert_id)
        return None if alert is None else self._views([alert])[0]

    def history(self, alert_id: str) -> list[HistoryRow]:
        """Return what happened to one alert, the oldest first."""
        return self._queue.history_of([alert_id])

    def troubles(self) -> list[ChannelTrouble]:
        """Return the channels that do not take what waits for them."""
        return self._queue.troubles()

    def unreached(self) -> list[Unreached]:
        """Return the messages about open alerts that have reached nobody, neither their person nor anybody after."""
        book = self._queue.book()
        open_ids = {alert.id for alert in book.alerts.values()}
        told = {telling.alert for telling in self._tellings(open_ids)}
        waiting = self._queue.unreached(queued_before=self._clock().timestamp() - self._unreached_s)
        return [one for one in waiting if open_ids & set(one.note.alerts) - told]

    def _views(self, alerts: Iterable[Alert]) -> list[AlertView]:
        found = list(alerts)
        rows = self._tellings({alert.id for alert in found})
        return [AlertView(alert, tuple(_telling(row) for row in rows if row.alert == alert.id)) for alert in found]

    def _tellings(self, alerts: Iterable[str]) -> list[HistoryRow]:
        return [row for row in self._queue.history_of(alerts) if row.what is Happening.TOLD]

    # --- taking --------------------------------------------------------------------------------------------

    def acknowledge(self, alert_id: str, person: str) -> Alert | NotAcknowledged:
        """Put on record that somebody takes an alert."""
        with self._queue.changing() as change:
            answered = self._take(change, (alert_id,), person)
        self.changed()
        return answered.taken[0] if answered.taken else NotAcknowledged(answered.refused[0])

    def linked(self, token: str) -> tuple[Linked, list[AlertView]]:
        """Return what a link stands for and its alerts, without changing anything.

        Raises
        ------
        LinkError
            It is not right, expired, used, or its alerts are not kept any more.
        """
        linked, note = self._opened(token)
        if self._queue.used_at(linked.note, linked.person) is not None:
            raise LinkError(self._used(note))
        return linked, [view for alert in note.alerts if (view := self.view(alert)) is not None]

    def acknowledge_linked(self, token: str) -> tuple[Linked, Answered]:
        """Put on record that the person of a link takes its alerts; the link serves once. Raises as `linked`."""
        linked, note = self._opened(token)
        with self._queue.changing() as change:
            if not change.use_link(linked.note, linked.person, self._clock().timestamp()):
                raise LinkError(self._used(note))
            answered = self._take(change, note.alerts, linked.person)
        self.changed()
        return linked, answered

    def _take(self, change: Change, alerts: Sequence[str], person: str) -> Answered:
        taken, refused, now = [], [], self._clock()
        for alert_id in alerts:
            match acknowledge(change.book, alert_id, person, now):
                case NotAcknowledged(why):
                    refused.append(why)
                case Book() as book:
                    change.keep(book, now.timestamp())
                    taken += [alert for alert in [book.alert(alert_id)] if alert is not None]
        self._logger.info("alerts_acknowledged", alerts=[alert.id for alert in taken], refused=len(refused))
        return Answered(tuple(taken), tuple(refused))

    def _opened(self, token: str) -> tuple[Linked, Note]:
        linked = self._links.opened(token, self._clock())
        note = self._queue.note(linked.note)
        if note is None or note.person != linked.person:
            raise LinkError(GONE)
        return linked, note

    def _used(self, note: Note) -> str:
        book = self._queue.book()
        found = [alert for id_ in note.alerts if (alert := book.alert(id_)) is not None]
        names = sorted({alert.acknowledged_by for alert in found if alert.acknowledged_by})
        return f"{USED}; {' and '.join(names)} is dealing with it" if names else USED

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever alerts have changed, without blocking; return how to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changed(self) -> None:
        """Count anew, and tell those who listen."""
        self.count()
        self.tell()

    def count(self) -> None:
        """Let the gauges say what is open."""
        alerts = self._queue.book().alerts.values()
        for severity in Severity:
            of_it = [alert for alert in alerts if alert.condition.severity is severity]
            metrics.OPEN.labels(severity.value).set(len(of_it))
            metrics.UNTAKEN.labels(severity.value).set(sum(not alert.acknowledged_by for alert in of_it))

    def tell(self) -> None:
        """Tell those who listen that there is something new to show."""
        for listener in list(self._listeners):
            listener()


def _urgency(alert: Alert) -> tuple[int, bool, bool, str, datetime]:
    needs_by = alert.condition.needs_by
    later = "" if needs_by is None else needs_by.isoformat()
    rank = list(Severity).index(alert.condition.severity)
    return rank, bool(alert.acknowledged_by), needs_by is None, later, alert.raised_at


def _telling(row: HistoryRow) -> Telling:
    return Telling(row.person, row.channel, datetime.fromtimestamp(row.at, UTC))
