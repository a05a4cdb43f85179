"""Settings of the web side of a site, as the configuration file resolves them."""

from zoneinfo import ZoneInfo

import msgspec

from dashboards.access.settings import ApiSettings, OpenIdSettings
from streams.fold.schedule import zone


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
        Pause between signs of life on a live page's connection.
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
    api: ApiSettings = ApiSettings()
    openid: OpenIdSettings = OpenIdSettings()

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return zone(self.time_zone)
