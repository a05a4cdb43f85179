"""What no type can say of printed reports."""

from bonewatch.configuration.sections import Config, DeviceSection
from collectors.printed.settings import PrintedDevice
from collectors.regions import Anatomy
from streams.policy import DeviceKind


def printed_faults(config: Config) -> list[tuple[str, str]]:
    """Return (path, words) of what no type can say about printed reports."""
    faults, settings = list[tuple[str, str]](), config.printed
    limits = (
        ("keep_days", 0 < settings.keep_days <= 3650, "lies above 0, up to 3650"),
        ("poll_s", 0.1 <= settings.poll_s <= 3600, "lies between 0.1 and 3600"),
        ("give_up_s", 10 <= settings.give_up_s <= 86_400, "lies between 10 and 86400"),
        ("max_bytes", 1024 <= settings.max_bytes <= 256 * 1024 * 1024, "lies between 1 kB and 256 MB"),
        ("max_pages", 1 <= settings.max_pages <= 100, "lies between 1 and 100"),
        ("timeout_s", 1 <= settings.timeout_s <= 300, "lies between 1 and 300"),
    )
    faults += [(f"$.printed.{name}", f"{name} {words}") for name, good, words in limits if not good]
    if settings.folder and not any(device.printed for device in config.device):
        faults.append(("$.printed.folder", "no device has a [device.printed] that says how it prints"))
    for place, device in enumerate(config.device):
        if device.printed:
            faults += _device_faults(f"$.device[{place}]", device, device.printed)
    serials = [(device.printed.layout, device.serial) for device in config.device if device.printed]
    if len(set(serials)) < len(serials):
        faults.append(("$.printed", "two devices of one layout have the same serial number"))
    return faults


def _device_faults(path: str, device: DeviceSection, printed: PrintedDevice) -> list[tuple[str, str]]:
    faults = []
    if device.kind is not DeviceKind.SCANNER:
        faults.append((f"{path}.printed", "printed reports are a scanner's"))
    if not device.serial or not device.model:
        faults.append((path, "a page is told by model and serial number: give both, as the page prints them"))
    if printed.layout != "hologic-apex" and not printed.date_order:
        words = 'this layout prints dates in figures: date_order = "day-first" or "month-first"'
        faults.append((f"{path}.printed", words))
    modes, known = {mode.name for mode in device.mode}, {one.value for one in Anatomy} - {Anatomy.UNKNOWN.value}
    for anatomy, mode in printed.modes.items():
        if anatomy not in known:
            faults.append((f"{path}.printed.modes", f"{anatomy} is none of {', '.join(sorted(known))}"))
        if mode not in modes:
            faults.append((f"{path}.printed.modes", f"{mode} is no [[device.mode]] of this scanner"))
    return faults
