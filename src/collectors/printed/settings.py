"""What reading printed reports is configured with."""

from typing import Literal

import msgspec

LayoutName = Literal["hologic-apex", "ge-encore", "norland-illuminatus"]
DateOrder = Literal["", "day-first", "month-first"]
Disposal = Literal["keep", "leave", "delete"]


class PrintedDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one scanner prints its reports.

    `date_order` is that of its computer's locale, for dates in figures; without it none is read. `accession_field` is
    the label that the accession number stands behind, where it is not called so. `modes` gives the scan mode of
    the configuration by anatomy (``spine``, ``hip``, ``forearm``, ``whole_body``).
    """

    layout: LayoutName
    date_order: DateOrder = ""
    accession_field: str = ""
    modes: dict[str, str] = {}


class PrintedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The folder that reports are printed to, what becomes of the files, and the limits of one."""

    folder: str = ""
    phantoms: Disposal = "keep"
    patients: Disposal = "keep"
    keep_days: float = 30.0
    poll_s: float = 2.0
    give_up_s: float = 600.0
    max_bytes: int = 20 * 1024 * 1024
    max_pages: int = 12
    timeout_s: float = 20.0
