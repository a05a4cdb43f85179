"""The procedure step SCP: N-CREATE and N-SET of a scanner, from the wire to the proxy and back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dsutils import decode

from collectors.dicom.mpps.proxy import StepAnswer, StepMessage, StepProxy
from collectors.dicom.mpps.ris import MPPS
from collectors.dicom.mpps.rules import PROCESSING_FAILURE
from collectors.dicom.mpps.steps import Operation, StepStore
from collectors.dicom.mpps.teller import LateTeller
from collectors.dicom.structure import check_whole
from collectors.errors import UndecodableError
from collectors.pseudonym import Pseudonyms
from collectors.settings import MppsUpstream
from streams.policy import DevicePolicy
from streams.site import SitePort

_log = structlog.get_logger("collectors.dicom.mpps")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class StepService:
    """Procedure steps as a service of the application entity.

    Parameters
    ----------
    site
        Where starts are recorded.
    devices
        Policy by device key.
    data_dir
        The site's data folder.
    zone
        The site's time zone.
    upstream
        The RIS, or none.
    clock
        Says what time it is, UTC.

    Raises
    ------
    StoreUnusableError
        What an earlier run left cannot be read.
    """

    def __init__(
        self,
        site: SitePort,
        devices: Mapping[str, DevicePolicy],
        data_dir: Path,
        *,
        zone: ZoneInfo,
        upstream: MppsUpstream | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._clock = clock
        limits = {} if upstream is None else {name: getattr(upstream, name) for name in _LIMITS}
        self.steps = StepStore(data_dir, clock=clock, **limits)
        self._teller = LateTeller(self.steps, upstream) if upstream else None
        self._proxy = StepProxy(
            site,
            devices,
            self.steps,
            zone=zone,
            pseudonyms=Pseudonyms(data_dir),
            upstream=upstream,
            teller=self._teller,
        )

    def add_to(self, entity: AE) -> None:
        """Take procedure steps in the one transfer syntax that everybody speaks."""
        entity.add_supported_context(MPPS, ImplicitVRLittleEndian)

    @property
    def handlers(self) -> Sequence[evt.EventHandlerType]:
        """For N-CREATE and N-SET."""
        return [(evt.EVT_N_CREATE, self._create), (evt.EVT_N_SET, self._set)]

    def start(self) -> None:
        """Begin to tell the RIS what waits."""
        if self._teller is not None:
            self._teller.start()

    def stop(self) -> None:
        """Stop telling it."""
        if self._teller is not None:
            self._teller.stop()

    def close(self) -> None:
        """Close the store; the service is of no use any more."""
        self.steps.close()

    def _create(self, event: evt.Event) -> tuple[Dataset, Dataset | None]:
        request: Any = event.request
        return self._take(event, Operation.CREATE, request.AffectedSOPInstanceUID, request.AttributeList)

    def _set(self, event: evt.Event) -> tuple[Dataset, Dataset | None]:
        request: Any = event.request
        return self._take(event, Operation.SET, request.RequestedSOPInstanceUID, request.ModificationList)

    def _take(
        self, event: evt.Event, operation: Operation, uid: str | None, attributes: BytesIO | None
    ) -> tuple[Dataset, Dataset | None]:
        data = attributes.getvalue() if attributes is not None else b""
        try:
            check_whole(data, ImplicitVRLittleEndian)
            message = StepMessage(
                operation,
                event.assoc.requestor.ae_title.strip(),
                str(uid or ""),
                data,
                decode(BytesIO(data), is_implicit_vr=True, is_little_endian=True),
                self._clock(),
            )
            answer = self._proxy.take(message)
        except UndecodableError as error:
            answer = StepAnswer(PROCESSING_FAILURE, error.code, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the scanner gets a status and the site goes on
            _log.error("mpps_failed", error=type(error).__name__)
            answer = StepAnswer(PROCESSING_FAILURE, "internal", "internal error; send again later")
        return _status(answer), answer.attributes


_LIMITS = ("max_waiting", "kept_days", "min_free_bytes", "retry_max_s")


def _status(answer: StepAnswer) -> Dataset:
    ds = Dataset()
    ds.Status = answer.status
    if answer.comment:
        ds.ErrorComment = answer.comment[:64]
    if answer.error_id is not None:
        ds.ErrorID = answer.error_id
    return ds
