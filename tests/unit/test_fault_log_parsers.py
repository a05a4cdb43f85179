"""Syslog frames and messages, audit messages: as printed, in any pieces, among noise."""

import random
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.fault_logs.audit import AuditError, is_audit, line_from_audit
from collectors.fault_logs.framing import Message, Skipped, SyslogFrames
from collectors.fault_logs.syslog import Form, SyslogMessage, message_from_bytes
from streams.messages import Severity
from tests.fuzz_fault_logs import AUDIT_3881, AUDIT_A5, MESSAGES, UDP_3164, UDP_5424, counted, ended, fuzz

PIECES = st.lists(
    st.one_of(
        st.sampled_from(MESSAGES).map(ended),
        st.sampled_from(MESSAGES).map(counted),
        st.binary(max_size=40),
        st.text("<>1 90\n", max_size=40).map(str.encode),
        st.integers(1, 3000).map(lambda n: b"x" * n),
        st.integers(1, 3000).map(lambda n: b"<13>" + b"y" * n),
        st.just(b"9999 <13>"),
    ),
    max_size=12,
).map(b"".join)


def frames(data: bytes, longest: int = 1024) -> list[Message | Skipped]:
    reader = SyslogFrames(longest)
    return [*reader.feed(data), *reader.end()]


@given(PIECES)
@example(b"x" * 1009 + b"0" + counted(UDP_5424))  # a count cut within its digits, where a long line is cut
def test_byte_by_byte_gives_what_all_at_once_gives(data: bytes) -> None:
    reader = SyslogFrames(1024)
    single = [item for place in range(len(data)) for item in reader.feed(data[place : place + 1])]
    assert [*single, *reader.end()] == frames(data)


@given(PIECES, st.integers(1, 700))
@example(b"x" * 1009 + b"0" + counted(UDP_5424), 1)
def test_any_pieces_give_what_all_at_once_gives(data: bytes, size: int) -> None:
    reader = SyslogFrames(1024)
    pieces = [item for place in range(0, len(data), size) for item in reader.feed(data[place : place + size])]
    assert [*pieces, *reader.end()] == frames(data)


TOKENS = st.sampled_from([b"0", b"1", b"9", b" ", b"<", b">", b"\n", b"x", b"13 <13>ab", b"<1>", b"7 <1>", b"x" * 30])


@given(st.lists(TOKENS, max_size=60).map(b"".join), st.integers(20, 64), st.integers(1, 40))
def test_what_is_cut_near_the_longest_line_is_cut_alike_in_any_pieces(data: bytes, longest: int, size: int) -> None:
    reader = SyslogFrames(longest)
    pieces = [item for place in range(0, len(data), size) for item in reader.feed(data[place : place + size])]
    assert [*pieces, *reader.end()] == frames(data, longest)


def test_a_connection_may_count_and_may_end_with_lf() -> None:
    sent = [UDP_5424, UDP_3164, UDP_5424]
    assert frames(counted(UDP_5424) + ended(UDP_3164) + counted(UDP_5424)) == [Message(one) for one in sent]
    assert frames(b"<13>a\r\n\r\n<13>b\0\n\n") == [Message(b"<13>a"), Message(b"<13>b")]


def test_a_last_line_without_end_counts_and_half_a_counted_message_does_not() -> None:
    assert frames(b"<13>one\n<13>two") == [Message(b"<13>one"), Message(b"<13>two")]
    assert frames(b"<13>one\n20 <13>two") == [Message(b"<13>one"), Skipped(10)]
    assert frames(b"<13>one\n20") == [Message(b"<13>one"), Message(b"20")]


@pytest.mark.parametrize("frame", [counted, ended])
@pytest.mark.parametrize("length", [1, 15, 16, 17, 1023, 1024, 1025, 1026, 5000])
@pytest.mark.parametrize("noise", [b"x", b"<", b" "])
def test_after_noise_of_any_length_messages_are_read(frame: object, length: int, noise: bytes) -> None:
    """Noise may cost what stands within one longest message of it, or ends before an LF; never what comes after."""
    assert callable(frame)
    reader = SyslogFrames(1024)
    items = reader.feed(noise * length + frame(UDP_5424) * 40)
    assert items[-10:] == [Message(UDP_5424)] * 10


def test_overlong_messages_are_skipped_and_counted() -> None:
    long = b"<13>" + b"x" * 5000
    assert frames(ended(long) + ended(UDP_3164)) == [Skipped(len(long)), Message(UDP_3164)]
    assert frames(counted(long) + counted(UDP_3164)) == [Skipped(len(long)), Message(UDP_3164)]


