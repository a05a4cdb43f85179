"""One TOML file configures a site; an error says which line, what is wrong and what to write."""

import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from alerts.settings_checks import alerts_warnings
from bonewatch.configuration.checks import faults_in
from bonewatch.configuration.clinic_calendar import ClosureSection, closure_faults, fitting, without_repeats
from bonewatch.configuration.sections import Config
from bonewatch.configuration.toml_lines import line_of
from bonewatch.configuration.words import words_of, words_of_toml
from bonewatch.data_folder import data_folder
from bonewatch.errors import ConfigError
from bonewatch.exported_files import file_sources
from collectors.fault_logs import rules
from collectors.fault_logs.rules import RulesError
from collectors.files.errors import MapError
from collectors.protocols.known import protocol
from collectors.protocols.profile import ProfileError
from publishing.settings_checks import publishing_warnings
from streams.fold.schedule import local_day
from streams.policy import DeviceKind


class NotedConfig(Config, frozen=True):
    """A configuration of which something was left out, and what."""

    notes: tuple[str, ...] = ()


def load(path: Path, *, today: date | None = None) -> Config:
    """Read and check a configuration file, and the calendars that it names.

    `today` says from which year on closures are read; the site's day if not given.

    Raises
    ------
    ConfigError
        With file, line, what is wrong and what to do.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be read: it is not UTF-8; save it as UTF-8 text") from error
    config = parse(text, str(path))
    for device in config.device:
        if device.protocol.endswith(".toml"):
            try:
                protocol(device.protocol, folder=path.resolve().parent)
            except ProfileError as error:
                raise ConfigError(f"{path}: {device.id}: {error}") from error
        for log in device.log:
            try:
                rules.load(path.resolve().parent / log.rules)
            except RulesError as error:
                raise ConfigError(f"{path}: {device.id}: {error}") from error
    try:
        file_sources(config, path.resolve().parent)
    except MapError as error:
        raise ConfigError(f"{path}: {error}") from error
    return _with_calendars(config, path, today or local_day(datetime.now(UTC), config.site.time_zone))


def load_with_folder(path: Path) -> tuple[Config, Path]:
    """Return a site's configuration, read and checked, and its data folder."""
    config = load(path)
    return config, data_folder(path, config.site.data_dir)


def folder_of(path: Path | None, data_dir: Path | None) -> Path:
    """Return the data folder that a command names: itself, or by the site's configuration file."""
    if data_dir is not None:
        return data_dir
    if path is None:
        raise ConfigError("name the site: --config FILE or --data-dir FOLDER")
    return load_with_folder(path)[1]


def _with_calendars(config: Config, path: Path, today: date) -> Config:
    """Return the configuration with the closures of its iCalendar files beside those it names itself."""
    found = list(config.closure)
    if config.calendar.ics:
        found += _closures_of_files(config, path, today)
    devices = [device.id for device in config.device]
    for _, words in closure_faults(without_repeats(found), config.calendar, devices):
        raise ConfigError(f"{path}: [calendar] {words}")
    closures, notes = fitting(without_repeats(found), config.calendar.except_dates, devices, today)
    whole = msgspec.structs.replace(config, closure=closures)
    return NotedConfig(**msgspec.structs.asdict(whole), notes=tuple(notes)) if notes else whole


def _closures_of_files(config: Config, path: Path, today: date) -> Iterator[ClosureSection]:
    from bonewatch.configuration.calendar_file import CalendarFileError, closures_from  # noqa: PLC0415 - the rest reads no calendars

    try:
        for name in config.calendar.ics:
            yield from closures_from(path.resolve().parent / name, time_zone=config.site.time_zone, today=today)
    except CalendarFileError as error:
        raise ConfigError(f"{path}: [calendar] {error}") from error


def parse(text: str, name: str) -> Config:
    """Check a configuration's text; `name` stands in its errors."""
    try:
        config = msgspec.convert(tomllib.loads(text), Config)
    except tomllib.TOMLDecodeError as error:
        line, words = words_of_toml(error)
        raise ConfigError(f"{name}, line {line}: {words}" if line else f"{name}: {words}") from error
    except msgspec.ValidationError as error:
        path, words = words_of(error)
        raise ConfigError(f"{_place(name, text, path)}: {words}{f' ({path})' if path else ''}") from error
    for path, words in faults_in(config):
        raise ConfigError(f"{_place(name, text, path)}: {words}")
    return config


def warnings(config: Config) -> list[str]:
    """Return what is legal but will surprise: said at every start and by ``check-config``."""
    said = [*config.notes] if isinstance(config, NotedConfig) else []
    for device in config.device:
        if device.kind is DeviceKind.SCANNER and not device.qc.manufacturer_required:
            said.append(f"{device.id}: the manufacturer's daily QC is not required; the guideline asks for it")
        if any(phantom.patient_name is None for phantom in device.phantom):
            said.append(f"{device.id}: give each phantom's patient_name: a patient under its id is then told by name")
        if device.kind is not DeviceKind.SCANNER:
            if not device.standard:
                said.append(f"{device.id}: no [[device.standard]]: it is held, for nothing ever checks it")
            if device.port and not device.serial:
                said.append(f"{device.id}: give its serial number: two devices that changed places are told by it")
    if config.dicom.upstream is None:
        said.append("no [dicom] upstream: worklist queries are answered with a failure status")
    if config.kafka.bootstrap_servers and not config.kafka.ca_file:
        said.append("[kafka] without ca_file: everybody on the way may read and change what goes to the fleet")
    if config.database.url and "sslmode=verify-full" not in config.database.url:
        said.append("[database] url without sslmode=verify-full: nobody checks whom it talks to across a network")
    said += alerts_warnings(config.alerts) if config.alerts is not None else []
    return said + publishing_warnings(config.webhook, config.mllp)


def _place(name: str, text: str, path: str) -> str:
    line = line_of(text, path) if path else None
    return f"{name}, line {line}" if line else name
