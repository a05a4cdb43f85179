"""``bonewatch report qa``: a device's month for the physicist to sign, as PDF, HTML, CSV and JSON."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console

from bonewatch.configuration.loading import load
from bonewatch.data_folder import LOG_FILE, data_folder
from bonewatch.errors import ConfigError

_out: Final = Console(highlight=False)


def qa(
    *,
    device: str,
    month: str,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    out: Path = Path(),
) -> int:
    """Write a device's monthly QA report as PDF, HTML, CSV and JSON, all from the same figures; the site may run.

    Parameters
    ----------
    device
        Its id in the configuration.
    month
        Year and month, such as 2026-11; one that is not over is reckoned up to now.
    config
        The site's TOML file.
    out
        The folder to write to; this one unless another is named.
    """
    from bonewatch.reporting.site import site_reports  # noqa: PLC0415 - the rest of the command line starts without
    from dashboards.reports.files import QA_FORMS, qa_stem  # noqa: PLC0415 - see above
    from dashboards.reports.source import days_of, month_from  # noqa: PLC0415 - see above

    settings = load(config)
    reports = site_reports(settings, data_folder(config, settings.site.data_dir) / LOG_FILE)
    try:
        report = reports.qa(device, *days_of(month_from(month)), datetime.now(UTC))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    for ending, written in QA_FORMS.items():
        path = out / f"{qa_stem(report)}{ending}"
        write(path, written(report))
        _out.print(path, soft_wrap=True)
    return 0


def write(path: Path, data: bytes) -> None:
    """Write a file, or say why it cannot be."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
