"""Keys of pseudonyms beside the log that they were used for: one that is lost is never made again under its number."""

import re
from typing import Final

from collectors.pseudonym import Pseudonyms
from streams.sqlite_log import SqliteEventLog

_RECORDED: Final = re.compile(rb'"pseudonym":"([0-9]{1,8})\.')


def newest_recorded(log: SqliteEventLog) -> int:
    """Return the newest version of a pseudonym in a log; 0 where there is none."""
    return max((int(version) for row in log.rows() for version in _RECORDED.findall(row.body)), default=0)


def note_lost_keys(pseudonyms: Pseudonyms, log: SqliteEventLog) -> None:
    """Note that the newest key is lost where the log has pseudonyms of a later version than any key that is there."""
    pseudonyms.note_lost(newest_recorded(log))
