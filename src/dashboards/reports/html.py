"""A document on screen: within a page of the console, or as one file that needs nothing else."""

from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dashboards.reports.document import Document, Picture
from dashboards.reports.drawing import svg_from

_HERE: Final = Path(__file__).parent
_STYLES: Final = ("base.css", "report.css")


def html_body(document: Document) -> Markup:
    """Return the document's part of a page."""
    return Markup(_templates().get_template("body.html").render(document=document))  # noqa: S704 - it is escaped there


def html_file(document: Document) -> bytes:
    """Return the document as a file with its style in it, and nothing from elsewhere."""
    styles = "\n".join((_HERE.parent / "static" / "css" / name).read_text(encoding="utf-8") for name in _STYLES)
    page = _templates().get_template("file.html")
    return page.render(document=document, styles=Markup(styles)).encode()  # noqa: S704 - our own file


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["drawn"] = _drawn
    return environment


def _drawn(picture: Picture) -> Markup:
    return Markup(svg_from(picture.drawing, picture.name))  # noqa: S704 - it escapes the words itself