@pytest.mark.parametrize("endless", [b"x", b"<", b"1", b" ", b"999999 <", b"\n", b"9 <1 "])
def test_an_endless_line_is_held_in_bounded_memory(endless: bytes) -> None:
    reader = SyslogFrames(8192)
    piece = endless * (4096 // len(endless))
    for _ in range(4):
        reader.feed(piece)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(200):
        reader.feed(piece)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 32_768


def test_noise_raises_nothing_and_all_of_it_stays_in_bounds() -> None:
    """A short run of the fuzzing that ``python -m tests.fuzz_fault_logs`` does at length."""
    assert fuzz(seed=1, count=300_000) > 100


# --- messages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            UDP_5424,
            SyslogMessage(
                "QA FAILED: spine phantom", Severity.ERROR, 16, "vm", "encore", "2026-11-21T20:46:18.151575+00:00",
                Form.RFC5424,
            ),
        ),
        (
            UDP_3164,
            SyslogMessage(
                "X-ray tube current low", Severity.WARNING, 16, "vm", "apex", "Nov 21 20:46:18", Form.RFC3164
            ),
        ),
        (
            b"<13>2026-11-21T20:46:18+00:00 vm apex[12]: a: b",
            SyslogMessage("a: b", Severity.NOTICE, 1, "vm", "apex", "2026-11-21T20:46:18+00:00", Form.RFC3164),
        ),
        (
            b"<13>Nov  1 20:46:18 vm no tag here",
            SyslogMessage("no tag here", Severity.NOTICE, 1, "vm", "", "Nov  1 20:46:18", Form.RFC3164),
        ),
        (b"<134>1 - - - - - -", SyslogMessage("", Severity.INFO, 16, form=Form.RFC5424)),
        (
            b'<134>1 - h a - - [x y="\\"]\\\\"][z] \xef\xbb\xbf\xc3\xa4',
            SyslogMessage("ä", Severity.INFO, 16, "h", "a", "", Form.RFC5424),
        ),
        (b"<134>1 - h a - - [x broken", SyslogMessage("1 - h a - - [x broken", Severity.INFO, 16)),
        (b"<13>hello", SyslogMessage("hello", Severity.NOTICE, 1)),
        (b"<999>hello", SyslogMessage("<999>hello")),
        (b"hello \xff", SyslogMessage("hello �")),
        (b"", SyslogMessage("")),
    ],
)  # fmt: skip
def test_messages_are_read_as_they_are_sent(data: bytes, said: SyslogMessage) -> None:
    assert message_from_bytes(data) == said


def test_the_count_that_logger_prints_is_the_messages_length() -> None:
    """`logger --octet-count` was seen to send ``104 <131>1 ...``; its text was not kept, so one of that length is."""
    head = b'<131>1 2026-11-21T20:46:18.151575+00:00 vm encore - - [timeQuality tzKnown="1" isSynced="0"] '
    message = head + b"x" * (104 - len(head))
    assert counted(message).startswith(b"104 <131>1 ")
    assert frames(counted(message)) == [Message(message)]


def test_hostile_structured_data_takes_no_time_that_grows() -> None:
    rng = random.Random(1)  # noqa: S311 - noise
    for _ in range(50):
        data = b"<13>1 - - - - - " + bytes(rng.choices(b'[]"\\ =a', k=60_000))
        assert message_from_bytes(data).facility == 1


# --- audit messages ------------------------------------------------------------------------------------------------


def test_both_forms_of_audit_message_are_read_and_name_no_patient() -> None:
    newer = (
        'AuditMessage event=110100 "Application Activity" type=110120 "Application Start" '
        'action=E outcome=8 description="detector not ready" source=DXA1'
    )
    older = (
        'AuditMessage event=110100 "Application Activity" type=110121 "Application Stop" action=E outcome=4 source=DXA1'
    )
    for text, line in ((AUDIT_A5, newer), (AUDIT_3881, older)):
        assert is_audit(text)
        assert line_from_audit(text) == line
        assert line_from_audit("noise " + text.replace("\n", " ")) == line


BOMB = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]>'


@pytest.mark.parametrize(
    "text",
    [
        '<?xml version="1.0"?>' + BOMB + "<AuditMessage>&y;</AuditMessage>",
        '<?xml version="1.0"?><!DOCTYPE AuditMessage SYSTEM "file:///etc/passwd"><AuditMessage/>',
        "<AuditMessage>&y;</AuditMessage>",
        "<AuditMessage><EventIdentification>",
        AUDIT_A5[:-30],
        "<AuditMessage>" + "<a>" * 20 + "</a>" * 20 + "</AuditMessage>",
        "<AuditMessage/><AuditMessage/>",
        "<AuditMessage>\x00</AuditMessage>",
        "<AuditMessage>\ud800</AuditMessage>",
        "no audit message",
    ],
)
def test_damaged_deep_and_typed_xml_is_refused(text: str) -> None:
    with pytest.raises(AuditError):
        line_from_audit(text)
