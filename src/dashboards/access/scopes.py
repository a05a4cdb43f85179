"""What a program may do through the API: the one table that code and documents share."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from streams.roles import Role


class Scope(StrEnum):
    """One part of the API."""

    GATES_READ = "gates:read"
    QC_READ = "qc:read"
    MEASUREMENTS_READ = "measurements:read"
    REVIEWS_READ = "reviews:read"
    FHIR_READ = "fhir:read"
    EVIDENCE_READ = "evidence:read"
    SUBSCRIPTIONS_MANAGE = "subscriptions:manage"
    ACTIONS_WRITE = "actions:write"
    ALERTS_READ = "alerts:read"
    ALERTS_ACKNOWLEDGE = "alerts:acknowledge"


_EVERYBODY: Final = frozenset(Role)
_CLINICAL: Final = frozenset({Role.OPERATOR, Role.PHYSICIST, Role.MANAGER})

ROLES_OF_SCOPE: Final[dict[Scope, frozenset[Role]]] = {
    Scope.GATES_READ: _EVERYBODY,
    Scope.QC_READ: _EVERYBODY,
    Scope.MEASUREMENTS_READ: _CLINICAL,
    Scope.REVIEWS_READ: _CLINICAL,
    Scope.FHIR_READ: _CLINICAL,
    Scope.EVIDENCE_READ: frozenset({Role.PHYSICIST, Role.MANAGER, Role.ADMIN}),
    Scope.SUBSCRIPTIONS_MANAGE: frozenset({Role.ADMIN}),
    Scope.ACTIONS_WRITE: _EVERYBODY,
    Scope.ALERTS_READ: _EVERYBODY,
    Scope.ALERTS_ACKNOWLEDGE: _EVERYBODY - {Role.SERVICE},
}
"""Which parts are open to a person who signs in by session, password or OpenID Connect, by role.

What an action of ``actions:write`` is permitted to whom says `streams.roles`.
"""

ROLE_OF_PROGRAMS: Final = Role.SERVICE
"""In what capacity a program acts that is nobody's: it records due work, and decides nothing."""


def scopes_of_role(role: Role) -> frozenset[Scope]:
    """Return what a person of a role may use."""
    return frozenset(scope for scope, roles in ROLES_OF_SCOPE.items() if role in roles)


def known_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes among some names; what is no scope permits nothing."""
    known = {scope.value for scope in Scope}
    return frozenset(Scope(name) for name in names if name in known)
