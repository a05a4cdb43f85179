"""Bring a Grafana to what the code says; what is so already is left alone, so that a second push changes nothing."""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from dashboards.grafana.catalogue import documents
from dashboards.grafana.server import Grafana, GrafanaError
from dashboards.grafana.sources import POSTGRES, PROMETHEUS, Sources

FOLDER_UID: Final = "bonewatch"
FOLDER_TITLE: Final = "Bonewatch"
MESSAGE: Final = "bonewatch grafana push"


class Change(StrEnum):
    """What was done about one thing."""

    MADE = "made"
    CHANGED = "changed"
    SAME = "unchanged"


class Done(NamedTuple):
    """One thing that was looked at; `where` says in what the Grafana's differed."""

    what: str
    change: Change
    where: str = ""


class DatabaseSource(NamedTuple):
    """How Grafana reaches the database; the password goes to it and never comes back."""

    address: str
    name: str
    password: str
    sslmode: str = "verify-full"
    user: str = "bonewatch_reader"


def push(
    grafana: Grafana, sources: Sources, *, database: DatabaseSource | None = None, prometheus_url: str = ""
) -> Iterator[Done]:
    """Bring folder, dashboards and, where asked, data sources to what they should be; yield each as it is done.

    Raises
    ------
    GrafanaError
        It is away or refuses; what was yielded before is done.
    """
    if database is not None:
        yield _source(grafana, _postgres(sources.postgres, database), {"password": database.password})
    if prometheus_url:
        yield _source(grafana, _prometheus(sources.prometheus, prometheus_url), {})
    yield _folder(grafana)
    for uid, text in documents(sources).items():
        yield _dashboard(grafana, uid, json.loads(text))


def _folder(grafana: Grafana) -> Done:
    found = grafana.find(f"/api/folders/{FOLDER_UID}")
    if found is not None:
        return Done(f"folder {FOLDER_TITLE}", Change.SAME)  # its title is theirs to change
    grafana.send("POST", "/api/folders", {"uid": FOLDER_UID, "title": FOLDER_TITLE})
    return Done(f"folder {FOLDER_TITLE}", Change.MADE)


def _dashboard(grafana: Grafana, uid: str, wanted: dict[str, Any]) -> Done:
    what = f"dashboard {wanted['title']}"
    found = grafana.find(f"/api/dashboards/uid/{uid}")
    if found is not None and found.get("meta", {}).get("provisioned"):
        raise GrafanaError(f"the dashboard {wanted['title']} comes from a file there: change the file, or remove it")
    where = "" if found is None else difference(found.get("dashboard"), wanted)
    moved = found is not None and found.get("meta", {}).get("folderUid", FOLDER_UID) != FOLDER_UID
    if found is not None and not where and not moved:
        return Done(what, Change.SAME)
    body = {"dashboard": wanted | {"id": None}, "folderUid": FOLDER_UID, "overwrite": True, "message": MESSAGE}
    grafana.send("POST", "/api/dashboards/db", body)
    if found is None:
        return Done(what, Change.MADE)
    return Done(what, Change.CHANGED, where or "its folder")


def _source(grafana: Grafana, wanted: dict[str, Any], secrets: Mapping[str, str]) -> Done:
    path, what = f"/api/datasources/uid/{wanted['uid']}", f"data source {wanted['name']}"
    found = grafana.find(path)
    secret = {"secureJsonData": dict(secrets)} if secrets else {}
    if found is None:
        grafana.send("POST", "/api/datasources", wanted | secret)
        return Done(what, Change.MADE)
    known = found.get("secureJsonFields") or {}
    where = difference(found, wanted) or ("" if all(known.get(name) for name in secrets) else "its password")
    if not where:
        return Done(what, Change.SAME)
    grafana.send("PUT", path, wanted | secret)
    return Done(what, Change.CHANGED, where)


def _postgres(uid: str, database: DatabaseSource) -> dict[str, Any]:
    return {
        "uid": uid,
        "name": "Bonewatch",
        "type": POSTGRES,
        "access": "proxy",
        "url": database.address,
        "user": database.user,
        "jsonData": {"database": database.name, "sslmode": database.sslmode},
    }


def _prometheus(uid: str, url: str) -> dict[str, Any]:
    return {"uid": uid, "name": "Prometheus", "type": PROMETHEUS, "access": "proxy", "url": url}


def difference(theirs: object, ours: object, place: str = "") -> str:
    """Return the first place in which what is there does not say what we want; empty where it does.

    What Grafana adds to an object of ours is no difference; another length of a list is.
    """
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return _first(difference(theirs.get(key), value, f"{place}.{key}".lstrip(".")) for key, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = zip(theirs, ours, strict=True)
        return _first(difference(there, want, f"{place}[{n}]") for n, (there, want) in enumerate(pairs))
    return "" if theirs == ours else place or "all of it"


def _first(places: Iterator[str]) -> str:
    return next((place for place in places if place), "")
