"""Feeds what reads fault logs with mangled messages and noise: ``python -m tests.fuzz_fault_logs [--bytes N]``.

No byte may raise; what is fed in pieces gives what it gives at once; every byte is in a message, skipped, or part of a
frame; nothing is longer than it may be.
"""

import argparse
import random
import time

from collectors.fault_logs.audit import AuditError, is_audit, line_from_audit
from collectors.fault_logs.framing import Message, Skipped, SyslogFrames
from collectors.fault_logs.rules import CODE_CHARS, TEXT_CHARS, rules_from_toml
from collectors.fault_logs.syslog import SyslogMessage, message_from_bytes

PIECE = 4096
LONGEST = 2048

AUDIT_A5 = """<?xml version="1.0" encoding="UTF-8"?><AuditMessage>
<EventIdentification EventActionCode="E" EventDateTime="2026-11-21T20:46:18Z" EventOutcomeIndicator="8">
<EventID csd-code="110100" codeSystemName="DCM" originalText="Application Activity"/>
<EventTypeCode csd-code="110120" codeSystemName="DCM" originalText="Application Start"/>
<EventOutcomeDescription>detector not ready</EventOutcomeDescription></EventIdentification>
<ActiveParticipant UserID="operator-1" UserIsRequestor="true"/>
<AuditSourceIdentification AuditSourceID="DXA1"/>
<ParticipantObjectIdentification ParticipantObjectID="TEST-PATIENT-ID" ParticipantObjectTypeCode="1">
<ParticipantObjectName>TEST^PATIENT</ParticipantObjectName></ParticipantObjectIdentification></AuditMessage>"""
"""After PS3.15 A.5; made here, not taken from a device."""

AUDIT_3881 = """<AuditMessage><EventIdentification EventActionCode="E" EventDateTime="2026-11-21T20:46:18Z"
EventOutcomeIndicator="4"><EventID code="110100" codeSystemName="DCM" displayName="Application Activity"/>
<EventTypeCode code="110121" codeSystemName="DCM" displayName="Application Stop"/></EventIdentification>
<ActiveParticipant UserID="operator-1"/><AuditSourceIdentification AuditSourceID="DXA1"/>
<ParticipantObjectIdentification ParticipantObjectID="TEST-PATIENT-ID"/></AuditMessage>"""
"""After RFC 3881; made here, not taken from a device."""

UDP_5424 = (
    b"<131>1 2026-11-21T20:46:18.151575+00:00 vm encore - - "
    b'[timeQuality tzKnown="1" isSynced="0"] QA FAILED: spine phantom'
)
UDP_3164 = b"<132>Nov 21 20:46:18 vm apex: X-ray tube current low"
MESSAGES = [
    UDP_5424,
    UDP_3164,
    b"<13>2026-11-21T20:46:18.151575+00:00 vm apex[12]: E42 table belt slips",
    b"<134>1 - - - - - -",
    b"<85>1 2026-11-21T20:46:18Z vm dxa 1 IHE+RFC-3881 - \xef\xbb\xbf" + AUDIT_A5.replace("\n", " ").encode(),
    b"<85>1 2026-11-21T20:46:18Z vm dxa 1 IHE+RFC-3881 - " + AUDIT_3881.replace("\n", " ").encode(),
    b"no header at all",
]

RULES = rules_from_toml(
    r"""
title = "what is fuzzed"
[[rule]]
pattern = 'E(?P<code>\d+) (?P<text>.*)'
[[rule]]
pattern = '(?P<component>\w+) current (?P<severity>\w+)'
code = "current"
[[rule]]
pattern = 'AuditMessage event=(?P<code>\w+).*outcome=[48]'
[[rule]]
pattern = 'QA FAILED'
action = "clear"
code = "qa"
""",
    "the fuzzed rules",
)


def counted(message: bytes) -> bytes:
    """Frame by octet count."""
    return b"%d %b" % (len(message), message)


def ended(message: bytes) -> bytes:
    """Frame by LF."""
    return message + b"\n"


def stream(rng: random.Random, count: int) -> bytes:
    """Return messages in both frames, most of them mangled, among noise."""
    parts: list[bytes] = []
    size = 0
    while size < count:
        part = bytearray(rng.choice((counted, ended))(rng.choice(MESSAGES)))
        match rng.randrange(8):
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
                part.insert(rng.randrange(len(part)), rng.choice(b'<> \n\r\x0019"[]\\'))
            case 5:
                part = bytearray(rng.choice(b"x<1 ") for _ in range(rng.randrange(1, 3 * LONGEST)))
        parts.append(bytes(part))
        size += len(part)
    return b"".join(parts)[:count]


def read(data: bytes) -> SyslogMessage:
    """Read one message as the site does, and hold what comes out against its bounds."""
    message = message_from_bytes(data)
    line = message.text
    if is_audit(line):
        try:
            line = line_from_audit(line)
        except AuditError:
            line = ""
        assert "TEST" not in line
    found = RULES.judge(line, message.severity).found
    assert found is None or (0 < len(found.code) <= CODE_CHARS and len(found.text) <= TEXT_CHARS)
    return message


def fuzz(*, seed: int, count: int) -> int:
    """Feed noise; return how many messages came out. Raise AssertionError or what a parser raises."""
    rng = random.Random(seed)  # noqa: S311 - noise
    frames, fed, found = SyslogFrames(LONGEST), 0, 0
    while fed < count:
        piece = stream(rng, min(PIECE, count - fed))
        for item in frames.feed(piece):
            assert isinstance(item, Message | Skipped)
            if isinstance(item, Message):
                assert len(item.data) <= LONGEST
                read(item.data)
                found += 1
        if fed % (64 * PIECE) == 0:
            whole, single = SyslogFrames(LONGEST), SyslogFrames(LONGEST)
            by_bytes = [item for n in range(len(piece)) for item in single.feed(piece[n : n + 1])]
            assert by_bytes == whole.feed(piece)
            assert single.end() == whole.end()
        fed += len(piece)
    return found


def main() -> None:
    """Run what the command line asks for, and say what came out."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--bytes", type=int, default=10_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    wanted = arguments.parse_args()
    start = time.perf_counter()
    found = fuzz(seed=wanted.seed, count=wanted.bytes)
    print(f"{wanted.bytes:,} bytes, {found:,} messages, {time.perf_counter() - start:.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
