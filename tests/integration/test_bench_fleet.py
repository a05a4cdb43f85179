"""The fleet's benchmark runs: every part on a tiny load, its figures there. Nothing is timed."""

import json

import pytest

from bonewatch.bench import fleet


def test_every_part_of_the_fleets_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    fleet.measure(fleet.TINY, as_json=True)
    lines = {line["what"]: line for line in json.loads(capsys.readouterr().out)}
    for part in ("worker", "sink", "forwarder, after a backlog", "plain Faust with a Table", "our desk on Faust"):
        assert float(lines[part]["figure"].split()[0].replace(",", "")) > 0
