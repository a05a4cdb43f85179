"""What goes wrong under `/fhir`, told as an OperationOutcome."""

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response

from dashboards.fhir.model import FHIR_JSON, FhirJson, resource

FHIR_PATH: Final = "/fhir"

_CODES: Final = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    410: "deleted",
    413: "too-long",
    415: "not-supported",
    429: "throttled",
    500: "exception",
    503: "transient",
}
"""HL7's issue types by HTTP status."""


def is_fhir(path: str) -> bool:
    """Whether FHIR is spoken at a path."""
    return path == FHIR_PATH or path.startswith(f"{FHIR_PATH}/")


def outcome(
    status: int, detail: str, *, errors: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Response[FhirJson]:
    """Return an OperationOutcome; `errors` says what is wrong with which parameter."""
    code = _CODES.get(status, "processing")
    issues: list[dict[str, Any]] = [{"severity": "error", "code": code, "diagnostics": detail}]
    issues += [
        {"severity": "error", "code": code, "diagnostics": words, "expression": [name]}
        for name, words in (errors or {}).items()
    ]
    told = resource("OperationOutcome", issue=issues)
    return Response(told, status_code=status, media_type=FHIR_JSON, headers=dict(headers or {}))
