"""Serial protocols: frames as printed, in any pieces, among noise; what is no measurement never becomes one."""

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.protocols.items import Answer, Condition, DeviceError, Identity, Item, Noise, Parser, Reading
from collectors.protocols.known import names, protocol
from tests.serial_frames import PRINTED, Said, esc, seca, value

FRAMES = [(name, frame, said) for name, printed in PRINTED.items() for frame, said in printed]
LONGEST_NOISE = 1024


def parser(name: str) -> Parser:
    return protocol(name).parser()


def readings(items: list[Item]) -> list[Reading]:
    return [item for item in items if isinstance(item, Reading)]


def as_said(reading: Reading) -> Said:
    said = None if reading.value is None else f"{reading.value.normalize():f}"
    return Said(said, reading.condition.value, reading.quantity.value, reading.imperial)


def normal(said: Said) -> Said:
    number = value(said)
    return said._replace(value=None if number is None else f"{number.normalize():f}")


def test_every_protocol_has_frames_here() -> None:
    assert set(PRINTED) == set(names())


@pytest.mark.parametrize(("name", "frame", "said"), FRAMES)
def test_a_printed_frame_says_what_its_manual_says(name: str, frame: bytes, said: list[Said]) -> None:
    assert [as_said(reading) for reading in readings(parser(name).feed(frame))] == [normal(one) for one in said]


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_only_a_stable_reading_is_a_measurement(name: str) -> None:
    for frame, said in PRINTED[name]:
        for reading, one in zip(readings(parser(name).feed(frame)), said, strict=True):
            number = value(one)
            assert reading.is_measurement == (one.condition == "stable" and number is not None and number >= 0)


def everything(name: str) -> bytes:
    return b"".join(frame for frame, _ in PRINTED[name])


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_byte_by_byte_is_all_at_once(name: str) -> None:
    whole = everything(name)
    one_by_one = parser(name)
    found = [item for place in range(len(whole)) for item in one_by_one.feed(whole[place : place + 1])]
    assert found == parser(name).feed(whole)
    assert len(readings(found)) == sum(len(said) for _, said in PRINTED[name])


@pytest.mark.parametrize("name", sorted(PRINTED))
@given(data=st.data())
def test_any_stream_gives_the_same_in_any_pieces(name: str, data: st.DataObject) -> None:
    frames = st.sampled_from([frame for frame, _ in PRINTED[name]])
    alphabet = st.sampled_from(sorted({*everything(name), 0, 2, 3, 13, 10, 27, 255}))
    noise = st.lists(alphabet, max_size=700).map(bytes)
    stream = b"".join(data.draw(st.lists(st.one_of(frames, noise), max_size=6)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    in_pieces = parser(name)
    assert [item for piece in pieces for item in in_pieces.feed(piece)] == parser(name).feed(stream)


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_after_noise_of_any_length_the_next_frames_are_read(name: str) -> None:
    """The first frame after noise may be lost with it; the second never is."""
    rng = random.Random(name)  # noqa: S311 - noise
    frame, said = PRINTED[name][0]
    wanted = [normal(one) for one in said]
    for length in (1, 7, 63, 64, 65, 255, 256, 257, 258, 5000):
        reader = parser(name)
        reader.feed(bytes(rng.choices(range(32, 127), k=length)))
        found = [as_said(reading) for reading in readings(reader.feed(frame * 3))]
        assert found[-2 * len(wanted) :] == wanted * 2, length


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_an_endless_line_is_held_in_bounded_memory_and_named(name: str) -> None:
    reader = parser(name)
    reader.feed(b"x" * 4096)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    pieces = 0
    for _ in range(200):
        items = reader.feed(b"x" * 4096)
        assert all(isinstance(item, Noise) and len(item.data) <= LONGEST_NOISE for item in items)
        pieces += len(items)
    del items
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pieces > 0
    assert after - before < 16_384


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_noise_raises_nothing_and_is_all_accounted_for(name: str) -> None:
    """A short run of the fuzzing that ``python -m tests.fuzz_protocols`` does at length."""
    from tests.fuzz_protocols import fuzz  # noqa: PLC0415 - its own command

    fuzz(name, seed=1, count=60_000)


# --- what must never be a kilogram ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("mt-sics", b"S D      70.45 kg\r\n"),
        ("mt-sics", b"S S      70.45 xy\r\n"),
        ("mt-sics", b"S S      70.4.5 kg\r\n"),
        ("mt-sics", b"S S      70.45 cm\r\n"),
        ("mt-sics", b"S S 70.45\r\n"),
        ("mt-sics", b"T S      70.45 kg\r\n"),
        ("esc", esc("R", "W999.9", "Nm", "E")),
        ("esc", esc("R", "W70.1", "E")),  # not said whether kg or lb
        ("esc", esc("R", "W70.1", "W70.2", "Nm", "E")),
        ("esc", esc("R", "W70.1", "Nm", "ZE10", "E")),
        ("esc", esc("R", "W70.1", "Nm", "ZE06", "E")),
        ("nci", b"\n 70.10kg\r\n10\r\x03"),
        ("nci", b"\n 70.10kg\r\n40\r\x03"),  # memory fault
        ("nci", b"\n 70.10kg\r\n04\r\x03"),  # ROM fault
        ("nci", b"\n 70.10kg\r\np0\r\x03"),  # fixed bits
        ("nci", b"\n 70.10kg\r\n\x03"),  # no status
        ("seca-460", seca("A007045201" + "00", crc="FF")),
        ("seca-460", seca("A007045200" + "00")),
        ("seca-460", seca("A007045280" + "00")),  # flags read the other way round
        ("seca-460", seca("B007045201" + "00")),
        ("seca-460", seca("A00704520100")[:-1].replace(b"7", b"8", 1) + b"\x03"),
        ("and-standard", b"US,+00070.45 kg\r\n"),
        ("and-standard", b"QT,+00070.45 kg\r\n"),
        ("and-standard", b"ST,+00070.45 pc\r\n"),
        ("and-indicator", b"ST,NT,+ 70.45kg\r\n"),
        ("toledo-8217", b"\x02?1\r"),
        ("sartorius-sbi", b"+    70.45    \r\n"),
        ("ohaus", b"      70.45 kg ?\r\n"),
        ("tanita-bc418", b"KD 70.4\r\n"),
        ("rice-lake-print", b"     70.4 kg Net  \r\n"),
        ("adam-muw", b"BMI: 23.9\r\n"),
    ],
)
def test_what_is_no_measurement_never_becomes_one(name: str, frame: bytes) -> None:
    assert not any(reading.is_measurement for reading in readings(parser(name).feed(frame)))
    good, said = PRINTED[name][0]
    after = readings(parser(name).feed(frame + good + good))
    assert as_said(after[-1]) == normal(said[-1])  # and what comes after it is read


