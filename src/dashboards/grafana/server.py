"""A Grafana over its HTTP API: folders, dashboards and data sources by uid; its refusals in words."""

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from streams.addresses import is_safe_address

TIMEOUT_S: Final = 20.0
WORDS_OF_GRAFANA: Final = 300
"""How much of what Grafana says about a refusal is told."""

_ADVICE: Final[Mapping[int, str]] = {
    401: "it does not know the token: make one for a service account there, and mind that it expires",
    403: "the token may not do this: its service account needs the role Editor (Admin for data sources)",
    404: "there is no such place: is this the address of Grafana itself, with the sub-path that it is served under?",
    409: "something of the same name is there already",
    412: "something of the same name or uid is there already and belongs to a provisioned file or another folder",
}


class GrafanaError(Exception):
    """A Grafana is away, or refuses; says what to do."""


class Grafana:
    """A Grafana, asked with a service account's token.

    Parameters
    ----------
    url
        Where it is served, with its sub-path if it has one.
    token
        Of a service account.
    ca_file
        PEM of who signed its certificate; empty: the usual ones.
    plain_http
        Whether the token may travel without TLS beyond this computer.

    Raises
    ------
    GrafanaError
        The URL is none, or would send the token in the clear.
    """

    def __init__(self, url: str, token: str, *, ca_file: str = "", plain_http: bool = False) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise GrafanaError(f"{url} is no address of a Grafana: https://grafana.example.org")
        if not plain_http and not is_safe_address(url):
            raise GrafanaError(f"{url}: the token would travel in the clear; use https, or say --plain-http")
        self._where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        try:
            verify = ssl.create_default_context(cafile=ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise GrafanaError(f"{ca_file} cannot be read as certificates: {error}") from error
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        self._client = httpx.Client(base_url=self._where, headers=headers, verify=verify, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def find(self, path: str) -> dict[str, Any] | None:
        """Return what is there, or none where nothing is."""
        answer = self._ask("GET", path, None)
        return None if answer.status_code == HTTPStatus.NOT_FOUND else self._read(answer, path)

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make or change something; return what Grafana says."""
        return self._read(self._ask(method, path, body), path)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        try:
            return self._client.request(method, path, json=body)
        except httpx.ConnectError as error:
            if "certificate" in str(error).lower() or "ssl" in str(error).lower():
                raise GrafanaError(
                    f"{self._where} is not trusted: {error}; --ca-file names the PEM of who signed its certificate"
                ) from error
            raise GrafanaError(f"{self._where} is away: {error}") from error
        except httpx.HTTPError as error:
            raise GrafanaError(f"{self._where} does not answer: {str(error) or type(error).__name__}") from error

    def _read(self, answer: httpx.Response, path: str) -> dict[str, Any]:
        if not answer.is_success:
            advice = _ADVICE.get(answer.status_code, "its own log says more")
            raise GrafanaError(f"{self._where}{path} answers {answer.status_code}{_said(answer)}: {advice}")
        try:
            read = answer.json()
        except ValueError:
            read = None
        if not isinstance(read, dict):
            raise GrafanaError(f"{self._where}{path} answers as no Grafana does: is another server in front of it?")
        return read


def _said(answer: httpx.Response) -> str:
    try:
        message = answer.json().get("message", "")
    except (ValueError, AttributeError):
        return ""
    return f" ({message[:WORDS_OF_GRAFANA]})" if isinstance(message, str) and message else ""
