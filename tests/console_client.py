"""A visitor of the console without a browser: keeps cookies, fills in forms as they are."""

import re
from typing import Any

import httpx
from litestar.testing import TestClient

TOKEN = re.compile(r'name="_csrf_token" value="([0-9a-f]+)"')
HIDDEN = re.compile(r'type="hidden" name="(\w+)" value="([^"]*)"')


class Visitor:
    """Somebody with a browser and no JavaScript."""

    def __init__(self, client: "TestClient[Any] | httpx.Client") -> None:
        self.client = client

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path, follow_redirects=False)

    def post(self, path: str, *, token: str | None = None, **fields: str) -> httpx.Response:
        """Post fields with the CSRF token of the sign-in page, or with the one given."""
        carried = self.token() if token is None else token
        return self.client.post(path, data={"_csrf_token": carried, **fields}, follow_redirects=False)

    def token(self) -> str:
        found = TOKEN.search(self.get("/sign-in").text)
        assert found is not None
        return found[1]

    def sign_in(self, name: str, password: str, there: str = "/") -> httpx.Response:
        return self.post("/sign-in", name=name, password=password, next=there)

    def fill_in(self, path: str, **fields: str) -> httpx.Response:
        """Open a form and send it with its hidden fields, unless they are given otherwise."""
        page = self.get(path)
        assert page.status_code == 200, page.text
        hidden = dict(HIDDEN.findall(page.text[page.text.index("<main") :]))
        return self.client.post(path, data=hidden | fields, follow_redirects=False)
