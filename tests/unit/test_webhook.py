"""A webhook's signature, secret, configuration, and what is made of a receiver's Retry-After."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonewatch.configuration.loading import parse, warnings
from bonewatch.errors import ConfigError
from bonewatch.publishing import _secrets, check_files, unset_secrets
from publishing.settings import WebhookSettings
from publishing.webhook import WebhookChannel, new_secret, signer
from streams.addresses import is_safe_address
from streams.patience import Patience, doubled_s
from tests.running import configuration

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the published example

# --- the signature -------------------------------------------------------------------------------------------


def test_a_signature_is_that_of_the_published_example() -> None:
    """Standard Webhooks' own vector (the libraries' tests): secret, id, timestamp, body and signature."""
    at = datetime.fromtimestamp(1614265330, UTC)
    signature = signer(SECRET).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_new_secret_is_one_and_nobodys_else() -> None:
    made = {new_secret() for _ in range(20)}
    assert len(made) == 20
    for secret in made:
        assert signer(secret)._whsecret != signer(SECRET)._whsecret


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "begins with whsec_"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begins with whsec_"),
        ("whsec_pässword", "no base64"),
        ("whsec_not base64!", "no base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "no base64"),
        ("whsec_c2hvcnQ=", "24 to 64 bytes"),
        ("whsec_" + "QUFB" * 22, "24 to 64 bytes"),
    ],
)
def test_what_is_no_secret_is_refused_without_repeating_it(secret: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        signer(secret)
    assert secret.removeprefix("whsec_") not in str(raised.value) or not secret


# --- waiting -------------------------------------------------------------------------------------------------

NOON: Final = datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp()


def channel() -> WebhookChannel:
    import ssl  # noqa: PLC0415

    settings = WebhookSettings(name="epr", url="https://epr.example.org/")
    return WebhookChannel(settings, [], ssl.create_default_context(), clock=lambda: NOON)


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Mon, 02 Nov 2026 12:01:30 GMT", 90.0),
        ("Mon, 02 Nov 2026 13:01:30 +0100", 90.0),
        ("Mon, 02 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("²", 0.0),
        ("", 0.0),
        ("9" * 400, 999_999_999.0),
    ],
)
def test_a_receiver_says_in_seconds_or_by_date_how_long_to_wait(said: str, wait_s: float) -> None:
    answer = httpx.Response(503, headers=[(b"retry-after", said.encode())])
    assert channel()._retry_after_s(answer) == wait_s


@given(st.binary(max_size=40))
def test_nothing_that_a_receiver_says_of_waiting_is_an_error(said: bytes) -> None:
    assert CHANNEL._retry_after_s(httpx.Response(503, headers=[(b"retry-after", said)])) >= 0.0


CHANNEL: Final = channel()


def test_waits_double_up_to_the_longest() -> None:
    assert [doubled_s(5.0, tries, 60.0) for tries in (0, 1, 2, 3, 4, 5, 6, 10_000)] == [5, 5, 10, 20, 40, 60, 60, 60]


@pytest.mark.parametrize(("at_least_s", "shortest", "longest"), [(0.0, 20.0, 40.0), (100.0, 100.0, 100.0)])
def test_a_wait_is_jittered_downwards_and_never_shorter_than_was_asked_for(
    at_least_s: float, shortest: float, longest: float
) -> None:
    waits = set()
    for _ in range(50):
        patience = Patience(10.0, 1000.0, 0.5, tries=2)
        patience.failed(at_least_s)
        waits.add(patience.until - time.monotonic())
        assert not patience.is_over
    assert shortest - 1 < min(waits) <= max(waits) <= longest
    assert at_least_s or len(waits) > 40


# --- the configuration ---------------------------------------------------------------------------------------

WEBHOOK: Final = """
[[webhook]]
name = "epr"
url = "https://epr.example.org/news"
secret_file = "epr.secret"
"""
MLLP: Final = """
[[mllp]]
name = "rie"
host = "rie.example.org"
port = 2575
"""


@pytest.mark.parametrize(
    ("text", "line_holds", "words"),
    [
        ('name = "EPR 1"', 'name = "EPR 1"', "small letters, digits and hyphens"),
        ('url = "http://epr.example.org/"', "url", "begin it with https://, or say allow_http"),
        ('url = "http://127.0.0.1.example.org/"', "url", "goes to another machine"),
        ('url = "ftp://epr.example.org/"', "url", "begins with https://"),
        ('url = "https:///news"', "url", "names a host"),
        ('url = "https://me:secret@epr.example.org/"', "url", "no name, password or fragment"),
        ('url = "https://[::1/"', "url", "no URL"),
        ('url = "https://epr.example.org:99999/"', "url", "no URL"),
        ('url = "https://epr.example.org/a b"', "url", "no blanks"),
        ('types = ["bonewatch.review-opened.v1"]', "types", "is not published; choose of bonewatch.gate-changed.v1"),
        ('devices = ["dxa-9"]', "devices", "dxa-9 is no device of this file"),
        ("retry_s = 0", "retry_s", "between 0.1 and 3600"),
        ("retry_max_s = 1", "retry_max_s", "between retry_s and 86400"),
        ("timeout_s = 600", "timeout_s", "between 0.1 and 60"),
        ("give_up_hours = 0", "give_up_hours", "above 0"),
        ('secret_env = "EPR"', "name", "one of them"),
        ('secret_file = ""', "name", "one of them"),
        ("verify = false", "verify", "there is no key `verify` here"),
    ],
)
def test_a_mistaken_webhook_is_told_with_its_line(text: str, line_holds: str, words: str) -> None:
    key = text.split(" = ", maxsplit=1)[0]
    kept = [line for line in WEBHOOK.splitlines() if not line.startswith(f"{key} =")]
    refused(configuration() + "\n".join([*kept, text, ""]), line_holds, words)


@pytest.mark.parametrize(
    ("text", "line_holds", "words"),
    [
        ("port = 0", "port", "between 1 and 65535"),
        ('host = " "', "host", "name the host"),
        ('certificate_file = "own.pem"', "certificate_file", "go together"),
        ('tls = false\nca_file = "ca.pem"', "tls", "go with tls"),
        ('processing_id = "X"', "processing_id", "cannot be chosen"),
        (WEBHOOK.replace("epr", "rie"), "name", "the name of another subscription"),
    ],
)
def test_a_mistaken_hl7_receiver_is_told_with_its_line(text: str, line_holds: str, words: str) -> None:
    key = text.split(" = ", maxsplit=1)[0]
    kept = [line for line in MLLP.splitlines() if not line.startswith(f"{key} =")]
    refused(configuration() + "\n".join([*kept, text, ""]), line_holds, words)


def refused(text: str, line_holds: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "site.toml")
    told = str(raised.value)
    line = int(told.split("line ")[1].split(":", maxsplit=1)[0])
    assert words in told
    assert line_holds in text.splitlines()[line - 1]


def test_what_goes_without_tls_to_another_machine_is_said_at_every_start() -> None:
    text = configuration() + WEBHOOK.replace("https", "http") + "allow_http = true\n" + MLLP + "tls = false\n"
    said = [note for note in warnings(parse(text, "site.toml")) if "without TLS" in note]
    assert [note.split(":")[0] for note in said] == ["[[webhook]] epr", "[[mllp]] rie"]
    local = configuration() + WEBHOOK.replace("https://epr.example.org", "http://[::1]:80")
    assert [note for note in warnings(parse(local, "site.toml")) if "without TLS" in note] == []


@pytest.mark.parametrize(
    ("types", "missing"),
    [
        (["bonewatch.measurement-validated.v1"], "measurement-withheld.v1, bonewatch.measurements-amended.v1"),
        (["bonewatch.measurement-validated.v1", "bonewatch.measurement-withheld.v1"], "measurements-amended.v1"),
        (["bonewatch.gate-changed.v1", "bonewatch.measurement-withheld.v1"], ""),
        ([], ""),
    ],
)
def test_one_that_is_told_of_measurements_and_not_when_they_are_doubted_is_said_at_every_start(
    types: list[str], missing: str
) -> None:
    text = configuration() + WEBHOOK + (f"types = {json.dumps(types)}\n" if types else "")
    said = [note for note in warnings(parse(text, "site.toml")) if note.startswith("[[webhook]] epr")]
    words = "[[webhook]] epr: it is told of measurements, and not when one may not be used after all: add bonewatch."
    assert said == ([words + missing] if missing else [])


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://epr.example.org/", True),
        ("http://127.0.0.1:8000/", True),
        ("http://localhost/", True),
        ("http://epr.example.org/", False),
        ("http://127.0.0.1@epr.example.org/", False),
        ("http://10.0.0.1/", False),
        ("file:///etc/passwd", False),
    ],
)
def test_only_tls_or_this_machine_is_safe(url: str, is_safe: bool) -> None:  # noqa: FBT001 - a table
    assert is_safe_address(url) is is_safe


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "secret_file epr.secret cannot be read: No such file"),
        (b"\n", "holds no secret"),
        (b"hunter2\n", "secret_file epr.secret: a secret begins with whsec_"),
        (b"\xff\xfe", "it is no text"),
    ],
)
def test_a_secret_that_cannot_be_used_is_one_plain_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "epr.secret").write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        check_files(parse(configuration() + WEBHOOK, "site.toml"), tmp_path)
    assert str(raised.value).startswith("[[webhook]] epr ")
    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), ("no PEM", "no certificate in PEM")])
@pytest.mark.parametrize(("section", "name"), [(WEBHOOK, "[[webhook]] epr"), (MLLP, "[[mllp]] rie")])
def test_an_authority_that_cannot_be_read_is_one_plain_line(
    tmp_path: Path, section: str, name: str, content: str | None, words: str
) -> None:
    (tmp_path / "epr.secret").write_text(SECRET)
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    config = parse(configuration() + section + 'ca_file = "ca.pem"\n', "site.toml")
    with pytest.raises(ConfigError) as raised:
        check_files(config, tmp_path)
    assert str(raised.value).startswith(f"{name} ca_file ca.pem: {words}")


def test_a_secrets_file_may_begin_as_windows_editors_let_it(tmp_path: Path) -> None:
    (tmp_path / "epr.secret").write_bytes(b"\xef\xbb\xbf" + f"{SECRET}\r\n".encode())
    config = parse(configuration() + WEBHOOK, "site.toml")
    check_files(config, tmp_path)
    assert _secrets(config.webhook[0], tmp_path) == [SECRET]


def test_an_address_that_nothing_can_be_sent_to_is_one_plain_line(tmp_path: Path) -> None:
    (tmp_path / "epr.secret").write_text(SECRET)
    config = parse(configuration() + WEBHOOK.replace("epr.example.org", "10.0.0.300"), "site.toml")
    with pytest.raises(ConfigError, match=r"^\[\[webhook\]\] epr url: Invalid IPv4 address"):
        check_files(config, tmp_path)


def test_a_secret_of_the_environment_is_missed_softly_by_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = configuration() + WEBHOOK.replace('secret_file = "epr.secret"', 'secret_env = "EPR_SECRETS"')
    config = parse(text, "site.toml")
    monkeypatch.delenv("EPR_SECRETS", raising=False)
    check_files(config, tmp_path)
    assert [note.split(":")[0] for note in unset_secrets(config)] == ["[[webhook]] epr"]
    monkeypatch.setenv("EPR_SECRETS", f"{new_secret()} {SECRET}")
    assert unset_secrets(config) == []
    check_files(config, tmp_path)
    monkeypatch.setenv("EPR_SECRETS", "nonsense")
    with pytest.raises(ConfigError, match="secret_env EPR_SECRETS: a secret begins with"):
        check_files(config, tmp_path)
