"""Creates users and access lists on a broker as `streams.access` has them, and says where the broker differs."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.errors import NoError, SecurityDisabledError

from streams.access import ADMINISTRATOR, FleetRole, Grant, grants
from streams.broker import Broker, BrokerError
from streams.topic_admin import administration
from streams.topics import device_events

SCRAM: Final = ScramMechanism.SCRAM_SHA_512
ITERATIONS: Final = 8192
ANY_HOST: Final = "*"


class Access(NamedTuple):
    """How a user's rights on a broker stand to what they should be."""

    missing: frozenset[Grant]
    beyond: tuple[str, ...]
    """What the user may do beyond its role, or others with its topic, in words."""
    has_password: bool


def stands(broker: Broker, role: FleetRole, name: str) -> Access:
    """Return how a user's rights stand; nothing is changed.

    Raises
    ------
    ValueError
        If the name cannot be one.
    BrokerError
        If the broker is away, refuses, or keeps no access lists.
    """
    wanted = grants(role, name)
    with administration(broker) as admin:
        found = _described(admin, broker, principal=_principal(name))
        held = {acl: grant for acl in found if (grant := _grant(acl)) is not None}
        beyond = [_words(acl) for acl in found if held.get(acl) not in wanted]
        if role is FleetRole.SITE:
            beyond += [_words(acl) for acl in _other_writers(admin, broker, name)]
        users = admin.describe_user_scram_credentials()
        return Access(wanted - frozenset(held.values()), tuple(sorted(beyond)), _has_password(users, name))


def grant(broker: Broker, role: FleetRole, name: str, *, password: str | None = None) -> frozenset[Grant]:
    """Give a user what its role needs and does not have yet, and a password if one is given; return what was new.

    Raises
    ------
    ValueError
        If the name cannot be one, or is whom we are signed in as.
    BrokerError
        As `stands` says.
    """
    _refuse_oneself(broker, name)
    missing = stands(broker, role, name).missing
    with administration(broker) as admin:
        if password is not None:
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion(name, SCRAM, password, ITERATIONS)])
        answer = admin.create_acls([_acl(name, each) for each in sorted(missing)]) if missing else {"failed": []}
    if answer["failed"]:
        failed = ", ".join(sorted({error.__name__ for error in answer["failed"]}))
        raise BrokerError(f"{broker.servers}: access lists were refused: {failed}")
    return missing


def remove(broker: Broker, name: str) -> list[str]:
    """Take all rights and the password from a user; return, in words, what it had.

    Raises
    ------
    ValueError
        If it is the administrator, or whom we are signed in as.
    """
    if name == ADMINISTRATOR:
        raise ValueError(f"{name!r} is the administrator: nothing is taken from it here")
    _refuse_oneself(broker, name)
    with administration(broker) as admin:
        had = [_words(acl) for acl in _described(admin, broker, principal=_principal(name))]
        for _, _, error in admin.delete_acls([_filter(principal=_principal(name))]):
            if error is not NoError:
                raise BrokerError(f"{broker.servers}: access lists were not removed: {error.__name__}")
        if _has_password(admin.describe_user_scram_credentials(), name):
            admin.alter_user_scram_credentials([UserScramCredentialDeletion(name, SCRAM)])
            had.append(f"the password of {name}")
    return had


def _refuse_oneself(broker: Broker, name: str) -> None:
    if name == broker.username:
        raise ValueError(f"{name!r} is whom this command is signed in as")


def _other_writers(admin: KafkaAdminClient, broker: Broker, site: str) -> Iterable[Any]:
    """Yield what lets somebody else write on a site's topic, by name or by prefix or to everybody."""
    for acl in _described(admin, broker, topic=device_events(site)):
        writes = acl.operation in {ACLOperation.WRITE, ACLOperation.ALL}
        if writes and acl.permission_type is ACLPermissionType.ALLOW and acl.principal != _principal(site):
            yield acl


def _described(admin: KafkaAdminClient, broker: Broker, **what: str) -> list[Any]:
    try:
        found, _ = admin.describe_acls(_filter(**what))
    except SecurityDisabledError as error:
        raise BrokerError(
            f"{broker.servers} keeps no access lists: set authorizer.class.name on the brokers"
        ) from error
    return list(found)


def _filter(*, principal: str | None = None, topic: str | None = None) -> ACLFilter:
    kind = ResourceType.ANY if topic is None else ResourceType.TOPIC
    pattern = ACLResourcePatternType.ANY if topic is None else ACLResourcePatternType.MATCH
    resource = ResourcePatternFilter(kind, topic, pattern)
    return ACLFilter(principal, None, ACLOperation.ANY, ACLPermissionType.ANY, resource)


def _acl(name: str, wanted: Grant) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if wanted.prefixed else ACLResourcePatternType.LITERAL
    resource = ResourcePattern(ResourceType[wanted.kind.upper()], wanted.name, pattern)
    operation = ACLOperation[wanted.operation.upper()]
    return ACL(_principal(name), ANY_HOST, operation, ACLPermissionType.ALLOW, resource)


def _grant(acl: Any) -> Grant | None:
    """Return the grant that an access list entry is; None for what we never make."""
    if acl.permission_type is not ACLPermissionType.ALLOW or acl.host != ANY_HOST:
        return None
    resource = acl.resource_pattern
    prefixed = resource.pattern_type is ACLResourcePatternType.PREFIXED
    return Grant(resource.resource_type.name.lower(), resource.resource_name, acl.operation.name.lower(), prefixed)


def _words(acl: Any) -> str:
    resource = acl.resource_pattern
    star = "*" if resource.pattern_type is ACLResourcePatternType.PREFIXED else ""
    may = "may" if acl.permission_type is ACLPermissionType.ALLOW else "may not"
    where = f"{resource.resource_type.name.lower()} {resource.resource_name}{star}"
    return f"{acl.principal} {may} {acl.operation.name.lower()} {where}" + (
        f" from {acl.host}" if acl.host != ANY_HOST else ""
    )


def _has_password(users: dict[str, Any], name: str) -> bool:
    infos = users.get(name, {}).get("credential_infos") or ()
    return any(info["mechanism"] is SCRAM for info in infos)


def _principal(name: str) -> str:
    return f"User:{name}"
