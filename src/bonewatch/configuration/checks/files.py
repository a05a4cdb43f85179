"""What no type can say of exported files."""

from pathlib import PurePosixPath

from bonewatch.configuration.sections import Config


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
