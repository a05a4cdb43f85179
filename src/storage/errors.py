"""What the database can fail with: one class per thing that the caller can do about it."""


class StorageError(Exception):
    """Base of this package; the text says what to do and never holds a password."""


class DatabaseAwayError(StorageError):
    """The database cannot be reached or gave up in the middle: nothing of the batch stands; try again later."""


class DatabaseRefusedError(DatabaseAwayError):
    """The server is there and does not take us as configured; the text says what to change."""


class ContentRefusedError(StorageError):
    """The server is there and no table takes what was given; leave it out and go on."""


class LogForkedError(StorageError):
    """A source sends another log than the one whose rows stand here; a person must say which one counts."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__(source, why)  # as given, so that it pickles
        self.source = source
        self.why = why

    def __str__(self) -> str:
        return f"the log of {self.source} is not the one that the database was filled from: {self.why}"


class MigrationError(StorageError):
    """The schema is not one that this program may change; the text says which migration and why."""


class ServerInUseError(StorageError):
    """Another process runs the embedded database of this folder; connect to it instead."""


class EmbeddedServerError(StorageError):
    """The embedded database cannot be started on this computer as things are; the text says why."""
