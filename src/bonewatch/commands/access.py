"""The command line's ``user``, ``token`` and ``audit``: who may sign in, which programs may read, who did."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bonewatch.configuration.loading import load
from bonewatch.data_folder import data_folder
from bonewatch.errors import ConfigError
from bonewatch.on_record import on_record
from dashboards.access.scopes import Scope, known_scopes
from dashboards.access.tokens import DEFAULT_DAYS
from dashboards.audit.trail import AUDIT_FILE, AuditError, uses
from dashboards.audit.trail import verify as verify_trail
from dashboards.users import UserStore
from streams.roles import Role

user_app: Final = cyclopts.App(name="user", help="People who may sign in to the console.")
token_app: Final = cyclopts.App(name="token", help="Programs that may use the HTTP API.")
audit_app: Final = cyclopts.App(name="audit", help="Who read what is linked to patients, and who wrote.")
out: Final = Console(highlight=False)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]


@user_app.command(name="add")
def add_user(name: str, role: str, *, config: ConfigFile) -> int:
    """Add a person who may sign in; the password is asked for, or read from standard input.

    Parameters
    ----------
    name
        The name they sign in with and that stands in the record.
    role
        operator, physicist, engineer, manager, service or admin.
    """
    from bonewatch.people import password_twice  # noqa: PLC0415 - nothing is asked but here

    if role not in {r.value for r in Role}:
        raise ConfigError(f"{role} is no role; choose one of {', '.join(Role)}")
    with _users(config, "user add", name) as users:
        users.add_user(name, Role(role), password_twice())
    out.print(f"{escape(name)} may now sign in as {role}.")
    return 0


@user_app.command(name="list")
def list_users(*, config: ConfigFile, as_json: AsJson = False) -> int:
    """List everybody who has an account."""
    with _users(config) as users:
        found = users.users()
    if as_json:
        return _print_json(found)
    table = _table("name", "role", "may sign in", "since")
    for user in found:
        table.add_row(escape(user.name), user.role.value, "yes" if user.enabled else "no", _day(user.created_at))
    out.print(table if found else "nobody may sign in")
    return 0


@user_app.command(name="disable")
def disable_user(name: str, *, config: ConfigFile) -> int:
    """Close an account and end its sessions, at once; a new password opens it again."""
    with _users(config, "user disable", name) as users:
        users.disable(name)
    out.print(f"{escape(name)} may no longer sign in.")
    return 0


@user_app.command(name="password")
def set_password(name: str, *, config: ConfigFile) -> int:
    """Give a person a new password, open the account and end its sessions."""
    from bonewatch.people import password_twice  # noqa: PLC0415 - nothing is asked but here

    with _users(config, "user password", name) as users:
        users.set_password(name, password_twice())
    out.print(f"{escape(name)} has a new password.")
    return 0


@token_app.command(name="create")
def create_token(
    name: str,
    *,
    scope: Annotated[list[str], Parameter(negative="")],
    config: ConfigFile,
    days: int = DEFAULT_DAYS,
) -> int:
    """Make a token and print it; it is kept as a hash and cannot be shown again.

    Parameters
    ----------
    name
        What stands in the record of use; each name once, such as "booking 2026".
    scope
        What it may do; repeat for more.
    days
        How long it counts.
    """
    known = known_scopes(scope)
    if unknown := set(scope) - {one.value for one in known}:
        raise ConfigError(f"{', '.join(sorted(unknown))} is no scope; choose of {', '.join(Scope)}")
    with _users(config, "token create", name) as users:
        sys.stdout.write(users.tokens.create(name, known, timedelta(days=days)) + "\n")
    return 0


@token_app.command(name="list")
def list_tokens(*, config: ConfigFile, as_json: AsJson = False) -> int:
    """List every token that was made, never the token itself."""
    with _users(config) as users:
        found = users.tokens.tokens()
    if as_json:
        return _print_json(found)
    table, now = _table("name", "scopes", "state", "until", "last used"), datetime.now(UTC)
    for token in found:
        used = _minute(token.last_used_at) if token.last_used_at else "never"
        scopes = ", ".join(sorted(token.scopes))
        table.add_row(escape(token.name), scopes, token.state(now), _day(token.expires_at), used)
    out.print(table if found else "no token was made")
    return 0


@token_app.command(name="revoke")
def revoke_token(name: str, *, config: ConfigFile) -> int:
    """Take a token back: it counts no more from the next request on."""
    with _users(config, "token revoke", name) as users:
        users.tokens.revoke(name)
    out.print(f"{escape(name)} no longer counts.")
    return 0


@audit_app.command(name="list")
def list_uses(*, config: ConfigFile, since: datetime | None = None, as_json: AsJson = False) -> int:
    """List who used the API, for what and with what result, oldest first.

    Parameters
    ----------
    since
        From this day or time on, UTC unless it has a zone, such as 2026-11-01.
    """
    begins = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    found = uses(data_folder(config, load(config).site.data_dir) / AUDIT_FILE, since=begins)
    with _told():
        if as_json:
            for use in found:
                sys.stdout.buffer.write(msgspec.json.encode(use) + b"\n")
            return 0
        table = _table("at", "who", "by", "from", "what", "about", "status")
        for use in found:
            about = ", ".join(f"{name} {value}" for name, value in use.subject.items())
            about += f" ({', '.join(use.query)})" if use.query else ""
            about += f" {len(use.shown)} shown" if use.shown else ""
            asked = f"{use.method} {use.route}"
            table.add_row(_minute(use.at), *map(escape, (use.who, use.way, use.address, asked, about)), str(use.status))
        out.print(table if table.row_count else "no use is on record")
    return 0


@audit_app.command(name="verify")
def verify_uses(*, config: ConfigFile, as_json: AsJson = False) -> int:
    """Check the record's chain from its first entry; 1 if something was changed or taken away."""
    with _told():
        result = verify_trail(data_folder(config, load(config).site.data_dir) / AUDIT_FILE)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(result._asdict()) + b"\n")
    else:
        for fault in result.faults:
            out.print(f"[bold red]fault[/] {fault}", soft_wrap=True)
        verdict = "not as it was written" if result.faults else "sound"
        out.print(f"{result.entries} entries: {verdict}. Head {result.head}", soft_wrap=True)
    return 1 if result.faults else 0


@contextmanager
def _users(config: Path, change: str = "", name: str = "") -> Iterator[UserStore]:
    """Open the site's accounts, beside a running site or before its first start; tell mistakes as sentences.

    With `change` it is put on record that the machine's user did that with the account or token `name`; where it cannot
    be, nothing is begun.
    """
    from bonewatch.data_folder import open_users  # noqa: PLC0415 - the rest starts without the site's libraries

    folder = data_folder(config, load(config).site.data_dir)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with closing(open_users(folder)) as users:
        try:
            if not change:
                yield users
                return
            with on_record(folder) as put:
                yield users
                kind, _, what = change.partition(" ")
                put(kind, what, {kind: name})
        except KeyError as error:
            raise ConfigError(f"there is none named {error.args[0]}") from error
        except ValueError as error:
            raise ConfigError(str(error)) from error


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except AuditError as error:
        raise ConfigError(str(error)) from error


def _print_json(found: object) -> int:
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    return 0


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title)
    return table


def _day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}"


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"
