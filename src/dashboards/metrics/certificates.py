"""When the certificates end that a site shows or believes."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography import x509
from prometheus_client.metrics_core import Metric

from dashboards.metrics.families import labelled, timestamp


def certificates(files: Mapping[str, Path]) -> Iterable[Metric]:
    """Yield when the first certificate of each file ends, by what it is used for.

    Raises
    ------
    OSError, ValueError
        A file cannot be read, or holds no certificate in PEM.
    """
    ends = {use: _first_end(path) for use, path in files.items()}
    yield labelled(
        "bonewatch_certificate_not_after_timestamp_seconds",
        "When the first certificate of a file ends, by what the file is used for.",
        ("use",),
        (((use,), end) for use, end in ends.items()),
    )


def _first_end(path: Path) -> float | None:
    found = x509.load_pem_x509_certificates(path.read_bytes())
    return timestamp(min(one.not_valid_after_utc for one in found))
