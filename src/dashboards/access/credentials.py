"""Finds out who calls a route of the API, by token, password or session; what is not right is refused here."""

from typing import Any, Final

from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException, ServiceUnavailableException

from dashboards.access.caller import Caller, Way, caller_from_session, caller_from_token
from dashboards.access.limits import ApiLimits, too_many
from dashboards.access.lockout import LockedOutError
from dashboards.access.needs import SAFE, Needs, method_of
from dashboards.access.open_id import IssuerAwayError, OpenIdIssuer
from dashboards.access.tokens import PREFIX, TokenError, UnknownTokenError
from dashboards.basic import person_by_password
from dashboards.context import Console
from dashboards.sessions import Session

REALM: Final = 'realm="bonewatch"'
_ASK: Final = {"WWW-Authenticate": f"Bearer {REALM}"}
"""Not Basic: a browser would put a window of its own over the console."""

Connection = ASGIConnection[Any, Any, Any, Any]


class Credentials:
    """Identifies callers, counts what they ask and what was wrong."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._limits = ApiLimits(console.settings.api)
        openid = console.settings.openid
        self._issuer = OpenIdIssuer(openid) if openid.issuer else None

    async def caller(self, connection: Connection, session: Session | None, needs: Needs) -> Caller | None:
        """Return who calls; None for a visitor whom the site's policy lets read its status.

        Raises
        ------
        NotAuthorizedException
            No credential, or a wrong one.
        PermissionDeniedException
            It does not suffice.
        TooManyRequestsException
            Beyond a limit, or locked out.
        ServiceUnavailableException
            It cannot be checked now.
        """
        caller = await self.known(connection, session)
        if caller is None:
            await self._limits.count_address(address_of(connection))
            if needs.public_status and self._console.settings.public_status:
                return None
            raise NotAuthorizedException(_missing(connection, session), headers=_ASK)
        await self._limits.count_caller(caller.key)
        return caller

    async def count_stranger(self, connection: Connection) -> None:
        """Count a visit to a page that a link opens without sign-in; TooManyRequestsException beyond the limit."""
        await self._limits.count_address(address_of(connection))

    async def known(self, connection: Connection, session: Session | None) -> Caller | None:
        """Return whose credential a connection carries, as it counts now; None without one. Raises as `caller`."""
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        match scheme.casefold():
            case "":
                is_read = method_of(connection.scope) in SAFE
                return caller_from_session(session, Way.SESSION) if session and is_read else None
            case "bearer":
                return await self._by_token(connection, given.strip())
            case "basic":
                return await self._by_password(connection)
            case _:
                raise NotAuthorizedException("Send a token (Bearer), or name and password (Basic)", headers=_ASK)

    async def _by_password(self, connection: Connection) -> Caller:
        await self._limits.count_password(address_of(connection))
        try:
            person = await sync_to_thread(person_by_password, self._console, connection.headers["authorization"])
        except NotAuthorizedException as error:
            headers = {"WWW-Authenticate": f'Basic {REALM}, charset="UTF-8"'}
            raise NotAuthorizedException(error.detail, headers=headers) from error
        return caller_from_session(person, Way.PASSWORD)

    async def _by_token(self, connection: Connection, token: str) -> Caller:
        """Return a token's bearer; a right one counts even from an address from which wrong ones came."""
        try:
            if token.startswith(PREFIX):
                return caller_from_token(await sync_to_thread(self._console.users.tokens.find, token))
            if self._issuer is None:
                raise UnknownTokenError
            return await sync_to_thread(self._issuer.caller, token)
        except IssuerAwayError as error:
            raise ServiceUnavailableException(str(error), headers={"Retry-After": "60"}) from error
        except TokenError as error:
            await self._limits.count_address(address_of(connection))
            if error.counts:
                await self._count_wrong(f"address {address_of(connection)}")
            challenge = f'Bearer {REALM}, error="invalid_token", error_description="{error}"'
            raise NotAuthorizedException(str(error), headers={"WWW-Authenticate": challenge}) from error

    async def _count_wrong(self, who: str) -> None:
        try:
            await sync_to_thread(self._console.users.lockout.count, who)
        except LockedOutError as error:
            raise too_many(str(error), (error.until - self._console.clock()).total_seconds()) from error


def require_scope(caller: Caller, needs: Needs) -> None:
    """Refuse a caller whose token or role does not suffice."""
    if not caller.scopes.isdisjoint(needs.scopes):
        return
    if caller.way in {Way.TOKEN, Way.OPENID}:
        named = [scope.value for scope in needs.scopes]
        challenge = f'Bearer {REALM}, error="insufficient_scope", scope="{" ".join(named)}"'
        words = f"This needs the scope {' or '.join(named)}, which the token does not have"
        raise PermissionDeniedException(words, headers={"WWW-Authenticate": challenge})
    raise PermissionDeniedException(f"The role {caller.role.value} may not do this")


def address_of(connection: Connection) -> str:
    """Return where a request comes from, by its socket."""
    return connection.client.host if connection.client else ""


def _missing(connection: Connection, session: Session | None) -> str:
    if session is not None and method_of(connection.scope) not in SAFE:
        return "Send a token, or name and password (HTTP Basic); a browser's session does not count here"
    return "Sign in first: send a token, or name and password (HTTP Basic)"
