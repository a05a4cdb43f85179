"""The exported files of a site, by its configuration: what is wrong with it, and what watches the folder."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath

from bonewatch.config_file import Config, DeviceSection
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


def files_faults(config: Config) -> list[tuple[str, str]]:
    """Return (path, words) of what no type can say about exported files."""
    faults, settings = list[tuple[str, str]](), config.files
    limits = (
        ("history_days", 1 <= settings.history_days <= 365, "lies between 1 and 365"),
        ("poll_s", 0.1 <= settings.poll_s <= 3600, "lies between 0.1 and 3600"),
        ("unfinished_s", 1 <= settings.unfinished_s <= 86_400, "lies between 1 and 86400"),
        ("give_up_s", 10 <= settings.give_up_s <= 86_400, "lies between 10 and 86400"),
        ("keep_days", 0 < settings.keep_days <= 3650, "lies above 0, up to 3650"),
        ("max_bytes", 1024 <= settings.max_bytes <= 1024**3, "lies between 1 kB and 1 GB"),
        ("max_unpacked_bytes", 1024 <= settings.max_unpacked_bytes <= 4 * 1024**3, "lies between 1 kB and 4 GB"),
        ("max_rows", 1 <= settings.max_rows <= 2_000_000, "lies between 1 and 2000000"),
        ("max_columns", 1 <= settings.max_columns <= 16_000, "lies between 1 and 16000"),
        ("max_cell", 16 <= settings.max_cell <= 100_000, "lies between 16 and 100000"),
        ("max_rejects", 0 <= settings.max_rejects <= 100_000, "lies between 0 and 100000"),
    )
    faults += [(f"$.files.{name}", f"{name} {words}") for name, good, words in limits if not good]
    if settings.folder and not any(device.file for device in config.device):
        faults.append(("$.files.folder", "no device has a [[device.file]] that says which files are its own"))
    for place, device in enumerate(config.device):
        for number, one in enumerate(device.file):
            path = f"$.device[{place}].file[{number}]"
            if not settings.folder:
                faults.append((path, "[files] names no folder to watch"))
            pattern = PurePosixPath(one.files)
            if not one.files.strip() or pattern.is_absolute() or ".." in pattern.parts:
                faults.append((f"{path}.files", 'a pattern within the folder, such as "dxa-1/*.csv"'))
            if (one.files, one.map) in {(other.files, other.map) for other in device.file[:number]}:
                faults.append((path, "the same pattern and map stand here twice"))
    return faults
