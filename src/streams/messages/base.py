"""What every message shares: its base, times, sources, people."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

UtcTime = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware time; the codec writes UTC."""


class Message(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """A fact or an outcome; its tag is its versioned type name."""


class Source(StrEnum):
    """How a reading reached us; `HISTORY` is of the past, for the record: late, it opens and holds nothing."""

    DICOM = "dicom"
    MANUAL = "manual"
    IMPORT = "import"
    SERIAL = "serial"
    HISTORY = "history"


class Person(msgspec.Struct, frozen=True):
    """A member of staff who acted, with the role they acted in."""

    name: str
    role: str
