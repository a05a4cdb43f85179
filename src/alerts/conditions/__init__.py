"""Conditions derived from how a site stands: one module a family."""

from alerts.condition import Findings
from alerts.rules import AlertRules
from alerts.situation import Situation


def find(situation: Situation, rules: AlertRules) -> Findings:
    """Return everything that is wrong at `situation.at`, the most urgent first."""
    raise NotImplementedError
