"""Commands that are loaded when they are asked for: each is there, and described as in its own module."""

import subprocess
import sys

import cyclopts
import pytest

from bonewatch import cli
from bonewatch.commands import report as report_cli


def lazy(app: cyclopts.App) -> list[str]:
    return [name for name, one in app._commands.items() if not isinstance(one, cyclopts.App)]


@pytest.mark.parametrize(
    ("app", "name"), [(app, name) for app in (cli.app, report_cli.report_app) for name in lazy(app)]
)
def test_a_command_is_described_in_the_list_as_where_it_is_made(app: cyclopts.App, name: str) -> None:
    listed = app._commands[name]
    assert not isinstance(listed, cyclopts.App)
    described = listed.help
    command = listed.__class__(listed.import_path, name=name).resolve(app)
    own = command.help if command.default_command is None else command.default_command.__doc__
    first, _, _ = (own or "").partition("Parameters\n")
    assert " ".join(first.split()) == described
    assert described


def test_the_command_line_itself_loads_nothing_heavy() -> None:
    heavy = "{'litestar', 'pydicom', 'numpy', 'scipy', 'psycopg', 'kafka', 'faust', 'openpyxl', 'fpdf'}"
    said = subprocess.run(
        [sys.executable, "-c", f"import sys, bonewatch.cli; print(sorted({heavy} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "[]"
