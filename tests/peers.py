"""Real DICOM peers from Debian: DCMTK's tools and Orthanc, started on free ports and stopped by their id."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

_OURS = str(Path(sys.executable).parent)
_PATH = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if folder != _OURS)
ENVIRONMENT = os.environ | {"TCP_NODELAY": "1", "PATH": _PATH}
"""DCMTK leaves Nagle on, which costs 50 ms an object, unless told; and pynetdicom installs a storescu of its own."""

_STATUS = re.compile(r"DIMSE Status\s+: 0x([0-9a-f]{4})")
_COMMENT = re.compile(r"\(0000,0902\) LO \[(.*?)\s*\]")
_PATIENT = re.compile(r"^D: \(0010,0020\) LO \[(.*?)\s*\]", re.MULTILINE)


class DcmtkAnswer(msgspec.Struct, frozen=True):
    """What a DCMTK tool printed about the last response; the exit code says nothing of a C-FIND."""

    status: int | None
    error_comment: str
    patient_ids: tuple[str, ...]
    output: str


def echoscu(port: int, *, calling_ae: str = "DXA1") -> bool:
    return _run("echoscu", "-aet", calling_ae, "-aec", "BONEWATCH", "127.0.0.1", str(port)).returncode == 0


def storescu(port: int, *files: Path, calling_ae: str = "DXA1", options: Sequence[str] = ()) -> DcmtkAnswer:
    """Send files; answers for the last one."""
    names = [str(file) for file in files]
    return _answer(
        _run("storescu", "-d", "-aet", calling_ae, "-aec", "BONEWATCH", *options, "127.0.0.1", str(port), *names)
    )


def findscu(port: int, *, calling_ae: str = "DXA1", station: str = "", patient_id: str = "") -> DcmtkAnswer:
    """Ask for the worklist."""
    step = "ScheduledProcedureStepSequence[0]"
    keys = [
        "PatientName", f"PatientID={patient_id}", "PatientBirthDate", "AccessionNumber", "StudyInstanceUID",
        "RequestedProcedureID", f"{step}.ScheduledStationAETitle={station}", f"{step}.Modality",
        f"{step}.ScheduledProcedureStepStartDate", f"{step}.ScheduledProcedureStepStartTime",
        f"{step}.ScheduledProcedureStepID",
    ]  # fmt: skip
    options = [word for key in keys for word in ("-k", key)]
    return _answer(
        _run("findscu", "-d", "-W", "-aet", calling_ae, "-aec", "BONEWATCH", *options, "127.0.0.1", str(port))
    )


@contextmanager
def wlmscpfs(folder: Path, items: Sequence[Dataset], *, ae_title: str = "RIS") -> Iterator[int]:
    """Run DCMTK's worklist server over these items; yields its port."""
    database = folder / ae_title
    database.mkdir(parents=True)
    (database / "lockfile").touch()
    for number, item in enumerate(items):
        write_part10(database / f"{number:04d}.wl", item)
    port = free_port()
    with _running(["wlmscpfs", "-dfp", str(folder), "-dfr", str(port)], port):
        yield port


