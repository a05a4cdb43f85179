"""A protocol said in a file: lines of text, a regular expression for each form of line, units and words of status.

For devices that send plain lines, and for a site's own where the maker's protocol is not public. See
``docs/connect/your-own-profile.md`` for what a profile may say.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from collectors.protocols.framing import Frame, Frames
from collectors.protocols.items import Condition, DeviceError, Identity, Item, Noise, Quantity, Reading
from collectors.protocols.numbers import number
from collectors.protocols.units import INCHES_A_FOOT, UNITS, Unit, unit
from collectors.toml_file import TomlFileError, parsed, text_of

GROUPS: Final = frozenset(
    {"weight", "weight_unit", "height", "height_unit", "feet", "inches", "sign", "status", "serial", "error"}
)
"""Names that a group of a form's pattern may have."""

WITHOUT_VALUE: Final = frozenset({Condition.OVERLOAD, Condition.UNDERLOAD, Condition.INVALID})
LONGEST: Final = 1024


class ProfileError(TomlFileError):
    """A profile does not hold; the text names the file, the place and what to do."""


class LineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the serial line, as the device's manual gives them."""

    baud: int = 9600
    bits: Literal[7, 8] = 8
    parity: Literal["none", "even", "odd"] = "none"
    stop: Literal[1, 2] = 1
    flow: Literal["none", "xonxoff", "rtscts"] = "none"


class FrameSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a line of the device ends, and what does not belong to it.

    `ends` are characters each of which ends a line; everything up to the last `starts` is left out.
    """

    ends: str = "\r\n"
    starts: str = ""
    longest: int = 256


class PollSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the device is asked; nothing for one that sends by itself."""

    command: str = ""
    every_s: float = 1.0
    zero: str = ""
    serial: str = ""


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One form of line.

    `condition` holds where no status is in the line; `statuses` translates those that are. `weight_unit` and
    `height_unit` hold where the line does not say its unit.
    """

    pattern: str
    condition: Condition | None = None
    statuses: dict[str, Condition] = {}
    quantity: Quantity = Quantity.WEIGHT
    weight_unit: str = ""
    height_unit: str = ""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A protocol as its file says it; `tried` is whether anybody has tried it on a device."""

    title: str
    source: str
    forms: tuple[Form, ...]
    tried: bool = False
    makes: tuple[str, ...] = ()
    line: LineSettings = LineSettings()
    frame: FrameSettings = FrameSettings()
    poll: PollSettings = PollSettings()

    @cached_property
    def compiled(self) -> tuple[tuple[re.Pattern[str], Form], ...]:
        """The forms with their patterns."""
        return tuple((re.compile(form.pattern), form) for form in self.forms)


