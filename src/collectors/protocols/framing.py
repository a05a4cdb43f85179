"""Cuts a stream into frames, in bounded memory and alike for any pieces that it comes in."""

import re
from typing import NamedTuple


class Frame(NamedTuple):
    """What stood between two ends; `overlong` is a piece of what was too long to be a frame."""

    data: bytes
    overlong: bool = False


class Frames:
    """Cuts where a frame ends; the end is left out, and empty frames are dropped.

    Parameters
    ----------
    ends
        Single bytes each of which ends a frame.
    sequence
        Or bytes that end a frame together.
    longest
        Longest frame; what is longer comes out in overlong pieces of at most this length.
    """

    def __init__(self, ends: bytes = b"", *, sequence: bytes = b"", longest: int = 256) -> None:
        self._ends = re.compile(re.escape(sequence) if sequence else b"[" + re.escape(ends) + b"]")
        self._longest = longest
        self._most = longest + max(0, len(sequence) - 1)  # what is kept may end with a part of the sequence
        self._rest = b""
        self._is_overlong = False

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete."""
        *whole, self._rest = self._ends.split(self._rest + data)
        frames: list[Frame] = []
        for piece in whole:
            if self._is_overlong or len(piece) > self._longest:
                frames += self._pieces(piece)
                self._is_overlong = False
            elif piece:
                frames.append(Frame(piece))
        while len(self._rest) > self._most:
            frames.append(Frame(self._rest[: self._longest], overlong=True))
            self._rest, self._is_overlong = self._rest[self._longest :], True
        return frames

    def _pieces(self, data: bytes) -> list[Frame]:
        starts = range(0, len(data), self._longest)
        return [Frame(data[start : start + self._longest], overlong=True) for start in starts]
