"""Times as people at the site say them: in its zone, on a 24-hour clock, "today" where it is today."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


class SiteTime:
    """Says aware times in the site's zone, seen from `now`."""

    def __init__(self, zone: ZoneInfo, now: datetime) -> None:
        self.zone = zone
        self.now = now.astimezone(zone)

    def clock(self, moment: datetime) -> str:
        """``07:45``."""
        return moment.astimezone(self.zone).strftime("%H:%M")

    def clock_s(self, moment: datetime) -> str:
        """``07:45:09``."""
        return moment.astimezone(self.zone).strftime("%H:%M:%S")

    def day(self, moment: datetime) -> str:
        """``today``, ``tomorrow``, ``yesterday``, ``Tue 3 Nov`` or, in another year, ``3 Nov 2025``."""
        local = moment.astimezone(self.zone)
        days = (local.date() - self.now.date()).days
        near = {0: "today", 1: "tomorrow", -1: "yesterday"}
        if days in near:
            return near[days]
        if local.year == self.now.year:
            return f"{local:%a} {local.day} {local:%b}"
        return f"{local.day} {local:%b %Y}"

    def when(self, moment: datetime) -> str:
        """``07:45 today``."""
        return f"{self.clock(moment)} {self.day(moment)}"

    def until(self, moment: datetime) -> str:
        """Like `when`, but an end at midnight is said as the last minute before it: ``23:59 today``."""
        if moment.astimezone(self.zone).time() == time(0):
            moment -= timedelta(minutes=1)
        return self.when(moment)

    def away(self, moment: datetime) -> str:
        """``in 45 minutes``, ``in 3 hours``, ``now`` or ``20 minutes ago``."""
        minutes = round((moment - self.now).total_seconds() / 60)
        if minutes == 0:
            return "now"
        count, unit = (abs(minutes), "minute") if abs(minutes) < 90 else (round(abs(minutes) / 60), "hour")
        said = f"{count} {unit}{'' if count == 1 else 's'}"
        return f"in {said}" if minutes > 0 else f"{said} ago"

    def iso(self, moment: datetime) -> str:
        """For a `time` element and for scripts."""
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def field(self, moment: datetime | None) -> str:
        """For a `datetime-local` input."""
        return moment.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M") if moment else ""

    def from_field(self, text: str) -> datetime:
        """Return the aware time that a `datetime-local` input holds.

        Raises
        ------
        ValueError
            It is no time, or one that the clocks skip in spring.
        """
        naive = datetime.fromisoformat(text)
        if naive.tzinfo is not None:
            raise ValueError("a time of day without a zone is wanted")
        moment = naive.replace(tzinfo=self.zone).astimezone(UTC)
        if moment.astimezone(self.zone).replace(tzinfo=None) != naive:
            raise ValueError("the clocks skip this time")
        return moment

    def from_clock(self, text: str) -> datetime:
        """Return today at ``HH:MM``; raise what `from_field` raises."""
        return self.from_field(f"{self.now:%Y-%m-%d}T{time.fromisoformat(text):%H:%M}")
