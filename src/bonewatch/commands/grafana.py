"""The command line's ``grafana``: the dashboards, into a Grafana or into files for one."""

import os
from pathlib import Path
from typing import Annotated, Final

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from bonewatch.errors import ConfigError

grafana_app: Final = cyclopts.App(name="grafana", help="Dashboards for Grafana.")
out: Final = Console(highlight=False)

TOKEN_VARIABLE: Final = "BONEWATCH_GRAFANA_TOKEN"  # noqa: S105 - the variable's name, not what it holds

PostgresUid = Annotated[str, Parameter(name="--postgres-uid")]
PrometheusUid = Annotated[str, Parameter(name="--prometheus-uid")]


@grafana_app.command
def push(
    url: str,
    *,
    token_file: Path | None = None,
    ca_file: Path | None = None,
    plain_http: bool = False,
    postgres_uid: PostgresUid = "bonewatch",
    prometheus_uid: PrometheusUid = "prometheus",
    timescale: bool = False,
    database: str = "",
    database_name: str = "bonewatch",
    database_password_file: Path | None = None,
    database_sslmode: str = "verify-full",
    prometheus: str = "",
) -> int:
    """Bring the dashboards of a Grafana to what this version says; a second time nothing changes.

    Parameters
    ----------
    url
        Where it is served, such as https://grafana.example.org.
    token_file
        Holds a service account's token; without it the environment variable BONEWATCH_GRAFANA_TOKEN does.
    ca_file
        PEM of who signed its certificate.
    plain_http
        Let the token travel without TLS to another computer.
    postgres_uid
        Uid of the data source for the database, as it is called there.
    prometheus_uid
        The same of Prometheus.
    timescale
        The database is a TimescaleDB: ask its aggregates of days, which are quicker over years.
    database
        host:port of the database as Grafana reaches it: makes that data source too.
    database_name
        Name of the database.
    database_password_file
        Holds the password of bonewatch_reader.
    database_sslmode
        How Grafana's connection to the database is secured.
    prometheus
        URL of Prometheus as Grafana reaches it: makes that data source too.
    """
    from dashboards.grafana import push as pushing  # noqa: PLC0415 - the rest of the command line starts without it
    from dashboards.grafana.server import Grafana, GrafanaError  # noqa: PLC0415
    from dashboards.grafana.sources import Sources  # noqa: PLC0415

    source = None
    if database:
        if database_password_file is None:
            raise ConfigError("--database wants --database-password-file: the password of bonewatch_reader")
        password = _first_line(database_password_file)
        source = pushing.DatabaseSource(database, database_name, password, database_sslmode)
    changed = 0
    try:
        with Grafana(url, _token(token_file), ca_file=str(ca_file or ""), plain_http=plain_http) as grafana:
            sources = Sources(postgres_uid, prometheus_uid, timescale)
            for done in pushing.push(grafana, sources, database=source, prometheus_url=prometheus):
                changed += done.change is not pushing.Change.SAME
                where = f" [dim]({escape(done.where)})[/]" if done.where else ""
                out.print(f"{done.change.value:<9} {escape(done.what)}{where}", soft_wrap=True)
    except GrafanaError as error:
        raise ConfigError(str(error)) from error
    out.print(f"{changed} changed." if changed else "Nothing to change.")
    return 0


@grafana_app.command
def write(
    folder: Path,
    *,
    path: str = "/etc/grafana/dashboards",
    postgres_uid: PostgresUid = "bonewatch",
    prometheus_uid: PrometheusUid = "prometheus",
    timescale: bool = False,
) -> int:
    """Write the dashboards as files from which a Grafana provisions them; only those that differ.

    Parameters
    ----------
    folder
        Where to: `dashboards/` and `provisioning/dashboards/` are made in it.
    path
        Where Grafana sees the folder `dashboards`.
    postgres_uid
        Uid of the data source for the database, as it is called there.
    prometheus_uid
        The same of Prometheus.
    timescale
        The database is a TimescaleDB: ask its aggregates of days, which are quicker over years.
    """
    from dashboards.grafana import files  # noqa: PLC0415 - see push
    from dashboards.grafana.sources import Sources  # noqa: PLC0415

    try:
        changed = files.write(folder, Sources(postgres_uid, prometheus_uid, timescale), seen_by_grafana=path)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written to: {error.strerror}") from error
    for one in changed:
        out.print(f"written: {one}", markup=False, soft_wrap=True)
    out.print(f"{len(changed)} files written." if changed else "Nothing to change.")
    return 0


def _token(file: Path | None) -> str:
    token = os.environ.get(TOKEN_VARIABLE, "").strip() if file is None else _first_line(file)
    if not token:
        raise ConfigError(f"no token: --token-file names a file that holds it, or {TOKEN_VARIABLE} does")
    if not token.isascii() or not token.isprintable():
        raise ConfigError("what is given as the token is none: it has characters that no token has")
    return token


def _first_line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {type(error).__name__}") from error
