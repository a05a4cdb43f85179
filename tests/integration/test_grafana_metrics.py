"""Every question to Prometheus is asked of a real one that scrapes a real site, and names metrics that exist."""

import importlib
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from dashboards.grafana.catalogue import boards
from dashboards.grafana.queries import PromQuery
from tests.running import SiteProcess, configuration, seed
from tests.unit.test_deploy import WITH_METRICS

QUERIES = [pytest.param(q, id=q.name) for board in boards() for q in board.promql]
OF_A_SITE = ("up", "sites_ready", "devices_parked", "commit_p99", "duplicates")
CONFIGURATION = """
scrape_configs:
  - job_name: site
    scrape_interval: 1s
    static_configs:
      - targets: ["{target}"]
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def expanded(expr: str) -> str:
    return expr.replace("$__rate_interval", "1m").replace("$__range", "1h")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteProcess]:
    folder = tmp_path_factory.mktemp("site")
    seed(folder, configuration())
    with SiteProcess(folder) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(site: SiteProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yml").write_text(CONFIGURATION.format(target=site.url.partition("//")[2]))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for_scrapes(url, folder / "log")
            yield url
        finally:
            process.terminate()
            process.wait(10)


def _wait_for_scrapes(url: str, log: Path) -> None:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        try:
            found = ask(url, "count_over_time(up[1m]) > 2")
            if found["data"]["result"]:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(log.read_text())


def ask(url: str, expr: str) -> Any:
    now = time.time()
    answer = httpx.get(
        f"{url}/api/v1/query_range", params={"query": expr, "start": now - 60, "end": now, "step": 5}, timeout=10
    )
    return answer.json()


@pytest.mark.parametrize("query", QUERIES)
def test_a_real_prometheus_answers(prometheus: str, query: PromQuery) -> None:
    answer = ask(prometheus, expanded(query.expr))
    assert answer["status"] == "success", answer
    assert answer["data"]["resultType"] == "matrix"
    assert "$" not in expanded(query.expr)
    for series in answer["data"]["result"]:
        labels = re.findall(r"{{(\w+)}}", query.legend)
        assert set(labels) <= series["metric"].keys(), "the legend names a label that the answer does not have"


@pytest.mark.parametrize("name", OF_A_SITE)
def test_a_site_alone_answers_what_is_asked_of_sites(prometheus: str, name: str) -> None:
    (query,) = (one for board in boards() for one in board.promql if one.name == name)
    result = ask(prometheus, expanded(query.expr))["data"]["result"]
    assert result
    assert result[0]["values"]


@pytest.mark.parametrize("query", QUERIES)
def test_the_metrics_exist(site: SiteProcess, query: PromQuery) -> None:
    for module in (*WITH_METRICS, "collectors.metrics"):
        importlib.import_module(module)
    known = set(re.findall(r"^# TYPE (\S+)", site.get("/metrics").text, re.MULTILINE))
    known |= {f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()}
    known |= {f"{name}_bucket" for name in known}
    names = set(re.findall(r"bonewatch_\w+", query.expr))
    assert names <= known
    assert names or query.name == "up"


def test_promtool_has_nothing_against_the_questions() -> None:
    asked = [query for board in boards() for query in board.promql]
    rules = [f"      - record: panel:{one.name}\n        expr: {expanded(one.expr)}\n" for one in asked]
    promtool = subprocess.run(
        ["promtool", "check", "rules", "--lint=all", "/dev/stdin"],
        input="groups:\n  - name: panels\n    rules:\n" + "".join(rules),
        capture_output=True,
        text=True,
        check=False,
    )
    assert promtool.returncode == 0, promtool.stderr + promtool.stdout
    assert f"{len(rules)} rules found" in promtool.stdout
