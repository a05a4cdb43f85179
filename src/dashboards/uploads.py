"""Forms with files, read into memory alone: what somebody sends may be a patient's, and is written sealed or not.

Litestar puts a file of more than a megabyte into a temporary file, as it came.
"""

from typing import Any, Final

import msgspec
from litestar import Request
from litestar.datastructures.multi_dicts import FormMultiDict
from litestar.enums import RequestEncodingType
from litestar.exceptions import ClientException, NotAuthorizedException
from litestar.types import Empty
from multipart import MultipartError, MultipartSegment, PushMultipartParser  # type: ignore[import-untyped]

from dashboards.auth import session_of

MAX_PARTS: Final = 40
"""No form of ours has more fields."""
CSRF_FIELD: Final = "_csrf_token"
_UNREADABLE: Final = "This form cannot be read: open it anew and send it again"


class Sent(msgspec.Struct, frozen=True):
    """A file as it was sent: the name that the browser gives it, and its content."""

    name: str
    data: bytes


class MemoryRequest(Request[Any, Any, Any]):
    """A request whose forms never touch the disk; how long one may be says the route."""

    async def form(self) -> FormMultiDict:
        """Return the fields of a form; a field with a file is a `Sent`."""
        content_type, options = self.content_type
        if content_type == RequestEncodingType.MULTI_PART and self._connection_state.form is Empty:
            await self._refuse_strangers()
            self._connection_state.form = _fields(await self.body(), options.get("boundary", ""))
        form = await super().form()
        token = form.get(CSRF_FIELD, "")
        if not isinstance(token, str) or not token.isascii():  # Litestar compares it as it comes, and fails
            raise ClientException(_UNREADABLE)
        return form

    async def _refuse_strangers(self) -> None:
        """Read nothing of somebody's who is not signed in: a form with a file is megabytes, in memory.

        The token is looked for in the form before `SessionMiddleware` has its turn, so the session is looked for here.
        """
        is_public = self.route_handler.opt.get("public") == "always"
        if not is_public and await session_of(self, self.app.state.console) is None:
            raise NotAuthorizedException("Sign in first")


def _fields(body: bytes, boundary: str) -> dict[str, Any]:
    """Return a form's fields, the first of each name; raise ClientException for what is no form."""
    fields: dict[str, Any] = {}
    segment: MultipartSegment | None = None
    data = bytearray()
    try:
        with PushMultipartParser(boundary.encode(), max_segment_count=MAX_PARTS, strict=True) as parser:
            for part in (*parser.parse(body), *parser.parse(b"")):
                if isinstance(part, MultipartSegment):
                    segment, data = part, bytearray()
                elif part:
                    data.extend(part)
                elif segment is not None:
                    sent = Sent(segment.filename, bytes(data)) if segment.filename else data.decode()
                    fields.setdefault(segment.name, sent)
    except (MultipartError, ValueError) as error:
        raise ClientException(_UNREADABLE) from error
    return fields
