"""The contracts as a subscriber in another language uses them: JSON Schema, and AsyncAPI's own schema from npm."""

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
ASYNCAPI = Path(__file__).resolve().parent / "asyncapi"


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
    folder = _official()
    official = json.loads((folder / "node_modules/@asyncapi/specs/schemas/3.0.0.json").read_bytes())
    return [error.json_path for error in jsonschema.Draft7Validator(official).iter_errors(document)]


def _official() -> Path:
    """Install AsyncAPI's schemas as the lock file says, once; skip where there is no npm (never in CI)."""
    if shutil.which("npm") is None:
        reason = "npm is not installed (tests/system-packages.txt names its package)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    installed, lock = ASYNCAPI / "node_modules" / ".installed", (ASYNCAPI / "package-lock.json").read_text()
    if not installed.is_file() or installed.read_text() != lock:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=ASYNCAPI, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == 0, done.stderr
        installed.write_text(lock)
    return ASYNCAPI
