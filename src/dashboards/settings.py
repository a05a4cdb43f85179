"""Settings of the web side of a site, as the configuration file resolves them."""

from zoneinfo import ZoneInfo

import msgspec

from dashboards.access.settings import ApiSettings, OpenIdSettings
from streams.fold.schedule import zone


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much streams of the API may take (local policy).

    Parameters
    ----------
    most
        So many at once, of all callers.
    lasts_s
        A stream ends after this long, for its caller to come back; 0: when it has told what there is.
    checked_every_s
        How often the credential is looked at again.
    slow_s
        Who takes nothing for so long is dropped.
    """

    most: int = 50
    lasts_s: float = 3600.0
    checked_every_s: float = 30.0
    slow_s: float = 30.0


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the console presents itself and whom it lets in.

    Parameters
    ----------
    site_name
        Shown in the header of every page.
    time_zone
        IANA name; every time on a page is in it.
    host, port
        Where to listen; port 0 takes a free one.
    secure_cookies
        Send cookies over TLS only; switch on behind a TLS listener.
    session_hours
        A sign-in ends after this long whatever happens (local policy).
    public_status
        Show status board and device, gate and QC reads of the API without sign-in; they hold no patient data
        (local policy).
    heartbeat_s
        Pause between signs of life on a live page's connection, and on a stream of the API.
    streams
        How much streams of the API may take.
    api
        How much may be asked of the API.
    openid
        Whose JSON Web Tokens count.
    """

    site_name: str
    time_zone: str = "Europe/London"
    host: str = "127.0.0.1"
    port: int = 8080
    secure_cookies: bool = False
    session_hours: float = 10.0
    public_status: bool = True
    heartbeat_s: float = 10.0
    streams: StreamSettings = StreamSettings()
    api: ApiSettings = ApiSettings()
    openid: OpenIdSettings = OpenIdSettings()

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return zone(self.time_zone)
