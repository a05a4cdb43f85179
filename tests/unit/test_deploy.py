"""deploy/ is what the program accepts: every command line, port, secret, metric and file that it names."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from bonewatch.cli import app
from tests.contracts import compose_faults

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
GUIDES = [DEPLOY / "README.md", ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_METRICS = (
    "streams.writer", "streams.forwarder", "streams.refusal", "streams.fleet.worker", "streams.fleet.combiner",
    "storage.kafka_sink", "storage.sink", "storage.site_sink", "storage.comparison_sink",
    "collectors.files.intake", "collectors.dicom.pacs.metrics", "collectors.dicom.mpps.metrics",
    "publishing.metrics", "alerts.metrics", "collectors.metrics",
)  # fmt: skip
EXACT_VERSION = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+[\w.-]*")


def read_yaml(path: Path) -> list[Any]:
    return [msgspec.yaml.decode(part) for part in path.read_text().split("\n---\n")]


@pytest.fixture(scope="module")
def compose() -> Any:
    return read_yaml(DEPLOY / "compose.yaml")[0]


def ours(compose: Any) -> dict[str, Any]:
    return {name: service for name, service in compose["services"].items() if "bonewatch" in service["image"]}


def of_compose() -> Iterator[list[str]]:
    yield from (service["command"] for service in ours(read_yaml(DEPLOY / "compose.yaml")[0]).values())


def of_units() -> Iterator[list[str]]:
    specifiers = {"%i": "9401", "%p": "bonewatch-worker", "%d": "/run/credentials", "${BONEWATCH_": "x${"}
    for path in UNITS:
        (line,) = re.findall(r"^ExecStart=(.+)$", path.read_text(), re.MULTILINE)
        for specifier, value in specifiers.items():
            line = line.replace(specifier, value)
        program, *words = shlex.split(line)
        assert program == "/opt/bonewatch/.venv/bin/bonewatch"
        yield words


def of_kubernetes() -> Iterator[list[str]]:
    for manifest in read_yaml(DEPLOY / "kubernetes" / "fleet.yaml"):
        for container in manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
            yield container["args"]


def of_guides() -> Iterator[list[str]]:
    """Every command of ours in the fenced blocks of the guides; a block's own variables are filled in."""
    for path in GUIDES:
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL):
            variables = dict(re.findall(r'^(\w+)="(.*)"$', block, re.MULTILINE))
            for line in block.replace("\\\n", " ").splitlines():
                for name, value in variables.items():
                    line = line.replace(f"${name}", value)  # noqa: PLW2901 - filled in, not another line
                for part in line.partition(" #")[0].split("&&"):
                    words = shlex.split(part)
                    program = next((n for n, word in enumerate(words) if word.endswith("/bonewatch")), None)
                    if program is not None:
                        yield words[program + 1 :]


@pytest.mark.parametrize("words", [*of_compose(), *of_units(), *of_kubernetes()], ids=" ".join)
def test_every_command_line_is_one_of_the_programs(words: list[str]) -> None:
    command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert bound.arguments or bound.kwargs
    assert callable(command)


@pytest.mark.parametrize("words", list(of_guides()), ids=" ".join)
def test_every_command_in_the_guides_is_one_of_the_programs(words: list[str]) -> None:
    if words[:1] in (["test"], ["mutate"]):
        return  # the launcher's own
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_a_command_line_that_has_drifted_is_noticed() -> None:
    with pytest.raises(Exception, match="--metrix-port"):
        app.parse_args(
            ["fleet", "worker", "--servers", "x", "--metrix-port", "1"], exit_on_error=False, print_error=False
        )


def test_compose_is_as_the_specification_says(compose: Any) -> None:
    assert compose_faults(compose) == []
    broken = compose | {"services": compose["services"] | {"worker": {"image": "x", "depends_on": 5}}}
    assert compose_faults(broken) != []


def test_images_are_pinned_and_nothing_listens_beyond_loopback(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert EXACT_VERSION.fullmatch(service["image"]), name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name


def test_compose_names_nothing_that_is_not_there(compose: Any) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("secrets", ())) <= compose["secrets"].keys(), name
        assert set(service.get("depends_on", ())) <= compose["services"].keys(), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"], volume
    made = (DEPLOY / "make-secrets").read_text()
    for secret in compose["secrets"].values():
        assert Path(secret["file"]).name in made
    assert compose["services"].keys() >= {
        "kafka",
        "database",
        "worker",
        "sink",
        "prometheus",
        "alertmanager",
        "grafana",
    }


