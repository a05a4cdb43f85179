"""Alerts in the configuration: what they become, what is wrong, what will surprise."""

from datetime import date
from pathlib import Path

import pytest

from alerts.deliveries import Route
from alerts.rota import Person, Shift
from bonewatch.alerting import channel_notes, check_channels, rota_of, routes_of
from bonewatch.configuration.loading import parse, warnings
from bonewatch.errors import ConfigError
from streams.roles import Role
from tests.running import configuration

HEAD = configuration()
ALERTS = """
[alerts]
console_url = "https://bonewatch.example.org"
fallback = ["Em Manager"]

[alerts.rules]
pre_clinic_minutes = 60
contacts = { physicist = "medical physics, 2345" }

[alerts.rules.urgent]
after_minutes = [10]

[[alerts.channel]]
name = "mail"
url_env = "BONEWATCH_TEST_MAIL"

[[alerts.channel]]
name = "text"
url_file = "text-url"

[[alerts.person]]
name = "Anna Example"
roles = ["operator"]
channels = ["mail", "text"]
address = "anna@example.org"
tell = "all"
quiet = ["22:00", "07:00"]
on_duty = [{ days = ["mon", "fri"], starts = "07:00", ends = "17:00" }]
away = [[2026-12-21, 2027-01-04]]

[[alerts.person]]
name = "Dr M Expert"
roles = ["physicist"]
tier = 2
channels = ["mail"]

[[alerts.person]]
name = "Em Manager"
roles = ["manager"]
channels = ["text"]
"""


def alert_notes(text: str) -> list[str]:
    return [note for note in warnings(parse(HEAD + text, "site.toml")) if "alerts" in note]


def test_people_channels_and_rules_are_what_the_file_says() -> None:
    settings = parse(HEAD + ALERTS, "site.toml").alerts
    assert settings is not None
    rota = rota_of(settings, "Europe/London")
    assert rota.fallback == ("Em Manager",)
    assert rota.people[0] == Person(
        "Anna Example",
        (Role.OPERATOR,),
        ("mail", "text"),
        1,
        ("22:00", "07:00"),
        (Shift((0, 4), "07:00", "17:00"),),
        ((date(2026, 12, 21), date(2027, 1, 4)),),
    )
    assert routes_of(settings)["Anna Example"] == Route(("mail", "text"), all_of_them=True)
    assert routes_of(settings)["Dr M Expert"] == Route(("mail",), all_of_them=False)
    assert (settings.rules.pre_clinic_minutes, settings.rules.urgent.after_minutes) == (60, (10,))
    assert settings.rules.contacts == {Role.PHYSICIST: "medical physics, 2345"}
    assert alert_notes(ALERTS) == []


@pytest.mark.parametrize(
    ("old", "new", "line_holds", "words"),
    [
        ('"Em Manager"]', '"Nobody"]', "fallback", "Nobody is no [[alerts.person]]"),
        ('console_url = "https:', 'console_url = "ftp:', "console_url", "begins with https://"),
        ('tell = "all"', 'tell = "some"', "tell", "some"),
        ('channels = ["mail", "text"]', 'channels = ["fax"]', "channels", "fax is no [[alerts.channel]]"),
        ("tier = 2", "tier = 4", "tier", "tier is 1 (told first), 2 or 3"),
        ('["22:00", "07:00"]', '["22:00", "25:00"]', "quiet", "quiet is from and to"),
        ('starts = "07:00"', 'starts = "7"', "on_duty", "starts is a time"),
        ("2026-12-21, 2027-01-04", "2027-01-04, 2026-12-21", "away", "comes after the last"),
        ('name = "text"', 'name = "mail"', "name", "mail is the name of another channel"),
        ('name = "Dr M Expert"', 'name = "anna example"', "name", "anna example is configured twice"),
        ('url_file = "text-url"', "", "name", "give one of url_file, url_env and file"),
        ("pre_clinic_minutes = 60", "pre_clinic_minutes = 0", "pre_clinic_minutes", "must be at least 1"),
        ("after_minutes = [10]", "after_minutes = [10, 5]", "after_minutes", "each more than the one before"),
        ("pre_clinic_minutes", "pre_clinic_hours", "", "pre_clinic_hours"),
        ("after_minutes = [10]", "after_hours = [10]", "", "after_hours"),
        ("pre_clinic_minutes = 60", "digest_days = []", "digest_days", "must name at least one day"),
        ("pre_clinic_minutes = 60", 'digest_days = ["monday"]', "digest_days", "monday"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_write(old: str, new: str, line_holds: str, words: str) -> None:
    text = HEAD + ALERTS.replace(old, new, 1)
    assert new in text
    with pytest.raises(ConfigError) as told:
        parse(text, "site.toml")
    said = str(told.value)
    assert words in said
    if line_holds:
        line = int(said.partition("line ")[2].partition(":")[0])
        assert line_holds in text.splitlines()[line - 1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('console_url = "https://bonewatch.example.org"', "", "no console_url: messages hold no link"),
        ("https://bonewatch.example.org", "http://bonewatch.example.org", "console_url without TLS"),
        ('roles = ["physicist"]', 'roles = ["operator"]', "nobody has the role physicist"),
        ('channels = ["mail", "text"]', "", "Anna Example: no channel, so nothing reaches them"),
        ('fallback = ["Em Manager"]', "", "no fallback"),
        ('url_file = "text-url"', 'file = "told.txt"', "text: a file tells nobody"),
    ],
)
def test_what_is_legal_but_surprising_is_said(old: str, new: str, words: str) -> None:
    (note,) = alert_notes(ALERTS.replace(old, new, 1))
    assert words in note


def test_channels_are_tried_out_as_far_as_their_urls_are_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse(HEAD + ALERTS, "site.toml")
    with pytest.raises(ConfigError, match=r"\[\[alerts.channel\]\] text: url_file text-url cannot be read"):
        check_channels(config, tmp_path)
    (tmp_path / "text-url").write_text("json://127.0.0.1:1/{address}")
    check_channels(config, tmp_path)
    assert channel_notes(config, tmp_path) == [
        "[[alerts.channel]] mail: BONEWATCH_TEST_MAIL is not set here; the site does not start without it",
        "[[alerts.person]] Em Manager: no address, and channel text needs one",
    ]
    monkeypatch.setenv("BONEWATCH_TEST_MAIL", "nonsense://s3cret")
    with pytest.raises(ConfigError, match="mail: the URL is none that Apprise can use") as told:
        check_channels(config, tmp_path)
    assert "s3cret" not in str(told.value)
