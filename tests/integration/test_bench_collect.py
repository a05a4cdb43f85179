"""The benchmark of the front ends, in a short form: every line becomes durable, every protocol reads."""

import json

import pytest

from bonewatch.bench import collect
from collectors.protocols.known import names
from tests.serial_frames import PRINTED


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


def test_the_frames_are_those_that_the_manuals_print() -> None:
    assert {name: PRINTED[name][0][0] for name in names()} == collect.SENT
