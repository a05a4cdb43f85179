"""Texts as PostgreSQL can hold them: without NUL, which becomes U+FFFD, in JSON too."""

from typing import Any, Final

import msgspec

_json: Final = msgspec.json.Encoder(order="deterministic")
_NUL: Final = "\x00"
_INSTEAD: Final = "\ufffd"


def cleaned(text: str) -> str:
    """Return a text with every NUL replaced."""
    return text.replace(_NUL, _INSTEAD)


def cleaned_value(value: Any) -> Any:
    """Return a value of a row with every NUL in its texts replaced."""
    if isinstance(value, str):
        return cleaned(value)
    return [cleaned_value(item) for item in value] if isinstance(value, list) else value


def json_text(value: Any) -> str:
    """Return JSON without the one escape that jsonb refuses."""
    text = _json.encode(value)
    if b"\\u0000" in text:
        text = _json.encode(_spelled(msgspec.json.decode(text)))
    return text.decode()


def _spelled(value: Any) -> Any:
    """Replace NUL in a decoded JSON value, in keys too."""
    if isinstance(value, dict):
        return {cleaned_value(name): _spelled(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    return cleaned_value(value)
