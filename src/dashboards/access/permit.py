"""A credential that is looked at again while what it opened goes on."""

from collections.abc import Set as AbstractSet
from typing import Self

from litestar.concurrency import sync_to_thread
from litestar.exceptions import HTTPException

from dashboards.access.caller import Caller, Way
from dashboards.access.credentials import Connection, Credentials
from dashboards.access.scopes import Scope
from dashboards.auth import session_of
from dashboards.context import Console
from dashboards.users import Account


class Permit:
    """What a caller's credential permitted when something began; `begin` makes one.

    A password is not checked again, for that would count as a right one against those who guess: its account must
    stand as it did.
    """

    def __init__(
        self,
        console: Console,
        credentials: Credentials,
        connection: Connection,
        scopes: AbstractSet[Scope],
        account: Account | None,
    ) -> None:
        self._console = console
        self._credentials = credentials
        self._connection = connection
        self._scopes = scopes
        self._account = account

    @classmethod
    async def begin(
        cls,
        console: Console,
        credentials: Credentials,
        connection: Connection,
        caller: Caller,
        scopes: AbstractSet[Scope],
    ) -> Self:
        """Return what is to stand for the caller of a connection to go on with some scopes."""
        by_password = caller.way is Way.PASSWORD
        account = await sync_to_thread(console.users.account, caller.name) if by_password else None
        return cls(console, credentials, connection, scopes, account)

    async def stands(self) -> bool:
        """Whether it permits the same now; what cannot be checked now does not."""
        if self._account is not None:
            return await sync_to_thread(self._console.users.account, self._account.user.name) == self._account
        try:
            session = await session_of(self._connection, self._console)
            caller = await self._credentials.known(self._connection, session)
        except HTTPException:
            return False
        return caller is not None and self._scopes <= caller.scopes
