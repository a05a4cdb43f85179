"""The response to a C-STORE is sent after the sync: seen by strace from outside."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import SiteProcess, configuration, console, seed


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[tuple[SiteProcess, Path]]:
    seed(tmp_path, configuration(scanners=1))
    trace = tmp_path / "trace"
    wrapper = ["strace", "-D", "-f", "-y", "-e", "trace=fsync,fdatasync,sendto,sendmsg,write,rename", "-o", str(trace)]
    site = SiteProcess(tmp_path, wrapper=wrapper)
    yield site, trace
    site.stop()


def test_object_folder_and_log_are_synced_before_the_response_is_sent(traced: tuple[SiteProcess, Path]) -> None:
    site, trace = traced
    with console("DXA1", site.dicom_port, phantom="SPINE-0001") as dxa1:
        dxa1.scan(1.0)
        before = len(trace.read_text().splitlines())
        assert dxa1.scan(1.0).status == 0x0000
        lines = trace.read_text().splitlines()[before:]
    responses = [place for place, line in enumerate(lines) if re.search(r"send(to|msg)\(\d+<(TCP|socket)", line)]
    synced = [
        place for place, line in enumerate(lines) if re.search(r"f(data)?sync\(\d+<.*site-log\.sqlite-wal>", line)
    ]
    objects = [place for place, line in enumerate(lines) if re.search(r"fsync\(\d+<.*/archive/", line)]
    assert synced, "the log's write-ahead file was synced"
    assert len(objects) >= 2, "the object and its folder were synced"
    assert responses, "a response was sent"
    assert max(objects) < synced[0] < responses[-1], "object and folder, then the log, then the response"
