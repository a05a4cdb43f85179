"""How long the console and the API take to answer, by route: never by address, which may hold an identity."""

from typing import Final

from litestar.middleware.base import DefineMiddleware
from litestar.plugins.prometheus import PrometheusConfig

BUCKETS_S: Final[list[str | float]] = [0.005, 0.02, 0.1, 0.3, 1.0, 5.0]
"""The aims stand among them: a gate within 20 ms, a page within 300 ms."""


def timed_requests() -> DefineMiddleware:
    """Return what times every request: ``bonewatch_http_request_duration_seconds`` and its companions."""
    config = PrometheusConfig(app_name="console", prefix="bonewatch_http", buckets=BUCKETS_S, group_path=True)
    return config.middleware
