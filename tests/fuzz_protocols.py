"""Feeds every serial parser with mangled frames and noise: ``python -m tests.fuzz_protocols [--bytes N] [NAME ...]``.

No byte may raise; every item is of a known kind; what is fed in pieces gives what it gives at once (checked on a
share of the stream); noise never exceeds a kilobyte a piece.
"""

import argparse
import random
import time

from collectors.protocols.items import Answer, DeviceError, Identity, Noise, Reading
from collectors.protocols.known import names, protocol
from tests.serial_frames import PRINTED

PIECE = 4096
LONGEST_NOISE = 1024


def stream(rng: random.Random, frames: list[bytes], count: int) -> bytes:
    """Return frames, most of them mangled, among noise."""
    parts: list[bytes] = []
    size = 0
    while size < count:
        part = bytearray(rng.choice(frames))
        match rng.randrange(6):
            case 0:
                part = bytearray(rng.randbytes(rng.randrange(1, 80)))
            case 1:
                for _ in range(rng.randrange(1, 4)):
                    part[rng.randrange(len(part))] = rng.randrange(256)
            case 2:
                del part[rng.randrange(len(part)) :]
            case 3:
                part *= rng.randrange(1, 30)
            case 4:
                part.insert(rng.randrange(len(part)), rng.choice(b"\x02\x03\x1b\r\n?+-.,0 9"))
        parts.append(bytes(part))
        size += len(part)
    return b"".join(parts)[:count]


def fuzz(name: str, *, seed: int, count: int) -> int:
    """Feed one parser; return how many readings came out. Raise AssertionError or what the parser raises."""
    rng = random.Random(f"{name}-{seed}")  # noqa: S311 - noise
    parser, frames, found = protocol(name).parser(), [frame for frame, _ in PRINTED[name]], 0
    fed = 0
    while fed < count:
        piece = stream(rng, frames, min(PIECE, count - fed))
        items = parser.feed(piece)
        for item in items:
            assert isinstance(item, Reading | Identity | Answer | DeviceError | Noise)
            if isinstance(item, Noise):
                assert 0 < len(item.data) <= LONGEST_NOISE
            found += isinstance(item, Reading)
        if fed % (64 * PIECE) == 0:
            whole, single = protocol(name).parser(), protocol(name).parser()
            assert [i for n in range(len(piece)) for i in single.feed(piece[n : n + 1])] == whole.feed(piece)
        fed += len(piece)
    return found


def main() -> None:
    """Run what the command line asks for, and print a line a parser."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", default=list(names()))
    arguments.add_argument("--bytes", type=int, default=10_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    wanted = arguments.parse_args()
    for name in wanted.names:
        start = time.perf_counter()
        found = fuzz(name, seed=wanted.seed, count=wanted.bytes)
        print(f"{name:16} {wanted.bytes:,} bytes, {found:,} readings, {time.perf_counter() - start:.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
