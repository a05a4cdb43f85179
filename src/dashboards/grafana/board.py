"""A dashboard: its panels in rows of 24 columns, variables, and marks over time."""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.panels import Panel, Query
from dashboards.grafana.queries import PromQuery, SqlQuery
from dashboards.grafana.sources import Sources, SqlAnnotationTarget, target

COLUMNS: Final = 24
TAG: Final = "bonewatch"


class Variable(NamedTuple):
    """A choice above the dashboard, from SQL; the answers of one narrow the next."""

    name: str
    label: str
    sql: str
    multi: bool = True


class Annotation(NamedTuple):
    """What is marked over time: SQL with `time`, `text`, and `timeend` where it lasted."""

    name: str
    sql: str
    colour: str


class Board(NamedTuple):
    """One dashboard; its uid never changes, so that links and bookmarks hold."""

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    since: str = "now-90d"
    refresh: str = "5m"

    @property
    def queries(self) -> tuple[Query, ...]:
        """Every question of its panels."""
        return tuple(query for panel in self.panels for query in panel.queries)

    @property
    def sql(self) -> tuple[SqlQuery, ...]:
        """Its questions to the database."""
        return tuple(query for query in self.queries if isinstance(query, SqlQuery))

    @property
    def promql(self) -> tuple[PromQuery, ...]:
        """Its questions to Prometheus."""
        return tuple(query for query in self.queries if isinstance(query, PromQuery))


def build(board: Board, sources: Sources) -> model.Dashboard:
    """Return the dashboard as Grafana's own type; once a board, for the SDK's builders keep what they were told."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .timezone("browser")
        .time(board.since, "now")
        .refresh(board.refresh)
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .editable()
        .link(_menu())
        .variables([_variable(one, sources) for one in board.variables])
        .annotations([_annotation(one, sources) for one in board.annotations])
    )
    for number, panel in enumerate(board.panels, start=1):
        made = made.with_panel(_panel(panel, number, sources))
    return made.build()


def json_from_dashboard(made: model.Dashboard) -> str:
    """Return the JSON that Grafana reads, the same for the same dashboard."""
    return json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _menu() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Bonewatch")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)  # noqa: FBT003 - the SDK's signature
        .keep_time(True)  # noqa: FBT003 - the SDK's signature
    )


def _variable(one: Variable, sources: Sources) -> dashboard.QueryVariable:
    made = (
        dashboard.QueryVariable(one.name)
        .label(one.label)
        .datasource(sources.sql)
        .query(one.sql)
        .refresh(model.VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(one.multi)
        .include_all(one.multi)
        .allow_custom_value(False)  # noqa: FBT003 - the SDK's signature
    )
    if one.multi:
        made = made.current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    return made


def _annotation(one: Annotation, sources: Sources) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name(one.name)
        .datasource(sources.sql)
        .enable(True)  # noqa: FBT003 - the SDK's signature
        .icon_color(one.colour)
        .target(SqlAnnotationTarget(one.sql, sources.sql))
    )


def _panel(panel: Panel, number: int, sources: Sources) -> "_Placed":
    builder = panel.builder.id(number).title(panel.title).description(panel.description)
    builder = builder.span(panel.width).height(panel.height).no_value(panel.empty)
    kinds = {type(query) for query in panel.queries}
    builder = builder.datasource(sources.metrics if kinds == {PromQuery} else sources.sql)
    for place, query in enumerate(panel.queries):
        builder = builder.with_target(target(chr(ord("A") + place), query, sources))
    return _Placed(builder.build())


class _Placed(Builder[model.Panel]):
    """A panel that is built already."""

    def __init__(self, panel: model.Panel) -> None:
        self._panel = panel

    def build(self) -> model.Panel:
        """Return it."""
        return self._panel


def device_variables(*kinds: str, multi: bool = True) -> Sequence[Variable]:
    """Return site, make and device: the first two narrow the third."""
    of_kind = ", ".join(f"'{kind}'" for kind in kinds)
    make = "coalesce(nullif(make, ''), 'not given')"
    return (
        Variable("site", "Site", f"SELECT DISTINCT site FROM bonewatch.devices WHERE kind IN ({of_kind})"),
        Variable(
            "make",
            "Make",
            f"SELECT DISTINCT {make} FROM bonewatch.devices"
            f" WHERE kind IN ({of_kind}) AND site IN (${{site:sqlstring}})",
        ),
        Variable(
            "device",
            "Device",
            "SELECT device FROM bonewatch.devices"
            f" WHERE kind IN ({of_kind}) AND site IN (${{site:sqlstring}}) AND {make} IN (${{make:sqlstring}})",
            multi,
        ),
    )
