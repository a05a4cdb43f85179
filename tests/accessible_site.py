"""A department with something of everything that the console shows, served on loopback with an account for each role."""

from datetime import timedelta
from pathlib import Path

import msgspec
from litestar.routes import HTTPRoute

from dashboards.app import create_app
from dashboards.console.navigation import PLACES
from dashboards.server import ConsoleServer
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from streams.commands import MakeLogEntry
from streams.engine import SiteEngine
from streams.messages import (
    CommissioningSignedOff,
    DeviceRegistered,
    Draft,
    EntryKind,
    FaultLogged,
    Person,
    PhantomMeasured,
    event_id,
)
from streams.policy import DeviceKind, Phantom, PhantomRole
from streams.roles import Role
from streams.site import Receipt
from streams.sqlite_log import SqliteEventLog
from streams.sqlite_readings import SqliteReadings
from streams.uptime.clinic_hours import ClinicHours
from streams.uptime.reader import LoggedUptime
from tests.accounts import CHEAP
from tests.console_fakes import NOW
from tests.console_stage import PASSWORD, PHYSICIST, _past
from tests.folding import POLICY, WEEKDAY_CLINIC

__all__ = ["AccessibleSite", "ClinicHours", "LoggedUptime", "PLACES"]