class Orthanc:
    """A running Orthanc: what a test asks of it."""

    def __init__(self, http_port: int, dicom_port: int = 0) -> None:
        self._base = f"http://127.0.0.1:{http_port}"
        self.dicom_port = dicom_port

    def upload(self, file: Path) -> str:
        """Give it an object; return its id there."""
        return str(self._post("/instances", file.read_bytes())["ID"])

    def send(self, instance: str) -> dict[str, Any]:
        """Have it sent to the site; returns the finished job."""
        job = self._post(
            "/modalities/bonewatch/store", json.dumps({"Resources": [instance], "Synchronous": False}).encode()
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            state = self._get(f"/jobs/{job['ID']}")
            if state["State"] in {"Success", "Failure"}:
                return state
            time.sleep(0.05)
        raise TimeoutError("Orthanc did not finish its job")

    def ask_commitment(self, *objects: tuple[str, str]) -> str:
        """Have it ask the site to commit to objects, by class and instance UID; return the transaction's UID."""
        asked = [{"SOPClassUID": sop_class, "SOPInstanceUID": uid} for sop_class, uid in objects]
        body = json.dumps({"DicomInstances": asked}).encode()
        return str(self._post("/modalities/bonewatch/storage-commitment", body)["ID"])

    def commitment(self, transaction_uid: str) -> dict[str, Any]:
        """Return what it knows of a transaction: its Status, Success and Failures."""
        return self._get(f"/storage-commitment/{transaction_uid}")

    def stored(self) -> list[bytes]:
        """Return the files that it holds."""
        with urllib.request.urlopen(f"{self._base}/instances", timeout=30) as response:  # noqa: S310 - our own
            instances = json.loads(response.read())
        return [self._file(instance) for instance in instances]

    def _file(self, instance: str) -> bytes:
        with urllib.request.urlopen(f"{self._base}/instances/{instance}/file", timeout=30) as response:  # noqa: S310
            return bytes(response.read())

    def echo(self) -> None:
        """Have it verify the site; raises if that fails."""
        self._post("/modalities/bonewatch/echo", b"{}")

    def _post(self, path: str, body: bytes) -> dict[str, Any]:
        return self._ask(urllib.request.Request(self._base + path, data=body, method="POST"))  # noqa: S310 - our own

    def _get(self, path: str) -> dict[str, Any]:
        return self._ask(urllib.request.Request(self._base + path))  # noqa: S310 - our own

    @staticmethod
    def _ask(request: urllib.request.Request) -> dict[str, Any]:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - our own
            answer = json.loads(response.read() or b"{}")
        assert isinstance(answer, dict)
        return answer


@contextmanager
def orthanc(folder: Path, site_port: int, *, ae_title: str = "DXA1", dicom_port: int = 0) -> Iterator[Orthanc]:
    """Run Orthanc on free ports with the site as a modality."""
    http_port, dicom_port = free_port(), dicom_port or free_port()
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomPort": dicom_port,
        "DicomAet": ae_title,
        "DicomModalities": {"bonewatch": ["BONEWATCH", "127.0.0.1", site_port]},
        "Plugins": [],
        "TcpNoDelay": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with _running(["Orthanc", str(path)], http_port):
        yield Orthanc(http_port, dicom_port)


@contextmanager
def storescp(folder: Path, *, port: int = 0, options: Sequence[str] = ()) -> Iterator[int]:
    """Run DCMTK's storage server, which writes what it gets bit for bit into a folder; yields its port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    with _running(["storescp", "+B", "+xa", "-od", str(folder), *options, str(port)], port):
        yield port


def write_part10(path: Path, item: Dataset) -> Path:
    """Write a data set as a DICOM file."""
    ds = Dataset()
    ds.update(item)
    if "file_meta" in item.__dict__ and item.file_meta:
        ds.file_meta = item.file_meta
    else:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = UID("1.2.276.0.7230010.3.1.0.1")
        ds.file_meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    ds.save_as(path, enforce_file_format=True)
    return path


def free_port() -> int:
    """Return a port that is free, and the next one too, out of those of this process among the tests' processes.

    Below the range from which the system takes ports for outgoing connections: nobody else takes it meanwhile.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(10_000 + 2_000 * (worker % 8), 12_000 + 2_000 * (worker % 8), 2))
    random.shuffle(ports)
    for port in ports:
        try:
            for number in (port, port + 1):
                socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            continue
        return port
    raise OSError("no port is free between 10000 and 26000")


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the peer did not start")


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, errors="replace", timeout=60, check=False
    )


def _answer(finished: "subprocess.CompletedProcess[str]") -> DcmtkAnswer:
    output = finished.stdout + finished.stderr
    statuses, comments = _STATUS.findall(output), _COMMENT.findall(output)
    return DcmtkAnswer(
        int(statuses[-1], 16) if statuses else None,
        comments[-1] if comments else "",
        tuple(_PATIENT.findall(output)),
        output,
    )
