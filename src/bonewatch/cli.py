"""The command line. Exit status 0 done, 1 failed, 2 wrong usage."""

import importlib.metadata
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import cyclopts
import msgspec
from cyclopts import Parameter, validators
from rich.console import Console
from rich.markup import escape

from bonewatch import logs
from bonewatch.errors import ConfigError
from storage.errors import StorageError
from streams.broker import BrokerError
from streams.sqlite_log import LogError

if TYPE_CHECKING:
    from bonewatch.design import Scanner
    from bonewatch.doctor import Doctor

app: Final = cyclopts.App(
    name="bonewatch",
    help="Watches the devices of a bone densitometry service and holds patient scanning when QA fails.",
    version=importlib.metadata.version("bonewatch"),
)
for place, name, words in (
    ("log:log_app", "log", "The site's durable log."),
    ("db:db_app", "db", "The database that dashboards and reports read."),
    ("bench:bench_app", "bench", "Measure this machine with this program."),
    ("access:user_app", "user", "People who may sign in to the console."),
    ("access:token_app", "token", "Programs that may use the HTTP API."),
    ("access:audit_app", "audit", "Who read what is linked to patients, and who wrote."),
    ("pseudonym:pseudonym_app", "pseudonym", "Versions of the keys of patients' pseudonyms."),
    ("publish:publish_app", "publish", "Programs that are told of news: webhooks and HL7 messages."),
    ("alerts:alerts_app", "alerts", "Messages to people: how they stand, a test message, taking an alert."),
    ("grafana:grafana_app", "grafana", "Dashboards for Grafana."),
    ("fleet:fleet_app", "fleet", "Many sites: send logs to Kafka, work on them there."),
    (
        "study:study_app",
        "cross-calibration",
        "What one scanner would have read where another did: for serial comparison only.",
    ),
    ("report:report_app", "report", "Reports from the site's record."),
    ("docs:docs_app", "docs", "The manual: build it as a website, write its generated pages anew."),
    (
        "archive:archive",
        "archive",
        "Copy the site's record to a second place, check the copy, and record that it was done; the site may run.",
    ),
    (
        "archive:check_archive",
        "check-archive",
        "Read a copy of the record again: every file, and the chain of its log.",
    ),
    (
        "file:import_file",
        "import",
        "Record an exported file of any length, such as years of QC history; the site is stopped.",
    ),
    (
        "file:files",
        "files",
        "Say how the files of the watched folder stand: read, waiting, refused, and with what rejected.",
    ),
    (
        "file:rejects",
        "rejects",
        "Say which rows of a reading were rejected and why: line and reason, nothing of the row.",
    ),
    (
        "enter:enter",
        "enter",
        "Record by hand what the console's forms record: QC, phantom scans, checks, readings of patients, faults.",
    ),
):
    app.command(
        f"bonewatch.commands.{place}", name=name, help=words
    )  # loaded when it is asked for: the rest starts sooner

out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]


def main() -> None:
    """Run the command line; a mistake of configuration is a sentence, not a stack trace."""
    try:
        result = app()
    except (ConfigError, LogError, StorageError, BrokerError) as error:
        err.print("[bold red]error[/]", escape(str(error)), soft_wrap=True)
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)


