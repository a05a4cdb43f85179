"""What every response says to the browser: nothing from elsewhere, no framing, no guessing; and the CSRF rule."""

from typing import Any, Final

from litestar.config.csrf import CSRFConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

from dashboards.settings import HttpSettings

CSRF_COOKIE: Final = "bonewatch_csrf"
CSRF_HEADER: Final = "x-csrf-token"

_CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

_HEADERS: Final = {
    "content-security-policy": _CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


async def add_security_headers(message: Message, scope: Scope) -> None:
    """Add the headers to each response, errors included; what is not a static file is never kept."""
    if message["type"] != "http.response.start":
        return
    message.setdefault("headers", [])
    headers = MutableScopeHeaders.from_message(message)
    for name, value in _HEADERS.items():
        headers[name] = value
    static = str(scope["path"]).startswith("/static/") and message["status"] == 200
    headers["cache-control"] = "public, max-age=86400" if static else "no-store"


def csrf_config(settings: HttpSettings, secret: str) -> CSRFConfig:
    """Return the rule that every state-changing request carries the token of its form or page.

    What writes through the API carries a token or name and password instead, and takes no cookie.
    """
    options: dict[str, Any] = {"cookie_httponly": True, "cookie_samesite": "strict"}
    return CSRFConfig(
        secret=secret,
        cookie_name=CSRF_COOKIE,
        header_name=CSRF_HEADER,
        cookie_secure=settings.secure_cookies,
        exclude=r"^/(api|fhir)/",
        **options,
    )
