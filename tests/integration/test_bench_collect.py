"""The benchmark of the front ends, in a short form: every line becomes durable, every protocol reads."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bonewatch.bench import collect, collect_store
from collectors.protocols.known import names
from tests.serial_frames import PRINTED


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A benchmark quiets the log of its process."""
    yield
    structlog.reset_defaults()


def test_every_part_takes_in_what_was_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    monkeypatch.setattr(collect, "FRAMES", 200)
    monkeypatch.chdir(str(tmp_path))
    assert collect.measure(600, as_json=True) == 0
    rates = json.loads(capsys.readouterr().out)["rates"]
    counts = {rate["part"]: rate["taken"] for rate in rates}
    assert counts["syslog TCP, durable"] == counts["syslog UDP, durable"] == 600
    assert {part.removeprefix("serial ") for part in counts if part.startswith("serial ")} == set(names())
    assert min(counts.values()) >= 199  # of some protocols the next frame's start ends the last


def test_every_server_keeps_every_object(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(collect_store, "ASSOCIATIONS", (2,))
    rates = collect_store.measure_stores(tmp_path, 10)
    kinds = ("reports", "images of 131 kB")
    assert [(rate.objects, rate.server) for rate in rates] == [
        (kind, server) for kind in kinds for server in ("storescp", "Orthanc", "Bonewatch")
    ]
    assert {(rate.associations, rate.sent, rate.kept) for rate in rates} == {(2, 10, 10)}
    of_reports = next(rate for rate in rates if rate.server == "Bonewatch")
    assert set(of_reports.spent_ms) == set(collect_store.PARTS)
    assert collect_store.ratio_to_orthanc(of_reports, rates) == of_reports.per_s / rates[1].per_s


def test_the_frames_are_those_that_the_manuals_print() -> None:
    assert {name: PRINTED[name][0][0] for name in names()} == collect.SENT
