"""The command line's ``docs``: the manual as a website, and the pages of it that are made from the program."""

import sys
from pathlib import Path
from typing import Annotated, Final

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from bonewatch.errors import ConfigError

docs_app: Final = cyclopts.App(name="docs", help="The manual: build it as a website, write its generated pages anew.")
out: Final = Console(highlight=False)

Manual = Annotated[Path, Parameter(name="--docs", help="The manual's folder.")]


@docs_app.command
def build(*, to: Annotated[Path, Parameter(name="--out")] = Path("build/docs"), docs: Manual = Path("docs")) -> int:
    """Build the manual as a website that needs no network; a broken link or anchor fails it.

    Parameters
    ----------
    to
        Where to; open index.html there.
    """
    try:
        from sphinx.cmd.build import build_main  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise ConfigError(f"the manual needs Bonewatch's optional extra 'docs': {error.name} is not there") from error
    _look_at(docs)
    status = build_main(["-b", "html", "-W", "-n", "--keep-going", "-q", "-E", str(docs), str(to)])
    if status == 0:
        out.print(f"The manual is at {escape(str(to / 'index.html'))}", soft_wrap=True)
    return 1 if status else 0


@docs_app.command
def reference(*, docs: Manual = Path("docs"), check: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Write the generated pages anew: command line, HTTP API, topics, hazard log.

    Parameters
    ----------
    check
        Write nothing; 1 if a page is not what this program says.
    """
    from bonewatch import reference as made  # noqa: PLC0415 - the command line starts without the site's libraries

    _look_at(docs)
    differs = list(made.differences(docs)) if check else made.write(docs)
    for path in differs:
        out.print("differs" if check else "changed", escape(str(docs / path)), soft_wrap=True)
    if not differs:
        out.print("The generated pages are as they should be.")
    sys.stdout.flush()
    return 1 if check and differs else 0


def _look_at(docs: Path) -> None:
    if not (docs / "conf.py").is_file():
        raise ConfigError(
            f"{docs} is not the manual's folder: conf.py is not there; start from the clone, or name --docs"
        )
