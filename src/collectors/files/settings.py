"""What reading exported files is configured with."""

from typing import Literal

import msgspec


class FileSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files of one device: a pattern of their paths in the watched folder, and the map of their columns."""

    files: str
    map: str


class FilesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The folder that exports are written to, what is history, and the limits of one file.

    A CSV whose last line has no end is taken when it has not changed for `unfinished_s`; a file that cannot be read is
    refused when it has not changed for `give_up_s`. Rows older than `history_days` are recorded as history. Rejected
    rows are kept, encrypted, for `keep_days`, of one reading at most `max_rejects`.
    """

    folder: str = ""
    when_read: Literal["leave", "delete"] = "leave"
    history_days: float = 14.0
    poll_s: float = 5.0
    unfinished_s: float = 300.0
    give_up_s: float = 600.0
    keep_days: float = 30.0
    max_bytes: int = 64 * 1024 * 1024
    max_unpacked_bytes: int = 256 * 1024 * 1024
    max_rows: int = 250_000
    max_columns: int = 256
    max_cell: int = 2_000
    max_rejects: int = 1_000
