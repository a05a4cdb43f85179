"""The command line's ``cross-calibration``: derive an equation, have it accepted, derive it again from kept data."""

import secrets
import sys
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bonewatch.commands.enter import console_address, password_of
from bonewatch.configuration.loading import load
from bonewatch.data_folder import LOG_FILE, data_folder
from bonewatch.entering import Entrance, NotDoneError
from bonewatch.errors import ConfigError
from dashboards.api.study_shapes import StudyIn, WithdrawIn
from qa_models.cross_calibration.equation import METHODS, Equation, derive
from streams import codec
from streams.messages import CrossCalibrationAccepted, CrossCalibrationWithdrawn, StudyKind
from streams.sqlite_log import SqliteEventLog
from streams.studies import Pairs, StudyData, StudyError, StudyVersion, pairs_from, versions

study_app: Final = cyclopts.App(
    name="cross-calibration", help="What one scanner would have read where another did: for serial comparison only."
)
out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)

Person = Annotated[str, Parameter(name="--as", help="Who asks; the password is asked for, or read from the input.")]
ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]


@study_app.command(name="derive")
def derive_equation(data: Path, *, method: str = "deming") -> int:
    """Fit the readings of a device on those of another, and print the equation.

    Parameters
    ----------
    data
        CSV with the columns from_g_cm2 (the other device) and to_g_cm2 (this one), a pair in a line.
    method
        ordinary, deming, weighted_deming or passing_bablok.
    """
    pairs = _pairs(data)
    _print_equation(_derived(method, pairs, data), pairs)
    return 0


@study_app.command
def accept(
    device: str,
    data: Path,
    *,
    person: Person,
    study: str,
    other: str,
    region: str,
    valid_from: str,
    reason: str,
    kind: StudyKind = StudyKind.PHANTOM,
    method: str = "deming",
    valid_until: str = "",
    approval: str = "",
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    url: str = "",
) -> int:
    """Have a study accepted as its next version; the site derives the equation itself and keeps the data.

    Parameters
    ----------
    device
        This device by its id: the equation gives what it would have read.
    data
        CSV with the columns from_g_cm2 and to_g_cm2.
    study
        Its name; a name that is known gets its next version.
    other
        The other device, such as my-site/dxa-0.
    region
        What was measured, such as L1-L4.
    valid_from, valid_until
        Days, such as 2026-11-02.
    reason
        Why it is accepted.
    kind
        phantom or in_vivo.
    method
        ordinary, deming, weighted_deming or passing_bablok.
    approval
        The reference of the approval, for a study in vivo.
    config
        The site's TOML file, for the address of its console on this machine.
    url
        The console's address instead.
    """
    pairs = _pairs(data)
    _print_equation(_derived(method, pairs, data), pairs)

    def asked(device_seq: int) -> StudyIn:
        return StudyIn(
            request_id=secrets.token_hex(16),
            device_seq=device_seq,
            study_id=study,
            kind=kind,
            other_device=other,
            region=region,
            method=method,
            data=pairs.content.decode(),
            valid_from=valid_from,
            reason=reason,
            valid_until=valid_until,
            approval_reference=approval,
        )

    answer = _sent(Entrance(url or console_address(config), person, password_of(person)), device, "studies", asked)
    if answer is None:
        return 1
    out.print(f"accepted as version {answer['version']} of {escape(answer['study_id'])}, data {pairs.digest[:12]}")
    return 0


@study_app.command
def withdraw(
    device: str,
    study: str,
    *,
    person: Person,
    reason: str,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    url: str = "",
) -> int:
    """Withdraw a study: none of its versions is in force any more.

    Parameters
    ----------
    device
        The device by its id.
    study
        The study's name.
    reason
        Why.
    config
        The site's TOML file, for the address of its console on this machine.
    url
        The console's address instead.
    """

    def asked(device_seq: int) -> WithdrawIn:
        return WithdrawIn(request_id=secrets.token_hex(16), device_seq=device_seq, study_id=study, reason=reason)

    entrance = Entrance(url or console_address(config), person, password_of(person))
    if _sent(entrance, device, "studies/withdrawn", asked) is None:
        return 1
    out.print(f"withdrawn: {escape(study)}")
    return 0


