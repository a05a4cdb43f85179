"""Conditions derived from how a site stands: one module a family."""

from alerts.condition import Findings
from alerts.conditions import clearance, confirmed, site
from alerts.conditions.bypasses import bypasses
from alerts.conditions.silence import clocks, silence
from alerts.conditions.waiting import waiting
from alerts.rules import AlertRules
from alerts.situation import Situation


def find(situation: Situation, rules: AlertRules) -> Findings:
    """Return everything that is wrong at `situation.at`, and what may be said of what is not."""
    families = (site.site, bypasses, clearance.clearance, confirmed.confirmed, silence, clocks, waiting)
    return Findings(
        conditions=tuple(condition for family in families for condition in family(situation, rules)),
        endings={key: said for family in (site, clearance, confirmed) for key, said in family.endings(situation)},
        is_partial=situation.not_ready is not None,
    )
