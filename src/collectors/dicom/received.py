"""One object as it came off the wire, and what it is: a phantom's, whose, with which densities."""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread, read_dataset
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom.dsutils import create_file_meta, encode_file_meta

from collectors.dicom.structure import check_whole, inflated
from collectors.dicom.structured_report import (
    SR_CLASSES,
    BmdReading,
    ScanReport,
    acquisition_id,
    read_report,
    scanned_at,
)
from collectors.dicom.text import PARSING_ERRORS, text
from collectors.errors import NotThePhantomError, RegionAbsentError, UndecodableError
from collectors.regions import Anatomy, anatomy_of
from streams.messages import RegionMeasured
from streams.policy import Phantom

_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
_STAND_IN_FROM: Final = 16
"""So many nines in a row stand in no UID of the standard."""


class ReceivedObject(msgspec.Struct, frozen=True):
    """What one C-STORE brought; `data` is the encoded data set without a file header."""

    calling_ae: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    data: bytes
    received_at: datetime

    @property
    def loggable_uid(self) -> str:
        """The SOP Instance UID if it is one: a peer may announce any text in its place."""
        return self.sop_instance_uid if _UID.fullmatch(self.sop_instance_uid) else "invalid"

    def as_file(self) -> bytes:
        """Return the object as a part-10 file; without its header if its UIDs are none."""
        if not (_UID.fullmatch(self.sop_class_uid) and _UID.fullmatch(self.sop_instance_uid)):
            return self.data
        uid = self.sop_instance_uid
        stand_in = "9" * len(uid)
        if len(uid) < _STAND_IN_FROM or stand_in in self.sop_class_uid:
            return _file_header(self.sop_class_uid, self.transfer_syntax, uid) + self.data
        header = _file_header(self.sop_class_uid, self.transfer_syntax, stand_in)
        return header.replace(stand_in.encode(), uid.encode(), 1) + self.data


@lru_cache(maxsize=64)
def _file_header(sop_class_uid: str, transfer_syntax: str, sop_instance_uid: str) -> bytes:
    """Return preamble and file meta information.

    A scanner's objects differ in their UID alone, and pydicom takes longer to encode this than the disk to sync it:
    it is encoded once for each length of UID, with a stand-in of nines.
    """
    meta = create_file_meta(
        sop_class_uid=UID(sop_class_uid),
        sop_instance_uid=UID(sop_instance_uid),
        transfer_syntax=UID(transfer_syntax),
    )
    return b"".join((bytes(128), b"DICM", encode_file_meta(meta)))


def decoded(received: ReceivedObject, *, max_bytes: int) -> Dataset:
    """Return the whole data set.

    Raises
    ------
    UndecodableError
        If it is truncated, no DICOM, inflates beyond `max_bytes`, or is another object than the one announced.
    """
    syntax = UID(received.transfer_syntax)
    if not is_known(syntax):
        raise UndecodableError("the transfer syntax is not known")
    plain = inflated(received.data, syntax, max_bytes=max_bytes)
    check_whole(plain, syntax)
    try:
        ds = read_dataset(BytesIO(plain), syntax.is_implicit_VR, syntax.is_little_endian)
    except Exception as error:  # pydicom raises whatever its parser stumbles over
        raise UndecodableError("the data set cannot be decoded") from error
    if not _UID.fullmatch(received.sop_instance_uid) or text(ds, "SOPInstanceUID") != received.sop_instance_uid:
        raise UndecodableError("the SOP Instance UID is not the one announced")
    return ds


def is_known(transfer_syntax: UID) -> bool:
    """Whether a UID names a public transfer syntax: a private one could encode anything."""
    return transfer_syntax in AllTransferSyntaxes


def phantom_report(ds: Dataset, phantom: Phantom, sop_class_uid: str, zone: ZoneInfo) -> ScanReport | None:
    """Return what a phantom's report says, or None for an object that is no report (an image, say).

    Raises
    ------
    NotThePhantomError
        Its name or its anatomy is not the phantom's: a patient may have been scanned under the phantom's id.
    PhantomObjectError
        It is the phantom's, and of no use.
    """
    check_is_phantoms(ds, phantom)
    try:
        own = anatomy_of(phantom.region)
        if own is not Anatomy.UNKNOWN and anatomy_of(text(ds, "BodyPartExamined")) not in {own, Anatomy.UNKNOWN}:
            raise NotThePhantomError
        if sop_class_uid not in SR_CLASSES and "ContentSequence" not in ds:
            return None
        report = read_report(ds, zone, anatomy=own)
    except PARSING_ERRORS as error:
        raise UndecodableError("an item of the report cannot be decoded") from error
    if report.reading(phantom.region) is None:
        raise RegionAbsentError(phantom.region)
    return report


def phantom_image(ds: Dataset, regions: Iterable[RegionMeasured], phantom: Phantom, zone: ZoneInfo) -> ScanReport:
    """Return the report that the private results of a phantom's image make; its name and anatomy were checked.

    Raises
    ------
    RegionAbsentError, NoTimeError, ImpossibleTimeError
        It lacks the region that the phantom is judged by, or does not say when it was scanned.
    """
    readings = tuple(BmdReading(region.region, region.bmd_g_cm2) for region in regions)
    report = ScanReport(readings, scanned_at(ds, zone), acquisition_id(ds, zone), text(ds, "SoftwareVersions")[:64])
    if report.reading(phantom.region) is None:
        raise RegionAbsentError(phantom.region)
    return report


def check_is_phantoms(ds: Dataset, phantom: Phantom) -> None:
    """Raise `NotThePhantomError` unless an object bears the phantom's name, where one is configured."""
    if phantom.patient_name is not None and _plain_name(text(ds, "PatientName")) != _plain_name(phantom.patient_name):
        raise NotThePhantomError


def kept_report(path: Path, sop_instance_uid: str, phantom: Phantom, zone: ZoneInfo) -> ScanReport | None:
    """Return what a kept file reports of a phantom; None when it is another object, no such report, or gone."""
    try:
        ds = dcmread(path)
        if (text(ds, "SOPInstanceUID"), text(ds, "PatientID")) != (sop_instance_uid, phantom.patient_id):
            return None
        return phantom_report(ds, phantom, str(ds.file_meta.MediaStorageSOPClassUID), zone)
    except Exception:  # noqa: BLE001 - pydicom raises whatever its parser stumbles over
        return None


def _plain_name(name: str) -> str:
    """Return a person name for comparison: alphabetic group, no empty components, letters of one case."""
    parts = (part.strip() for part in name.split("=", maxsplit=1)[0].replace("^", " ").split())
    return " ".join(parts).casefold()
