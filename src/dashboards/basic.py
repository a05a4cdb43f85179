"""Who asks by name and password (HTTP Basic): programs, the command line, calendars."""

import base64

from litestar.exceptions import NotAuthorizedException, ServiceUnavailableException

from dashboards.access.limits import too_many
from dashboards.access.lockout import LockedOutError
from dashboards.context import Console
from dashboards.passwords import HashingBusyError
from dashboards.sessions import Session
from dashboards.users import WrongCredentialsError


def person_by_password(console: Console, authorization: str) -> Session:
    """Return who asks, by the name and password in the header of that name."""
    name, password = _credentials(authorization)
    try:
        user = console.users.verify(name[:200], password[:1000])
    except WrongCredentialsError as error:
        raise NotAuthorizedException(str(error)) from error
    except LockedOutError as error:
        raise too_many(str(error), (error.until - console.clock()).total_seconds()) from error
    except HashingBusyError as error:
        raise ServiceUnavailableException(str(error)) from error
    return Session(user.name, user.role, console.clock(), demo=False)


def _credentials(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:  # no ASCII, no base64, no UTF-8
        name = colon = password = ""
    if scheme.casefold() != "basic" or not colon:
        raise NotAuthorizedException("Send name and password (HTTP Basic); a browser's session does not count here")
    return name, password
