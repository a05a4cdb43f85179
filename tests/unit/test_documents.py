"""What the documents say is what the code does."""

import re
import textwrap
from pathlib import Path

import msgspec
import pytest

from alerts.rules import AlertRules, Timetable
from alerts.settings import AlertsSettings, ChannelSettings, DeliverySettings, DutyHours, PersonSettings
from bonewatch.configuration import sections as config_file
from bonewatch.configuration.clinic_calendar import CalendarSection, ClosureSection
from bonewatch.configuration.duty_sections import DutySection
from bonewatch.configuration.loading import parse
from collectors.fault_logs.settings import SyslogSettings
from collectors.files.settings import FileSource, FilesSettings
from collectors.printed.settings import PrintedDevice, PrintedSettings
from collectors.settings import DicomSettings, MppsUpstream, Pacs, Upstream
from dashboards.access.scopes import ROLES_OF_SCOPE, Scope
from dashboards.access.settings import ApiSettings, OpenIdSettings
from publishing.settings import MllpSettings, WebhookSettings
from storage.settings import AnnotationRules
from streams.roles import PERMITTED, Permission, Role
from streams.uptime.causes import PRECEDENCE

DOCS = Path(__file__).resolve().parents[2] / "docs"

SECTIONS: list[tuple[str, type[msgspec.Struct], set[str]]] = [
    ("## `[site]`", config_file.SiteSection, set()),
    ("## `[dicom]`", DicomSettings, set()),
    ("`upstream`:", Upstream, set()),
    ("`pacs`:", Pacs, set()),
    ("`mpps`:", MppsUpstream, set()),
    ("## `[http]`", config_file.HttpSection, set()),
    ("## `[api]`", ApiSettings, set()),
    ("## `[openid]`", OpenIdSettings, set()),
    ("## `[kafka]`", config_file.KafkaSection, set()),
    ("## `[measurements]`", AnnotationRules, set()),
    ("## `[[webhook]]`", WebhookSettings, set()),
    ("## `[[mllp]]`", MllpSettings, set()),
    ("## `[alerts]`", AlertsSettings, set()),
    ("### `[alerts.rules]`", AlertRules, set()),
    ("`[alerts.rules.urgent]` and", Timetable, set()),
    ("### `[alerts.delivery]`", DeliverySettings, set()),
    ("### `[[alerts.person]]`", PersonSettings, set()),
    ("`on_duty`:", DutyHours, set()),
    ("### `[[alerts.channel]]`", ChannelSettings, set()),
    ("## `[printed]`", PrintedSettings, set()),
    ("## `[files]`", FilesSettings, set()),
    ("## `[syslog]`", SyslogSettings, set()),
    (
        "## `[[device]]`",
        config_file.DeviceSection,
        {
            "phantom",
            "qc",
            "mode",
            "line",
            "standard",
            "checks",
            "log",
            "printed",
            "file",
            "uptime",
            "significant_change",
        },
    ),
    ("### `[[device.phantom]]`", config_file.PhantomSection, set()),
    ("### `[device.qc]`", config_file.QcSection, set()),
    ("### `[device.uptime]`", config_file.UptimeSection, set()),
    ("### `[device.line]`", config_file.LineSection, set()),
    ("### `[[device.standard]]`", config_file.StandardSection, set()),
    ("### `[device.checks]`", config_file.ChecksSection, set()),
    ("### `[device.printed]`", PrintedDevice, set()),
    ("### `[[device.log]]`", config_file.LogSection, set()),
    ("### `[[device.file]]`", FileSource, set()),
    ("### `[[device.mode]]`", config_file.ModeSection, set()),
    ("### `[[device.significant_change]]`", config_file.SignificantChangeSection, set()),
    ("## `[[clinic]]`", config_file.ClinicSection, set()),
    ("## `[[closure]]`", ClosureSection, set()),
    ("## `[calendar]`", CalendarSection, set()),
    ("## `[[duty]]`", DutySection, set()),
]


def rows_under(title: str) -> dict[str, str]:
    """Each key of the first table under a title, with what its default column says."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    table = text.split(title, 1)[1].split("| --- |", 1)[1].split("\n\n", 1)[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    return {key: default.strip() for keys, default in rows for key in re.findall(r"`(\w+)`", keys)}


@pytest.mark.parametrize(
    ("title", "section", "tables"), SECTIONS, ids=[title.strip("#` :[]") for title, *_ in SECTIONS]
)
def test_every_key_is_documented_with_its_default(title: str, section: type[msgspec.Struct], tables: set[str]) -> None:
    rows = rows_under(title)
    assert set(rows) == set(section.__struct_fields__) - tables
    for field in msgspec.structs.fields(section):
        said = rows.get(field.name, "")
        if said.startswith("`") and not isinstance(field.default, msgspec.UnsetType):
            default = field.default if field.default is not msgspec.NODEFAULT else ()
            written = said.strip("`")
            assert written in {msgspec.json.encode(default).decode(), str(default)}, field.name


def table_of_roles(document: str, begins: str, named: str) -> dict[str, set[str]]:
    """What each role is said to have, by the name in code in a row's first cell."""
    lines = (DOCS / document).read_text(encoding="utf-8").splitlines()
    header = next(line for line in lines if line.startswith(begins))
    roles = [cell.strip() for cell in header.strip("|").split("|")][-len(Role) :]
    assert roles == [role.value for role in Role]
    documented = {}
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) > len(roles) and (name := re.search(named, cells[0])):
            yes = zip(roles, cells[-len(roles) :], strict=True)
            documented[name.group(1)] = {role for role, cell in yes if cell == "yes"}
    return documented


def test_the_site_of_the_readme_is_in_order() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (DOCS.parent / "README.md").read_text(), re.DOTALL)
    (scanner,) = parse(textwrap.dedent(text), "README.md").device
    assert (scanner.id, scanner.ae_title) == ("dxa-1", "DXA1")


def test_the_table_of_roles_is_the_one_in_force() -> None:
    documented = table_of_roles("people.md", "| May |", r"`(\w+)`")
    assert documented == {permission.value: {r.value for r in PERMITTED[permission]} for permission in Permission}


def test_the_table_of_scopes_is_the_one_in_force() -> None:
    documented = table_of_roles("api.md", "| Scope |", r"^`(\w+:\w+)`$")
    assert documented == {scope.value: {r.value for r in ROLES_OF_SCOPE[scope]} for scope in Scope}


def test_the_order_of_reasons_in_uptime_is_as_documented() -> None:
    listed = re.findall(r"^\d+\. `(\w+)`$", (DOCS / "uptime.md").read_text(), re.MULTILINE)
    assert listed == [code.value for code in PRECEDENCE]
