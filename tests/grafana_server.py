"""A server that keeps what it is given as the documentation of Grafana's HTTP API says; a Grafana it is not."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

EDITOR, VIEWER = "glsa_editor", "glsa_viewer"
Answer = tuple[int, Any]


@dataclass
class Kept:
    """What is in it; `asked` are the requests that change something."""

    url: str = ""
    folders: dict[str, Any] = field(default_factory=dict)
    dashboards: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, token: str, body: Any) -> Answer:
        """Do as the documentation says."""
        if token not in {EDITOR, VIEWER}:
            return 401, {"message": "Invalid API key"}
        if method != "GET":
            if token == VIEWER:
                return 403, {"message": "You'll need additional permissions to perform this action."}
            self.asked.append(f"{method} {path}")
        kind, _, uid = path.removeprefix("/api/").partition("/")
        if kind == "folders":
            return self._folder(method, uid, body)
        if kind == "dashboards":
            return self._dashboard(method, uid, body)
        return self._source(method, uid.removeprefix("uid/"), body) if kind == "datasources" else (404, {})

    def _folder(self, method: str, uid: str, body: Any) -> Answer:
        if method == "GET":
            return (200, self.folders[uid]) if uid in self.folders else (404, {"message": "folder not found"})
        if body["uid"] in self.folders:
            return 412, {"message": "the folder has been changed by someone else"}
        self.folders[body["uid"]] = body | {"id": len(self.folders) + 1, "version": 1}
        return 200, self.folders[body["uid"]]

    def _dashboard(self, method: str, place: str, body: Any) -> Answer:
        if method == "GET":
            kept = self.dashboards.get(place.removeprefix("uid/"))
            return (200, kept) if kept else (404, {"message": "Dashboard not found"})
        given, folder = body["dashboard"], body["folderUid"]
        if folder not in self.folders:
            return 400, {"message": "folder not found"}
        before = self.dashboards.get(given["uid"])
        if before and not body["overwrite"]:
            return 412, {"message": "the dashboard has been changed by someone else", "status": "version-mismatch"}
        version = before["dashboard"]["version"] + 1 if before else 1
        number = before["dashboard"]["id"] if before else len(self.dashboards) + 1
        kept = given | {"id": number, "version": version}
        self.dashboards[given["uid"]] = {"dashboard": kept, "meta": {"folderUid": folder, "provisioned": False}}
        return 200, {"id": number, "uid": given["uid"], "status": "success", "version": version}

    def _source(self, method: str, uid: str, body: Any) -> Answer:
        if method == "GET":
            return (200, self.sources[uid]) if uid in self.sources else (404, {"message": "Data source not found"})
        secret = body.pop("secureJsonData", {})  # is never told again
        known = self.sources.get(body["uid"], {}).get("secureJsonFields", {})
        if method == "POST" and body["uid"] in self.sources:
            return 409, {"message": "data source with the same name already exists"}
        fields = known | dict.fromkeys(secret, True)
        self.sources[body["uid"]] = body | {"id": 1, "readOnly": False, "secureJsonFields": fields}
        return 200, {"message": "Datasource added", "datasource": self.sources[body["uid"]]}


@contextmanager
def running(*, certificate: tuple[str, str] | None = None, folder: Path | None = None) -> Iterator[Kept]:
    """Serve on loopback for the length of a block; with TLS by a certificate and its key, PEM, kept in `folder`."""
    kept = Kept()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("authorization", "").removeprefix("Bearer ")
            status, told = kept.answer(self.command, self.path, token, body)
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - names of the standard library

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        assert folder is not None
        (folder / "chain.pem").write_text("".join(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "chain.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    kept.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    thread.join()
    server.server_close()
