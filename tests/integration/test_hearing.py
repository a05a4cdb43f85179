"""When a scanner was heard last: by any association, whatever it asks for."""

from datetime import UTC, datetime
from pathlib import Path

from alerts.rules import AlertRules
from bonewatch.alert_situation import SitePorts, SituationGatherer
from bonewatch.data_folder import LOG_FILE
from bonewatch.reporting.uptime import logged_uptime
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


def test_whoever_calls_itself_anything_fills_no_memory(tmp_path: Path) -> None:
    with running_site(SITE + SCANNER.format(n=1), tmp_path) as site:
        VirtualScanner("SOMEBODY", site.dicom_port).echo()
        VirtualScanner("DXA1", site.dicom_port).echo()
        eventually(lambda: site._hearing.heard_at("DXA1") is not None)
        assert site._hearing.heard_at("SOMEBODY") is None


def test_a_scanner_whose_worklist_comes_from_here_counts_as_silent_since_the_start(tmp_path: Path) -> None:
    shadowed = SCANNER.format(n=2).replace('enforcement = "worklist"', 'enforcement = "shadow"')
    with running_site(SITE + SCANNER.format(n=1) + shadowed, tmp_path) as site:
        uptime = logged_uptime(site._config, tmp_path / "var" / LOG_FILE)
        ports = SitePorts(site.engine, site.readings, site.lines, uptime, site._hearing, lambda: None)
        found = SituationGatherer(ports, AlertRules(), "UTC", list)(datetime.now(UTC))
    worklist, shadow = found.devices
    assert worklist.heard_at == site._hearing.since
    assert shadow.heard_at is None, "it may send by other ways"
