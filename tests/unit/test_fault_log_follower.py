"""A log file and crashes at the worst moments: what is recorded is what one reading without a crash records."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from collectors.fault_logs.follower import FileFollower
from collectors.fault_logs.keeper import LogKeeper
from collectors.fault_logs.rules import rules_from_toml
from streams.messages import Draft, Fact
from streams.site import Receipt
from tests.fakes import FakeSite

RULES = rules_from_toml(
    """title = "t"
[[rule]]
pattern = '[+](?P<code>[a-c])'
[[rule]]
pattern = '-(?P<code>[a-c])'
action = "clear"
""",
    "rules",
)


class Crash(Exception):  # noqa: N818 - it is what happens, not what is wrong
    """The process is gone."""


class CrashingSite(FakeSite):
    """A site that now and then is killed before or after it has committed."""

    def __init__(self, rng: random.Random | None = None) -> None:
        super().__init__()
        self.rng = rng

    def append(self, drafts: Sequence[Draft]) -> Receipt:
        before, after = (self.rng.random() < 0.2, self.rng.random() < 0.2) if self.rng else (False, False)
        if before:
            raise Crash
        receipt = super().append(drafts)
        if after:
            raise Crash
        return receipt


class Reading:
    """A log file that is read into a site, by one process after another."""

    def __init__(self, folder: Path, rng: random.Random | None) -> None:
        self.path, self._mark, self.site = folder / "scanner.log", folder / "mark.json", CrashingSite(rng)
        self._follower = self._fresh()
        self.read()

    def _fresh(self) -> FileFollower:
        return FileFollower(LogKeeper(self.site, "test-site/dxa-1", RULES, facts_an_hour=10_000), self.path, self._mark)

    def read(self) -> None:
        """Read to the end, however often it is killed on the way."""
        polls = 0
        while polls < 4:
            try:
                lines = self._follower._polled()
                assert self._follower._take(lines)
            except Crash:
                self.close()
                self._follower = self._fresh()
                polls = 0
            polls = 0 if lines else polls + 1

    def close(self) -> None:
        self._follower._tail.close()

    @property
    def facts(self) -> list[Fact]:
        return list(self.site.facts.values())


@pytest.mark.parametrize("seed", range(25))
def test_a_crash_anywhere_neither_loses_nor_doubles_nor_reorders(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a story
    readings = [Reading(_folder(tmp_path / name), chance) for name, chance in (("whole", None), ("killed", rng))]
    for number in range(30):
        lines = "".join(f"{number} {rng.choice('+++-x')}{rng.choice('abc')}\n" for _ in range(rng.randrange(12)))
        rotates = rng.random() < 0.2
        for reading in readings:
            with reading.path.open("a") as file:
                file.write(lines)
            if rotates:
                reading.path.rename(reading.path.with_name("scanner.log.1"))
            reading.read()
    whole, killed = (reading.facts for reading in readings)
    for reading in readings:
        reading.close()
    assert len(whole) > 20
    assert killed == whole


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
