"""Dashboards as files: what a Grafana reads when it starts, and again when they change (file provisioning)."""

from pathlib import Path
from typing import Final

from dashboards.grafana.catalogue import documents
from dashboards.grafana.sources import Sources

FOLDER: Final = "Bonewatch"
SEEN_BY_GRAFANA: Final = "/etc/grafana/dashboards"
PROVIDER: Final = "provisioning/dashboards/bonewatch.yaml"

_PROVIDER: Final = """\
# Made by `bonewatch grafana write`; Grafana reads it from its provisioning folder.
apiVersion: 1
providers:
  - name: bonewatch
    folder: {folder}
    folderUid: bonewatch
    type: file
    disableDeletion: false
    allowUiUpdates: false # what is changed there is lost: change the code, or save a copy
    updateIntervalSeconds: 60
    options:
      path: {path}
"""


def files(sources: Sources, *, seen_by_grafana: str = SEEN_BY_GRAFANA) -> dict[str, str]:
    """Return what stands in each file, by its place in the folder."""
    made = {f"dashboards/{uid}.json": text for uid, text in documents(sources).items()}
    return {PROVIDER: _PROVIDER.format(folder=FOLDER, path=seen_by_grafana)} | made


def write(folder: Path, sources: Sources, *, seen_by_grafana: str = SEEN_BY_GRAFANA) -> list[Path]:
    """Write the files that differ; return which.

    Raises
    ------
    OSError
        A file or folder cannot be written.
    """
    changed = []
    for name, text in files(sources, seen_by_grafana=seen_by_grafana).items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != text.encode():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
            changed.append(path)
    return changed
