"""Fixtures that every kind of test may need."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

settings.register_profile("bonewatch", deadline=None)  # a test never times
settings.load_profile("bonewatch")

REFERENCE_DATA = Path(__file__).resolve().parents[2] / "shared" / "reference" / "data"


LONGEST_FILES = {
    "test_kill.py",
    "test_fleet_security.py",
    "test_interlock.py",
    "test_faust_worker.py",
    "test_fleet_kill.py",
}
"""Begun first, so that no process is left with one of them when the other has nothing to do any more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the others stay in their order."""
    items.sort(key=lambda item: item.path.name not in LONGEST_FILES)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A test that runs a command in this process leaves no configuration of logs to those after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """Directory of published series and tables; it lies beside the repository, not in it."""
    if REFERENCE_DATA.is_dir():
        return REFERENCE_DATA
    reason = f"published reference data not found at {REFERENCE_DATA}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
