"""The printed reports of a site, by its configuration: what is wrong with it, and what watches the folder."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bonewatch.configuration.sections import Config
from collectors.printed.folder import ReportFolder
from collectors.printed.reports import PrintedReports, PrintingScanner
from collectors.quarantine import Quarantine
from collectors.settings import QuarantineLimits
from streams.fold.schedule import zone
from streams.site import SitePort


def patients_pages(config: Config, data_dir: Path) -> Quarantine:
    """Return where patients' pages that were read are kept, encrypted, until they expire."""
    return Quarantine(data_dir, QuarantineLimits(keep_days=config.printed.keep_days), name="patient-pages")


def printing_scanners(config: Config) -> dict[str, PrintingScanner]:
    """Return the scanners whose reports are read, by device key."""
    return {
        config.key(device.id): PrintingScanner(config.policy(device), device.printed)
        for device in config.device
        if device.printed
    }


def printed_reports(
    config: Config, site: SitePort, data_dir: Path, *, quarantine: Quarantine, patients: Quarantine
) -> PrintedReports | None:
    """Return what reads printed reports, however they come; None where no scanner prints any."""
    scanners = printing_scanners(config)
    if not scanners:
        return None
    return PrintedReports(
        site,
        scanners,
        config.printed,
        zone=zone(config.site.time_zone),
        data_dir=data_dir,
        quarantine=quarantine,
        patients=patients,
    )


def report_folder(
    config: Config, reports: PrintedReports, *, folder: Path, clock: Callable[[], datetime]
) -> ReportFolder:
    """Return what watches the configured folder, which is relative to `folder`."""
    return ReportFolder(folder / config.printed.folder, reports.receive, config.printed, clock=clock)
