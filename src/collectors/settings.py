"""What the DICOM front end is configured with; the defaults suit a department with a handful of scanners."""

import msgspec


class Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The worklist SCP behind the proxy: the RIS.

    `present_as` is the calling AE title that the RIS sees; empty, it sees the scanner's own, because many RIS
    filter by it.
    """

    ae_title: str
    host: str
    port: int
    present_as: str = ""
    timeout_s: float = 10.0
    max_items: int = 2_000


class DicomSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One application entity: C-ECHO, C-STORE, worklist.

    Port 0 takes a free one. A peer that says nothing for `idle_timeout_s` is cut; one that opens a connection and
    asks for no association within `negotiation_timeout_s` too. `max_object_bytes` and `max_pdu_bytes` bound what
    one association can make us hold in memory.
    """

    ae_title: str = "BONEWATCH"
    host: str = "127.0.0.1"
    port: int = 11112
    upstream: Upstream | None = None
    max_associations: int = 50
    max_pdu_bytes: int = 131_072
    max_object_bytes: int = 32 * 1024 * 1024
    negotiation_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0


class QuarantineLimits(msgspec.Struct, frozen=True):
    """How much refused material is kept, and for how long; the oldest goes first.

    Callers of unknown AE titles share `unknown_share` of objects and bytes, and none of it at others' cost.
    """

    max_objects: int = 2_000
    max_bytes: int = 512 * 1024 * 1024
    keep_days: float = 30.0
    unknown_share: float = 0.25
    min_free_bytes: int = 256 * 1024 * 1024
