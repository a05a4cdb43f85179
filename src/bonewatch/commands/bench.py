"""The command line's ``bench``: what this machine does with this program, beside a peer or a limit."""

from pathlib import Path
from typing import Annotated, Final

import cyclopts
from cyclopts import Parameter

from bonewatch import logs

bench_app: Final = cyclopts.App(name="bench", help="Measure this machine with this program.")

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"], help="The site's TOML file.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for a program to read.")]


@bench_app.command(name="gate")
def bench_gate(*, scans: int = 1000, as_json: AsJson = False) -> int:
    """Time a failing phantom scan from its C-STORE to the refused worklist query."""
    from bonewatch.bench.gate import measure  # noqa: PLC0415 - only where it is asked for

    logs.configure()
    return measure(scans, as_json=as_json)


@bench_app.command(name="fleet")
def bench_fleet(*, short: bool = False, as_json: AsJson = False) -> int:
    """Time worker, sink and forwarder on a real Kafka and PostgreSQL, beside the least that could do the same.

    Parameters
    ----------
    short
        A smaller run: three minutes instead of ten.
    """
    from bonewatch.bench.fleet import FULL, SHORT, measure  # noqa: PLC0415 - only where it is asked for

    return measure(SHORT if short else FULL, as_json=as_json)


@bench_app.command(name="api")
def bench_api(*, short: bool = False, as_json: AsJson = False) -> int:
    """Time gates and pages of measurements over HTTP with ten years of data, beside the bare query.

    Parameters
    ----------
    short
        A few days of data: shows that it runs, and measures nothing.
    """
    from bonewatch.bench.api import FULL, SHORT, measure  # noqa: PLC0415 - only where it is asked for

    return measure(SHORT if short else FULL, as_json=as_json)


@bench_app.command(name="dashboards")
def bench_dashboards(*, short: bool = False, server: str = "", as_json: AsJson = False) -> int:
    """Time every panel's question with ten years of 400 scanners, on aggregates and raw rows; and the console's pages.

    Parameters
    ----------
    short
        A few scanners and months: shows that it runs, and measures nothing.
    server
        A PostgreSQL or TimescaleDB in which a database may be made for it; without one a private server is started.
    """
    from bonewatch.bench.dashboards import FULL, SHORT, measure  # noqa: PLC0415 - only where it is asked for

    return measure(SHORT if short else FULL, server, as_json=as_json)


@bench_app.command(name="collect")
def bench_collect(*, lines: int = 20_000, objects: int = 400, as_json: AsJson = False) -> int:
    """Count what the front ends take in a second: frames of each serial protocol, syslog lines, DICOM objects.

    Objects are sent by DCMTK's storescu to a site, and beside it to Orthanc and storescp where they are installed.

    Parameters
    ----------
    lines
        Syslog lines to send by each transport.
    objects
        Objects to send, of each kind, over 1 and over 8 associations; 0: none.
    """
    from bonewatch.bench.collect import measure  # noqa: PLC0415 - only where it is asked for

    return measure(lines, objects, as_json=as_json)


@bench_app.command(name="replay")
def bench_replay(*, as_json: AsJson = False) -> int:
    """Count the events one core folds in a second, after one year and after ten."""
    from bonewatch.bench.replay import measure  # noqa: PLC0415 - only where it is asked for

    return measure(as_json=as_json)


@bench_app.command(name="models")
def bench_models(*, as_json: AsJson = False) -> int:
    """Time charts and run lengths against other software and a plain Python loop."""
    from bonewatch.bench.models import measure  # noqa: PLC0415 - only where it is asked for

    return measure(as_json=as_json)
