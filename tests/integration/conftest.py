"""Fixtures of the tests that talk DICOM."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.ris import VirtualRis
from tests.integration.dicom_rig import DicomRig, running


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
