"""The data sets of Storage Commitment (PS3.4 Annex J): what is asked, and what is reported."""

from collections.abc import Iterable
from typing import Final

import msgspec
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from collectors.dicom.text import items, text

PUSH_MODEL: Final = UID("1.2.840.10008.1.20.1")
PUSH_MODEL_INSTANCE: Final = UID("1.2.840.10008.1.20.1.1")
REQUEST_COMMITMENT: Final = 1
"""The action type."""
ALL_COMMITTED: Final = 1
FAILURES_EXIST: Final = 2
"""The event types."""
PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
"""Failure reasons: not done (in time), and not known here."""


class Reference(msgspec.Struct, frozen=True):
    """An object by its class and UID."""

    sop_class_uid: str
    sop_instance_uid: str


class Request(msgspec.Struct, frozen=True):
    """What is to be committed."""

    transaction_uid: str
    references: tuple[Reference, ...]

    def dataset(self) -> Dataset:
        """Return the action's information."""
        ds = Dataset()
        ds.TransactionUID = UID(self.transaction_uid)
        ds.ReferencedSOPSequence = Sequence([_item(one) for one in self.references])
        return ds


class Report(msgspec.Struct, frozen=True):
    """What is committed, and what is not, with the reason."""

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, int], ...] = ()

    @property
    def event_type(self) -> int:
        """Whether all is committed."""
        return FAILURES_EXIST if self.failed else ALL_COMMITTED

    def dataset(self) -> Dataset:
        """Return the event's information; an empty sequence is left out, as the standard has it."""
        ds = Dataset()
        ds.TransactionUID = UID(self.transaction_uid)
        if self.committed:
            ds.ReferencedSOPSequence = Sequence([_item(one) for one in self.committed])
        if self.failed:
            ds.FailedSOPSequence = Sequence([_item(one, reason) for one, reason in self.failed])
        return ds


def request_from(ds: Dataset) -> Request:
    """Return what an action's information asks for."""
    return Request(text(ds, "TransactionUID"), tuple(_references(ds, "ReferencedSOPSequence")))


def report_from(ds: Dataset) -> Report:
    """Return what an event's information reports."""
    failed = tuple((one, PROCESSING_FAILURE) for one in _references(ds, "FailedSOPSequence"))
    return Report(text(ds, "TransactionUID"), tuple(_references(ds, "ReferencedSOPSequence")), failed)


def _references(ds: Dataset, keyword: str) -> Iterable[Reference]:
    return (
        Reference(text(item, "ReferencedSOPClassUID"), text(item, "ReferencedSOPInstanceUID"))
        for item in items(ds, keyword)
    )


def _item(reference: Reference, failure: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = UID(reference.sop_class_uid)
    item.ReferencedSOPInstanceUID = UID(reference.sop_instance_uid)
    if failure is not None:
        item.FailureReason = failure
    return item
