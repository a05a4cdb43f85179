"""The page of the HTTP API, from the OpenAPI document that a site serves."""

import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import httpx

from bonewatch import logs
from bonewatch.configuration.loading import parse
from bonewatch.reference.markdown import first_sentence
from bonewatch.reference.markdown import page as written
from bonewatch.reference.topics import type_of
from dashboards.manner.document import DOCUMENT_PATH

Json = dict[str, Any]

METHODS: Final = ("get", "post", "put", "patch", "delete")

SMALLEST_SITE: Final = """
[site]
id = "reference"
time_zone = "Etc/UTC"
[dicom]
port = 0
[http]
port = 0
[database]
enabled = false
[[device]]
id = "scale-1"
kind = "scale"
"""


def served() -> Json:
    """Return the document that a site serves: the smallest there can be is started for it."""
    from bonewatch.site import Site  # noqa: PLC0415 - the command line starts without the site's libraries

    logs.configure(quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        site = Site(parse(SMALLEST_SITE, "reference"), Path(folder)).start()
        try:
            found: Json = httpx.get(site.url + DOCUMENT_PATH, timeout=30, trust_env=False).raise_for_status().json()
        finally:
            site.stop()
    return found


def page(docs: Path) -> str:
    """Return the page."""
    del docs
    document = served()
    said = (
        "Every request, with the scope that a [service token](../api.md#service-tokens) needs. How to ask, in which",
        "pages and under which limits: [the API](../api.md), [FHIR](../fhir.md). The document for programs is served",
        f"by each site at `{DOCUMENT_PATH}` (OpenAPI 3.1).",
    )
    operations = sorted(_operations(document), key=lambda one: _part(one[0]))
    parts = [
        [f"## `{part}`", *(line for one in found for line in _request(*one))]
        for part, found in groupby(operations, key=lambda one: _part(one[0]))
    ]
    return written("HTTP API", said, *parts, ["## Shapes", *_shapes(document)])


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


def _part(path: str) -> str:
    """Return under which heading a path stands: `/api/v1/devices`, `/fhir`."""
    steps = path.strip("/").split("/")
    return "/" + "/".join(steps[:3] if steps[0] == "api" else steps[:1])


def _request(path: str, method: str, operation: Json) -> Iterator[str]:
    scopes = [scope for way in operation.get("security", [{}]) for scope in way.get("token", ())]
    is_open = {} in operation.get("security", [{}])
    scope = " or ".join(f"`{one}`" for one in scopes) + ("; none with `public_status`" if is_open and scopes else "")
    asked = [f"`{one['name']}`" for one in operation.get("parameters", ()) if one["in"] != "path"]
    body = _shape_of(operation.get("requestBody", {}))
    answers = ", ".join(_answer(status, one) for status, one in operation["responses"].items() if status < "300")
    yield from ("", f"**`{method.upper()} {path}`**", "", first_sentence(operation.get("description", "")))
    yield from ("", f"- Scope: {scope or 'none'}")
    if asked:
        yield f"- Parameters: {', '.join(asked)}"
    if body:
        yield f"- Body: {body}"
    yield f"- Answer: {answers}"


def _answer(status: str, response: Json) -> str:
    shape = _shape_of(response)
    return f"{status} {shape}" if shape else status


def _shape_of(holder: Json) -> str:
    contents = [one.get("schema", {}) for one in holder.get("content", {}).values()]
    return type_of(contents[0]) if contents and contents[0] else ""


def _shapes(document: Json) -> Iterator[str]:
    for name, shape in sorted(document["components"]["schemas"].items()):
        if fields := shape.get("properties"):
            required = shape.get("required", ())
            listed = ", ".join(
                f"`{key}` ({type_of(one)}{'' if key in required else ', optional'})" for key, one in fields.items()
            )
            yield from ("", f"`{name}`: {listed}.")
        elif "enum" in shape:
            yield from ("", f"`{name}`: {type_of(shape)}.")
