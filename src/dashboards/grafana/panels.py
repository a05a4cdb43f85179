"""Panels as the boards want them: one look for each kind, units and decimals from the columns of the question."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import bargauge, common, dashboard, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model

from dashboards.grafana.queries import Column, ColumnType, PromQuery, SqlQuery

Query = SqlQuery | PromQuery

GREEN: Final = "#2f8132"
AMBER: Final = "#c77700"
RED: Final = "#c4262e"
BLUE: Final = "#1f60c4"
VIOLET: Final = "#8f3bb8"
GREY: Final = "#7b8087"
"""Told apart by people who do not tell red from green: they differ in lightness, and marks differ in size."""

SCANNER_LINK: Final = "/d/bonewatch-scanner?var-device=${__value.raw}&${__url_time_range}"


PanelBuilder = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | statetimeline.Panel


class Panel(NamedTuple):
    """A panel's place, words and questions, with the builder that knows its look."""

    title: str
    description: str
    builder: PanelBuilder
    queries: tuple[Query, ...]
    width: int
    height: int
    empty: str


Look = Mapping[str, object]
"""Properties of one series or column by their ids, such as ``{"color": ..., "custom.lineWidth": 1}``."""


def fixed(colour: str) -> dict[str, object]:
    """Return a colour that does not depend on the value."""
    return {"mode": "fixed", "fixedColor": colour}


def line(colour: str, *, width: int = 1, dash: Sequence[int] = ()) -> Look:
    """Return the look of a limit or a centre line: no points, dashed if so asked."""
    style = {"fill": "dash", "dash": list(dash)} if dash else {"fill": "solid"}
    return {
        "color": fixed(colour),
        "custom.lineWidth": width,
        "custom.lineStyle": style,
        "custom.showPoints": "never",
        "custom.lineInterpolation": "stepAfter",
        "custom.spanNulls": True,
    }


def marks(colour: str, size: int) -> Look:
    """Return the look of marks on readings: points alone."""
    return {"color": fixed(colour), "custom.drawStyle": "points", "custom.pointSize": size}


def over_time(
    title: str,
    description: str,
    *queries: Query,
    width: int,
    height: int = 9,
    looks: Mapping[str, Look] | None = None,
    bars: bool = False,
    empty: str = "Nothing in this time",
) -> Panel:
    """Return a chart over time."""
    made = (
        timeseries.Panel()
        .legend(
            common.VizLegendOptions()
            .display_mode(shapes.LegendDisplayMode.LIST)
            .placement(shapes.LegendPlacement.BOTTOM)
            .show_legend(True)  # noqa: FBT003 - the SDK's signature
        )
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI))
        .draw_style(shapes.GraphDrawStyle.BARS if bars else shapes.GraphDrawStyle.LINE)
        .fill_opacity(70 if bars else 0)
        .line_width(1)
    )
    return Panel(title, description, _with_looks(made, queries, looks), queries, width, height, empty)


def figures(
    title: str,
    description: str,
    *queries: Query,
    width: int,
    height: int = 4,
    steps: Sequence[tuple[float | None, str]] = ((None, GREY),),
    looks: Mapping[str, Look] | None = None,
    empty: str = "None",
) -> Panel:
    """Return single figures, large; `steps` are thresholds with the colour from there on."""
    made = (
        stat.Panel()
        .color_mode(shapes.BigValueColorMode.VALUE)
        .graph_mode(shapes.BigValueGraphMode.NONE)
        .text_mode(shapes.BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/"))
        .thresholds(thresholds(steps))
    )
    return Panel(title, description, _with_looks(made, queries, looks), queries, width, height, empty)


def rows(
    title: str,
    description: str,
    query: SqlQuery,
    *,
    width: int,
    height: int = 9,
    looks: Mapping[str, Look] | None = None,
    empty: str = "None",
) -> Panel:
    """Return a table."""
    made = table.Panel().filterable(True).cell_height(shapes.TableCellHeight.SM)  # noqa: FBT003 - the SDK's signature
    return Panel(title, description, _with_looks(made, (query,), looks), (query,), width, height, empty)


def ranking(
    title: str,
    description: str,
    query: SqlQuery,
    *,
    width: int,
    height: int = 9,
    steps: Sequence[tuple[float | None, str]],
    limits: tuple[float | None, float | None] = (None, None),
    empty: str = "Nothing in this time",
) -> Panel:
    """Return bars, one a row."""
    made = (
        bargauge.Panel()
        .orientation(shapes.VizOrientation.HORIZONTAL)
        .display_mode(shapes.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().values(True))  # noqa: FBT003 - the SDK's signature
        .thresholds(thresholds(steps))
    )
    if limits[0] is not None:
        made = made.min(limits[0])
    if limits[1] is not None:
        made = made.max(limits[1])
    return Panel(title, description, _with_looks(made, (query,), None), (query,), width, height, empty)


def timeline(
    title: str, description: str, query: SqlQuery, *, by: str, shows: str, width: int, height: int = 12
) -> Panel:
    """Return a band a device with its states over time; one series is made for each value of the column `by`."""
    made = (
        statetimeline.Panel()
        .show_value(shapes.VisibilityMode.NEVER)
        .merge_values(True)  # noqa: FBT003 - the SDK's signature
        .row_height(0.8)
        .line_width(0)
        .fill_opacity(70)
        .mappings([states()])
        .transformations(
            [
                model.DataTransformerConfig(
                    "partitionByValues",
                    options={"fields": [by], "keepFields": False, "naming": {"asLabels": True}},
                )
            ]
        )
        .override_by_name(shows, properties({"displayName": f"${{__field.labels.{by}}}"}))
    )
    return Panel(title, description, made, (query,), width, height, "No gate was heard of in this time")


def thresholds(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    """Return thresholds; the first is from below on."""
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value, colour) for value, colour in steps])
    )


def states() -> model.ValueMap:
    """Return the words and colours of a gate."""
    named = {"open": ("Open", GREEN), "overridden": ("Overridden", AMBER), "held": ("Held", RED)}
    return model.ValueMap(
        {
            state: model.ValueMappingResult(text=word, color=colour, index=place)
            for place, (state, (word, colour)) in enumerate(named.items())
        }
    )


def state_look() -> Look:
    """Return the look of a table's column that holds the state of a gate."""
    return {"mappings": [states()], "custom.cellOptions": {"type": "color-text"}}


def scanner_link() -> Look:
    """Return the look of a table's column of devices: each leads to its chart."""
    return {"links": [{"title": "Open its chart", "url": SCANNER_LINK}]}


def properties(look: Look) -> list[model.DynamicConfigValue]:
    """Return a look as overrides."""
    return [model.DynamicConfigValue(name, value) for name, value in look.items()]


def _with_looks(builder: PanelBuilder, queries: Sequence[Query], looks: Mapping[str, Look] | None) -> PanelBuilder:
    own = dict(looks or {})
    for query in queries:
        if isinstance(query, PromQuery):
            builder = builder.unit(query.unit)
        else:
            for column in query.columns:
                look = {**_units(column), **own.pop(column.name, {})}
                if look:
                    builder = builder.override_by_name(column.name, properties(look))
    if own:
        raise ValueError(f"no column is called {', '.join(own)}")
    return builder


def _units(column: Column) -> dict[str, object]:
    if column.type is not ColumnType.NUMBER:
        return {}
    return {"unit": column.unit} | ({} if column.decimals is None else {"decimals": column.decimals})
