"""How often may be asked: the API by each caller and address, the pages about patients by each person."""

import threading
import time
from collections import deque
from datetime import datetime, timedelta
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from litestar.exceptions import TooManyRequestsException

from dashboards.access.settings import ApiSettings

LOOK_UPS_AN_HOUR: Final = 120
"""How many patients one person may look up before a scan, one each half minute (local policy)."""

DAYS_SHOWN_AN_HOUR: Final = 240
"""How often one person may have a day's measurements shown (local policy)."""

_HOUR: Final = timedelta(hours=1)
_CALLER: Final = "caller"
_ADDRESS: Final = "address"
_PASSWORD: Final = "password"  # noqa: S105 - a kind of request


class ApiLimits:
    """Counts in memory: a restart begins anew.

    Those who are known count for themselves, not for their address: behind a proxy all have the same.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def count_caller(self, key: str) -> None:
        """Count a request of somebody known; TooManyRequestsException beyond the limit."""
        await self._count(self._settings.requests_a_minute, _CALLER, key)

    async def count_address(self, address: str) -> None:
        """Count a request of nobody known, or one whose credential is to be checked."""
        await self._count(self._settings.unknown_requests_a_minute, _ADDRESS, address)

    async def count_password(self, address: str) -> None:
        """Count a name and password to be checked; strangers' requests from the same address are not among them."""
        await self._count(self._settings.requests_a_minute, _PASSWORD, address)

    async def _count(self, limit: int, kind: str, key: str) -> None:
        if not limit:
            return
        item = RateLimitItemPerMinute(limit)
        if not await self._limiter.hit(item, kind, key):
            reset = (await self._limiter.get_window_stats(item, kind, key)).reset_time
            raise too_many("Too many requests in a minute", reset - time.time())


class HourlyLimit:
    """How often each person may do something within an hour. In memory: a restart begins anew."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._done: dict[str, deque[datetime]] = {}
        self._lock = threading.Lock()

    def count(self, who: str, now: datetime) -> datetime | None:
        """Count one more time; beyond the limit count nothing and return when the next may be."""
        with self._lock:
            done = self._done.setdefault(who, deque())
            while done and now - done[0] >= _HOUR:
                done.popleft()
            if len(done) >= self.most:
                return done[0] + _HOUR
            done.append(now)
            return None


def too_many(words: str, wait_s: float) -> TooManyRequestsException:
    """Return the answer 429 that says when to come back."""
    return TooManyRequestsException(words, headers={"Retry-After": str(max(1, int(wait_s + 0.999)))})
