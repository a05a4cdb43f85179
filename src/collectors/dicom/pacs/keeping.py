"""Whether an object that a scanner asks about is kept: in our archive if it is a phantom's, else in the PACS."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from pydicom.filereader import read_file_meta_info

from collectors.archive import Archive
from collectors.dicom.pacs.commitment import NO_SUCH_INSTANCE, PROCESSING_FAILURE, Reference, Report, Request
from collectors.dicom.pacs.outbox import Outbox, Standing

CLASS_CONFLICT: Final = 0x0119
"""Failure reason: the object is of another class."""


class Judged(msgspec.Struct, frozen=True):
    """What of a request is kept, what is not and why, and what is not decided yet."""

    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...]
    pending: tuple[Reference, ...]

    def report(self, transaction_uid: str) -> Report:
        """Return the report as things stand: what is pending has failed."""
        late = tuple((one, PROCESSING_FAILURE) for one in self.pending)
        return Report(transaction_uid, self.committed, self.failed + late)


class Keeping:
    """Judges what is kept; safe from any thread.

    Parameters
    ----------
    archive
        Of phantoms' objects.
    outbox
        Of patients' objects on their way to the PACS; none: there is no PACS.
    """

    def __init__(self, archive: Archive, outbox: Outbox | None) -> None:
        self._archive, self._outbox = archive, outbox

    def judge(self, device: str, request: Request) -> Judged:
        """Return how the objects of a device's request stand."""
        committed, failed, pending = list[Reference](), list[tuple[Reference, int]](), list[Reference]()
        standings = {one: self._standing(device, one) for one in request.references}
        copies = self._archive.copies_of(device, _not_with_the_pacs(standings))
        for reference, standing in standings.items():
            reason = _failure(reference, standing, copies.get(reference.sop_instance_uid, []))
            if reason is None:
                committed.append(reference)
            elif reason == PROCESSING_FAILURE:
                pending.append(reference)
            else:
                failed.append((reference, reason))
        return Judged(tuple(committed), tuple(failed), tuple(pending))

    @property
    def let_go(self) -> int:
        """Return a number that changes when an object that was pending is pending no more."""
        return self._outbox.let_go if self._outbox is not None else 0

    def _standing(self, device: str, reference: Reference) -> Standing:
        if self._outbox is None:
            return Standing.UNKNOWN
        return self._outbox.standing(device, reference.sop_class_uid, reference.sop_instance_uid)


def _not_with_the_pacs(standings: Mapping[Reference, Standing]) -> set[str]:
    """Return the UIDs of what the outbox does not know: only these are worth a look in the archive."""
    return {
        one.sop_instance_uid for one, standing in standings.items() if standing not in {Standing.SAFE, Standing.PENDING}
    }


def _failure(reference: Reference, standing: Standing, copies: Sequence[Path]) -> int | None:
    """Return why an object is not kept; None if it is."""
    if standing is Standing.SAFE or any(_is_of(path, reference) for path in copies):
        return None
    if standing is Standing.PENDING:
        return PROCESSING_FAILURE
    return CLASS_CONFLICT if copies or standing is Standing.OTHER_CLASS else NO_SUCH_INSTANCE


def _is_of(path: Path, reference: Reference) -> bool:
    """Whether a kept file is the object that is meant."""
    try:
        meta = read_file_meta_info(path)
    except Exception:  # noqa: BLE001 - pydicom raises whatever its parser stumbles over
        return False
    return (str(meta.MediaStorageSOPClassUID), str(meta.MediaStorageSOPInstanceUID)) == (
        reference.sop_class_uid,
        reference.sop_instance_uid,
    )