def test_every_corrupted_character_of_a_block_with_crc_is_found() -> None:
    block = seca("A007045201" + "00")
    for place in range(1, len(block) - 5):
        for other in b"0123456789ABCDEF":
            if other != block[place]:
                changed = block[:place] + bytes([other]) + block[place + 1 :]
                assert readings(parser("seca-460").feed(changed)) == []


def test_pounds_are_converted_and_flagged() -> None:
    (reading,) = readings(parser("mt-sics").feed(b"S S     155.00 lb\r\n"))
    assert (str(reading.value), reading.unit, reading.imperial) == ("70.3068173500", "lb", True)


def test_flags_in_the_other_order_are_a_matter_of_configuration() -> None:
    from collectors.protocols.seca_460 import Seca460Parser  # noqa: PLC0415 - the one that has options

    (reading,) = readings(Seca460Parser(first_flag_is_high_bit=True).feed(seca("A007045280" + "00")))
    assert (reading.condition, str(reading.value)) == (Condition.STABLE, "70.45")
    (reading,) = readings(Seca460Parser(decimals=1).feed(seca("A000704201" + "00")))
    assert str(reading.value) == "70.4"


def test_devices_say_who_they_are_what_they_did_and_what_they_did_not_understand() -> None:
    items = parser("mt-sics").feed(b'I4 A "1234567"\r\nZ A\r\nZ I\r\nZI D\r\nES\r\nET\r\nEL\r\n')
    assert [item._replace(raw=b"") if not isinstance(item, Noise) else item for item in items] == [
        Identity("1234567"),
        Answer("Z", accepted=True),
        Answer("Z", accepted=False),
        Answer("ZI", accepted=True),
        DeviceError("ES"),
        DeviceError("ET"),
        DeviceError("EL"),
    ]
    assert parser("nci").feed(b"\n?\r\x03") == [DeviceError("?", b"\n?\r")]
    (identity, *_) = parser("esc").feed(esc("R", "I1234567890", "W70.1", "Nm", "E"))
    assert isinstance(identity, Identity)
    assert identity.serial == "1234567890"


def test_zero_and_a_negative_weight_are_told_apart() -> None:
    zero, negative = readings(parser("mt-sics").feed(b"S S       0.00 kg\r\nS S      -0.10 kg\r\n"))
    assert (zero.zero, zero.is_measurement) == (True, True)
    assert (negative.zero, negative.is_measurement) == (False, False)
