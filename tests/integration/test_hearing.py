"""When a scanner was heard last: by any association, whatever it asks for."""

from datetime import UTC, datetime
from pathlib import Path

from simulators.scanner import PhantomLabel, VirtualScanner
from tests.integration.site_rig import SITE, running_site
from tests.mail_server import eventually
from tests.running import SCANNER


def test_a_scanner_is_heard_when_it_asks_and_one_that_never_did_is_not_known(tmp_path: Path) -> None:
    began = datetime.now(UTC)
    with running_site(SITE + SCANNER.format(n=1) + SCANNER.format(n=2), tmp_path) as site:
        hearing = site._hearing
        assert hearing.heard_at("DXA1") is None
        scanner = VirtualScanner("DXA1", site.dicom_port, phantom=PhantomLabel("SPINE-0001", "PHANTOM^SYNTHETIC"))
        scanner.query_worklist()
        eventually(lambda: hearing.heard_at("DXA1") is not None)
        heard_at = hearing.heard_at("DXA1")
        assert heard_at is not None
        assert began <= heard_at <= datetime.now(UTC)
        assert hearing.heard_at("DXA2") is None
