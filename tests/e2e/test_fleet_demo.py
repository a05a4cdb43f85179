"""``fleet demo`` as a newcomer runs it: two hospitals on one computer, in one database, and nothing left behind."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.kafka import wait_until


def test_two_hospitals_come_to_life_and_leave_nothing_behind(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("wb") as output:
        fleet = subprocess.Popen(
            [sys.executable, "-m", "bonewatch", "fleet", "demo"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: "Press Ctrl-C" in said.read_text() or fleet.poll() is not None, within_s=180)
        text = said.read_text()
        assert "Two hospitals are in the fleet's database." in text
        pages = re.findall(r"^(?:Bath|York): (http://\S+) \((\d+) rows", text, re.MULTILINE)
        for page, rows in pages:
            assert httpx.get(page, timeout=30).status_code == 200
            assert int(rows) > 1000
        metrics = re.findall(r"http://\S+/metrics", text)[0]
        assert "bonewatch_fleet_divergences_total 0.0" in httpx.get(metrics, timeout=30).text
        where, user = re.findall(r"psql -h (\S+) -U (\S+) postgres", text)[0]
        with psycopg.connect(host=where, user=user, dbname="postgres") as db:
            gates = db.execute("SELECT device FROM bonewatch.gate_now ORDER BY device").fetchall()
        devices = ("dxa-1", "dxa-2", "height-1", "scale-1")
        assert gates == [(f"{site}/{device}",) for site in ("bath", "york") for device in devices]
    finally:
        fleet.send_signal(signal.SIGINT)
        status = fleet.wait(120)
    assert status == 0, said.read_text()
    assert len(pages) == 2
    ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)]
    assert len(ports) == 4
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    assert not Path(where).exists()


def test_a_metrics_port_that_is_taken_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["fleet", "worker", "--servers", "127.0.0.1:1", "--metrics-port", port]
        failed = subprocess.run(
            [sys.executable, "-m", "bonewatch", *words], capture_output=True, text=True, check=False, timeout=60
        )
    assert failed.returncode == 1
    assert f"--metrics-port 127.0.0.1:{port} cannot be listened on" in failed.stderr
