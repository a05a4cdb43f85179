"""Live updates: from a commit on the writer's thread to a page, in bounded memory whatever the page does."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx

from dashboards.live import BACKLOG, HEARTBEAT, REFRESH, LiveHub, LiveMessage
from tests.console_fakes import FAILED, FakeSite, department, held_gate
from tests.console_stage import FakeStage


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 10))


def commit_elsewhere(site: FakeSite, times: int = 1) -> None:
    """Change a gate as the writer does: from another thread."""
    writer = threading.Thread(target=lambda: [site.change("dxa-1", gate=held_gate(FAILED)) for _ in range(times)])
    writer.start()
    writer.join()


def test_a_commit_becomes_messages_that_name_the_device() -> None:
    async def story() -> None:
        site = department()
        hub = LiveHub(site, heartbeat_s=5)
        await hub.start()
        messages = hub.messages()
        assert await anext(messages) == REFRESH
        commit_elsewhere(site)
        assert {await anext(messages), await anext(messages)} == {
            LiveMessage("gate", "dxa-1"),
            LiveMessage("device", "dxa-1"),
        }
        hub.close()
        assert [message async for message in messages] == []
        assert not site.listeners

    run(story())


def test_a_page_that_does_not_read_gets_one_refresh_instead_of_a_backlog() -> None:
    async def story() -> None:
        site = department()
        hub = LiveHub(site, heartbeat_s=0.05)
        await hub.start()
        messages = hub.messages()
        assert await anext(messages) == REFRESH
        commit_elsewhere(site, times=BACKLOG * 3)
        await asyncio.sleep(0)
        received = []
        while (message := await anext(messages)) != HEARTBEAT:
            received.append(message)
        assert REFRESH in received
        assert len(received) <= BACKLOG
        await messages.aclose()  # type: ignore[attr-defined]
        assert hub.pages == 0
        hub.close()

    run(story())


def test_a_quiet_site_still_gives_signs_of_life() -> None:
    async def story() -> None:
        hub = LiveHub(department(), heartbeat_s=0.01)
        await hub.start()
        messages = hub.messages()
        assert [await anext(messages) for _ in range(3)] == [REFRESH, HEARTBEAT, HEARTBEAT]
        await messages.aclose()  # type: ignore[attr-defined]
        hub.close()

    run(story())


def test_pages_that_go_are_forgotten_and_a_stop_does_not_wait_for_those_that_stay(tmp_path: Path) -> None:
    stage = FakeStage(tmp_path, demo=False)
    for _ in range(5):
        with httpx.stream("GET", f"{stage.url}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert next(answer.iter_lines())
    deadline = time.monotonic() + 10
    while "bonewatch_live_pages 0.0" not in httpx.get(f"{stage.url}/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with httpx.stream("GET", f"{stage.url}/events") as answer:
        assert next(answer.iter_lines())
        started = time.monotonic()
        stage.end()
        assert time.monotonic() - started < 3
