"""What a file, a row or a map is refused for; a message holds our own words and names of the map, no cell's content."""

from typing import ClassVar

from collectors.errors import CollectorError
from collectors.toml_file import TomlFileError


class MapError(TomlFileError):
    """A column map does not hold; the text names the file, the key and what to do."""


class FileRefusedError(CollectorError):
    """Base of what a whole file is refused for: nothing of it is recorded."""

    code: ClassVar[str] = "refused"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return self.why


class UnreadableFileError(FileRefusedError):
    """The file is damaged, not finished, or of another format; export it again."""

    code = "unreadable"


class EncodingError(FileRefusedError):
    """The file is not in the encoding that the map states; state the right one."""

    code = "encoding"


class HeaderError(FileRefusedError):
    """A column or sheet that the map names is not there, or there twice; compare map and file."""

    code = "header"


class OverLimitError(FileRefusedError):
    """The file has more bytes, rows or columns than permitted; look at it, then raise the limit."""

    code = "over_limit"


class ChangedError(FileRefusedError):
    """The file was written while it was read; it is read again."""

    code = "changed"


class FutureError(FileRefusedError):
    """A history has rows of the future; look at the formats of dates in the map, and at the console's clock."""

    code = "future"


class InternalFileError(FileRefusedError):
    """We failed, not the file; the log names the fault. It is tried again for a while, and at each start."""

    code = "internal"


class RowError(Exception):
    """One row is rejected; `code` is for counters, `reason` for people, and neither holds a cell's content."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return self.reason
