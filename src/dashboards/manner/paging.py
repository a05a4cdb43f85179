"""Pages of a long list: `limit`, an opaque `cursor`, and the next page's address in `Link` (RFC 8288).

A cursor is where a page ended, signed: nobody can make one up, nor use it with another question. It names the last row,
not a number of rows, so that what is added meanwhile neither repeats nor hides a row.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlencode

from itsdangerous import BadSignature, URLSafeSerializer
from litestar import Request, Response
from litestar.exceptions import ValidationException
from litestar.params import QueryParameter

Position = Sequence[str | int]
"""The columns that a list is sorted by, of its last row."""

PageLimit = Annotated[int, QueryParameter(ge=1, le=1000, description="The most of one page")]
Cursor = Annotated[str | None, QueryParameter(max_length=1000, description="Where the last page ended, from its Link")]

Row = TypeVar("Row")
Shown = TypeVar("Shown")

_OWN: Final = frozenset({"cursor", "limit"})


class Cursors:
    """Makes cursors and takes them back.

    Parameters
    ----------
    secret
        What they are signed with; kept over a restart, so that a program can go on.
    """

    def __init__(self, secret: str) -> None:
        self._signer: URLSafeSerializer = URLSafeSerializer(
            secret, salt="bonewatch.cursor", signer_kwargs={"key_derivation": "hmac", "digest_method": sha256}
        )

    def after(self, request: Request[Any, Any, Any], cursor: str | None) -> Position | None:
        """Return the place after which a page begins; None for the first page.

        Raises
        ------
        ValidationException
            The cursor is not one of ours, or was of another question.
        """
        return self.opened(_question(request), cursor)

    def opened(self, question: str, cursor: str | None) -> Position | None:
        """Return the place that a cursor names; None without a cursor.

        Parameters
        ----------
        question
            A digest of what is asked, whatever part of it.

        Raises
        ------
        ValidationException
            As `after` does.
        """
        if cursor is None:
            return None
        try:
            about, position = self._signer.loads(cursor)
        except (BadSignature, ValueError, TypeError) as error:
            raise ValidationException("The cursor is not right: take it from the page before") from error
        if about != question:
            raise ValidationException("The cursor is of another question: ask for the first page anew")
        return list(position)

    def sealed(self, question: str, position: Position) -> str:
        """Return the cursor that names a place."""
        return str(self._signer.dumps([question, list(position)]))

    def page(
        self,
        request: Request[Any, Any, Any],
        rows: Sequence[Row],
        limit: int,
        *,
        place: Callable[[Row], Position],
        shown: Callable[[Row], Shown],
    ) -> Response[list[Shown]]:
        """Return a page of `rows`, of which one more than `limit` was looked for, and where the next one is."""
        told = rows[:limit]
        headers = {}
        if len(rows) > limit:
            cursor = self.sealed(_question(request), place(told[-1]))
            query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
            address = f"{request.url.path}?{urlencode([*query, ('cursor', cursor)])}"
            headers["Link"] = f'<{address}>; rel="next"'
        return Response([shown(row) for row in told], headers=headers)


def _question(request: Request[Any, Any, Any]) -> str:
    """Return a digest of what is asked, whatever part of it."""
    asked = sorted((name, value) for name, value in request.query_params.multi_items() if name not in _OWN)
    return sha256(f"{request.url.path}?{urlencode(asked)}".encode()).hexdigest()[:16]
