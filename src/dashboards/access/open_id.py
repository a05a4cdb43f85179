"""JSON Web Tokens of an OpenID Connect provider: OpenID Connect Discovery 1.0, RFC 7517 and RFC 7519 by PyJWT.

Its keys are fetched when they are first needed, and again when a token names one that is not known, at most once a
minute whatever is sent. While the provider is away the keys that are known go on to count, for a day.
"""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Final

import jwt
import structlog

from dashboards.access.caller import Caller, Way
from dashboards.access.scopes import ROLE_OF_PROGRAMS, Scope, known_scopes, scopes_of_role
from dashboards.access.settings import OpenIdSettings
from dashboards.access.tokens import TokenError
from streams.addresses import is_safe_address
from streams.roles import Role

TIMEOUT_S: Final = 5.0
MAX_ANSWER_BYTES: Final = 1_000_000
MAX_TOKEN_CHARACTERS: Final = 8192
FETCHED_EVERY_S: Final = 60.0
FRESH_S: Final = 3600.0
"""After so long keys are fetched anew: one that the provider took back must stop to count."""
KNOWN_S: Final = 86_400.0

_log = structlog.get_logger("dashboards.openid")


class ForeignTokenError(TokenError):
    """A token that the provider did not sign for us now; `counts` unless it was merely out of date."""

    def __init__(self, why: str, *, counts: bool) -> None:
        super().__init__(why)
        self.why = why
        self.counts = counts

    def __str__(self) -> str:
        return f"The token does not count: {self.why}"


class IssuerAwayError(Exception):
    """The provider's keys cannot be had; nothing was checked."""

    def __str__(self) -> str:
        return "The sign-in service cannot be reached; try again in a moment"


class OpenIdIssuer:
    """Says who a token's bearer is.

    Parameters
    ----------
    settings
        Whose tokens count, and what their claims mean.
    monotonic
        Seconds that never run back.
    """

    def __init__(self, settings: OpenIdSettings, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    def caller(self, token: str) -> Caller:
        """Return the bearer of a token.

        Raises
        ------
        ForeignTokenError
            It does not count.
        IssuerAwayError
            It could not be checked.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise ForeignTokenError("it is too long", counts=True)
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway_s,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise ForeignTokenError("it has expired", counts=False) from error
        except jwt.PyJWTError as error:  # its text may quote the token
            raise ForeignTokenError(_why(error), counts=True) from error
        return self._caller(claims)

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        name = claims.get(self._settings.name_claim)
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ForeignTokenError(f"it has no claim {self._settings.name_claim}", counts=False)
        role = self._role(claims)
        given = self._scopes(claims)
        if role is None:
            return Caller(name.strip()[:80], ROLE_OF_PROGRAMS, Way.OPENID, given or frozenset())
        permitted = scopes_of_role(role)
        return Caller(name.strip()[:80], role, Way.OPENID, permitted if given is None else permitted & given)

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        """Return the role; the first of the configuration that the claim names."""
        if not self._settings.role_claim:
            return None
        named = set(_values(claims.get(self._settings.role_claim)))
        return next((role for value, role in self._settings.roles.items() if value in named), None)

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[Scope] | None:
        """Return the scopes that a token names; None if nothing limits it."""
        claim = claims.get(self._settings.scope_claim)
        named = _values(claim)
        if self._settings.scopes:
            found = frozenset(one for name in named for one in self._settings.scopes.get(name, ()))
            return None if claim is None else found  # scopes that are mapped are a limit, also where none is ours
        return known_scopes(named) or None

    def _key(self, key_id: object) -> jwt.PyJWK:
        if not isinstance(key_id, str):
            raise ForeignTokenError("it does not say by which key it is signed", counts=True)
        with self._lock:
            now = self._monotonic()
            is_fresh = self._fetched_at is not None and now - self._fetched_at < FRESH_S
            may_try = self._tried_at is None or now - self._tried_at >= FETCHED_EVERY_S
            if (key_id not in self._keys or not is_fresh) and may_try:
                self._fetch(now)
            if self._fetched_at is None or now - self._fetched_at >= KNOWN_S:
                raise IssuerAwayError
            if key_id not in self._keys:
                raise ForeignTokenError("it is signed by a key that the issuer does not have", counts=True)
            return self._keys[key_id]

    def _fetch(self, now: float) -> None:
        """Fetch the provider's keys; if that fails, those that are known stand."""
        self._tried_at = now
        try:
            found = jwt.PyJWKSet.from_dict(_json_at(_address_of_keys(self._settings.issuer)))
        except (OSError, HTTPException, TypeError, ValueError, jwt.PyJWTError) as error:
            _log.warning("openid_keys_not_fetched", issuer=self._settings.issuer, error=type(error).__name__)
            return
        self._keys = {key.key_id: key for key in found.keys if key.key_id and key.public_key_use in {None, "sig"}}
        self._fetched_at = now


def _address_of_keys(issuer: str) -> str:
    about = _json_at(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if about.get("issuer") != issuer:
        raise ValueError("the discovery document is of another issuer")
    return str(about.get("jwks_uri"))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the address that was configured, or named by it, is the one that counts."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        """Decline; the redirect is then an error."""


def _json_at(url: str) -> dict[str, Any]:
    if not is_safe_address(url):
        raise ValueError("not an https address")
    with urllib.request.build_opener(_NoRedirect()).open(url, timeout=TIMEOUT_S) as answer:
        found = json.loads(answer.read(MAX_ANSWER_BYTES))
    if not isinstance(found, dict):
        raise TypeError("not a JSON object")
    return found


def _values(claim: object) -> list[str]:
    """Return a claim's values: a list, or words separated by spaces."""
    if isinstance(claim, str):
        return claim.split()
    return [one for one in claim if isinstance(one, str)] if isinstance(claim, list) else []


def _why(error: jwt.PyJWTError) -> str:
    reasons: dict[type[jwt.PyJWTError], str] = {
        jwt.InvalidAudienceError: "it is made out to somebody else",
        jwt.InvalidIssuerError: "it is of another issuer",
        jwt.ImmatureSignatureError: "its time has not come",
        jwt.MissingRequiredClaimError: "a claim is missing",
        jwt.InvalidAlgorithmError: "it is signed in a way that is not allowed",
        jwt.InvalidSignatureError: "its signature is not right",
    }
    return next((words for kind, words in reasons.items() if isinstance(error, kind)), "it is no token of ours")