def shipped() -> tuple[str, ...]:
    """Return the names of the profiles that come with Bonewatch."""
    folder = resources.files("collectors.protocols") / "profiles"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_shipped(name: str) -> Profile:
    """Return a profile that comes with Bonewatch.

    Raises
    ------
    ProfileError
        If there is none of this name.
    """
    if name not in shipped():
        raise ProfileError(f"there is no profile {name!r}; there are {', '.join(shipped())}")
    text = (resources.files("collectors.protocols") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    return profile_from_toml(text, f"profile {name}")


def load_own(path: Path) -> Profile:
    """Return a site's own profile.

    Raises
    ------
    ProfileError
        If the file cannot be read or does not hold.
    """
    return profile_from_toml(text_of(path, ProfileError), str(path))


def profile_from_toml(text: str, where: str) -> Profile:
    """Return the profile that a file's text says; `where` is named in errors.

    Raises
    ------
    ProfileError
        If it does not hold.
    """
    return parsed(text, Profile, where, _faults, ProfileError)


def _faults(profile: Profile) -> Iterator[str]:
    if not profile.forms:
        yield "it has no [[forms]]"
    if not profile.frame.ends:
        yield "frame.ends names no character that ends a line"
    if not 1 <= profile.frame.longest <= LONGEST:
        yield f"frame.longest lies between 1 and {LONGEST}"
    if not all(text.isascii() for text in (profile.frame.ends, profile.frame.starts, *_commands(profile))):
        yield "frame.ends, frame.starts and the commands of poll are ASCII (write control characters as \\u0002)"
    for place, form in enumerate(profile.forms, 1):
        for fault in _faults_of(form):
            yield f"forms {place}: {fault}"


def _commands(profile: Profile) -> tuple[str, str, str]:
    return profile.poll.command, profile.poll.zero, profile.poll.serial


def _faults_of(form: Form) -> Iterator[str]:
    try:
        groups = set(re.compile(form.pattern).groupindex)
    except re.error as error:
        yield f"the pattern does not compile: {error}"
        return
    if groups - GROUPS:
        yield f"the pattern has groups {', '.join(sorted(groups - GROUPS))}; known are {', '.join(sorted(GROUPS))}"
    for name in ("weight", "height"):
        spelling: str = getattr(form, f"{name}_unit")
        if spelling and unit(spelling) is None:
            yield f"{name}_unit {spelling!r} is no unit; known are {', '.join(UNITS)}"
        if name in groups and not spelling and f"{name}_unit" not in groups:
            yield f"a {name} needs its unit: a group {name}_unit, or {name}_unit = ..."
    if ("feet" in groups) != ("inches" in groups):
        yield "feet and inches go together"
    if "status" in groups and not form.statuses:
        yield "the pattern has a group status, and no statuses say what it means"
    if "status" not in groups and form.condition is None and not groups & {"serial", "error"}:
        yield 'condition says how such a line stands ("stable" only if the device sends nothing else)'
    if not groups & {"weight", "height", "feet", "serial", "error"} and form.condition not in WITHOUT_VALUE:
        yield "the pattern has no group weight, height, feet and inches, serial or error"


class ProfileParser:
    """Reads lines as a profile says.

    Parameters
    ----------
    profile
        What it goes by.
    """

    def __init__(self, profile: Profile) -> None:
        self._forms, self._starts = profile.compiled, profile.frame.starts
        self._frames = Frames(profile.frame.ends.encode("ascii"), longest=profile.frame.longest)

    def feed(self, data: bytes) -> list[Item]:
        """Take bytes as they came; return what they complete."""
        return [item for frame in self._frames.feed(data) for item in self._items(frame)]

    def _items(self, frame: Frame) -> list[Item]:
        raw = frame.data
        if frame.overlong:
            return [Noise(raw, "longer than any line")]
        text = raw.decode("latin-1")
        start = max((text.rfind(character) for character in self._starts), default=-1)
        text = text[start + 1 :]
        if not text.strip():
            return []
        for pattern, form in self._forms:
            found = pattern.fullmatch(text)
            if found is not None:
                return _read(found.groupdict(), form, raw)
        return [Noise(raw, "no form of line that is known")]


def _read(groups: dict[str, Any], form: Form, raw: bytes) -> list[Item]:
    """Return what a line says; one that contradicts itself says nothing."""
    said: dict[str, str] = {name: text.strip() for name, text in groups.items() if text is not None}
    items: list[Item] = []
    if said.get("serial"):
        items.append(Identity(said["serial"], raw))
    if "error" in said:
        return [*items, DeviceError(said["error"], raw)]
    condition = form.statuses.get(said["status"]) if "status" in said else form.condition
    if condition is None:
        return items or [Noise(raw, "a status that is not known")]
    if condition in WITHOUT_VALUE:
        return [*items, Reading(form.quantity, None, condition, "", raw=raw)]
    if "weight" in said:
        known = unit(said.get("weight_unit") or form.weight_unit)
        items.append(_reading(Quantity.WEIGHT, said.get("sign", "") + said["weight"], known, condition, said, raw=raw))
    if "height" in said:
        known = unit(said.get("height_unit") or form.height_unit)
        items.append(_reading(Quantity.HEIGHT, said["height"], known, condition, said, raw=raw))
    if "feet" in said:
        items.append(_feet_and_inches(said, condition, raw))
    return items or [Noise(raw, "no reading")]


def _reading(
    quantity: Quantity, text: str, known: Unit | None, condition: Condition, said: dict[str, str], *, raw: bytes
) -> Item:
    value = number(text)
    if value is None or known is None or known.quantity is not quantity:
        return Noise(raw, f"no {quantity}")
    value = value * known.factor
    spelling = said.get(f"{quantity}_unit", "")
    return Reading(quantity, value, condition, spelling, known.imperial, zero=not value, raw=raw)


def _feet_and_inches(said: dict[str, str], condition: Condition, raw: bytes) -> Item:
    feet, inches = number(said["feet"]), number(said["inches"])
    if feet is None or inches is None or feet < 0 or feet % 1 or not 0 <= inches < INCHES_A_FOOT:
        return Noise(raw, "no height in feet and inches")
    height: Decimal = (feet * INCHES_A_FOOT + inches) * UNITS["in"].factor
    return Reading(Quantity.HEIGHT, height, condition, "ft in", imperial=True, zero=not height, raw=raw)
