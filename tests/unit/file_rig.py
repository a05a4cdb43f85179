"""A file's bytes read as a map says: what was taken of them and what was rejected."""

from io import BytesIO
from zoneinfo import ZoneInfo

from collectors.files.content import Content, read_content
from collectors.files.map_file import map_from_toml
from collectors.files.rows import Mapper
from collectors.files.settings import FilesSettings
from streams.messages import Fact
from streams.policy import CheckRules, DeviceKind, DevicePolicy, Phantom, PhantomRole, Standard
from tests.exported_files import PHANTOM_MAP

SCANNER = DevicePolicy(
    DeviceKind.SCANNER,
    phantoms=(Phantom("SPINE-1234", PhantomRole.INDEPENDENT), Phantom("BLOCK", PhantomRole.MANUFACTURER_DAILY)),
)
SCALE = DevicePolicy(DeviceKind.SCALE, checks=CheckRules((Standard("W20", 20.0),)))
LIMITS = FilesSettings(max_rows=500, max_columns=20, max_cell=60, max_rejects=50)


def read(
    data: bytes, toml: str = PHANTOM_MAP, *, policy: DevicePolicy = SCANNER, limits: FilesSettings = LIMITS
) -> Content:
    column_map = map_from_toml(toml, "map.toml")
    mapper = Mapper(column_map, "site/dxa-1", policy, ZoneInfo("Europe/London"))
    return read_content(BytesIO(data), column_map, mapper, limits)


def facts(content: Content) -> list[Fact]:
    return [mapped.draft.fact for mapped in content.taken]


def rejected(content: Content) -> list[tuple[int, str]]:
    return [(reject.line, reject.code) for reject in content.rejects]


SHEET = "xl/worksheets/sheet1.xml"
