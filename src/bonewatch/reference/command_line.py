"""The page of the command line, from cyclopts' own description of each command."""

import re
from pathlib import Path

from cyclopts.docs.markdown import generate_markdown_docs

from bonewatch.reference.markdown import page as written


def page(docs: Path) -> str:
    """Return the page."""
    del docs
    from bonewatch.cli import app  # noqa: PLC0415 - which itself knows the command that writes this page

    text = generate_markdown_docs(
        app, generate_toc=False, no_root_title=True, skip_preamble=True, heading_level=2, usage_name="bonewatch"
    )
    said = (
        "Every command takes `--help`. Exit status: 0 done, 1 failed, 2 wrong usage; what else 1 means stands at the",
        "command. From a clone write `./bonewatch` for `bonewatch`.",
    )
    return written("Command line", said, [_compact(text)])


def _compact(text: str) -> str:
    """Return cyclopts' page without what is said twice: links to each command, blank lines within a list."""
    text = re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n?)+", "", text)
    text = re.sub(r"^(bonewatch .*?) -m \w+", r"\1", text, flags=re.MULTILINE)  # how this process was started
    text = re.sub(r"```console\n(.+)\n```", r"`\1`", text)
    text = text.replace("**Parameters**:\n\n", "").replace(" *[default: False]*", "")
    return re.sub(r"\n{3,}", "\n\n", text).strip()
