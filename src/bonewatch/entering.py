"""What people enter from the command line: the console's own forms, asked over its API, with the same checks."""

import base64
import http.client
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from bonewatch.errors import ConfigError
from dashboards.api.shapes import ActionOut, ActionsOut, AskedIn, FieldOut

TIMEOUT_S: Final = 30.0
PROBLEM: Final = "application/problem+json"
YES: Final = frozenset({"y", "yes", "1", "true", "on"})


class NotDoneError(Exception):
    """Nothing was recorded; the text says why, `errors` what is wrong with which field."""

    def __init__(self, status: int, detail: str, errors: Mapping[str, str]) -> None:
        super().__init__(detail)
        self.status, self.errors = status, dict(errors)


class Entrance:
    """A person's way into a running site.

    Parameters
    ----------
    url
        The console's address. Name and password go over it: outside this machine only by https.
    name, password
        The person's.
    """

    def __init__(self, url: str, name: str, password: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            raise ConfigError(f"{url} is no address of a console, such as https://bonewatch.example.org")
        if parts.scheme != "https" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
            raise ConfigError(f"{url} would send the password in clear: give an address that begins with https://")
        self._url = url.rstrip("/")
        proxies: dict[str, str] | None = (
            {} if parts.scheme == "http" else None
        )  # this machine's own console is asked directly
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _NoRedirect())
        self._credentials = base64.b64encode(f"{name}:{password}".encode()).decode()

    def offered(self, device: str) -> ActionsOut:
        """Return what the person may do to a device now."""
        return msgspec.convert(self.ask(f"/api/v1/devices/{quote(device)}/actions"), ActionsOut)

    def do(self, device: str, offered: ActionsOut, slug: str, values: Mapping[str, str]) -> str:
        """Do it once; return what the site says.

        Raises
        ------
        NotDoneError
            Nothing was recorded.
        ConfigError
            The site cannot be reached, or its answer was lost: then it may have been recorded.
        """
        asked = AskedIn(secrets.token_hex(16), offered.device_seq, dict(values))
        path = f"/api/v1/devices/{quote(device)}/actions/{quote(slug)}"
        try:
            return str(self.ask(path, asked)["done"])
        except ConfigError as error:
            lost = "the site's answer was lost: look at the device's page before you enter it again"
            raise ConfigError(f"{lost} ({error})") from error

    def ask(self, path: str, asked: msgspec.Struct | None = None) -> Any:
        """Ask the API for a path, with the person's name and password; return what it answers."""
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url + path,
            data=msgspec.json.encode(asked) if asked is not None else None,
            headers={"Authorization": f"Basic {self._credentials}", "Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _not_done(error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ConfigError(f"no site answers at {self._url}: start it, or say where with --url") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: a redirect would take the password along."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """Decline; the redirect is then told as an error."""


def chosen(offered: ActionsOut, slug: str) -> ActionOut:
    """Return an action, or raise `ConfigError` naming those that there are."""
    found = next((one for one in offered.actions if one.slug == slug), None)
    if found is None:
        raise ConfigError(f"{slug} cannot be done now; these can: {', '.join(one.slug for one in offered.actions)}")
    return found


def typed_values(action: ActionOut, typed: Sequence[str]) -> dict[str, str]:
    """Return ``name=value`` arguments by name, or raise `ConfigError` naming the fields that there are."""
    values: dict[str, str] = {}
    fields = {field.name: field for field in action.fields}
    for one in typed:
        name, equals, value = one.partition("=")
        if not equals or name not in fields:
            raise ConfigError(f"{one} is no field; write name=value with {', '.join(fields) or 'no field at all'}")
        values[name] = _as_sent(fields[name], value)
    return values


def asked_for(action: ActionOut, values: Mapping[str, str], ask: Callable[[str, str], str]) -> dict[str, str]:
    """Return the values with those that are missing and required, which a person is asked for."""
    full = dict(values)
    for field in action.fields:
        if field.name in full or not (field.required or field.kind == "tick"):
            continue
        choices = f" ({', '.join(field.choices)})" if field.choices else " (yes or no)" if field.kind == "tick" else ""
        hint = f" [{field.hint}]" if field.hint else ""
        full[field.name] = _as_sent(field, ask(f"{field.label}{choices}{hint}", field.value))
    return full


def _as_sent(field: FieldOut, value: str) -> str:
    """Return what the form would send: a box that is not ticked sends nothing, a choice its key."""
    if field.kind == "tick":
        return "yes" if value.strip().casefold() in YES else ""
    by_label = {label.casefold(): key for key, label in field.choices.items()}
    return by_label.get(value.strip().casefold(), value)


def _not_done(error: urllib.error.HTTPError) -> NotDoneError:
    try:
        told = json.load(error)
        return NotDoneError(error.code, str(told["detail"]), told.get("errors", {}))
    except (ValueError, KeyError, TypeError, AttributeError):
        return NotDoneError(error.code, HTTPStatus(error.code).phrase, {})
