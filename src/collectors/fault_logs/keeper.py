"""One log of one device: its lines judged by its rules, and what they come to recorded. One thread at a time.

A fault that is open is not logged again: what is open is asked of the site, so a fault that a device repeats every
minute stands once in the log, and is logged again only after somebody, or another line, has cleared it.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import structlog

from collectors.fault_logs.audit import AuditError, is_audit, line_from_audit
from collectors.fault_logs.metrics import LINES
from collectors.fault_logs.rules import Found, Rules
from streams.fold.device import OPEN_FAULTS
from streams.messages import Draft, FaultCleared, FaultLogged, Person, Severity, event_id
from streams.site import EventConflictError, SitePort

LOG: Final = Person("device log", "device")
"""Who logs and clears what a device's own log says."""
LAST_UNMATCHED: Final = 20
UNMATCHED_CHARS: Final = 300


class LogLine(NamedTuple):
    """One line and where it stood: `place` is the same for the same line delivered again, and for no other."""

    place: tuple[str, ...]
    text: str
    severity: Severity | None = None


class LogKeeper:
    """What one log's lines come to.

    Parameters
    ----------
    site
        Where facts go, and who says which faults are open.
    device
        Device key, ``site/device``.
    rules
        What its lines mean.
    facts_an_hour
        More are not recorded (see `_may`).
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        site: SitePort,
        device: str,
        rules: Rules,
        *,
        facts_an_hour: int = 240,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = device
        self._site, self._rules = site, rules
        self._allowed, self._clock = facts_an_hour, clock
        self._budget, self._filled_at = float(facts_an_hour), clock()
        self._open: dict[str, bool] = {}
        self._last: deque[str] = deque(maxlen=LAST_UNMATCHED)
        self._logger = structlog.get_logger("collectors.fault_logs").bind(device=device)

    @property
    def last_unmatched(self) -> tuple[str, ...]:
        """The last lines that no rule fitted; held in memory alone, for a line may name a patient."""
        return tuple(self._last)

    def look(self) -> None:
        """Ask the site what is open, before judging what comes next."""
        self._open = dict(self._site.open_faults(self.device))

    def judge(self, line: LogLine) -> Draft | None:
        """Return the fact that a line comes to, or None; what it would change is taken as changed."""
        text = self._text(line)
        judged = self._rules.judge(text, line.severity) if text else None
        if judged is None or judged.ignored:
            self._count("damaged" if judged is None and line.text else "ignored")
            return None
        if judged.found is None:
            self._count("unmatched")
            self._last.append(text[:UNMATCHED_CHARS])
            return None
        return (self._cleared if judged.found.clears else self._logged)(judged.found, line.place)

    def record(self, drafts: Sequence[Draft]) -> None:
        """Record facts; return once they are durable.

        Raises
        ------
        SiteUnavailableError
            Nothing can be committed now; `look`, judge and record again.
        """
        if not drafts:
            return
        try:
            self._site.append(drafts)
        except EventConflictError:
            if len(drafts) > 1:
                for draft in drafts:
                    self.record([draft])
                return
            self._count("conflict")  # the same line under other rules: what was recorded stands

    def _text(self, line: LogLine) -> str:
        if not is_audit(line.text):
            return line.text
        try:
            return line_from_audit(line.text)
        except AuditError:
            return ""

    def _logged(self, found: Found, place: tuple[str, ...]) -> Draft | None:
        name = fault_id(found.code)
        if self._open.get(name, False) or (name in self._open and not found.stops_scanning):
            self._count("open_already")
            return None
        if name not in self._open and not self._has_room(stops=found.stops_scanning):
            self._count("too_many_open")
            return None
        if not self._may(always=found.stops_scanning):
            return None
        self._open[name] = found.stops_scanning
        self._count("fault")
        fact = FaultLogged(
            name,
            found.text or f"Fault {found.code}",
            found.stops_scanning,
            LOG,
            found.code,
            found.severity,
            found.component,
        )
        return Draft(event_id("device log", self.device, *place), self.device, fact)

    def _cleared(self, found: Found, place: tuple[str, ...]) -> Draft | None:
        name = fault_id(found.code)
        if name not in self._open:
            self._count("not_open")
            return None
        if not self._may():
            return None
        del self._open[name]
        self._count("clear")
        fact = FaultCleared(name, found.text or "The device's log says that it is over", LOG)
        return Draft(event_id("device log", self.device, *place), self.device, fact)

    def _has_room(self, *, stops: bool) -> bool:
        """Whether one more may be open; one that stops scanning takes the place of one that does not."""
        if len(self._open) < OPEN_FAULTS:
            return True
        other = next((name for name, stopping in self._open.items() if not stopping), None)
        if not stops or other is None:
            return False
        del self._open[other]
        return True

    def _may(self, *, always: bool = False) -> bool:
        """Whether one more fact may be recorded this hour.

        A fault that stops scanning always may: clears may not, so it then stays open and is not logged again.
        """
        now = self._clock()
        self._budget = min(self._allowed, self._budget + (now - self._filled_at) * self._allowed / 3600.0)
        self._filled_at = now
        if self._budget < 1.0 and not always:
            self._count("too_often")
            return False
        self._budget = max(0.0, self._budget - 1.0)
        return True

    def _count(self, became: str) -> None:
        LINES.labels(self.device, became).inc()


def fault_id(code: str) -> str:
    """Return the identity of a fault that logs know by this code: one is open at a time on a device."""
    return event_id("device log", code)[:8]