@study_app.command
def verify(*, config: ConfigFile) -> int:
    """Derive every accepted equation again from the data that was kept; 1 if any is not what was accepted.

    Parameters
    ----------
    config
        The site's TOML file.
    """
    folder = data_folder(config, load(config).site.data_dir)
    data = StudyData(folder)
    table = Table(box=None, pad_edge=False)
    for title in ("device", "study", "version", "pairs", "result"):
        table.add_column(title)
    wrong = 0
    for device, found in _recorded(folder / LOG_FILE).items():
        for one in found:
            problem = _problem(one.accepted, data)
            wrong += bool(problem)
            result = f"[bold red]{escape(problem)}[/]" if problem else "as accepted"
            fact = one.accepted
            table.add_row(escape(device), escape(fact.study_id), str(fact.version), str(fact.n), result)
    out.print(table if table.row_count else "no cross-calibration is on record")
    return 1 if wrong else 0


def _recorded(log_file: Path) -> dict[str, list[StudyVersion]]:
    recorded: dict[str, list[tuple[Any, CrossCalibrationAccepted | CrossCalibrationWithdrawn]]] = {}
    with SqliteEventLog(log_file, read_only=True) as log:
        for row in log.rows():
            event = codec.decode_event(row.body)
            if isinstance(event.fact, CrossCalibrationAccepted | CrossCalibrationWithdrawn):
                recorded.setdefault(event.device, []).append((event.recorded_at, event.fact))
    return {device: list(versions(facts)) for device, facts in recorded.items()}


def _problem(fact: CrossCalibrationAccepted, data: StudyData) -> str:
    """Return why an equation does not come out again; blank if it does."""
    accepted = Equation(
        fact.method,
        fact.slope,
        fact.intercept_g_cm2,
        fact.standard_error_g_cm2,
        fact.lower_g_cm2,
        fact.upper_g_cm2,
        fact.n,
    )
    try:
        pairs = data.read(fact.data_digest)
        again = derive(fact.method, pairs.x, pairs.y)
    except ValueError as error:
        return str(error)
    return "" if again.is_same_as(accepted) else f"comes out as {again.intercept:.6f} + {again.slope:.6f} x"


def _sent(entrance: Entrance, device: str, path: str, asked: Any) -> Any:
    try:
        offered = entrance.offered(device)
        return entrance.ask(f"/api/v1/devices/{quote(device)}/{path}", asked(offered.device_seq)) or {}
    except NotDoneError as error:
        err.print("[bold red]not recorded[/]", escape(str(error)), soft_wrap=True)
        return None


def _pairs(path: Path) -> Pairs:
    try:
        return pairs_from(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({type(error).__name__})") from error
    except StudyError as error:
        raise ConfigError(f"{path}: {error}") from error


def _derived(method: str, pairs: Pairs, path: Path) -> Equation:
    try:
        return derive(method, pairs.x, pairs.y)
    except ValueError as error:
        raise ConfigError(f"{path}: {error} (methods: {', '.join(METHODS)})") from error


def _print_equation(equation: Equation, pairs: Pairs) -> None:
    if not sys.stdout.isatty():
        out.print_json(msgspec.json.encode({**_fields(equation), "data_digest": pairs.digest}).decode())
        return
    sign = "-" if equation.slope < 0 else "+"
    out.print(f"to = {equation.intercept:.5f} {sign} {abs(equation.slope):.5f} * from   (g/cm², {equation.method})")
    out.print(f"standard error of estimate {equation.standard_error:.5f} g/cm², {equation.n} pairs")
    out.print(f"holds for {equation.lower:.3f} to {equation.upper:.3f} g/cm² of the other device")
    out.print(f"data {pairs.digest}")


def _fields(equation: Equation) -> dict[str, object]:
    return {name: getattr(equation, name) for name in equation.__slots__}