def test_our_containers_have_no_more_rights_than_they_need(compose: Any) -> None:
    for name, service in ours(compose).items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_prometheus_asks_where_metrics_are(compose: Any) -> None:
    (prometheus,) = read_yaml(DEPLOY / "prometheus" / "prometheus.yml")
    asked = {
        target
        for job in prometheus["scrape_configs"]
        for config in job["static_configs"]
        for target in config["targets"]
    }
    said = set()
    for name, service in ours(compose).items():
        words = service["command"]
        if "--metrics-port" in words:
            said.add(f"{name}:{words[words.index('--metrics-port') + 1]}")
        elif words[0] == "demo":
            said.add(f"{name}:8080")  # the console's default, with /metrics
    assert asked == said
    assert all((DEPLOY / "prometheus" / name).is_file() for name in prometheus["rule_files"])


def test_every_metric_that_wakes_somebody_exists() -> None:
    for module in WITH_METRICS:
        importlib.import_module(module)
    known = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    known |= {f"{family.name}_total" for family in REGISTRY.collect() if family.type == "counter"}
    known |= {family.name for family in REGISTRY.collect() if family.type == "gauge"}
    for path in (ROOT / "src/dashboards/metrics").glob("*.py"):
        known |= set(re.findall(r'"(bonewatch_\w+)"', path.read_text()))
    known |= {"bonewatch_http_request_duration_seconds_bucket"}
    rules = alarms()
    assert len(rules) > 30
    for rule in rules:
        assert set(re.findall(r"bonewatch_\w+", rule["expr"])) <= known, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"} or rule["alert"] == "Watchdog"


def test_every_alarm_has_a_heading_that_says_what_to_do() -> None:
    headings = {
        line.removeprefix("### ").strip()
        for line in (ROOT / "docs" / "alarms.md").read_text().splitlines()
        if line.startswith("### ")
    }
    assert headings == {rule["alert"] for rule in alarms()}
    for rule in alarms():
        assert rule["annotations"]["runbook"] == f"docs/alarms.md#{rule['alert'].lower()}"


def alarms() -> list[dict[str, Any]]:
    files = [read_yaml(DEPLOY / "prometheus" / name)[0] for name in ("fleet.yml", "site.yml")]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def test_alerts_have_somewhere_to_go() -> None:
    (alertmanager,) = read_yaml(DEPLOY / "alertmanager" / "alertmanager.yml")
    assert alertmanager["route"]["receiver"] in {receiver["name"] for receiver in alertmanager["receivers"]}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_as_nobody_in_particular_with_nothing_but_what_they_need(path: Path) -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE))
    assert settings.get("DynamicUser") == "yes" or settings["User"] == "bonewatch"
    assert settings["CapabilityBoundingSet"] == ""
    hardened = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "SystemCallFilter": "@system-service"}
    assert hardened.items() <= settings.items()
    assert settings["Restart"] == "on-failure"


def test_pods_are_restricted_and_hold_no_secret() -> None:
    manifests = read_yaml(DEPLOY / "kubernetes" / "fleet.yaml")
    assert {manifest["kind"] for manifest in manifests} == {"Namespace", "Deployment"}
    for manifest in manifests[1:]:
        pod = manifest["spec"]["template"]["spec"]
        assert (
            manifest["spec"]["selector"]["matchLabels"].items()
            <= manifest["spec"]["template"]["metadata"]["labels"].items()
        )
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert EXACT_VERSION.fullmatch(container["image"])
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        port = container["args"][container["args"].index("--metrics-port") + 1]
        assert [str(each["containerPort"]) for each in container["ports"]] == [port]


def test_the_image_is_made_from_the_lock_and_runs_as_nobody_in_particular() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert all(EXACT_VERSION.fullmatch(base) for base in re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    assert "--require-hashes --only-binary :all: -r requirements.lock" in text
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    copied = {word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE) for word in line.split()}
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
