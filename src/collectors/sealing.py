"""Sealing what may be a patient's before it is written: AES-256-GCM with a key of this site."""

import contextlib
import secrets
import threading
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from collectors.archive import write_durably
from collectors.errors import CollectorError, NoRoomError

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32

_log: Final = structlog.get_logger("collectors.sealing")


class SealBrokenError(CollectorError):
    """What was sealed cannot be opened: its key is another's, or its bytes were changed."""

    code = "seal_broken"

    def __str__(self) -> str:
        return "sealed with another key, or changed since"


class Seal:
    """Seals and opens with one key; safe from any thread.

    Parameters
    ----------
    path
        Where the key lies; made when something is first sealed, and readable by the site alone. It is kept in memory
        from its first use: what is sealed can be opened while the site runs, whatever becomes of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: bytes | None = None

    def close(self, name: str, data: bytes) -> bytes:
        """Return data sealed under a name.

        Raises
        ------
        NoRoomError
            The key cannot be written; or its file has gone or is another's, and the next run could not open this.
        """
        key, nonce = self._key_to_close_with(), secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, data, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """Return what was sealed under a name, or raise `SealBrokenError`."""
        try:
            return AESGCM(self.key()).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError from error

    def key(self) -> bytes:
        """Return the key that there is, and know it from now on; an empty one without."""
        with self._lock:
            self._known = self._known or self._on_disk()
            return self._known or b""

    def _key_to_close_with(self) -> bytes:
        with self._lock:
            if self._known is None and not self.path.exists():
                write_durably(self.path, AESGCM.generate_key(256), mode=0o600)
            on_disk = self._on_disk()
            if on_disk is None or on_disk != (self._known or on_disk):
                _log.error("key_missing", key=self.path.name)
                raise NoRoomError
            self._known = on_disk
            return on_disk

    def _on_disk(self) -> bytes | None:
        """Return the key of the file; None when it is missing or holds none."""
        with contextlib.suppress(OSError):
            key = self.path.read_bytes()
            return key if len(key) == _KEY_BYTES else None
        return None
