"""What a receiver's acknowledgement means: MSA-1 (HL7 table 0008), and why, in the standard's words alone.

What it writes freely (MSA-3, ERR-8) is not taken: it may name a person.
"""

import re
from typing import Any, Final, NamedTuple

from hl7apy.parser import get_message_info, parse_segments

from publishing.delivery import Delivered, Postponed, Refused, Result
from publishing.er7 import VERSION

LONGEST: Final = 4_096
"""A longer segment of an answer is not looked at."""

ERRORS: Final = {
    "100": "segment sequence error",
    "101": "required field missing",
    "102": "data type error",
    "103": "table value not found",
    "200": "unsupported message type",
    "201": "unsupported event code",
    "202": "unsupported processing id",
    "203": "unsupported version id",
    "204": "unknown key identifier",
    "205": "duplicate key identifier",
    "206": "application record locked",
    "207": "application internal error",
}
"""HL7 table 0357."""
_TAKEN: Final = frozenset({"AA", "CA"})
_LATER: Final = frozenset({"AE", "CE"})
_NEVER: Final = frozenset({"AR", "CR"})
_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})(?:\^[0-9]{0,3}){0,5}", re.ASCII)


class Acknowledgement(NamedTuple):
    """An answer to one message: MSA-1, MSA-2, and an error code with its place where they are given."""

    code: str
    control_id: str
    error: str = ""
    place: str = ""

    @property
    def result(self) -> Result:
        """What it means for the message."""
        if self.code in _TAKEN:
            return Delivered()
        why = f"the receiver answers {self.code}"
        if self.error:
            why += f": {self.error} {ERRORS[self.error]}" + (f" at {self.place}" if self.place else "")
        return Refused(why) if self.code in _NEVER else Postponed(why, everything=False)


def acknowledgement(answer: bytes) -> Acknowledgement | None:
    """Return what an answer acknowledges; None where it is no acknowledgement of HL7 version 2."""
    lines = answer.decode(errors="replace").replace("\n", "\r").split("\r")
    found = [next((line for line in lines if line.startswith(name)), "") for name in ("MSH", "MSA", "ERR")]
    if not found[0] or not found[1] or max(map(len, found)) > LONGEST:
        return None
    try:
        return _read("\r".join(filter(None, found)))
    except Exception:  # noqa: BLE001 - hl7apy has many ways of not being able to read what is none
        return None


def _read(message: str) -> Acknowledgement | None:
    """Return what an acknowledgement says, by the separators that it declares itself, whatever its version."""
    separators: dict[str, str] = get_message_info(message)[0]
    segments = {one.name: one for one in parse_segments(message, VERSION, separators)}
    code, control_id = (_field(segments["MSA"], f"msa_{place}", separators) for place in (1, 2))
    if code not in _TAKEN | _LATER | _NEVER or not control_id:
        return None
    if "ERR" not in segments:
        return Acknowledgement(code, control_id)
    place, error = (_field(segments["ERR"], f"err_{place}", separators) for place in (2, 3))
    error = error.partition("^")[0]
    return Acknowledgement(code, control_id, error if error in ERRORS else "", place if _PLACE.fullmatch(place) else "")


def _field(segment: Any, name: str, separators: dict[str, str]) -> str:
    """Return the first repetition of a field, its parts between ``^``."""
    found = getattr(segment, name)
    if not found:
        return ""
    return str(found[0].to_er7(separators)).replace(separators["COMPONENT"], "^").strip()
