"""A PACS of our own beside the real ones, for what those cannot be told to do: refuse, break off, commit or not."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes, ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from simulators.phantom_sr import COMPREHENSIVE_SR, ENHANCED_SR, IMAGE
from tests.peers import free_port

CLASSES = (ENHANCED_SR, COMPREHENSIVE_SR, IMAGE)


class VirtualPacs:
    """Takes objects; what it answers is what the test says."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: dict[str, int] = {}
        self.breaks_off: set[str] = set()
        self.broken: list[str] = []
        self.taken: list[tuple[str, bytes, str]] = []
        self.calling_ae_titles: list[str] = []
        self.accepted: tuple[str, ...] | None = None
        self.action_status = 0x0000
        self.reports_to: tuple[str, int, str] | None = None
        self.reports_here = False
        self.not_committed: set[str] = set()
        self.transactions: list[tuple[str, list[str]]] = []
        self.report_statuses: list[int] = []
        self._threads: list[threading.Thread] = []

    @property
    def uids(self) -> list[str]:
        return [uid for uid, _, _ in self.taken]

    def established(self, event: Event) -> None:
        self.calling_ae_titles.append(event.assoc.requestor.ae_title)

    def store(self, event: Event) -> int:
        request: Any = event.request
        uid = str(request.AffectedSOPInstanceUID)
        if uid in self.breaks_off:
            self.broken.append(uid)
            event.assoc.abort()
            return 0x0000
        status = self.statuses.get(uid, 0x0000)
        if status == 0x0000 or 0xB000 <= status <= 0xBFFF:
            self.taken.append((uid, request.DataSet.getvalue(), str(event.context.transfer_syntax)))
        return status

    def action(self, event: Event) -> tuple[int, None]:
        asked = event.action_information
        uids = [str(item.ReferencedSOPInstanceUID) for item in asked.ReferencedSOPSequence]
        self.transactions.append((str(asked.TransactionUID), uids))
        if self.reports_here or self.reports_to:
            thread = threading.Thread(target=self._report, args=(event.assoc, asked), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self.action_status, None

    def _report(self, association: Any, asked: Dataset) -> None:
        report = Dataset()
        report.TransactionUID = asked.TransactionUID
        items = list(asked.ReferencedSOPSequence)
        report.ReferencedSOPSequence = [one for one in items if one.ReferencedSOPInstanceUID not in self.not_committed]
        failed = [one for one in items if one.ReferencedSOPInstanceUID in self.not_committed]
        for one in failed:
            one.FailureReason = 0x0112
        if failed:
            report.FailedSOPSequence = failed
        self.tell(report, 2 if failed else 1, association if self.reports_here else None)

    def tell(self, report: Dataset, event_type: int, association: Any = None) -> None:
        """Send a report, over this association or one of its own."""
        instance = "1.2.840.10008.1.20.1.1"
        own = None
        if association is None:
            assert self.reports_to is not None
            host, port, title = self.reports_to
            entity = AE(ae_title="PACS")
            entity.add_requested_context(StorageCommitmentPushModel, ExplicitVRLittleEndian)
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            own = association = entity.associate(host, port, ae_title=title, ext_neg=[role])
            assert association.is_established
        status, _ = association.send_n_event_report(report, event_type, StorageCommitmentPushModel, instance)
        self.report_statuses.append(int(status.Status))
        if own is not None:
            own.release()


@contextmanager
def virtual_pacs(port: int = 0, *, knows: Sequence[str] = ()) -> Iterator[VirtualPacs]:
    """Run one; it rejects titles that it does not know, if it is told any."""
    pacs = VirtualPacs(port or free_port())
    entity = AE(ae_title="PACS")
    for sop_class in CLASSES:
        entity.add_supported_context(sop_class, list(AllTransferSyntaxes))
    entity.add_supported_context(StorageCommitmentPushModel)
    entity.require_calling_aet = list(knows)
    server = entity.start_server(
        ("127.0.0.1", pacs.port),
        block=False,
        evt_handlers=[
            (evt.EVT_ACCEPTED, pacs.established),
            (evt.EVT_C_STORE, pacs.store),
            (evt.EVT_N_ACTION, pacs.action),
        ],
    )
    assert server is not None
    try:
        yield pacs
    finally:
        server.shutdown()
        for thread in pacs._threads:
            thread.join(10.0)
