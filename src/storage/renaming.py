"""Pseudonyms in the database: of the newest version that the site's keys lead to, whatever the log says.

The log keeps every pseudonym as it was recorded. What is taken in is renamed on the way; what stands is renamed once a
later key is there, in one transaction. So a database that is filled anew has the same content.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, TypeVar

from msgspec.structs import replace

from storage.batch import SinkRow
from storage.connection import Db
from streams.messages import MeasurementReleased, PatientMeasured, PatientObjectReceived, PatientScanStarted
from streams.pseudonyms import PseudonymKeys

_TABLES: Final = ("measurements", "measurement_revisions")
_PATHS: Final = ("{pseudonym}", "{measured,pseudonym}")
"""Where in an event's JSON a pseudonym stands; the second in that of a release."""

_TYPES: Final = [
    str(kind.__struct_config__.tag)
    for kind in (PatientMeasured, PatientScanStarted, PatientObjectReceived, MeasurementReleased)
]
_OF_SITE: Final = "device >= %(first)s AND device < %(behind)s"
_OF_EVENTS: Final = f"{_OF_SITE} AND type = ANY (%(types)s)"

Message = TypeVar("Message")


class Renamed(NamedTuple):
    """What was renamed: persons' pseudonyms; `left` are measurements that no key brings to the newest version."""

    pseudonyms: int
    left: int


def renamed(row: SinkRow, keys: PseudonymKeys) -> SinkRow:
    """Return a row of a log with pseudonyms of the newest version; its bytes and its link stay."""
    fact = _with_newest(row.event.fact, keys)
    if isinstance(fact, MeasurementReleased):
        fact = replace(fact, measured=_with_newest(fact.measured, keys))
    outcomes = tuple(
        one if (outcome := _with_newest(one.outcome, keys)) is one.outcome else replace(one, outcome=outcome)
        for one in row.outcomes
    )
    event = row.event if fact is row.event.fact else replace(row.event, fact=fact)
    return row._replace(event=event, outcomes=outcomes)


def rename(db: Db, site: str, keys: PseudonymKeys) -> Renamed:
    """Bring what stands of a site to the newest version, inside a transaction; once more changes nothing."""
    asked = {"first": f"{site}/", "behind": f"{site}0", "types": _TYPES}  # "0" is the character behind "/"
    standing = [name for (name,) in db.execute(_standing().encode(), asked)]
    pairs = [(name, new) for name in standing if (new := keys.newest(name)) != name]
    if pairs:
        db.execute("CREATE TEMP TABLE renaming (old text PRIMARY KEY, new text NOT NULL) ON COMMIT DROP")
        with db.cursor().copy("COPY renaming (old, new) FROM STDIN") as copy:
            for pair in pairs:
                copy.write_row(pair)
        for statement in _statements():
            db.execute(statement.encode(), asked)
    newest = f"{keys.version}.%"
    row = db.execute(
        f"SELECT count(*) FROM measurements WHERE {_OF_SITE} AND pseudonym <> ''"  # noqa: S608 - ours
        " AND pseudonym NOT LIKE %(newest)s".encode(),
        {**asked, "newest": newest},
    ).fetchone()
    return Renamed(len(pairs), row[0] if row else 0)


def _with_newest(message: Message, keys: PseudonymKeys) -> Message:
    given: Any = message
    name = getattr(given, "pseudonym", "")
    newest = keys.newest(name) if name else name
    return message if newest == name else replace(given, pseudonym=newest)


def _standing() -> str:
    parts = [f"SELECT pseudonym FROM {table} WHERE {_OF_SITE}" for table in _TABLES]  # noqa: S608 - our tables
    parts += [f"SELECT fact #>> '{path}' FROM events WHERE {_OF_EVENTS}" for path in _PATHS]  # noqa: S608 - ours
    return f"SELECT name FROM ({' UNION '.join(parts)}) AS standing (name) WHERE name <> '' ORDER BY name"  # noqa: S608


def _statements() -> Iterator[str]:
    for table in _TABLES:
        yield f"UPDATE {table} t SET pseudonym = r.new FROM renaming r WHERE t.pseudonym = r.old AND {_OF_SITE}"  # noqa: S608
    for path in _PATHS:
        yield (
            f"UPDATE events t SET fact = jsonb_set(fact, '{path}', to_jsonb(r.new)) FROM renaming r"  # noqa: S608 - ours
            f" WHERE t.fact #>> '{path}' = r.old AND {_OF_EVENTS}"
        )
