"""What the inspector reads first."""

from datetime import date
from typing import Final

from dashboards.reports.saying import day, moment
from streams.fold.schedule import zone
from streams.record.device import Anchor

_TEXT: Final = """\
Evidence pack: {device}, {first} to {last}
{site}
Made from the site's log as it stood at {at} ({time_zone}).

WHAT IS IN IT

reports/             a QA report a calendar month, to read (PDF, HTML) and as figures (CSV)
verdicts.csv         every judged QC reading of the period, in its latest revision
baselines.csv        the baselines in force, and who accepted them
equipment-log.csv    faults, service, overrides, incidents, decisions, entries and comments
incidents.csv        those of them that are incidents, and whether they are closed
bypasses.csv         patients scanned while the device was held: when and why it was held, without the request
overrides.csv        who opened the held device, past what, why and for how long
handovers.csv        each handover in its three stages; forms/ holds the forms
attachments.csv      files that were added to the log: name and SHA-256. The files themselves stay sealed at the
                     site, which can show them; their SHA-256 must be the one given here
events.jsonl         every event of the device recorded in the period, with its outcomes, a line each
anchor.json          the log's last event when the pack was made: its place and its link
manifest.json        every file here with its size and SHA-256, but the next
manifest.sha256      the SHA-256 of manifest.json

WHAT IS NOT IN IT

Nothing that identifies a patient by design: no accession number, no pseudonym, no measured value of a patient. An
event or outcome about a patient stands with its SHA-256 and with those of its fields that name nobody. What staff
wrote (texts, names of files) is left out where a number stands in it that the log knows of a patient. The rest is given
as they wrote it: read it before the pack is passed on, for a name cannot be told from another word. A SHA-256 of
something short can be found by trying, so treat the pack as confidential.

HOW TO CHECK IT

1. Each file: its SHA-256 is the one in manifest.json, and that of manifest.json the one in manifest.sha256.
2. Each line of events.jsonl in which every "text" is given (nothing is withheld):

   link = SHA-256( previous, then for the event and each outcome in order:
                   the length of its text in bytes as 8 bytes, the highest first, and the text in UTF-8 )

   "previous" and "link" are written in hexadecimal. "previous" is the link of the event before it in the site's log,
   which may be another device's. Before the first event of a log it is the SHA-256 of the log's id.
3. Against the site's log, on the site's computer:

   bonewatch report check-evidence PACK.zip --config site.toml
   bonewatch log verify --config site.toml --anchor {position}:{link}

   The first compares every line, withheld ones too, and looks for events that were left out. The second follows the
   whole chain and says whether the log still holds what it held when the pack was made. Reports and tables are compared
   with manifest.json alone: whoever changes one of them and manifest.json too is found out by making the pack again.

A chain proves nothing against its owner, who could write it anew from the beginning. It does against an anchor that
was kept elsewhere: keep the one above, and compare it with those on printed QA reports and earlier packs.

Bonewatch is an administrative interlock and QA record. It diagnoses nothing.
"""


def readme(device: str, site: str, days: tuple[date, date], time_zone: str, anchor: Anchor) -> str:
    """Return the text; `days` are the first and the last."""
    first, last = days
    return _TEXT.format(
        device=device,
        site=site,
        first=day(first),
        last=day(last),
        at=moment(anchor.recorded_at, zone(time_zone)),
        time_zone=time_zone,
        position=anchor.position,
        link=anchor.link,
    )
