"""Sealing what may be a patient's before it is written: AES-256-GCM with a key of this site."""

import secrets
import threading
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from collectors.archive import write_durably
from collectors.errors import CollectorError

_NONCE_BYTES: Final = 12


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
        Where the key lies; made at first use and readable by the site alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def close(self, name: str, data: bytes) -> bytes:
        """Return data sealed under a name; NoRoomError if the key cannot be written."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._key()).encrypt(nonce, data, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """Return what was sealed under a name, or raise `SealBrokenError`."""
        try:
            return AESGCM(self._key()).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except InvalidTag as error:
            raise SealBrokenError from error

    def _key(self) -> bytes:
        with self._lock:
            if not self.path.exists():
                write_durably(self.path, AESGCM.generate_key(256), mode=0o600)
            return self.path.read_bytes()
