"""Fixtures of the tests that talk DICOM, and one PostgreSQL for all that want a database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.ris import VirtualRis
from tests.integration.dicom_rig import DicomRig, running
from tests.postgres import bare_database, database, embedded, server

__all__ = ["bare_database", "database", "embedded", "server"]  # fixtures, used by their names


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[DicomRig]:
    """An application entity without a RIS."""
    with running(tmp_path) as rig:
        yield rig


@pytest.fixture
def ris() -> Iterator[VirtualRis]:
    """A running virtual RIS with nothing booked."""
    ris = VirtualRis()
    ris.start()
    yield ris
    ris.stop()


@pytest.fixture
def ris_rig(tmp_path: Path, ris: VirtualRis) -> Iterator[DicomRig]:
    """An application entity with the virtual RIS behind it."""
    with running(tmp_path, ris) as rig:
        yield rig
