"""``bonewatch report evidence`` and ``check-evidence``: a device's record for an inspection, and whether it holds."""

from datetime import date
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from bonewatch.configuration.loading import load
from bonewatch.data_folder import LOG_FILE, data_folder
from bonewatch.errors import ConfigError
from bonewatch.reporting.qa import write

_out: Final = Console(highlight=False)
ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"])]


def evidence(
    *,
    device: str,
    first: Annotated[date, Parameter(name="--from")],
    last: Annotated[date, Parameter(name="--until")],
    config: ConfigFile,
    out: Path = Path(),
) -> int:
    """Pack what the record says of a device between two days, for an inspection: a ZIP that can be checked.

    Parameters
    ----------
    device
        Its id in the configuration.
    first
        The first day, such as 2026-01-01.
    last
        The last day, included.
    config
        The site's TOML file; the site may run.
    out
        The folder to write to; this one unless another is named.
    """
    from bonewatch.reporting.site import site_reports  # noqa: PLC0415 - the rest of the command line starts without
    from dashboards.reports.evidence.pack import evidence_pack  # noqa: PLC0415 - see above
    from dashboards.reports.files import pack_name  # noqa: PLC0415 - see above

    settings = load(config)
    reports = site_reports(settings, data_folder(config, settings.site.data_dir) / LOG_FILE)
    try:
        data = evidence_pack(reports, device, first, last)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    path = out / pack_name(device, first, last)
    write(path, data)
    _out.print(path, soft_wrap=True)
    return 0


def check_evidence(pack: Path, *, config: ConfigFile | None = None) -> int:
    """Check an evidence pack: every file, every event's link; against the site's log too where it is given.

    Parameters
    ----------
    pack
        The ZIP.
    config
        The site's TOML file, to compare with its log.
    """
    from dashboards.reports.evidence.check import PackError, check_pack, told  # noqa: PLC0415 - see above

    log = data_folder(config, load(config).site.data_dir) / LOG_FILE if config else None
    try:
        checked = check_pack(pack.read_bytes(), log)
    except OSError as error:
        raise ConfigError(f"{pack} cannot be read: {error.strerror}") from error
    except PackError as error:
        raise ConfigError(f"{pack}: {error}") from error
    for fault in told(checked.faults):
        _out.print(f"[bold red]fault[/] {escape(fault)}", soft_wrap=True)
    against = "the pack's files by its manifest"
    against += ", its events by the log" if log else "; the log was not looked at"
    verdict = "sound" if not checked.faults else f"{len(checked.faults)} faults"
    anchor = checked.manifest.anchor
    _out.print(f"{checked.events} events, {checked.linked} of them with a link that was followed: {verdict}.")
    _out.print(f"Looked at: {against}. Anchor {anchor.position}:{anchor.link}", soft_wrap=True)
    return 1 if checked.faults else 0
