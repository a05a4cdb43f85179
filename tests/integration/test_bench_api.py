"""The API's benchmark in its short form: every part runs against a real database."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bonewatch.bench.api import SHORT, measure


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A benchmark quiets the log of its process."""
    yield
    structlog.reset_defaults()


def test_every_part_is_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert measure(SHORT, as_json=True) in {0, 1}
    figures = json.loads(capsys.readouterr().out)
    assert figures["measurements"] == SHORT.days * SHORT.patients_a_day
    assert min(figures[part][0] for part in ("gate", "page", "bare", "port")) > 0
    assert figures["gate_rate"] > 0
