"""A configuration file's mistakes are told with line and remedy."""

from pathlib import Path

import pytest

from bonewatch.configuration.loading import load, parse, warnings
from bonewatch.configuration.toml_lines import line_of
from bonewatch.data_folder import make_data_folder, only_site_here, open_users
from bonewatch.dicom_services import unknown_hosts
from bonewatch.errors import ConfigError
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
        (
            broken('kind = "scanner"', 'kind = "toaster"'),
            "toaster",
            "'toaster' cannot be chosen; one of scanner, scale",
        ),
        (broken('role = "independent"', 'role = "manufacturer_daily"'), "[[device]]", 'role = "independent"'),
        (broken("plausible_percent = 20.0", "plausible_percent = 1.0"), "plausible", "exceeds the tolerance"),
        (broken("plausible_percent = 20.0", "tolerance = 1.5"), "tolerance = 1.5", "did you mean `tolerance_percent`?"),
        (broken("plausible_percent = 20.0", 'repeats = "1"'), "repeats", "write a whole number, not text in quotes"),
        (
            broken("plausible_percent = 20.0", "xyz = 1"),
            "xyz",
            "there is no key `xyz` here; known here: tolerance_percent, ",
        ),
        (GOOD + "[databse]\nenabled = false\n", "[databse]", "did you mean `database`?"),
        (GOOD + 'ring = "\n', 'ring = "', "look for a quotation mark or bracket that is missing"),
        (GOOD + "[site]\n", "[site]", "keep one of them"),
        (GOOD + "[syslog]\nudp_port = 65536\n", "udp_port", "between 0 (takes a free one) and 65535"),
        (GOOD + "[syslog]\ntcp_port = 9876\ntls_port = 9876\n", "tls_port = 9876", "port 9876 is [syslog]'s already"),
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


def test_a_file_without_a_site_is_told_what_to_add() -> None:
    with pytest.raises(ConfigError, match="the key `site` is missing; add it"):
        parse("[http]\nport = 8080\n", "site.toml")


