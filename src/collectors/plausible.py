"""What no device can have measured, and no day on which it did, by whatever route it comes."""

from datetime import UTC, datetime
from typing import Final

MAX_PLAUSIBLE_G_CM2: Final = 5.0
"""No bone and no phantom is denser; a larger number is another unit or a fault."""
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""A time outside these is a scanner's unset clock, and near the ends of the calendar no arithmetic works."""
