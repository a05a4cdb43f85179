"""Rules, routes and the chain: real Prometheus and Alertmanager, from a pipeline that stalls to a webhook, and back."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from alerts import metrics as alerts
from collectors.dicom.mpps import metrics as mpps
from collectors.dicom.pacs import metrics as pacs
from collectors.files import intake
from publishing import metrics as publishing
from storage import kafka_sink
from streams import writer
from streams.fleet import worker
from streams.topic_admin import create
from streams.topics import fleet_topics, site_topic
from tests.kafka import RealKafka, free_ports, require_java
from tests.peers import free_port
from tests.running import SiteProcess, configuration, seed
from tests.webhook_receiver import Receiver, receiving

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
RULES: Final = DEPLOY / "prometheus"
ROUTES: Final = DEPLOY / "alertmanager" / "alertmanager.yml"
WITHIN_S: Final = 60.0
COUNTERS: Final = {
    f"{counter._name}_total": counter._labelnames
    for module in (kafka_sink, intake, writer, worker, alerts, mpps, pacs, publishing)
    for counter in vars(module).values()
    if isinstance(counter, Counter)
}
"""The labels of each counter that rules ask for."""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_are_rules_and_each_fires_when_it_should_and_only_then() -> None:
    run("promtool", "check", "rules", str(RULES / "fleet.yml"), str(RULES / "site.yml"))
    for name in ("fleet.yml", "site.yml"):
        run("promtool", "test", "rules", str(RULES / "tests" / name))


def test_every_alarm_is_tried() -> None:
    for name in ("fleet.yml", "site.yml"):
        groups = msgspec.yaml.decode((RULES / name).read_text())["groups"]
        tried = {test["name"] for test in msgspec.yaml.decode((RULES / "tests" / name).read_text())["tests"]}
        assert tried == {rule["alert"] for group in groups for rule in group["rules"]}


def test_an_alarm_on_a_counter_with_labels_is_raised_by_its_first_step() -> None:
    rules = [
        rule["expr"]
        for name in ("fleet.yml", "site.yml")
        for group in msgspec.yaml.decode((RULES / name).read_text())["groups"]
        for rule in group["rules"]
    ]
    counted = [(name, expr) for expr in rules for name in re.findall(r"increase\((\w+)", expr)]
    late = {name for name, expr in counted if COUNTERS[name] and f"unless {name}" not in expr}
    assert {name for name, _ in counted} <= COUNTERS.keys()
    assert late == {"bonewatch_alert_notes_total"}, "its results are known, and begin at 0"


@pytest.mark.parametrize(
    ("labels", "receiver_name"),
    [
        (("severity=critical", "alertname=FoldDiverges"), "on-call"),
        (("severity=warning", "alertname=SinkBehind"), "team"),
        (("severity=none", "alertname=Watchdog"), "watchdog"),
        (("severity=misspelt",), "team"),
    ],
)
def test_alarms_go_to_those_who_are_meant(labels: tuple[str, ...], receiver_name: str) -> None:
    run("amtool", "check-config", str(ROUTES))
    assert run("amtool", "config", "routes", "test", f"--config.file={ROUTES}", *labels).split() == [receiver_name]


def hastened(rules: dict[str, Any]) -> dict[str, Any]:
    """The same rules, without the time for which each must hold."""
    groups = [
        group | {"rules": [{key: value for key, value in rule.items() if key != "for"} for rule in group["rules"]]}
        for group in rules["groups"]
    ]
    return {"groups": groups}


@contextmanager
def process(*command: str, folder: Path) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        started = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield
        finally:
            started.terminate()
            started.wait(30)


def answers(url: str) -> None:
    until = time.monotonic() + WITHIN_S
    while True:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < until, url
        time.sleep(0.2)


@contextmanager
def watching(folder: Path, target: str, hook: str) -> Iterator[str]:
    """Prometheus and Alertmanager with our rules and routes, hastened; yields where Prometheus is."""
    prometheus, alertmanager = free_port(), free_port()
    for name in ("fleet.yml", "site.yml"):
        (folder / name).write_bytes(msgspec.yaml.encode(hastened(msgspec.yaml.decode((RULES / name).read_text()))))
    given = msgspec.yaml.decode((RULES / "prometheus.yml").read_text())
    given["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    given["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager}"]
    given["scrape_configs"] = [{"job_name": "site", "static_configs": [{"targets": [target]}]}]
    (folder / "prometheus.yml").write_bytes(msgspec.yaml.encode(given))
    routes = msgspec.yaml.decode(ROUTES.read_text())
    for route in (routes["route"], *routes["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    for one in routes["receivers"]:
        one["webhook_configs"] = [{"url": hook, "send_resolved": True}]
    (folder / "alertmanager.yml").write_bytes(msgspec.yaml.encode(routes))
    with ExitStack() as stack:
        at = f"127.0.0.1:{alertmanager}"
        words = ("--config.file=alertmanager.yml", "--cluster.listen-address=", "--storage.path=am")
        stack.enter_context(process("prometheus-alertmanager", *words, f"--web.listen-address={at}", folder=folder))
        stored = ("--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--rules.alert.resend-delay=2s")
        here = f"--web.listen-address=127.0.0.1:{prometheus}"
        stack.enter_context(process("prometheus", *stored, here, folder=folder))
        answers(f"http://{at}/-/ready")
        answers(f"http://127.0.0.1:{prometheus}/-/ready")
        yield f"http://127.0.0.1:{prometheus}"


def told(hook: Receiver) -> set[tuple[str, str]]:
    """Return which alarms came, and whether they burn or are over."""
    came = [json.loads(posted.body) for posted in list(hook.came)]
    return {(alarm["labels"]["alertname"], alarm["status"]) for message in came for alarm in message["alerts"]}


def test_a_site_that_is_well_raises_nothing(tmp_path: Path) -> None:
    seed(tmp_path, configuration(scanners=2))
    with SiteProcess(tmp_path) as site:
        time.sleep(2.0)
        page = httpx.get(f"{site.url}/metrics").text
    series = [
        {"series": f"{one.name}{{{labels}}}", "values": f"{one.value:g}x130"}
        for family in text_string_to_metric_families(page)
        for one in family.samples
        if not one.name.startswith(("bonewatch_clock", "bonewatch_http", "python", "process"))
        for labels in [",".join(f"{key}={json.dumps(value)}" for key, value in one.labels.items())]
    ]
    asked = [
        {"expr": 'ALERTS{alertstate="firing", alertname!="Watchdog"}', "eval_time": f"{minutes}m", "exp_samples": []}
        for minutes in (30, 125)
    ]
    trial = {
        "rule_files": [str(RULES / "site.yml"), str(RULES / "fleet.yml")],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked}],
    }
    (tmp_path / "well.yml").write_bytes(msgspec.yaml.encode(trial))
    assert any(one["series"].startswith("bonewatch_data_free_bytes") for one in series)
    run("promtool", "test", "rules", str(tmp_path / "well.yml"))


def test_a_pipeline_that_stalls_reaches_a_webhook_and_is_over_when_it_goes_on(tmp_path: Path) -> None:
    require_java()
    kafka = RealKafka(tmp_path / "kafka", free_ports())
    text = configuration(scanners=1) + f'\n[kafka]\nbootstrap_servers = "127.0.0.1:{kafka.port}"\n'
    seed(tmp_path, text)
    with ExitStack() as stack:
        site = stack.enter_context(SiteProcess(tmp_path))
        hook = stack.enter_context(receiving())
        (tmp_path / "watch").mkdir()
        prometheus = stack.enter_context(watching(tmp_path / "watch", site.url.removeprefix("http://"), hook.url))
        hook.wait_for(lambda: {("ForwarderBehind", "firing"), ("Watchdog", "firing")} <= told(hook), WITHIN_S)
        kafka.start()
        stack.callback(kafka.kill)
        create(kafka.broker, (*fleet_topics(2), site_topic("test-site")))
        hook.wait_for(lambda: ("ForwarderBehind", "resolved") in told(hook), WITHIN_S)
        rules = httpx.get(f"{prometheus}/api/v1/rules").json()["data"]["groups"]
        assert [rule["name"] for group in rules for rule in group["rules"] if rule["health"] != "ok"] == []
        page = httpx.get(f"{site.url}/metrics").text
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=page, text=True, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
