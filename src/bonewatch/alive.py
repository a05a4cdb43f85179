"""Knows how long Bonewatch was not running: it leaves a mark while it runs, and reads it when it starts again.

A machine that was suspended starts nothing again: there two marks that should be half a minute apart tell of it.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from streams.messages import Draft, WatchInterrupted, event_id

MARK: Final = "last-alive"
EVERY_S: Final = 30.0
WORTH_TELLING: Final = timedelta(minutes=3)
"""A restart is no interruption; what was measured meanwhile is sent again by the devices."""


def interruption(data_dir: Path, devices: Sequence[str], now: datetime) -> list[Draft]:
    """Return what tells each device's record that nobody watched; nothing at a first start or after a short one."""
    since = _read(data_dir / MARK)
    if since is None or now - since < WORTH_TELLING:
        return []
    return interrupted(devices, since, now)


def interrupted(devices: Sequence[str], since: datetime, until: datetime) -> list[Draft]:
    """Return what tells each device's record that nobody watched between two times."""
    fact = WatchInterrupted(since, until)
    times = (since.isoformat(), until.isoformat())
    return [Draft(event_id("interrupted", device, *times), device, fact) for device in devices]


@contextmanager
def marked(
    data_dir: Path,
    clock: Callable[[], datetime],
    woken: Callable[[datetime, datetime], None] = lambda _since, _until: None,
    *,
    every_s: float = EVERY_S,
) -> Iterator[None]:
    """Leave the mark now, every half minute and at the end, for the length of a block.

    Where the mark before is older than a restart takes, the machine was suspended: `woken` is told from when to when,
    in the marking thread, before the mark is moved on.
    """
    stopped = threading.Event()

    def keep_marking() -> None:
        before, is_last = clock(), False
        while True:
            now = clock()
            if now - before >= WORTH_TELLING:
                woken(before, now)
            with suppress(OSError):  # a full disk is told where it matters
                _write(data_dir / MARK, now)
            if is_last:
                return
            before, is_last = now, stopped.wait(every_s)

    thread = threading.Thread(target=keep_marking, name="alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _read(path: Path) -> datetime | None:
    try:
        at = datetime.fromisoformat(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None
    return at.astimezone(UTC) if at.tzinfo is not None else None


def _write(path: Path, now: datetime) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(now.astimezone(UTC).isoformat() + "\n", encoding="ascii")
    os.replace(temporary, path)  # noqa: PTH105 - atomic
