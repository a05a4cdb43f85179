"""What a site tells Prometheus: where charts stand, what is due, what could not be read; and the page that lists it."""

import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from bonewatch.certificates import certificate_files
from bonewatch.configuration.loading import parse
from bonewatch.reference import metrics as reference
from dashboards.live import LiveHub
from dashboards.metrics.certificates import certificates
from dashboards.metrics.page import MetricsPage, SiteCollector
from dashboards.metrics.quality import charts, due
from dashboards.metrics.verdicts import REVISIONS, VERDICTS, count_verdicts
from streams.due import DueItem
from streams.messages import ChartPoint, DutyStanding, QcJudged, RecordedOutcome, Verdict
from streams.policy import DutyKind, PhantomRole
from streams.readings import DeviceView
from streams.site import Receipt
from tests.certificates import Authority
from tests.console_fakes import FakeSite, department

SRC = Path(__file__).resolve().parents[2] / "src"
MEASURED = datetime(2026, 3, 30, 7, 0, tzinfo=UTC)


def judged(verdict: Verdict = Verdict.FAIL, *, revision: int = 0, bmd: float = 1.019) -> QcJudged:
    """A baseline of 1.000 with a sigma of 0.005: a reading of 1.019 is 1.9 % and 3.8 sigmas off, by hand."""
    point = ChartPoint(1, 1.0, 0.005, 0.985, 1.015, 1.9, 3.3, 0.0, 5.0, signal=False)
    return QcJudged("e1", revision, PhantomRole.INDEPENDENT, "SPINE-1", "L1-L4", MEASURED, verdict, bmd, point)


def view(site: FakeSite, **changes: object) -> DeviceView:
    found = site.device("dxa-2")
    assert found is not None
    return msgspec.structs.replace(found, **changes)


def samples(families: Iterable[Metric]) -> dict[tuple[str, tuple[str, ...]], float]:
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


def test_where_a_reading_stands_on_its_chart() -> None:
    site = department()
    phantom = msgspec.structs.replace(view(site).phantoms[0], patient_id="SPINE-1", last=judged())
    found = samples(charts([view(site, phantoms=(phantom,))]))
    at = ("dxa-2", "SPINE-1")
    assert found["bonewatch_qc_last_verdict", (*at, "fail")] == 1
    assert found["bonewatch_qc_deviation_ratio", at] == pytest.approx(0.019)
    assert found["bonewatch_qc_deviation_sigmas", at] == pytest.approx(3.8)
    assert found["bonewatch_qc_cusum_sigmas", (*at, "upper")] == 3.3
    assert found["bonewatch_qc_cusum_sigmas", (*at, "lower")] == 0.0
    assert found["bonewatch_qc_cusum_limit_sigmas", at] == 5.0
    assert found["bonewatch_qc_last_measured_timestamp_seconds", at] == 1774854000  # date -d 2026-03-30T07:00Z +%s


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    site = department()
    phantom = msgspec.structs.replace(view(site).phantoms[0], last=None, last_passed_at=None)
    assert samples(charts([view(site, phantoms=(phantom,))])) == {}


def test_work_is_due_at_the_end_of_its_day_where_the_site_is() -> None:
    item = DueItem(DutyKind.MAINTENANCE, "Maintenance", DutyStanding.DUE, date(2026, 3, 29), None, "maintenance")
    done = msgspec.structs.replace(item, name="Replacement", due_on=None)
    found = samples(due([view(department(), due=(item, done))], ZoneInfo("Europe/London")))
    ends = {labels: value for (name, labels), value in found.items() if name == "bonewatch_due_timestamp_seconds"}
    assert ends == {("dxa-2", "maintenance", "Maintenance"): 1774825200}  # 23:00 UTC: summer time


def test_verdicts_are_counted_once_and_revisions_apart() -> None:
    def receipt(outcome: QcJudged) -> Receipt:
        recorded = RecordedOutcome("o1", "e1", "bath/dxa-9", 1, outcome)
        return Receipt((), (recorded,))

    count_verdicts(receipt(judged()))
    count_verdicts(receipt(judged(Verdict.PASS_WITH_NOTE, revision=1)))
    assert VERDICTS.labels("dxa-9", "independent", "fail")._value.get() == 1
    assert REVISIONS.labels("dxa-9")._value.get() == 1


