"""Every action, and which of them to offer to whom."""

from collections.abc import Sequence
from typing import Final

from dashboards.console.action import Action
from dashboards.console.check_actions import CHECK_ACTIONS
from dashboards.console.commissioning_actions import COMMISSIONING_ACTIONS
from dashboards.console.due_actions import DUE_ACTIONS
from dashboards.console.gate_actions import GATE_ACTIONS
from dashboards.console.log_actions import LOG_ACTIONS
from dashboards.console.quality_actions import QUALITY_ACTIONS
from dashboards.console.review_actions import REVIEW_ACTIONS
from dashboards.console.service_actions import SERVICE_ACTIONS
from dashboards.sessions import Session
from streams.readings import DeviceView

_PARTS: Final = (
    CHECK_ACTIONS,
    QUALITY_ACTIONS,
    REVIEW_ACTIONS,
    COMMISSIONING_ACTIONS,
    DUE_ACTIONS,
    SERVICE_ACTIONS,
    GATE_ACTIONS,
    LOG_ACTIONS,
)
ACTIONS: Final = {action.slug: action for part in _PARTS for action in part}
"""By the last part of their address."""


def offered(view: DeviceView, visitor: Session | None) -> Sequence[Action]:
    """Return what makes sense for the device now and the visitor's role permits."""
    if visitor is None:
        return ()
    return [action for action in ACTIONS.values() if visitor.may(action.permission) and action.offered(view)]


def barred(view: DeviceView, visitor: Session | None) -> Sequence[str]:
    """Return why what the visitor's role permits, and would be looked for, cannot be done now."""
    if visitor is None:
        return ()
    return [text for action in ACTIONS.values() if visitor.may(action.permission) and (text := action.barred(view))]
