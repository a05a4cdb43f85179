"""Syslog messages on their way to their device's keeper: senders known by configuration, floods bounded and counted."""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple

import structlog

from collectors.fault_logs.keeper import LogKeeper, LogLine
from collectors.fault_logs.metrics import LOST, UNKNOWN
from collectors.fault_logs.syslog import message_from_bytes
from streams.messages import Draft
from streams.site import SiteUnavailableError

WAITING_LINES: Final = 2_000
WAITING_BYTES: Final = 4 * 1024 * 1024
"""Of one source: a device that floods fills its own queue and no other's."""
TOGETHER: Final = 256
RETRY_S: Final = 0.5


class Source(NamedTuple):
    """Who may speak for a device: an address or network, and where given the host's name in the message."""

    network: IPv4Network | IPv6Network
    host: str
    keeper: LogKeeper


class _Queue:
    """What waits for one keeper."""

    def __init__(self, keeper: LogKeeper) -> None:
        self.keeper = keeper
        self.lines: deque[tuple[int, LogLine]] = deque()
        self.size = 0

    def is_full(self, size: int) -> bool:
        return len(self.lines) >= WAITING_LINES or self.size + size > WAITING_BYTES


class SyslogIntake:
    """Takes messages from any thread; one thread of its own has them recorded, from `start` to `stop`.

    Parameters
    ----------
    sources
        Who may send, in the order of the configuration; the first that fits is taken.
    clock
        Says what time it is, UTC.
    """

    def __init__(self, sources: Sequence[Source], *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._sources = [(source, _Queue(source.keeper)) for source in sources]
        self._of_address = lru_cache(maxsize=1024)(self._found)
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="syslog intake", daemon=True)
        self._logger = structlog.get_logger("collectors.fault_logs")

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()

    def stop(self) -> None:
        """Record what waits, while the site still commits, and end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def knows(self, address: str) -> bool:
        """Whether anything from this address may be a device's."""
        return bool(self._of_address(address))

    def offer(self, address: str, data: bytes, transport: str) -> bool:
        """Take one message; False if its source's queue is full, and then nothing is taken.

        A message of nobody that is configured is counted and dropped: it is never waited for.
        """
        message = message_from_bytes(data)
        host = message.host.lower()
        queue = next((q for s, q in self._of_address(address) if not s.host or s.host.lower() == host), None)
        if queue is None:
            UNKNOWN.labels(transport).inc()
            return True
        second = self._clock().isoformat(timespec="seconds")
        text = f"{message.app}: {message.text}" if message.app else message.text
        place = ("syslog", address, hashlib.sha256(data).hexdigest(), second)
        with self._changed:
            if self._stopped or queue.is_full(len(data)):
                return False
            queue.lines.append((len(data), LogLine(place, text, message.severity)))
            queue.size += len(data)
            self._changed.notify_all()
        return True

    def lose(self, address: str, why: str) -> None:
        """Count a message that could not be taken in."""
        found = self._of_address(address)
        LOST.labels(found[0][0].keeper.device if found else "unknown", why).inc()

    def _found(self, address: str) -> list[tuple[Source, _Queue]]:
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return []
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return [(source, queue) for source, queue in self._sources if ip in source.network]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or any(queue.lines for _, queue in self._sources))
                if self._stopped and not any(queue.lines for _, queue in self._sources):
                    return
            for _, queue in self._sources:
                if queue.lines and not self._record(queue):
                    return

    def _record(self, queue: _Queue) -> bool:
        """Have the oldest lines recorded, however long that takes; False where the site ends before."""
        batch = [line for _, (_, line) in zip(range(TOGETHER), list(queue.lines), strict=False)]
        drafts = self._judged(queue.keeper, batch)
        while not self._recorded(queue.keeper, drafts):
            with self._changed:
                if self._changed.wait_for(lambda: self._stopped, RETRY_S):
                    return False
        with self._changed:
            for _ in batch:
                queue.size -= queue.lines.popleft()[0]
        return True

    def _judged(self, keeper: LogKeeper, batch: Sequence[LogLine]) -> list[Draft]:
        keeper.look()
        return [draft for draft in map(keeper.judge, batch) if draft is not None]

    def _recorded(self, keeper: LogKeeper, drafts: Sequence[Draft]) -> bool:
        try:
            keeper.record(drafts)
        except SiteUnavailableError:
            return False
        return True