class Broken(FakeSite):
    """A site whose devices cannot be read."""

    def devices(self) -> list[DeviceView]:
        raise OSError("the disk is gone")


def test_a_part_that_cannot_be_read_is_said_and_costs_no_other(tmp_path: Path) -> None:
    site = department()
    broken = Broken.__new__(Broken)
    broken.__dict__ = site.__dict__
    live = LiveHub(site, 1.0)
    page = MetricsPage(SiteCollector(site, broken, live, zone=ZoneInfo("UTC"), data_dir=tmp_path)).render().decode()
    found = samples(text_string_to_metric_families(page))
    assert found["bonewatch_metrics_part_read", ("devices",)] == 0
    assert found["bonewatch_metrics_part_read", ("machine",)] == 1
    assert found["bonewatch_data_free_bytes", ()] > 0
    assert not any(name == "bonewatch_gate_open" for name, _ in found)


def test_the_first_end_of_each_file_of_certificates_is_told(tmp_path: Path) -> None:
    sooner, later = Authority("one"), Authority("two")
    whole = sooner.write(tmp_path / "sooner.pem").read_bytes() + later.write(tmp_path / "later.pem").read_bytes()
    (tmp_path / "both.pem").write_bytes(whole)
    ends = subprocess.run(
        ["openssl", "x509", "-in", str(tmp_path / "both.pem"), "-noout", "-enddate", "-dateopt", "iso_8601"],
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip
    end = datetime.fromisoformat(ends.strip().removeprefix("notAfter="))
    found = samples(certificates({"syslog": tmp_path / "both.pem"}))
    assert found["bonewatch_certificate_not_after_timestamp_seconds", ("syslog",)] == end.timestamp()


def test_a_file_without_a_certificate_is_a_part_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing\n")
    site = department()
    for file in ("empty.pem", "none.pem"):
        collector = SiteCollector(
            site, site, LiveHub(site, 1.0), zone=ZoneInfo("UTC"), certificate_files={"syslog": tmp_path / file}
        )
        found = samples(text_string_to_metric_families(MetricsPage(collector).render().decode()))
        assert found["bonewatch_metrics_part_read", ("certificates",)] == 0
        assert found["bonewatch_site_ready", ()] == 1


def test_every_file_of_certificates_of_a_configuration_is_looked_at(tmp_path: Path) -> None:
    text = f"""
[site]
id = "invented"
time_zone = "UTC"
[kafka]
bootstrap_servers = "kafka.example.org:9093"
ca_file = "{tmp_path}/kafka.pem"
[syslog]
tls_port = 0
certificate_file = "own.pem"
key_file = "own.key"
client_ca_file = "senders.pem"
[[webhook]]
name = "pathway"
url = "https://pathway.example.org"
secret_file = "secret"
ca_file = "pathway.pem"
[[mllp]]
name = "engine"
host = "engine.example.org"
port = 2575
tls = true
certificate_file = "shown.pem"
key_file = "shown.key"
[[device]]
id = "scale-1"
kind = "scale"
"""
    assert certificate_files(parse(text, "site.toml"), tmp_path) == {
        "kafka, authority": tmp_path / "kafka.pem",
        "syslog": tmp_path / "own.pem",
        "syslog, senders' authority": tmp_path / "senders.pem",
        "pathway, authority": tmp_path / "pathway.pem",
        "engine": tmp_path / "shown.pem",
    }


def test_promtool_finds_nothing_wrong_with_the_page(tmp_path: Path) -> None:
    site = department()
    collector = SiteCollector(site, site, LiveHub(site, 1.0), zone=ZoneInfo("UTC"), data_dir=tmp_path)
    page = MetricsPage(collector).render()
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_every_metric_stands_on_its_page() -> None:
    made = re.compile(r"(?:Counter|Gauge|Histogram|labelled|plain|per_device|per_chart)\(\s*\"(bonewatch_\w+)\"")
    named = {name for path in SRC.rglob("*.py") for name in made.findall(path.read_text(encoding="utf-8"))}
    page = reference.page(SRC)
    assert len(named) > 80
    assert {name for name in named if f"`{name}`" not in page} == set()
