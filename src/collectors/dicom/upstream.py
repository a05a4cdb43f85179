"""The worklist SCP behind the proxy, asked over its own association for each query.

Items are decoded no further than their elements: values go through as bytes, in whatever character set the RIS
wrote them, because both sides speak the one transfer syntax.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]

from collectors import metrics
from collectors.dicom.deadline_socket import RequestingEntity
from collectors.errors import CollectorError
from collectors.settings import Upstream

PENDING: Final = frozenset({0xFF00, 0xFF01})
_MESSAGE_ID: Final = 1


class UpstreamError(CollectorError):
    """The upstream worklist gave no complete answer; ask again, or look at the RIS."""

    code = "upstream_failed"
    status = 0xC102


class QueryCancelledError(CollectorError):
    """The scanner has cancelled its query."""

    code = "cancelled"
    status = 0xFE00


class PendingItem(msgspec.Struct, frozen=True):
    """One item with the pending status that the upstream gave it."""

    status: int
    item: Dataset


class WorklistSource(Protocol):
    """What the proxy asks for items."""

    def query(self, identifier: Dataset, calling_ae: str, is_cancelled: Callable[[], bool]) -> tuple[PendingItem, ...]:
        """Return every matching item, or raise `UpstreamError` or `QueryCancelledError`."""


class UpstreamWorklist:
    """A worklist SCP at an address.

    Parameters
    ----------
    settings
        Where it is and how long to wait.
    """

    def __init__(self, settings: Upstream) -> None:
        self._settings = settings

    def query(self, identifier: Dataset, calling_ae: str, is_cancelled: Callable[[], bool]) -> tuple[PendingItem, ...]:
        """Return every matching item.

        Raises
        ------
        UpstreamError
            The RIS is away, refuses us, fails, is silent for too long, or has too many items.
        QueryCancelledError
            The scanner cancelled meanwhile; the RIS has been told.
        """
        with metrics.WORKLIST_SECONDS.time():
            association = self._associate(calling_ae)
            try:
                return tuple(self._collect(association, identifier, is_cancelled))
            finally:  # nobody waits for a good-bye that the RIS takes its time over
                threading.Thread(target=_close, args=(association,), name="upstream-close", daemon=True).start()

    def _associate(self, calling_ae: str) -> Association:
        settings = self._settings
        entity = RequestingEntity(settings.present_as or calling_ae, settings.timeout_s)
        entity.add_requested_context(ModalityWorklistInformationFind, ImplicitVRLittleEndian)
        association = entity.associate(settings.host, settings.port, ae_title=settings.ae_title)
        if not association.is_established:
            _close(association)
            raise UpstreamError("the upstream worklist does not accept us")
        return association

    def _collect(
        self, association: Association, identifier: Dataset, is_cancelled: Callable[[], bool]
    ) -> Iterator[PendingItem]:
        answers = association.send_c_find(identifier, ModalityWorklistInformationFind, msg_id=_MESSAGE_ID)
        for count, (status, item) in enumerate(answers):
            code = status.get("Status")
            if code == 0x0000:
                return
            if code not in PENDING or item is None:
                raise UpstreamError("the upstream worklist failed")
            if is_cancelled():
                association.send_c_cancel(_MESSAGE_ID, query_model=ModalityWorklistInformationFind)
                raise QueryCancelledError
            if count >= self._settings.max_items:
                raise UpstreamError("the upstream worklist has too many items")
            yield PendingItem(code, item)
        raise UpstreamError("the upstream worklist broke off")


def _close(association: Association) -> None:
    """Release, or abort what cannot be released; its threads and socket go with it."""
    if association.is_established:
        association.release()
    if association.is_alive() and not association.is_released:
        association.abort()
