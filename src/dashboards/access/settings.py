"""``[api]`` and ``[openid]`` of the configuration file."""

from typing import Literal

import msgspec

from dashboards.access.scopes import Scope
from streams.addresses import is_safe_address
from streams.roles import Role

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures with a public key only: with a shared one whoever can check a token can make one."""


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much may be asked of the API; 0 is no limit (local policy)."""

    requests_a_minute: int = 1200
    unknown_requests_a_minute: int = 300


class OpenIdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose JSON Web Tokens count, and what their claims mean.

    Parameters
    ----------
    issuer
        The provider's issuer, under which its discovery document lies; blank: none.
    audience
        What a token must be made out to.
    algorithms
        The signatures that count.
    name_claim
        What stands in the record as the caller's name.
    role_claim, roles
        The claim that says what somebody is, and which of its values mean which role here.
    scope_claim, scopes
        The claim with the scopes, and which of its values mean which scopes here; without `scopes` they are called
        as ours are.
    leeway_s
        By how much clocks may differ.
    """

    issuer: str = ""
    audience: str = ""
    algorithms: tuple[Algorithm, ...] = ("RS256",)
    name_claim: str = "sub"
    role_claim: str = ""
    roles: dict[str, Role] = {}
    scope_claim: str = "scope"
    scopes: dict[str, tuple[Scope, ...]] = {}
    leeway_s: float = 30.0


def access_faults(api: ApiSettings, openid: OpenIdSettings) -> list[tuple[str, str]]:
    """Return (path, words) of what no type can say of both."""
    faults = [
        (f"$.api.{name}", f"{name} is 0 (no limit) or more")
        for name in ("requests_a_minute", "unknown_requests_a_minute")
        if getattr(api, name) < 0
    ]
    if not openid.issuer:
        return faults
    if not is_safe_address(openid.issuer):
        faults.append(("$.openid.issuer", "the issuer begins with https://"))
    if not openid.audience:
        faults.append(("$.openid.issuer", "an issuer needs an audience: what its tokens are made out to"))
    if not openid.algorithms:
        faults.append(("$.openid.algorithms", "name at least one algorithm"))
    if not 0 <= openid.leeway_s <= 300:
        faults.append(("$.openid.leeway_s", "leeway_s lies between 0 and 300"))
    if bool(openid.role_claim) != bool(openid.roles):
        faults.append(("$.openid.issuer", "role_claim and roles go together"))
    return faults
