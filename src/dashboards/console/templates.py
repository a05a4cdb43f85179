"""The template engine: everything escaped, nothing undefined passes, static files named by their content."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Template
from litestar.template.config import TemplateConfig

from dashboards.auth import Visit
from dashboards.console import log_words, wording
from dashboards.console.navigation import links
from dashboards.context import Console

STATIC: Final = Path(__file__).parent.parent / "static"
_TEMPLATES: Final = Path(__file__).parent / "templates"


def template_config() -> TemplateConfig[JinjaTemplateEngine]:
    """Return the engine's configuration."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset
    environment.globals["say"] = wording
    environment.globals["log"] = log_words
    environment.globals["navigation"] = links
    environment.filters["bmd"] = lambda value: "–" if value is None else f"{value:.4f}"  # noqa: RUF001 - a dash
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment))


@cache
def asset(path: str) -> str:
    """Return the address of a static file; it changes with the content, so that browsers may keep it."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]
    return f"/static/{path}?{digest}"


def page(console: Console, visit: Visit, template: str, *, status_code: int = 200, **context: Any) -> Template:
    """Return a page with what all pages know: the console, the time, the visitor."""
    known = {"console": console, "t": console.time, "visitor": visit.user}
    return Template(template, context=known | context, status_code=status_code)
