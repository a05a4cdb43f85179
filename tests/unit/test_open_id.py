"""JSON Web Tokens of a provider that this test runs, with real keys, on loopback."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec
import pytest

from dashboards.access.caller import Way
from dashboards.access.open_id import (
    FETCHED_EVERY_S,
    FRESH_S,
    KNOWN_S,
    ForeignTokenError,
    IssuerAwayError,
    OpenIdIssuer,
)
from dashboards.access.scopes import ROLES_OF_SCOPE, Scope
from dashboards.access.settings import OpenIdSettings
from streams.roles import Role
from tests.openid_provider import SECOND, Provider


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def settings(provider: Provider) -> OpenIdSettings:
    return OpenIdSettings(issuer=provider.issuer, audience="bonewatch")


def test_a_token_of_the_provider_stands_for_its_subject_and_scopes(
    provider: Provider, settings: OpenIdSettings
) -> None:
    caller = OpenIdIssuer(settings).caller(provider.token(scope="openid gates:read fhir:read other:read"))
    assert (caller.name, caller.way, caller.role) == ("booking", Way.OPENID, Role.SERVICE)
    assert caller.scopes == {Scope.GATES_READ, Scope.FHIR_READ}


def test_a_token_without_a_scope_or_role_of_ours_may_nothing(provider: Provider, settings: OpenIdSettings) -> None:
    issuer = OpenIdIssuer(settings)
    assert issuer.caller(provider.token()).scopes == set()
    assert issuer.caller(provider.token(scope=17)).scopes == set()
    assert issuer.caller(provider.token(scope={"gates:read": 1})).scopes == set()


def test_claims_mean_what_the_configuration_says(provider: Provider, settings: OpenIdSettings) -> None:
    mapped = msgspec.structs.replace(
        settings,
        name_claim="preferred_username",
        role_claim="groups",
        roles={"DXA-Physics": Role.PHYSICIST, "DXA-Radiography": Role.OPERATOR},
        scopes={"bw.status": (Scope.GATES_READ, Scope.QC_READ)},
    )
    issuer = OpenIdIssuer(mapped)
    claims: dict[str, Any] = {
        "preferred_username": "Dr M Expert",
        "groups": ["Staff", "DXA-Radiography", "DXA-Physics"],
    }
    whole = issuer.caller(provider.token(**claims))
    assert (whole.name, whole.role) == ("Dr M Expert", Role.PHYSICIST)
    assert whole.scopes == {scope for scope, roles in ROLES_OF_SCOPE.items() if Role.PHYSICIST in roles}
    narrowed = issuer.caller(provider.token(**claims, scope="bw.status gates:read"))
    assert narrowed.scopes == {Scope.GATES_READ, Scope.QC_READ}
    stranger = issuer.caller(provider.token(preferred_username="Sam", groups=["Staff"]))
    assert stranger.role is Role.SERVICE
    assert stranger.scopes == frozenset()


@pytest.mark.parametrize(
    ("change", "words", "counts"),
    [
        ({"aud": "another service"}, "made out to somebody else", True),
        ({"aud": None}, "a claim is missing", True),
        ({"iss": "https://other.example.org"}, "of another issuer", True),
        ({"iss": None}, "a claim is missing", True),
        ({"exp": None}, "a claim is missing", True),
        ({"exp": datetime(2020, 1, 1, tzinfo=UTC)}, "expired", False),
        ({"nbf": datetime(2099, 1, 1, tzinfo=UTC)}, "has not come", True),
        ({"key": SECOND}, "signature is not right", True),
        ({"kid": "second"}, "key that the issuer does not have", True),
        ({"kid": None}, "by which key", True),
        ({"algorithm": "RS512"}, "not allowed", True),
        ({"sub": " "}, "no claim sub", False),
    ],
)
def test_a_token_that_is_not_right_does_not_count(
    provider: Provider, settings: OpenIdSettings, change: dict[str, Any], words: str, *, counts: bool
) -> None:
    with pytest.raises(ForeignTokenError, match=words) as refused:
        OpenIdIssuer(settings).caller(provider.token(**change))
    assert refused.value.counts is counts


def test_a_token_signed_with_the_public_key_as_a_secret_or_not_at_all_does_not_count(
    provider: Provider, settings: OpenIdSettings
) -> None:
    issuer, good = OpenIdIssuer(settings), provider.token()
    _, body, signature = good.split(".")
    for header in ({"alg": "none", "kid": "first"}, {"alg": "HS256", "kid": "first"}):
        head = jwt.utils.base64url_encode(json.dumps(header).encode()).decode()
        for signed in ("", signature):
            with pytest.raises(ForeignTokenError):
                issuer.caller(f"{head}.{body}.{signed}")
    for nonsense in ("", "x", "a.b.c", "é" * 9000, good + "x" * 9000):
        with pytest.raises(ForeignTokenError):
            issuer.caller(nonsense)


def test_keys_are_fetched_once_and_anew_for_a_new_key_at_most_once_a_minute(
    provider: Provider, settings: OpenIdSettings
) -> None:
    seconds = Seconds()
    issuer = OpenIdIssuer(settings, monotonic=seconds)
    for _ in range(3):
        issuer.caller(provider.token())
    assert len(provider.fetched) == 2
    provider.keys = {"second": SECOND}
    new = provider.token(key=SECOND, kid="second")
    for _ in range(3):
        with pytest.raises(ForeignTokenError):
            issuer.caller(new)
    assert len(provider.fetched) == 2
    seconds.now += FETCHED_EVERY_S
    assert issuer.caller(new).name == "booking"
    assert len(provider.fetched) == 4
    with pytest.raises(ForeignTokenError, match="does not have"):
        issuer.caller(provider.token())


def test_a_key_that_the_provider_took_back_counts_no_more_after_an_hour(
    provider: Provider, settings: OpenIdSettings
) -> None:
    seconds = Seconds()
    issuer = OpenIdIssuer(settings, monotonic=seconds)
    issuer.caller(provider.token())
    provider.keys = {"second": SECOND}
    seconds.now += FRESH_S
    with pytest.raises(ForeignTokenError, match="does not have"):
        issuer.caller(provider.token())


def test_while_the_provider_is_away_its_keys_count_on_for_a_day(provider: Provider, settings: OpenIdSettings) -> None:
    seconds = Seconds()
    issuer = OpenIdIssuer(settings, monotonic=seconds)
    provider.away = True
    with pytest.raises(IssuerAwayError):
        issuer.caller(provider.token())
    provider.away, seconds.now = False, seconds.now + FETCHED_EVERY_S
    issuer.caller(provider.token())
    provider.away, seconds.now = True, seconds.now + KNOWN_S - 1
    assert issuer.caller(provider.token()).name == "booking"
    seconds.now += FETCHED_EVERY_S
    with pytest.raises(IssuerAwayError):
        issuer.caller(provider.token())


def test_a_discovery_document_of_somebody_else_is_not_believed(provider: Provider, settings: OpenIdSettings) -> None:
    provider.issuer_says = "https://evil.example.org"
    with pytest.raises(IssuerAwayError):
        OpenIdIssuer(settings).caller(provider.token())
