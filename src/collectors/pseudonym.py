"""Pseudonyms of patients: the same for one person at one site, and nothing without the site's key."""

import hashlib
import hmac
import secrets
import threading
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Final

from collectors.archive import write_durably

KEY_VERSION: Final = "1"
"""Stands before each pseudonym; another key would be another version."""


class Pseudonyms:
    """Makes a site's pseudonyms; safe from any thread.

    Parameters
    ----------
    data_dir
        Where the key lies, as ``pseudonym.key``; made at first use and readable by the site alone.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "pseudonym.key"
        self._lock = threading.Lock()

    def of(self, patient_id: str) -> str:
        """Return a patient's pseudonym: 144 bits of HMAC-SHA-256 after the key's version.

        Raises
        ------
        NoRoomError
            If the key cannot be written.
        """
        digest = hmac.digest(self._key(), patient_id.strip().casefold().encode(), hashlib.sha256)
        return f"{KEY_VERSION}.{urlsafe_b64encode(digest[:18]).decode()}"

    def _key(self) -> bytes:
        with self._lock:
            if not self._path.exists():
                write_durably(self._path, secrets.token_bytes(32), mode=0o600)
            return self._path.read_bytes()
