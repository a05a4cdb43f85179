"""Add people from the command line."""

import getpass
import sys
from contextlib import closing
from pathlib import Path

from bonewatch.config import ConfigError
from bonewatch.site import USERS_FILE
from dashboards.users import UserStore
from streams.roles import Role


def add(data_dir: Path, name: str, role: str) -> None:
    """Add a person; raise `ConfigError` for an unknown role, a name in use or a password too short."""
    if role not in {r.value for r in Role}:
        raise ConfigError(f"{role} is no role; choose one of {', '.join(Role)}")
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with closing(UserStore(data_dir / USERS_FILE)) as users:
        try:
            users.add_user(name, Role(role), _password())
        except ValueError as error:
            raise ConfigError(str(error)) from error


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise ConfigError("the two passwords differ")
    return first
