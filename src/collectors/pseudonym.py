"""Pseudonyms of patients: the same for one person at one site, and nothing without the site's keys.

A pseudonym has the version of its key before the point, such as ``2.x1yz``. Version 1 is an HMAC of the patient's id,
each later one an HMAC of the pseudonym before it: whoever has the keys brings any old pseudonym up to the newest
version, though no patient's id is kept anywhere. A version that *begins anew* is again an HMAC of the patient's id;
nothing leads to it from the versions before.
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import threading
import unicodedata
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from msgspec.structs import replace

from collectors.archive import write_durably
from collectors.errors import NoRoomError
from streams.messages import Draft
from streams.site import EventConflictError, Receipt, SitePort

KEY_BYTES: Final = 32
_FILE: Final = re.compile(r"pseudonym(?:-([1-9][0-9]*)(-anew)?)?\.key")

_log: Final = structlog.get_logger("collectors.pseudonym")


class KeyMissingError(Exception):
    """A key that the newest version rests on is not there; the text names it and says what to do."""


class Key(NamedTuple):
    """One version's key; one that begins anew is applied to patients' ids, any other but the first to pseudonyms."""

    version: int
    begins_anew: bool
    secret: bytes
    made_at: datetime


class Keys(NamedTuple):
    """The keys that are there at one moment, by version, and the newest version then; 0 before there is any."""

    known: dict[int, Key]
    newest: int


class Pseudonyms:
    """Makes a site's pseudonyms; safe from any thread, and beside a rotation in another process.

    Parameters
    ----------
    data_dir
        Where the keys lie, one file a version, readable by the site alone; the first is made at first use.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir
        self._lock = threading.Lock()
        self._held = Keys({}, 0)
        self._is_told = False

    @property
    def version(self) -> int:
        """The newest key's version; 0 before there is any."""
        return self._keys().newest

    def held(self) -> list[Key]:
        """Return every key that is there, by version."""
        return [key for _, key in sorted(self._keys().known.items())]

    def missing(self) -> list[int]:
        """Return the versions whose keys are lost."""
        keys = self._keys()
        return [version for version in range(1, keys.newest + 1) if version not in keys.known]

    def of(self, patient_id: str) -> str:
        """Return a patient's pseudonym: 144 bits of HMAC-SHA-256 after the newest key's version.

        It is blank where a key that the newest version rests on is lost: never a pseudonym of another making.

        Raises
        ------
        NoRoomError
            If the first key cannot be written.
        """
        if not self.version:
            self._write(1, begins_anew=False)
        keys = self._keys()  # one moment's: a rotation meanwhile must not leave a patient without a name
        name = next((one for one in _names(keys, patient_id) if _version_of(one) == keys.newest), "")
        if not name and not self._is_told:
            self._is_told = True
            _log.error("pseudonym_key_missing", versions=self.missing(), see="bonewatch pseudonym status")
        return name

    def all_of(self, patient_id: str) -> tuple[str, ...]:
        """Return a patient's pseudonyms of every version that the keys reach, the newest first."""
        return _names(self._keys(), patient_id)

    def newest(self, pseudonym: str) -> str:
        """Return a pseudonym in the highest version that the keys bring it to; what is none of ours stays."""
        return ([pseudonym, *_upwards(self._keys(), pseudonym)])[-1]

    def note_lost(self, recorded: int) -> None:
        """Put an empty file in the place of a recorded version's key that is not there, so that no other takes it.

        Raises
        ------
        NoRoomError
            The disk is full or cannot be written.
        """
        if recorded > self.version:
            self._write(recorded, begins_anew=False, secret=b"")

    def rotate(self, *, begin_anew: bool = False) -> int:
        """Make the next version's key, durably; return its version. A crash leaves the old one or the new.

        Parameters
        ----------
        begin_anew
            Nothing is to lead from older pseudonyms to the new ones: one person's history ends and begins here.

        Raises
        ------
        KeyMissingError
            The newest version rests on a key that is lost: put it back, or begin anew.
        NoRoomError
            The disk is full or cannot be written; nothing has changed.
        """
        if not self.version:
            self._write(1, begins_anew=False)
        version = self.version + 1
        if not begin_anew and version - 1 not in map(_version_of, self.all_of("")):
            raise KeyMissingError(
                f"the key of version {', '.join(map(str, self.missing()))} is lost: put its file back from a copy of"
                " the data folder, or say --begin-anew, which parts every history at this point"
            )
        self._write(version, begins_anew=begin_anew)
        return version

    def _keys(self) -> Keys:
        """Return the keys, read again when a later version is there."""
        with self._lock:
            newest = self._held.newest
            if not newest or any((self._folder / name).exists() for name in _file_names(newest + 1)):
                found = _files(self._folder)
                known = {version: key for version, path in found.items() if (key := _read(version, path))}
                self._held = Keys(known, max(found, default=0))
            return self._held

    def _write(self, version: int, *, begins_anew: bool, secret: bytes | None = None) -> None:
        """Write a key where there is none of this version yet; who comes second uses the first one's."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise NoRoomError from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # other processes too
            if not any((self._folder / name).exists() for name in _file_names(version)):
                path = self._folder / _file_names(version)[begins_anew]
                write_durably(path, secrets.token_bytes(KEY_BYTES) if secret is None else secret, mode=0o600)
        finally:
            os.close(folder)


def append_once(site: SitePort, drafts: Sequence[Draft], names: Sequence[str]) -> Receipt:
    """Record facts of one person; what stands under another pseudonym of the person, or under none, is the same fact.

    It stands under none where it came while a key was lost; a draft has none where a key is lost now.

    Parameters
    ----------
    names
        The person's pseudonyms (`Pseudonyms.all_of`); none: that of the drafts alone counts.

    Raises
    ------
    EventConflictError, SiteUnavailableError
        As `SitePort.append` says.
    """
    try:
        return site.append(drafts)
    except EventConflictError:
        for name in (*names, "") if names else ():
            with suppress(EventConflictError):
                return site.append([_under(draft, name) for draft in drafts])
        raise


def _under(draft: Draft, name: str) -> Draft:
    """Return a draft with another pseudonym, where its fact is of a patient."""
    fact = draft.fact
    return replace(draft, fact=replace(fact, pseudonym=name)) if hasattr(fact, "pseudonym") else draft


def _names(keys: Keys, patient_id: str) -> tuple[str, ...]:
    """Return a patient's pseudonyms of every version that the keys reach, the newest first."""
    found = list[str]()
    for key in keys.known.values():
        if key.version == 1 or key.begins_anew:
            name = _name(key, _same_id(patient_id))
            found += [name, *_upwards(keys, name)]
    return tuple(sorted(found, key=_version_of, reverse=True))


