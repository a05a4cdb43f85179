"""The operating system's user that the embedded server runs as: our own, or (started by root) one without rights."""

import os
import pwd
import subprocess
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

from storage.errors import EmbeddedServerError

CANDIDATES: Final = ("bonewatch", "postgres", "nobody")
"""Whom root starts the server as, the first that exists; a folder made earlier keeps its owner."""


class Switch(TypedDict, total=False):
    """Arguments of `subprocess` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


class Account(NamedTuple):
    """A user; `switch` is empty where no change is needed."""

    name: str
    uid: int
    gid: int
    switch: Switch


def own_name() -> str:
    """Return the name of the user that this process runs as."""
    return _entry(os.geteuid()).pw_name


def of_server(cluster: Path) -> Account:
    """Return whom the server of a cluster runs as.

    Raises
    ------
    EmbeddedServerError
        If the cluster belongs to somebody that this process cannot become.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise EmbeddedServerError(
                f"{cluster} belongs to another user: start Bonewatch as that one, or remove the folder;"
                " it is filled again from the log"
            )
        entry = _entry(os.geteuid())
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, {})
    entry = _entry(owner) if owner else _unprivileged()
    switch: Switch = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switch)


def give(folder: Path, user: Account) -> None:
    """Make a folder the user's."""
    if user.switch:
        os.chown(folder, user.uid, user.gid)


def write(folder: Path, name: str, text: str, user: Account) -> None:
    """Write a file of the user's as that user: root writes nothing where somebody else could place a link."""
    done = subprocess.run(
        ["sh", "-c", 'cat > "$1"', "sh", name], input=text.encode(), cwd=folder, check=False, **user.switch
    )
    if done.returncode != 0:
        raise EmbeddedServerError(f"{folder / name} cannot be written")


def _unprivileged() -> pwd.struct_passwd:
    for name in CANDIDATES:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedServerError(f"PostgreSQL refuses to run as root, and none of {', '.join(CANDIDATES)} exists")


def _entry(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError as error:
        raise EmbeddedServerError(f"user {uid} has no name on this computer, and PostgreSQL needs one") from error
