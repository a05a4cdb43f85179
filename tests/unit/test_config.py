"""A configuration file's mistakes are told with line and remedy."""

from pathlib import Path

import pytest

from bonewatch.config import ConfigError, load, parse, warnings
from bonewatch.toml_lines import line_of
from streams.policy import Enforcement, PhantomRole
from tests.running import configuration

GOOD = configuration()


def test_a_device_becomes_a_policy_and_a_calendar() -> None:
    clinic = '[[clinic]]\ndevice = "dxa-1"\ndays = ["mon", "fri"]\nstarts = "08:30"\nends = "16:30"\n'
    config = parse(GOOD + clinic, "site.toml")
    policy, calendar = config.devices()["test-site/dxa-1"]
    assert policy.ae_title == "DXA1"
    assert policy.enforcement is Enforcement.WORKLIST
    assert [(p.patient_id, p.role, p.region) for p in policy.phantoms] == [
        ("SPINE-0001", PhantomRole.INDEPENDENT, "L1-L4")
    ]
    assert policy.qc.plausible_percent == 20.0
    assert [(c.weekdays, c.starts, c.ends) for c in calendar.clinics] == [((0, 4), "08:30", "16:30")]


def broken(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "line_holds", "words"),
    [
        (broken('kind = "scanner"', 'kind = "toaster"'), "toaster", "Invalid enum value 'toaster'"),
        (broken('role = "independent"', 'role = "manufacturer_daily"'), "[[device]]", 'role = "independent"'),
        (broken("plausible_percent = 20.0", "plausible_percent = 1.0"), "plausible", "exceeds the tolerance"),
        (broken("plausible_percent = 20.0", "tolerance = 1.5"), "[device.qc]", "unknown field `tolerance`"),
        (broken("plausible_percent = 20.0", "min_scans = 5"), "min_scans", "at least ten"),
        (broken("plausible_percent = 20.0", "cusum_h = -1"), "cusum_h", "above 0"),
        (broken('ae_title = "DXA2"', 'ae_title = "DXA1"'), 'ae_title = "DXA1"', "is taken"),
        (broken('ae_title = "DXA2"', 'ae_title = "THIS-TITLE-IS-LONG"'), "THIS-TITLE", "1 to 16 characters"),
        (broken('id = "dxa-2"', 'id = "dxa-1"'), 'id = "dxa-1"', "configured twice"),
        (broken('patient_id = "SPINE-0001"', 'patient_id = " "'), "patient_id", "1 to 64 characters"),
        (broken('patient_id = "SPINE-0001"', 'patient_id = "manufacturer"'), "manufacturer", "scanner's own QC"),
        (
            broken('role = "independent"', 'role = "independent"\nmodes = ["a"]').replace(
                "  [device.qc]", '  [[device.mode]]\n  name = "a"\n  [[device.mode]]\n  name = "b"\n  [device.qc]', 1
            ),
            'name = "b"',
            "no independent phantom vouches for b",
        ),
        (broken('id = "test-site"', 'id = "test/site"'), "test/site", "without a slash"),
        (GOOD + '[[clinic]]\ndevice = "x"\ndays = []\nstarts = "9"\nends = "25:00"\n', 'device = "x"', "no device"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_write(text: str, line_holds: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "site.toml")
    told = str(raised.value)
    assert words in told
    line = int(told.split("line ")[1].split(":", maxsplit=1)[0])
    assert line_holds in text.splitlines()[line - 1]


def test_an_unknown_time_zone_is_told() -> None:
    text = GOOD.replace(GOOD.split('time_zone = "')[1].split('"')[0], "Atlantis/Capital")
    with pytest.raises(ConfigError, match="Atlantis/Capital' is not a time zone"):
        parse(text, "site.toml")


def test_broken_toml_and_a_missing_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        parse("[site]\nid = \n", "site.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nowhere.toml")


def test_what_is_legal_but_surprising_is_said() -> None:
    text = broken("plausible_percent = 20.0", "manufacturer_required = false")
    said = "\n".join(warnings(parse(text, "site.toml")))
    assert "daily QC is not required" in said


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("$.site.id", 2),
        ("$.device[0].phantom[1].role", 8),
        ("$.device[1].phantom[0]", 11),
        ("$.device[1].missing", 9),
        ("$.nothing", None),
    ],
)
def test_the_line_of_a_path(path: str, line: int | None) -> None:
    text = (
        '[site]\nid = "x"\n[[device]]\nid = "a"\n[[device.phantom]]\nrole = "r"\n[[device.phantom]]\nrole = "s"\n'
        '[[device]]\nid = "b"\n[[device.phantom]]\nrole = "t"\n'
    )
    assert line_of(text, path) == line
