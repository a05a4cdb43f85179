"""The command line's ``pseudonym``: the versions of the keys that patients' pseudonyms are made with."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console

from bonewatch.configuration.loading import load
from bonewatch.data_folder import LOG_FILE, data_folder, open_log
from bonewatch.errors import ConfigError
from bonewatch.pseudonym_keys import newest_recorded
from collectors.errors import NoRoomError
from collectors.pseudonym import KeyMissingError, Pseudonyms

pseudonym_app: Final = cyclopts.App(name="pseudonym", help="Versions of the keys of patients' pseudonyms.")
out: Final = Console(highlight=False)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]
BeginAnew = Annotated[bool, Parameter(name="--begin-anew", negative="")]


class KeyStatus(msgspec.Struct, frozen=True):
    """A version of the keys, never the key."""

    version: int
    begins_anew: bool
    made_at: datetime


class KeysStatus(msgspec.Struct, frozen=True):
    """The keys of a site; `missing` are versions whose keys are lost."""

    version: int
    keys: list[KeyStatus]
    missing: list[int]


@pseudonym_app.command
def status(*, config: ConfigFile, as_json: AsJson = False) -> int:
    """Say which versions there are; exit status 1 where a key is lost."""
    pseudonyms = _pseudonyms(config)
    keys = [KeyStatus(key.version, key.begins_anew, key.made_at) for key in pseudonyms.held()]
    found = KeysStatus(pseudonyms.version, keys, pseudonyms.missing())
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        return 1 if found.missing else 0
    for key in keys:
        note = ", begins anew" if key.begins_anew else ""
        out.print(f"version {key.version} of {key.made_at.astimezone(UTC):%Y-%m-%d}{note}")
    if not keys and not found.missing:
        out.print("no key yet: the first is made for the first patient")
    for version in found.missing:
        out.print(
            f"[bold red]lost[/] version {version}: put its file back from a copy of the data folder", soft_wrap=True
        )
    return 1 if found.missing else 0


@pseudonym_app.command
def rotate(*, config: ConfigFile, begin_anew: BeginAnew = False) -> int:
    """Make the next version; a running site takes it up, and its database is renamed within seconds.

    Parameters
    ----------
    begin_anew
        Let nothing lead from older pseudonyms to new ones: everybody's earlier measurements are parted from later ones.
    """
    try:
        version = _pseudonyms(config).rotate(begin_anew=begin_anew)
    except KeyMissingError as error:
        raise ConfigError(str(error)) from error
    except NoRoomError as error:
        raise ConfigError("the key cannot be written into the data folder: nothing has changed") from error
    advice = "Take a copy of the data folder: it holds the keys."
    out.print(f"Pseudonyms are of version {version} from now on. {advice}", soft_wrap=True)
    return 0


def _pseudonyms(config: Path) -> Pseudonyms:
    """Return the site's keys; of one that the log tells of and that is not there it is noted that it is lost."""
    folder = data_folder(config, load(config).site.data_dir)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not there: this site has not run yet, or keeps its data elsewhere")
    pseudonyms = Pseudonyms(folder)
    if (folder / LOG_FILE).is_file():
        with open_log(folder) as log:
            pseudonyms.note_lost(newest_recorded(log))
    return pseudonyms
