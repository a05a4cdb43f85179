"""Whether an object that a scanner asks about is kept: in our archive if it is a phantom's, else in the PACS."""

import re
from pathlib import Path
from typing import Final

import msgspec
from pydicom.filereader import read_file_meta_info

from collectors.archive import Archive
from collectors.dicom.pacs.commitment import NO_SUCH_INSTANCE, PROCESSING_FAILURE, Reference, Report, Request
from collectors.dicom.pacs.outbox import Outbox, Standing

CLASS_CONFLICT: Final = 0x0119
"""Failure reason: the object is of another class."""

_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")


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
        for reference in request.references:
            reason = self._failure(device, reference)
            if reason is None:
                committed.append(reference)
            elif reason == PROCESSING_FAILURE:
                pending.append(reference)
            else:
                failed.append((reference, reason))
        return Judged(tuple(committed), tuple(failed), tuple(pending))

    def _failure(self, device: str, reference: Reference) -> int | None:
        """Return why an object is not kept; None if it is."""
        uid = reference.sop_instance_uid
        if not _UID.fullmatch(uid):
            return NO_SUCH_INSTANCE
        if copies := self._archive.copies(device, uid):
            return None if any(_is_of(path, reference) for path in copies) else CLASS_CONFLICT
        standing = self._outbox.standing(uid) if self._outbox is not None else Standing.UNKNOWN
        return {Standing.SAFE: None, Standing.PENDING: PROCESSING_FAILURE}.get(standing, NO_SUCH_INSTANCE)


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
