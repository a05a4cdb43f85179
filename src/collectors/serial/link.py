"""How a device's line stands, as people would say it. Pure: what happens comes in with its time, in seconds.

A device that can be asked for its serial number is trusted once it has given the configured one, and not while it gives
another: two scales may have changed places. What cannot be asked is trusted, and the state says that it is unverified.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from collectors.protocols.items import DeviceError, Identity, Item, Noise, Reading

NOISY_WINDOW_S: Final = 10.0
NOISY_SHARE: Final = 0.5
"""Of the bytes of a window: more than this is not this protocol, or not these line settings."""
NOISY_BYTES: Final = 64
"""Fewer say nothing."""


class LinkState(StrEnum):
    """How a line stands."""

    AWAY = "away"
    OPEN = "open"
    UNVERIFIED = "unverified"
    HEARD = "heard"
    SILENT = "silent"
    NOISY = "noisy"
    SWAPPED = "swapped"


@dataclass
class Link:
    """One device's line.

    Parameters
    ----------
    serial
        The device's serial number as configured; empty: any will do.
    can_be_asked
        Whether its protocol has a question for the serial number.
    silent_after_s
        So long without a frame, and it is silent; None for a device that speaks only when a key is pressed.
    """

    serial: str = ""
    can_be_asked: bool = False
    silent_after_s: float | None = None
    state: LinkState = LinkState.AWAY
    why: str = "the port is not open yet"
    heard_serial: str = ""
    errors: int = 0
    _last_frame_s: float = 0.0
    _noise: list[tuple[float, int, int]] = field(default_factory=list)

    def opened(self, now_s: float) -> bool:
        """Take note that the port is open; return whether the state changed."""
        self.heard_serial, self._noise, self._last_frame_s = "", [], now_s
        return self._become(LinkState.OPEN, "the port is open; nothing has come yet")

    def closed(self, why: str) -> bool:
        """Take note that the port is gone; return whether the state changed."""
        return self._become(LinkState.AWAY, why)

    def took(self, items: Sequence[Item], count: int, now_s: float) -> tuple[list[Reading], bool]:
        """Take what `count` bytes came to; return this device's readings, and whether the state changed."""
        noise = sum(len(item.data) for item in items if isinstance(item, Noise))
        self._noise = [one for one in self._noise if now_s - one[0] <= NOISY_WINDOW_S] + [(now_s, count, noise)]
        trusted, changed = list[Reading](), False
        for item in items:
            if isinstance(item, Identity):
                self.heard_serial = item.serial
            if isinstance(item, DeviceError):
                self.errors += 1
            if not isinstance(item, Noise):
                self._last_frame_s = now_s
                changed |= self._heard()
            if isinstance(item, Reading) and self.is_trusted:
                trusted.append(item)
        return trusted, self._noisy() or changed

    def passed(self, now_s: float) -> bool:
        """Take note of time; return whether the state changed."""
        is_quiet = self.silent_after_s is not None and now_s - self._last_frame_s > self.silent_after_s
        if is_quiet and self.state not in {LinkState.AWAY, LinkState.NOISY}:
            return self._become(LinkState.SILENT, f"nothing has come for {self.silent_after_s:g} s: is it switched on?")
        return False

    @property
    def is_trusted(self) -> bool:
        """Whether a reading that comes now is this device's."""
        return self.state in {LinkState.HEARD, LinkState.UNVERIFIED} and not self._must_still_say

    @property
    def _must_still_say(self) -> bool:
        return bool(self.can_be_asked and self.serial and self.heard_serial != self.serial)

    def _heard(self) -> bool:
        if self.serial and self.heard_serial and self.heard_serial != self.serial:
            why = f"it says that it is {self.heard_serial}, not {self.serial}: are two devices swapped?"
            return self._become(LinkState.SWAPPED, why)
        if self._must_still_say:
            return self._become(LinkState.OPEN, "it speaks, and has not yet said its serial number")
        if self.heard_serial:
            return self._become(LinkState.HEARD, f"serial number {self.heard_serial}")
        return self._become(LinkState.UNVERIFIED, "its protocol does not tell its serial number")

    def _noisy(self) -> bool:
        count, noise = sum(one[1] for one in self._noise), sum(one[2] for one in self._noise)
        if count < NOISY_BYTES or noise <= NOISY_SHARE * count:
            return False
        why = f"{noise} of {count} bytes are not of this protocol: check protocol, baud rate and parity"
        return self._become(LinkState.NOISY, why, tell=False)

    def _become(self, state: LinkState, why: str, *, tell: bool = True) -> bool:
        """Change; only another state, or with `tell` other words, is news."""
        changed = state is not self.state or (tell and why != self.why)
        self.state, self.why = state, why
        return changed