def _upwards(keys: Keys, pseudonym: str) -> Iterator[str]:
    """Yield a pseudonym in each later version that the keys lead to."""
    version = _version_of(pseudonym)
    while version and (key := keys.known.get(version + 1)) is not None and not key.begins_anew:
        version, pseudonym = key.version, _name(key, pseudonym)
        yield pseudonym


def _same_id(patient_id: str) -> str:
    """Return an id as it counts: without outer blanks, in one case, in one Unicode form however it was typed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", patient_id.strip()).casefold())


def _name(key: Key, of: str) -> str:
    digest = hmac.digest(key.secret, of.encode(errors="surrogatepass"), hashlib.sha256)
    return f"{key.version}.{urlsafe_b64encode(digest[:18]).decode()}"


def _version_of(pseudonym: str) -> int:
    """Return the version that a pseudonym says; 0 for what is none of ours."""
    version, point, rest = pseudonym.partition(".")
    return int(version) if point and rest and version.isascii() and version.isdigit() and len(version) < 9 else 0


def _file_names(version: int) -> tuple[str, str]:
    """Return how the file of a version's key is called, and that of one that begins anew."""
    return "pseudonym.key" if version == 1 else f"pseudonym-{version}.key", f"pseudonym-{version}-anew.key"


def _files(folder: Path) -> dict[int, Path]:
    """Return the keys' files by version; one that was put back counts before the empty one in its place."""
    paths = sorted(folder.glob("pseudonym*.key"), key=lambda path: path.stat().st_size)
    named = ((path, _FILE.fullmatch(path.name)) for path in paths)
    return {int(found[1] or 1): path for path, found in named if found}


def _read(version: int, path: Path) -> Key | None:
    """Return a file's key; None where it holds none, which is as if it were lost."""
    try:
        secret, made_at = path.read_bytes(), datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        _log.error("pseudonym_key_unusable", file=path.name, error=type(error).__name__)
        return None
    if len(secret) != KEY_BYTES:
        _log.error("pseudonym_key_unusable", file=path.name)
        return None
    return Key(version, path.stem.endswith("-anew"), secret, made_at)
