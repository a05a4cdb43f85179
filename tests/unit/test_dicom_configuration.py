"""What is wrong with the PACS, the RIS's steps or a scanner's address in a file is told with its line."""

import pytest

from bonewatch.configuration.loading import parse
from bonewatch.errors import ConfigError
from tests.running import configuration

PACS = '[dicom.pacs]\nae_title = "PACS"\nhost = "pacs.example"\nport = 104\n'
MPPS = '[dicom.mpps]\nae_title = "RIS"\nhost = "ris.example"\nport = 104\n'


def written(more: str) -> str:
    return configuration().replace("\n[http]\n", f"\n{more}\n[http]\n", 1)


def of_upstream(old: str, new: str) -> str:
    assert configuration().count(old) == 1
    return configuration().replace(old, new)


def of_scanner(more: str) -> str:
    return configuration().replace('ae_title = "DXA1"', f'ae_title = "DXA1"\n{more}', 1)


def test_a_pacs_and_a_ris_are_read() -> None:
    text = written(PACS + "commitment = true\n" + MPPS + 'when_away = "fail"\n')
    config = parse(
        text.replace('ae_title = "DXA1"', 'ae_title = "DXA1"\ndicom_host = "10.0.0.1"\ndicom_port = 104'), "x"
    )
    assert config.dicom.pacs is not None
    assert config.dicom.mpps is not None
    assert (config.dicom.pacs.commitment, config.dicom.mpps.when_away) == (True, "fail")
    assert (config.device[0].dicom_host, config.device[0].dicom_port) == ("10.0.0.1", 104)


@pytest.mark.parametrize(
    ("text", "line_holds", "words"),
    [
        (written(PACS.replace('"PACS"', '"A-TITLE-TOO-LONG-"')), "TOO-LONG", "1 to 16 characters"),
        (written(PACS.replace('"pacs.example"', '""')), "host", "name or address"),
        (written(PACS.replace("104", "0")), "port = 0", "between 1 and 65535"),
        (configuration(ris_port=70000), "upstream", "between 1 and 65535"),
        (configuration(ris_port=104).replace("port = 104", "port = 104, timeout_s = 0"), "upstream", "above 0"),
        (written(PACS + "max_tries = 0\n"), "max_tries", "between 1 and 1000"),
        (written(PACS + "retry_s = 10\nretry_max_s = 5\n"), "retry_max_s", "between retry_s"),
        (written(PACS + "timeout_s = -1\n"), "timeout_s", "above 0"),
        (written(PACS + "max_bytes = 5\n"), "max_bytes", "at least 1 MB"),
        (written(PACS + "commitment_asks = 0\n"), "commitment_asks", "between 1 and 1000"),
        (
            written("").replace("[dicom]\n", "[dicom]\ncommitment_wait_s = 90000\n"),
            "commitment_wait_s",
            "between 0 and a day",
        ),
        (
            written("").replace("[dicom]\n", "[dicom]\ncommitment_wait_s = -1\n"),
            "commitment_wait_s",
            "between 0 and a day",
        ),
        (written(PACS + "commitments = true\n"), "commitment", "did you mean `commitment`?"),
        (written(MPPS + "max_waiting = 0\n"), "max_waiting", "at least 1"),
        (written(MPPS + 'when_away = "forget"\n'), "when_away", "cannot be chosen; one of"),
        (written(MPPS + 'present_as = " RIS"\n'), "present_as", "without spaces"),
        (of_upstream('ae_title = "RIS"', 'ae_title = "A-TITLE-TOO-LONG-"'), "upstream", "1 to 16 characters"),
        (of_upstream('host = "127.0.0.1"', 'host = ""'), "upstream", "name or address"),
        (of_upstream('ae_title = "RIS"', 'ae_title = "RIS", timeout_s = 0'), "upstream", "above 0, up to 300"),
        (of_upstream('ae_title = "RIS"', 'ae_title = "RIS", max_items = 0'), "upstream", "at least 1"),
        (of_scanner('dicom_host = "10.0.0.1"'), 'id = "dxa-1"', "go together"),
        (of_scanner('dicom_host = "10.0.0.1"\ndicom_port = 70000'), "dicom_port", "between 1 and 65535"),
    ],
)
def test_a_mistake_is_told(text: str, line_holds: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "site.toml")
    told = str(raised.value)
    assert words in told
    number = int(told.split("line ")[1].split(":", maxsplit=1)[0])
    assert line_holds in text.splitlines()[number - 1] or text.splitlines()[number - 1].startswith(
        ("[dicom", "[[device")
    )


def test_a_site_does_not_forward_to_itself() -> None:
    own = PACS.replace("pacs.example", "127.0.0.1").replace("104", "11112")
    text = written(own).replace("[dicom]\nport = 0", "[dicom]\nport = 11112")
    with pytest.raises(ConfigError, match="this is the site's own address"):
        parse(text, "site.toml")
