"""JSON on the wire and in the log: one encoder and decoder a type, NaN and infinity refused."""

import math
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from streams.messages import Event, Fact, RecordedOutcome

_encoder: Final = msgspec.json.Encoder(order="deterministic")
_event_decoder: Final = msgspec.json.Decoder(Event)
_outcome_decoder: Final = msgspec.json.Decoder(RecordedOutcome)


class UndecodableError(ValueError):
    """Bytes are not a message of a version that this program knows."""


def encode(message: Event | RecordedOutcome | Fact) -> bytes:
    """Return canonical JSON; equal messages give equal bytes."""
    return _encoder.encode(message)


def decode_event(data: bytes) -> Event:
    """Return the event in `data`; raise `UndecodableError` for anything else."""
    try:
        return _event_decoder.decode(data)
    except (ValueError, RecursionError) as error:  # msgspec.DecodeError is one, bytes that are no UTF-8 another
        raise UndecodableError(str(error)) from error


def decode_outcome(data: bytes) -> RecordedOutcome:
    """Return the outcome in `data`; raise `UndecodableError` for anything else."""
    try:
        return _outcome_decoder.decode(data)
    except (ValueError, RecursionError) as error:  # msgspec.DecodeError is one, bytes that are no UTF-8 another
        raise UndecodableError(str(error)) from error


def in_utc(fact: Fact) -> Fact:
    """Return the fact with every time in UTC: one instant has one spelling in the log."""
    times = {
        name: value.astimezone(UTC)
        for name in fact.__struct_fields__
        if isinstance(value := getattr(fact, name), datetime) and value.tzinfo is not UTC
    }
    return msgspec.structs.replace(fact, **times) if times else fact


def refuse_non_finite(fact: Fact) -> None:
    """Raise ValueError, naming the field, if a number in `fact` is NaN or infinite (JSON has neither)."""
    _refuse_in(msgspec.structs.asdict(fact), type(fact).__name__)


def _refuse_in(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} is {value}; a reading must be a finite number")
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_in(item, f"{where}.{name}")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            _refuse_in(item, f"{where}[{index}]")
