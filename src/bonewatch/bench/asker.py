"""Asks the API from another process: what to ask comes by standard input, times go to standard output, as JSON."""

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

WARM_UP: Final = 10


def main() -> None:
    """Ask for the gate, then for pages beginning all over the years, over one connection."""
    asked: dict[str, Any] = json.loads(sys.stdin.read())
    began, asks = datetime.fromisoformat(asked["began"]), int(asked["asks"])
    place = urlsplit(asked["url"])
    connection = HTTPConnection(place.hostname or "", place.port, timeout=30.0)

    def get(path: str) -> None:
        connection.request("GET", path, headers={"Authorization": f"Bearer {asked['token']}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} was answered with {answer.status}: {body[:200]!r}")

    def gate(_: int) -> None:
        get("/api/v1/devices/dxa-1/gate")

    def page(number: int) -> None:
        since = began + timedelta(days=asked["days"] * number / asks)
        query = {"device": "dxa-1", "since": since.isoformat(), "limit": asked["page"]}
        get(f"/api/v1/measurements?{urlencode(query)}")

    told = {"gate": _timed(gate, asks), "page": _timed(page, asks)}
    connection.close()
    sys.stdout.write(json.dumps(told))


def _timed(ask: Callable[[int], None], asks: int) -> list[float]:
    for number in range(WARM_UP):
        ask(number % asks)
    seconds = []
    for number in range(asks):
        started = time.perf_counter()
        ask(number)
        seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
