"""The two data sources, and questions to them as Grafana's own types; the SDK knows no PostgreSQL."""

from typing import Any, Final, NamedTuple, Self

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.runtime import DataqueryConfig, register_dataquery_variant
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import AnnotationTarget, DataSourceRef

from dashboards.grafana.queries import Format, PromQuery, SqlQuery

POSTGRES: Final = "grafana-postgresql-datasource"
PROMETHEUS: Final = "prometheus"


class Sources(NamedTuple):
    """UIDs of the data sources in the Grafana at hand.

    With `timescale` the database is a TimescaleDB: questions go to its aggregates of days where there are any.
    """

    postgres: str = "bonewatch"
    prometheus: str = "prometheus"
    timescale: bool = False

    @property
    def sql(self) -> DataSourceRef:
        """The database."""
        return DataSourceRef(POSTGRES, self.postgres)

    @property
    def metrics(self) -> DataSourceRef:
        """Prometheus."""
        return DataSourceRef(PROMETHEUS, self.prometheus)


class SqlDataquery(Dataquery):
    """A question as Grafana's PostgreSQL data source keeps it, written by hand and not with its query builder."""

    def __init__(self, ref_id: str, raw_sql: str, form: str, datasource: DataSourceRef) -> None:
        self.ref_id = ref_id
        self.raw_sql = raw_sql
        self.form = form
        self.datasource = datasource

    def to_json(self) -> dict[str, object]:
        """Return it as Grafana's JSON."""
        return {
            "datasource": self.datasource,
            "editorMode": "code",
            "format": self.form,
            "rawQuery": True,
            "rawSql": self.raw_sql,
            "refId": self.ref_id,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(data["refId"], data["rawSql"], data["format"], DataSourceRef.from_json(data["datasource"]))


def register() -> None:
    """Let the SDK's types decode our questions too."""
    register_dataquery_variant(DataqueryConfig(POSTGRES, SqlDataquery.from_json))


class SqlTarget(Builder[Dataquery]):
    """Makes a question of a panel."""

    def __init__(self, ref_id: str, query: SqlQuery, sources: Sources) -> None:
        asked = query.aggregate if sources.timescale and query.aggregate else query.sql
        self._made = SqlDataquery(ref_id, asked, query.format.value, sources.sql)

    def build(self) -> Dataquery:
        """Return the question."""
        return self._made


class SqlAnnotation(AnnotationTarget):
    """A question whose rows are marked in every panel over time; the SDK's type holds no SQL."""

    def __init__(self, sql: str, source: DataSourceRef) -> None:
        super().__init__()
        self._query = SqlDataquery("Annotation", sql, Format.TABLE.value, source)

    def to_json(self) -> dict[str, object]:
        """Return it as Grafana's JSON."""
        return self._query.to_json()


class SqlAnnotationTarget(Builder[AnnotationTarget]):
    """Makes the question of an annotation."""

    def __init__(self, sql: str, source: DataSourceRef) -> None:
        self._made = SqlAnnotation(sql, source)

    def build(self) -> AnnotationTarget:
        """Return the question."""
        return self._made


def target(ref_id: str, query: SqlQuery | PromQuery, sources: Sources) -> Builder[Any]:
    """Return what asks a panel's question."""
    if isinstance(query, SqlQuery):
        return SqlTarget(ref_id, query, sources)
    asked = prometheus.Dataquery().ref_id(ref_id).expr(query.expr).legend_format(query.legend).range()
    return asked.datasource(sources.metrics)
