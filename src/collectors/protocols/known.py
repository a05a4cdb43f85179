"""Protocols by the name that a configuration gives them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from collectors.protocols import mt_sics, nci
from collectors.protocols.esc import ASK as ESC_ASK
from collectors.protocols.esc import EscParser
from collectors.protocols.items import Parser
from collectors.protocols.mt_sics import MtSicsParser
from collectors.protocols.nci import NciParser
from collectors.protocols.profile import (
    LineSettings,
    Profile,
    ProfileError,
    ProfileParser,
    load_own,
    load_shipped,
    shipped,
)
from collectors.protocols.seca_460 import Seca460Parser


class Protocol(NamedTuple):
    """What a line needs: a fresh parser for each, its usual settings, what to send.

    Parameters
    ----------
    ask, ask_every_s
        What asks for a reading, and how often; empty: the device sends by itself.
    ask_serial, zero
        What asks for the device's serial number and what zeroes it; empty where there is no such command.
    tried
        Whether anybody has tried it on a device.
    """

    title: str
    parser: Callable[[], Parser]
    line: LineSettings
    ask: bytes = b""
    ask_every_s: float = 1.0
    ask_serial: bytes = b""
    zero: bytes = b""
    tried: bool = False


_MT_SICS: Final = Protocol(
    "MT-SICS (Mettler-Toledo)",
    MtSicsParser,
    LineSettings(),
    ask=mt_sics.ASK_NOW,
    ask_every_s=0.5,
    ask_serial=mt_sics.ASK_SERIAL,
    zero=mt_sics.ZERO,
)

_CODED: Final[dict[str, Protocol]] = {
    "mt-sics": _MT_SICS,
    "kern-kcp": _MT_SICS._replace(title="KCP (Kern)"),
    "seca-460": Protocol("seca 460 RS232", Seca460Parser, LineSettings(1200, 8, "even")),
    "esc": Protocol("Health o meter / Rice Lake ESC", EscParser, LineSettings(), ask=ESC_ASK),
    "nci": Protocol(
        "NCI / Avery Weigh-Tronix",
        NciParser,
        LineSettings(9600, 7, "even"),
        ask=nci.ASK,
        ask_every_s=0.5,
        zero=nci.ZERO,
    ),
}


def names() -> tuple[str, ...]:
    """Return the names of the protocols that come with Bonewatch."""
    return (*sorted(_CODED), *shipped())


def protocol(name: str, *, folder: Path = Path()) -> Protocol:
    """Return a protocol by name, or a site's own profile by the path of its file (which ends with ``.toml``).

    Parameters
    ----------
    folder
        Where a relative path starts.

    Raises
    ------
    ProfileError
        If there is no such protocol, or the profile does not hold.
    """
    if name in _CODED:
        return _CODED[name]
    if name.endswith(".toml"):
        return _from_profile(load_own(folder / name))
    if name in shipped():
        return _from_profile(load_shipped(name))
    raise ProfileError(f"there is no protocol {name!r}; there are {', '.join(names())}, or the path of your own .toml")


def _from_profile(profile: Profile) -> Protocol:
    return Protocol(
        profile.title,
        lambda: ProfileParser(profile),
        profile.line,
        ask=profile.poll.command.encode("ascii"),
        ask_every_s=profile.poll.every_s,
        ask_serial=profile.poll.serial.encode("ascii"),
        zero=profile.poll.zero.encode("ascii"),
        tried=profile.tried,
    )
