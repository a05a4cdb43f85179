"""All dashboards, and their JSON."""

from dashboards.grafana.board import Board, build, json_from_dashboard
from dashboards.grafana.boards import checks, faults, fleet, gates, pipeline, reviews, scanner, uptime
from dashboards.grafana.sources import Sources


def boards() -> tuple[Board, ...]:
    """Return every dashboard, new each time: the SDK's builders keep what they were told."""
    made = (fleet, scanner, checks, gates, faults, uptime, reviews, pipeline)
    return tuple(module.board() for module in made)


def documents(sources: Sources) -> dict[str, str]:
    """Return the JSON of every dashboard by its uid."""
    return {board.uid: json_from_dashboard(build(board, sources)) for board in boards()}
