"""What the device front ends refuse, one class per thing that the sender or an operator can do about it.

A message fits a DICOM ErrorComment (64 ASCII characters) and holds only our own words and numbers: no text of a
data set, so no patient's name, birth date or id.
"""

from typing import ClassVar


class CollectorError(Exception):
    """Base of what a front end refuses; `code` is for counters and sidecars, `status` for DICOM."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 0x0110


class UndecodableError(CollectorError):
    """The object is truncated or is no DICOM; send it again."""

    code = "undecodable"
    status = 0xC210


class PhantomObjectError(CollectorError):
    """Base of what is wrong with a phantom's own object."""


class NoBmdError(PhantomObjectError):
    """The report holds no bone density; send the analysed scan."""

    code = "no_bmd"
    status = 0xC211

    def __str__(self) -> str:
        return "the report holds no bone mineral density in g/cm2"


class RegionAbsentError(PhantomObjectError):
    """The report lacks the region that the phantom is judged by; analyse that region and send again."""

    code = "region_absent"
    status = 0xC211

    def __init__(self, region: str) -> None:
        super().__init__(region)
        self.region = region

    def __str__(self) -> str:
        return f"the report has no region {self.region}"


class ImpossibleValueError(PhantomObjectError):
    """A bone density cannot be this number; look at the analysis."""

    code = "impossible_value"
    status = 0xC212

    def __init__(self, bmd_g_cm2: float) -> None:
        super().__init__(bmd_g_cm2)
        self.bmd_g_cm2 = bmd_g_cm2

    def __str__(self) -> str:
        return f"a bone density of {self.bmd_g_cm2:.4g} g/cm2 is impossible"


class WrongUnitError(PhantomObjectError):
    """A bone density is not in g/cm2; set the scanner's units."""

    code = "wrong_unit"
    status = 0xC213

    def __str__(self) -> str:
        return "a bone density is not in g/cm2"


class NoTimeError(PhantomObjectError):
    """The report does not say when the phantom was scanned; look at the scanner's export settings."""

    code = "no_time"
    status = 0xC216

    def __str__(self) -> str:
        return "the report holds no usable acquisition time"


class ImpossibleTimeError(NoTimeError):
    """The phantom cannot have been scanned then; set the scanner's clock."""

    code = "impossible_time"

    def __str__(self) -> str:
        return "the acquisition time is before 1990 or after 2099"


class AmbiguousRegionError(PhantomObjectError):
    """One report gives a region twice, with different densities; look at the analysis."""

    code = "ambiguous_region"
    status = 0xC217

    def __str__(self) -> str:
        return "a region appears twice with different densities"


class NoKnownRegionError(PhantomObjectError):
    """A report's densities are of regions whose names are not known; tell the developers how the scanner calls them."""

    code = "no_known_region"
    status = 0xC211

    def __str__(self) -> str:
        return "the report names no region that is known"


class RegionDoesNotAddUpError(PhantomObjectError):
    """A region's density is not its mineral content over its area; look at the analysis."""

    code = "does_not_add_up"
    status = 0xC212

    def __str__(self) -> str:
        return "a bone density is not its mineral content over its area"


class NotThePhantomError(CollectorError):
    """What is filed under a phantom's id is not that phantom: look whether a patient was scanned under it."""

    code = "implausible"
    status = 0xC214

    def __str__(self) -> str:
        return "not plausibly this phantom; kept apart for review"


class JudgedImplausibleError(NotThePhantomError):
    """The log holds the scan and judged it implausible; its object must not stay among the phantom's."""


class PatientObjectError(CollectorError):
    """A patient's object: this is not the clinical archive; send it to the PACS."""

    code = "patient_object"
    status = 0xC215

    def __str__(self) -> str:
        return "not a phantom of this scanner; this is not the archive"


class UnknownCallerError(CollectorError):
    """The calling AE title is not configured; configure the scanner."""

    code = "unknown_ae"
    status = 0x0124

    def __str__(self) -> str:
        return "this calling AE title is not configured here"


class ConflictingObjectError(PhantomObjectError):
    """Another object of the same SOP Instance UID was taken before; a person must look at both."""

    code = "conflict"
    status = 0x0111

    def __str__(self) -> str:
        return "this SOP Instance UID was received with other content"


class NoRoomError(CollectorError):
    """Nothing can be recorded now (disk full, starting, stopping); send it again later."""

    code = "unavailable"
    status = 0xA700

    def __str__(self) -> str:
        return "cannot record now; send again later"


class InternalError(CollectorError):
    """We failed, not the object; it is kept, and the log names the fault."""

    code = "internal"
    status = 0x0110

    def __str__(self) -> str:
        return "internal error; the object was kept for review"
