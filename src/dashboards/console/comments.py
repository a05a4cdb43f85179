"""Comments beside what they are about: they alter nothing, and stand wherever that is shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from dashboards.console import log_words, wording
from dashboards.context import Console
from streams.equipment_log import LogItem, LogKind
from streams.messages import LogEntryMade
from streams.readings import DeviceView

READ: Final = 500


class Subject(NamedTuple):
    """What can be commented on: an entry of the equipment log, a verdict, a review; and where it is shown."""

    title: str
    text: str
    at: datetime
    address: str


def comments_by_subject(console: Console, view: DeviceView) -> Mapping[str, Sequence[LogItem]]:
    """Return a device's comments under the id of what they are about, the newest first."""
    found: dict[str, list[LogItem]] = {}
    for item in console.equipment_log.items(view.id, kinds=(LogKind.COMMENT,), limit=READ):
        if isinstance(item.matter, LogEntryMade):
            found.setdefault(item.matter.about, []).append(item)
    return found


def subject(console: Console, view: DeviceView, about: str) -> Subject | None:
    """Return what an id names; None where it is nothing that is shown."""
    item = console.equipment_log.item(view.id, about)
    if item is not None:
        told = log_words.said(item)
        return Subject(told.title, told.text, item.at, f"/devices/{view.id}/log/{quote(item.id, safe='')}")
    for review in view.reviews:
        if about and review.outcome_id == about:
            address = f"/reviews/{view.id}/{quote(review.review_id, safe='')}"
            return Subject("Review", review.text, review.opened_at, address)
    judged = next((one for one in console.readings.qc(view.id) if one.subject_event_id == about), None)
    if judged is None:
        return None
    title = f"{wording.verdict(judged.verdict)}: {judged.phantom_id} {judged.region}".rstrip()
    return Subject(title, judged.note, judged.measured_at, f"/devices/{view.id}")
