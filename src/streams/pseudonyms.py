"""The port to what holds a site's keys of pseudonyms: who reads the log brings old pseudonyms up to the newest."""

from typing import Protocol


class PseudonymKeys(Protocol):
    """Keys of one site."""

    @property
    def version(self) -> int:
        """The newest key's version; 0 before there is any."""

    def newest(self, pseudonym: str) -> str:
        """Return a pseudonym in the highest version that the keys bring it to; what is none of theirs stays."""

    def all_of(self, patient_id: str) -> tuple[str, ...]:
        """Return a patient's pseudonyms of every version that the keys reach, the newest first."""

    def missing(self) -> list[int]:
        """Return the versions whose keys are lost."""
