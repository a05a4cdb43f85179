"""A running site takes a rotation up: what it records, what its database holds, who is found."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from collectors.pseudonym import Pseudonyms
from dashboards.users import UserStore
from streams.messages import PatientMeasured, RegionMeasured
from streams.roles import Role
from tests.e2e.test_sink import eventually
from tests.running import SiteProcess, configuration, seed

SOMEBODY = "NOBODY-4711-ZZ"
PERSON = ("Pat Nurse", "correct horse battery")


def test_a_rotation_beside_a_running_site_renames_its_database_and_loses_nobody(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    name = Pseudonyms(tmp_path / "keys").of(SOMEBODY)
    at = datetime.now(UTC) - timedelta(hours=1)
    fact = PatientMeasured(
        "ACC1", at, "scan", pseudonym=name, regions=(RegionMeasured("L1-L4", 0.93),), anatomy="spine"
    )
    seed(tmp_path, configuration(scanners=1, database=""), facts=[fact])
    shutil.copy(tmp_path / "keys" / "pseudonym.key", tmp_path / "var")
    users = UserStore(tmp_path / "var" / "users.sqlite")
    users.add_user(PERSON[0], Role.OPERATOR, PERSON[1])
    users.close()

    def asked(client: httpx.Client) -> Any:
        answer = client.post("/api/v1/patient-lookups", json={"patient_id": SOMEBODY})
        return answer.json()["last_visit"] if answer.status_code == 200 else None

    def names(client: httpx.Client) -> list[str]:
        return [one["pseudonym"] for one in client.get("/api/v1/measurements").json()]

    with SiteProcess(tmp_path) as site, httpx.Client(base_url=site.url, auth=PERSON, timeout=30) as client:
        eventually(lambda: asked(client) is not None)
        before = asked(client)
        assert before["accession_numbers"] == ["ACC1"]
        assert names(client) == [name]
        words = [sys.executable, "-m", "bonewatch", "pseudonym", "rotate", "-c", str(tmp_path / "site.toml")]
        subprocess.run(words, check=True, timeout=120)
        eventually(lambda: names(client) == [Pseudonyms(tmp_path / "var").of(SOMEBODY)])
        assert names(client)[0].startswith("2.")
        assert asked(client) == before
        told = "\n".join(site.log)
    assert "pseudonyms_renamed" in told
    assert SOMEBODY.casefold() not in told.casefold()