def test_a_byte_order_mark_is_taken_and_another_encoding_is_told(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert len(load(path).device) == 2
    path.write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(ConfigError, match="it is not UTF-8; save it as UTF-8 text"):
        load(path)


def test_a_data_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    taken = tmp_path / "var"
    taken.write_text("a file")
    with pytest.raises(ConfigError, match=r"the data folder .*var cannot be written to: File exists; let this user"):
        make_data_folder(taken)
    with pytest.raises(ConfigError, match="cannot be written to: Not a directory"):
        only_site_here(taken)


def test_accounts_that_are_no_database_are_told(tmp_path: Path) -> None:
    (tmp_path / "users.sqlite").write_text("no database at all, only words " * 50)
    with pytest.raises(ConfigError, match=r"users\.sqlite cannot be opened as the accounts: file is not a database"):
        open_users(tmp_path)


def test_a_ris_whose_name_nobody_knows_is_noted() -> None:
    assert unknown_hosts(parse(GOOD, "site.toml")) == []
    text = GOOD.replace('ae_title = "RIS", host = "127.0.0.1"', 'ae_title = "RIS", host = "ris.invalid"')
    (note,) = unknown_hosts(parse(text, "site.toml"))
    assert note.startswith("[dicom] upstream: the host ris.invalid is not known on this machine")


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


# --- work that comes round --------------------------------------------------------------------------------------

SCALE = """
[[device]]
id = "scale-1"
kind = "scale"
installed = 2020-02-29
service_life_years = 10
end_of_life = 2031-12-31
  [device.checks]
  limit_kg = 0.1
  [[device.standard]]
  id = "W20"
  nominal = 20
  valid_until = 2027-03-01
"""


def duties(text: str, device: str) -> list[tuple[str, str, int, str, int]]:
    policy, _ = parse(GOOD + SCALE + text, "site.toml").devices()[f"test-site/{device}"]
    return [(duty.duty_id, duty.first_due, duty.every, duty.unit, duty.warn_days) for duty in policy.duties]


def test_a_duty_takes_what_it_does_not_say_from_its_kind() -> None:
    text = '[[duty]]\nkind = "maintenance"\nfirst_due = 2027-01-31\n'
    assert duties(text, "dxa-1") == [("maintenance", "2027-01-31", 12, "months", 30)]
    assert duties(text, "dxa-2") == duties(text, "dxa-1")
    more = text + 'every = 2\nunit = "weeks"\nwarn_days = 3\nid = "m"\ndevices = ["dxa-2"]\n'
    assert duties(more, "dxa-1") == []
    assert duties(more, "dxa-2") == [("m", "2027-01-31", 2, "weeks", 3)]


def test_certificates_service_life_and_end_of_life_are_due_by_themselves() -> None:
    assert duties("", "scale-1") == [
        ("certificate-W20", "2027-03-01", 0, "years", 60),
        ("service-life", "2030-02-28", 0, "years", 365),
        ("end-of-life", "2031-12-31", 0, "years", 365),
    ]
    calibration = '[[duty]]\nkind = "calibration"\nfirst_due = 2027-01-31\n'
    assert duties(calibration, "scale-1")[0][0] == "calibration"
    assert duties(calibration, "dxa-1") == []


DUTY = '[[duty]]\nkind = "maintenance"\nfirst_due = 2027-01-31\n'


@pytest.mark.parametrize(
    ("text", "line_holds", "words"),
    [
        ('[[duty]]\nkind = "maintenance"\n', "[[duty]]", "the key `first_due` is missing"),
        ('[[duty]]\nkind = "upkeep"\nfirst_due = 2027-01-31\n', "upkeep", "'upkeep' cannot be chosen"),
        ("[[duty]]\nfirst_due = 2027-01-31\n", "[[duty]]", "name is missing: say what is to be done"),
        ("[[duty]]\nfirst_due = 1927-01-31\nname = 'x'\n", "first_due", "between 1990 and 2200"),
        (DUTY + "every = -1\n", "every", "between 0 (due once) and 600"),
        (DUTY + "warn_days = 400\n", "warn_days", "less than the interval, 336 days"),
        (DUTY + 'every = 1\nunit = "days"\nwarn_days = 1\n', "warn_days", "less than the interval, 1 days"),
        (DUTY + "grace_days = 367\n", "grace_days", "between 0 and 366"),
        (DUTY + 'unit = "fortnights"\n', "fortnights", "'fortnights' cannot be chosen"),
        (DUTY + 'id = "a b"\n', 'id = "a b"', "is a short word of letters"),
        (DUTY + f'name = "{"x" * 61}"\n', "name", "at most 60 characters"),
        (DUTY + 'devices = ["dxa-9"]\n', "devices", "dxa-9 is no device of this file"),
        (DUTY + DUTY, "[[duty]]", "dxa-1 has maintenance twice: give this one another id"),
        (
            '[[duty]]\nkind = "certificate"\nid = "certificate-W20"\nfirst_due = 2027-01-31\n',
            "[[device]]",
            "certificate-W20 comes round twice",
        ),
        (
            "".join(f'[[duty]]\nname = "x"\nid = "d{n}"\nfirst_due = 2027-01-31\n' for n in range(13)),
            "[[device]]",
            "13 duties come round on it; at most 12",
        ),
    ],
)
def test_mistaken_due_work_is_told_with_its_line(text: str, line_holds: str, words: str) -> None:
    whole = GOOD + SCALE + text
    with pytest.raises(ConfigError) as raised:
        parse(whole, "site.toml")
    assert words in str(raised.value)
    line = int(str(raised.value).split("line ")[1].split(":", maxsplit=1)[0])
    assert line_holds in whole.splitlines()[line - 1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("installed = 2020-02-29\n", "", "installed and service_life_years go together"),
        ("service_life_years = 10", "service_life_years = 99", "between 0 and 60"),
        ("end_of_life = 2031-12-31", "end_of_life = 1931-12-31", "end_of_life lies between 1990 and 2200"),
        ("valid_until = 2027-03-01", 'valid_until = "March"', "Invalid RFC3339 encoded date"),
    ],
)
def test_a_devices_end_and_certificates_are_checked(old: str, new: str, words: str) -> None:
    assert old in SCALE
    with pytest.raises(ConfigError, match=words):
        parse(GOOD + SCALE.replace(old, new), "site.toml")


def test_a_kind_that_fits_no_device_is_told() -> None:
    with pytest.raises(ConfigError, match="no device of this file has calibration: name its devices"):
        parse(GOOD + '[[duty]]\nkind = "calibration"\nfirst_due = 2027-01-31\n', "site.toml")


CHANGE = """
  [[device.significant_change]]
  region = "L1-L4"
  anatomy = "spine"
  value = 5.3
  source = "Invented precision study 2026, 30 patients twice"
"""


def test_a_least_significant_change_is_configured_with_its_source() -> None:
    policies = [policy for policy, _ in parse(GOOD + CHANGE, "site.toml").devices().values()]
    policy = next(policy for policy in policies if policy.significant_changes)
    (change,) = policy.significant_changes
    assert (change.region, change.anatomy, change.value, change.unit) == ("L1-L4", "spine", 5.3, "percent")
    assert change.population == "adult"
    assert policy.adult_from_years == 20


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("value = 5.3", "value = 0.0", "above 0"),
        ('source = "Invented precision study 2026, 30 patients twice"', 'source = " "', "precision study"),
        ('region = "L1-L4"', 'region = ""', "name the region"),
        ("value = 5.3", 'value = 5.3\n  modes = ["forearm"]', "forearm is no"),
    ],
)
def test_a_least_significant_change_that_cannot_be_is_told_with_its_line(old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(GOOD + CHANGE.replace(old, new), "site.toml")
