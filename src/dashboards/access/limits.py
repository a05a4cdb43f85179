"""How often the API may be asked: so often by each caller, so often from an address by whoever is not known."""

import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from litestar.exceptions import TooManyRequestsException

from dashboards.access.settings import ApiSettings

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


def too_many(words: str, wait_s: float) -> TooManyRequestsException:
    """Return the answer 429 that says when to come back."""
    return TooManyRequestsException(words, headers={"Retry-After": str(max(1, int(wait_s + 0.999)))})
