"""The exported files of a site, by its configuration: what is wrong with it, and what watches the folder."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bonewatch.configuration.sections import Config, DeviceSection
from collectors.files.errors import MapError
from collectors.files.folder import ExportFolder
from collectors.files.intake import REJECTS, Intake, Source
from collectors.files.map_checks import device_faults
from collectors.files.map_file import load
from collectors.files.memory import Memory
from collectors.files.recording import Recorder
from collectors.quarantine import Quarantine
from collectors.settings import QuarantineLimits
from streams.fold.schedule import zone
from streams.site import SitePort
from streams.sqlite_log import SqliteEventLog


def kept_rejects(config: Config, data_dir: Path) -> Quarantine:
    """Return where rejected rows are kept, encrypted, until they expire."""
    limits = QuarantineLimits(max_objects=500, max_bytes=64 * 1024 * 1024, keep_days=config.files.keep_days)
    return Quarantine(data_dir, limits, name=REJECTS)


def file_sources(config: Config, folder: Path, log_id: str = "") -> list[Source]:
    """Return whose files are which; maps are relative to `folder`.

    Raises
    ------
    MapError
        A map does not hold, or does not fit its device.
    """
    return [
        source_of(config, device, folder / one.map, pattern=one.files, title=one.map, log_id=log_id)
        for device in config.device
        for one in device.file
    ]


def source_of(
    config: Config, device: DeviceSection, path: Path, *, pattern: str = "", title: str = "", log_id: str = ""
) -> Source:
    """Return how files of a device are read with the map at `path`.

    Raises
    ------
    MapError
        The map does not hold, or does not fit the device.
    """
    column_map, policy = load(path), config.policy(device)
    if faults := device_faults(column_map, policy):
        raise MapError(f"{path} for {device.id}: {'; '.join(faults)}")
    return Source(config.key(device.id), pattern, title or path.name, column_map, policy, log_id)


def export_folder(
    config: Config,
    site: SitePort,
    log: SqliteEventLog,
    data_dir: Path,
    *,
    folder: Path,
    rejects: Quarantine,
    clock: Callable[[], datetime],
) -> ExportFolder:
    """Return what watches the configured folder, which is relative to `folder`; `log` is open for reading."""
    recorder = Recorder(site.append, log.content_of, config.files, clock=clock)
    intake = Intake(recorder, config.files, zone=zone(config.site.time_zone), rejects=rejects, clock=clock)
    sources = file_sources(config, folder, log.log_id)
    return ExportFolder(folder / config.files.folder, sources, intake, Memory(data_dir), config.files, clock=clock)