def until_stopped() -> Callable[[], None]:
    """Return a wait that ends with SIGINT or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopped.set())

    def wait() -> None:
        while not stopped.wait(1.0):
            pass

    return wait


@app.command
def run(config: ConfigFile) -> int:
    """Run a site until it is told to stop (Ctrl-C, SIGTERM)."""
    from bonewatch.configuration.loading import load_with_folder  # noqa: PLC0415 - see above
    from bonewatch.site import Site  # noqa: PLC0415 - the rest of the command line starts without the site's libraries

    logs.configure()
    wait = until_stopped()
    settings, data_dir = load_with_folder(config)
    site = Site(settings, data_dir, folder=config.resolve().parent).start()
    out.print(f"Bonewatch is watching {settings.site.name or settings.site.id}: {site.url}")
    try:
        wait()
    finally:
        site.stop()
    return 0


@app.command
def demo(
    *,
    port: int = 8080,
    dicom_port: int = 11112,
    data_dir: Path | None = None,
    site: str = "demo",
    host: str = "127.0.0.1",
    kafka: str = "",
    database: bool = True,
) -> int:
    """Bring a small DXA department to life: a real site with virtual scanners that speak DICOM to it.

    Parameters
    ----------
    port
        Where the page is; 0 takes a free one.
    dicom_port
        Where the site listens for DICOM; 0 takes a free one.
    data_dir
        Keep the department's data here; without it a temporary folder is used and removed.
    site
        The department's id; another one has other scanners.
    host
        Address of the page.
    kafka
        host:port of a Kafka without sign-in to send the log to; `fleet demo` does all of that.
    database
        Whether it keeps a PostgreSQL of its own.
    """
    from bonewatch.demo.department import Demo, Department  # noqa: PLC0415 - see run

    logs.configure()
    wait = until_stopped()
    which = Department(site, host, kafka, database)
    with Demo(port=port, dicom_port=dicom_port, data_dir=data_dir, department=which) as department:
        out.print(f"Bonewatch demo: [bold]{department.url}[/]")
        out.print("Press Ctrl-C to end it.", style="dim")
        sys.stdout.flush()
        wait()
    return 0


@app.command(name="check-config")
def check_config(config: ConfigFile) -> int:
    """Check a configuration file and say what is legal but surprising."""
    from bonewatch.alerting import channel_notes, check_channels  # noqa: PLC0415 - see run
    from bonewatch.configuration.loading import load, warnings  # noqa: PLC0415 - see run
    from bonewatch.dicom_services import unknown_hosts  # noqa: PLC0415 - see run
    from bonewatch.publishing import check_files, unset_secrets  # noqa: PLC0415 - see run

    settings = load(config)
    folder = config.resolve().parent
    check_files(settings, folder)
    check_channels(settings, folder)
    asked = [*unset_secrets(settings), *channel_notes(settings, folder), *unknown_hosts(settings)]
    for note in [*warnings(settings), *asked]:
        out.print("[yellow]note[/]", escape(note), soft_wrap=True)
    devices = f"{len(settings.device)} device{'s' if len(settings.device) > 1 else ''}"
    out.print(f"{config}: {devices}, in order.", soft_wrap=True)
    return 0


@app.command
def doctor(
    device: str = "",
    *,
    config: ConfigFile | None = None,
    port: str = "",
    protocol: str = "",
    serial: str = "",
    seconds: Annotated[float, Parameter(validator=validators.Number(gt=0, lte=3600))] = 20.0,
) -> int:
    """Look at a scale's or stadiometer's port: raw bytes and what they say; 1 if no measurement came.

    Parameters
    ----------
    device
        A device of the configuration; the site must not be running. Or give port and protocol.
    port
        Such as /dev/ttyUSB0 or socket://host:port.
    protocol
        A protocol's name, or the path of your own profile.
    serial
        The serial number that it should have.
    """
    logs.configure(quiet=True)
    looked_at = _line_of(device, config, port=port, protocol=protocol, serial=serial)
    tried = "" if looked_at.protocol.tried else " (built from its public description, never tried on a device)"
    out.print(f"{looked_at.protocol.title}{tried}, {seconds:g} s", soft_wrap=True)
    for seen in looked_at.watch(seconds):
        colour = "green" if seen.is_good else "yellow"
        out.print(f"  [dim]{escape(seen.raw)}[/] [{colour}]{escape(seen.words)}[/]", soft_wrap=True)
    found = looked_at.diagnosis()
    out.print(f"{found.bytes_seen} bytes, {found.readings} readings, {found.measurements} of them measurements")
    out.print(
        "[green]It works.[/]" if found.works else f"[bold red]No measurement:[/] {escape(found.why)}", soft_wrap=True
    )
    return 0 if found.works else 1


def _line_of(device: str, config: Path | None, *, port: str, protocol: str, serial: str) -> "Doctor":
    """Return what watches a configured device, or a port that was named."""
    from bonewatch.configuration.loading import load  # noqa: PLC0415 - see run
    from bonewatch.doctor import Doctor, ProfileError  # noqa: PLC0415 - see run
    from collectors.protocols.profile import LineSettings  # noqa: PLC0415 - see run

    try:
        if config is None:
            if not port or not protocol:
                raise ConfigError("name a device and its --config, or a --port and a --protocol")
            return Doctor(port, protocol, serial=serial)
        found = next((one for one in load(config).device if one.id == device), None)
        if found is None or not found.port:
            raise ConfigError(f"{config}: {device or 'no device'} is no device with a port there")
        line = LineSettings(**msgspec.structs.asdict(found.line)) if found.line else None
        folder = config.resolve().parent
        return Doctor(found.port, found.protocol, serial=found.serial, line=line, folder=folder)
    except ProfileError as error:
        raise ConfigError(str(error)) from error


@app.command(name="read-report")
def read_report(file: Path, *, config: ConfigFile) -> int:
    """Say what would be read of a printed report (PDF), and why it would be refused; records nothing."""
    from bonewatch.configuration.loading import load  # noqa: PLC0415 - see run
    from bonewatch.reporting.check import look_at  # noqa: PLC0415 - see run

    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    said = list(look_at(data, load(config)))
    for one in said:
        out.print(escape(one.words), style=None if one.is_good else "bold red", soft_wrap=True)
    return 0 if all(one.is_good for one in said) else 1


@app.command
def replay(
    config: ConfigFile | None = None,
    *,
    data_dir: Path | None = None,
    proposed: Annotated[Path | None, Parameter(name="--with")] = None,
    device: str = "",
    since: str = "2y",
    as_json: AsJson = False,
) -> int:
    """Rebuild states and outcomes from the events alone and compare them with the log's; records nothing.

    Parameters
    ----------
    proposed
        A configuration file with other rules: say what they would have said of each scanner's past instead.
    device
        With other rules: one scanner alone, such as dxa-1.
    since
        With other rules: from when they are taken to be in force, such as 2y, 6m, 90d or 2025-01-31.
    """
    from bonewatch.configuration.loading import folder_of  # noqa: PLC0415 - see run

    if proposed is not None:
        from bonewatch import what_if  # noqa: PLC0415 - see run

        what_if.show(what_if.ask(folder_of(config, data_dir), proposed, device, since, err), out, as_json=as_json)
        return 0
    from bonewatch.data_folder import open_log  # noqa: PLC0415 - see run
    from streams.refold import replay as replay_log  # noqa: PLC0415 - see run

    with open_log(folder_of(config, data_dir)) as log:
        result = replay_log(log)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(result._asdict()) + b"\n")
    else:
        for difference in result.differences:
            out.print(f"[bold red]differs[/] {difference}", soft_wrap=True)
        verdict = "all agree" if not result.differences else f"{len(result.differences)} differences"
        out.print(f"{result.events} events of {result.devices} devices folded anew: {verdict}.")
    return 1 if result.differences else 0


@app.command
def design(
    *,
    cv: float,
    per_week: float = 5.0,
    tolerance: float = 1.5,
    floor: float = 0.5,
    as_json: AsJson = False,
    plots: Path | None = None,
) -> int:
    """Compare control charts for a scanner: false alarms a year, days to notice a shift.

    Parameters
    ----------
    cv
        Spread of its phantom scans: CV in percent of the mean.
    per_week
        Phantom scans a week.
    tolerance
        Half-width of the tolerance in percent of the mean.
    floor
        Least sigma that charts work with, in percent of the mean.
    plots
        Draw the comparison too, as SVG files in this folder; needs matplotlib.
    """
    from bonewatch import design as designs  # noqa: PLC0415 - see run

    try:
        comparison = designs.compare(designs.Scanner(cv, per_week, tolerance, floor))
    except ValueError as error:
        err.print("[bold red]error[/]", escape(str(error)), soft_wrap=True)
        return 2
    if as_json:
        sys.stdout.buffer.write(designs.json_from_comparison(comparison) + b"\n")
    else:
        designs.show(comparison, out)
    return 0 if plots is None else _draw(comparison.scanner, plots)


def _draw(scanner: "Scanner", folder: Path) -> int:
    """Draw a comparison of charts; matplotlib is an optional extra, and its absence a sentence."""
    try:
        from bonewatch import design_plots  # noqa: PLC0415 - see run
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise ConfigError("plots need matplotlib, Bonewatch's optional extra 'plots'") from error
    try:
        paths = design_plots.draw(scanner, folder)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written to: {error.strerror}") from error
    for path in paths:
        err.print(f"drawn: {path}", markup=False, soft_wrap=True)
    return 0
