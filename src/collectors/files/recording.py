"""Rows into the log, in order of time: new ones recorded, known ones counted, contradicting ones refused.

The log is asked first, so that a cumulative export writes nothing twice and a conflict is never an event. Whether a row
was recorded live or as history says nothing of its content: an export that repeats it later is the same row.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from collectors.files.content import CONFLICT, Content, Reject
from collectors.files.rows import Mapped, with_source
from collectors.files.settings import FilesSettings
from streams import codec
from streams.fold.state import VENDOR_QC
from streams.messages import CalibrationCheckRead, CheckJudged, Draft, PhantomMeasured, QcJudged, Source
from streams.site import EventConflictError, Receipt

BATCH: Final = 64
"""Rows of one commit: a scanner that sends meanwhile waits for no more than these."""

Recorded = Callable[[str], tuple[str, bytes] | None]
"""Device and encoded fact of an event by its id, as the log holds them; None where it does not."""

_SAID_BEFORE: Final = "it was recorded before with other content; the recorded one stands"


class Tally(msgspec.Struct):
    """What became of a file's rows; `verdicts` counts how the new ones were judged, `subjects` phantom by phantom."""

    new: int = 0
    seen: int = 0
    history: int = 0
    first: datetime | None = None
    last: datetime | None = None
    subjects: dict[str, Counter[str]] = msgspec.field(default_factory=dict)

    def count(self, row: Mapped, became: str) -> None:
        """Count one row by what became of it."""
        self.subjects.setdefault(subject_of(row), Counter())[became] += 1
        self.first = row.measured_at if self.first is None else min(self.first, row.measured_at)
        self.last = row.measured_at if self.last is None else max(self.last, row.measured_at)


class Recorder:
    """Records what files say.

    Parameters
    ----------
    append
        Commits drafts of one device, all or none.
    recorded
        What the log holds under an event's id.
    settings
        When a row is history, and how many rejects are kept.
    clock
        Says what time it is, UTC.
    batch
        Rows of one commit.
    """

    def __init__(
        self,
        append: Callable[[Sequence[Draft]], Receipt],
        recorded: Recorded,
        settings: FilesSettings,
        *,
        clock: Callable[[], datetime],
        batch: int = BATCH,
    ) -> None:
        self._append, self._recorded, self._settings, self._clock = append, recorded, settings, clock
        self._batch = batch

    def record(self, content: Content, *, on_rows: Callable[[int, int], None] = lambda _count, _of: None) -> Tally:
        """Record the rows of a file; conflicts become rejects of it. `on_rows` is told how many of how many are done.

        Raises
        ------
        SiteUnavailableError
            Nothing can be recorded now; record the same content again later.
        """
        tally = Tally()
        for place in range(0, len(content.taken), self._batch):
            rows = content.taken[place : place + self._batch]
            self._record(list(self._unknown(rows, content, tally)), content, tally)
            on_rows(place + len(rows), len(content.taken))
        return tally

    def compare(self, content: Content) -> Tally:
        """Say what `record` would do, and record nothing; conflicts become rejects of the content."""
        tally = Tally()
        for row in self._unknown(content.taken, content, tally):
            self._count_new(row, tally)
        return tally

    def _unknown(self, rows: Sequence[Mapped], content: Content, tally: Tally) -> Iterator[Mapped]:
        """Yield the rows that the log does not hold, each from the source that it counts as."""
        oldest_live = self._clock() - timedelta(days=self._settings.history_days)
        for row in rows:
            known = self._recorded(row.draft.event_id)
            if known is None:
                source = Source.HISTORY if row.measured_at < oldest_live else Source.IMPORT
                yield row._replace(draft=with_source(row.draft, source))
            elif _is_same(known, row.draft):
                tally.seen += 1
                tally.count(row, "seen")
            else:
                self._refuse(row, content, tally)

    def _record(self, rows: Sequence[Mapped], content: Content, tally: Tally) -> None:
        if not rows:
            return
        try:
            receipt = self._append([row.draft for row in rows])
        except EventConflictError:  # somebody recorded one of them just now
            if len(rows) == 1:
                self._refuse(rows[0], content, tally)
                return
            for row in rows:
                self._record([row], content, tally)
            return
        for row in rows:
            if row.draft.event_id in receipt.duplicates:
                tally.seen += 1
                tally.count(row, "seen")
            else:
                self._count_new(row, tally)
        for record in receipt.outcomes:
            if isinstance(record.outcome, QcJudged) and record.outcome.revision == 0:
                tally.subjects[record.outcome.phantom_id][record.outcome.verdict] += 1
            elif isinstance(record.outcome, CheckJudged):
                tally.subjects[record.outcome.standard_id][record.outcome.verdict] += 1

    @staticmethod
    def _count_new(row: Mapped, tally: Tally) -> None:
        tally.new += 1
        tally.history += getattr(row.draft.fact, "source", None) is Source.HISTORY
        tally.count(row, "new")

    def _refuse(self, row: Mapped, content: Content, tally: Tally) -> None:
        """Refuse a row that contradicts the log; what it says is of a phantom or a standard, so it may be kept."""
        tally.count(row, CONFLICT)
        text = codec.encode(row.draft.fact).decode()
        content.reject(Reject(row.line, CONFLICT, _SAID_BEFORE, (text,)), self._settings)


def subject_of(row: Mapped) -> str:
    """Return whose row it is: a phantom, a standard, or the scanner's own QC."""
    fact = row.draft.fact
    if isinstance(fact, PhantomMeasured):
        return fact.phantom_id
    return fact.standard_id if isinstance(fact, CalibrationCheckRead) else VENDOR_QC


def _is_same(known: tuple[str, bytes], draft: Draft) -> bool:
    """Whether the log holds this very content, recorded as history or not."""
    drafts = (with_source(draft, source) for source in (Source.IMPORT, Source.HISTORY))
    return any(known == (one.device, codec.encode(codec.in_utc(one.fact))) for one in drafts)
