"""A W&B server as far as its client asks: runs, their history, uploads, artifacts and views, on the loopback and in memory.

`Stub()` is a context; `drop` is how many of the next uploads of history are cut off in the middle, as by a lost connection.
"""

from __future__ import annotations

import json
import re
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Variables = dict[str, Any]


class Stub:
    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[str]] = defaultdict(list)
        self.uploads: dict[str, bytes] = {}
        self.artifacts: list[Variables] = []
        self.views: dict[str, Variables] = {}
        self.asked: list[str] = []
        self.drop = self.dropped = 0
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"stub": self}))
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the client closes connections as it likes
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Stub:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def lines(self, run: str) -> list[dict[str, Any]]:
        """The history of a run without wandb's own fields."""
        return [{key: value for key, value in json.loads(line).items() if not key.startswith("_")} for line in self.history[run]]

    def config(self, run: str) -> dict[str, Any]:
        """The config of a run without wandb's own."""
        return {key: value["value"] for key, value in json.loads(self.runs[run]["config"]).items() if key != "_wandb"}

    def answer(self, query: str, given: Variables) -> Variables:
        """The data of a GraphQL answer."""
        named = re.search(r"(?:query|mutation)\s+(\w+)", query)
        self.asked.append(name := named[1] if named else query)
        answers = getattr(self, f"on_{name}", None)
        return answers(given) if answers else {}

    def stream(self, run: str, body: Variables) -> None:
        for name, chunk in body.get("files", {}).items():
            if name == "wandb-history.jsonl":
                self.history[run][chunk["offset"] :] = chunk["content"]
            elif name == "wandb-summary.json":
                self.runs[run]["summary"] = json.loads(chunk["content"][-1])
        if body.get("complete"):
            self.runs[run]["exitcode"] = body["exitcode"]

    def _file(self, name: str, place: str) -> Variables:
        about = {"id": name, "name": name, "displayName": name, "storagePath": name, "uploadMultipartUrls": None, "artifact": {"id": "A"}}
        return {**about, "uploadUrl": f"{self.url}/upload/{place}/{name}", "uploadHeaders": []}

    def on_UpsertBucket(self, given: Variables) -> Variables:
        run = self.runs.setdefault(given["name"], {"inserted": 0})
        run.update({key: value for key, value in given.items() if value is not None})
        run["inserted"] += 1
        project = {"id": "P", "name": run["project"], "entity": {"id": "E", "name": "me"}}
        bucket = {"id": given["name"], "name": given["name"], "displayName": run.get("displayName"), "config": "{}", "project": project}
        return {"upsertBucket": {"bucket": {**bucket, "description": None, "sweepName": None, "historyLineCount": 0}, "inserted": run["inserted"] == 1}}

    def on_RunResumeStatus(self, given: Variables) -> Variables:
        if given["name"] not in self.runs:
            return {"model": {"bucket": None}}
        lines = self.history[given["name"]]
        counts = {"historyLineCount": len(lines), "eventsLineCount": 0, "logLineCount": 0, "historyTail": json.dumps(lines[-1:]), "eventsTail": "[]"}
        rest = {"summaryMetrics": "{}", "config": self.runs[given["name"]]["config"], "wandbConfig": '{"t":{"value":1}}', "tags": [], "sweepName": None}
        return {"model": {"bucket": {"id": given["name"], "name": given["name"], **counts, **rest}}}

    def on_ServerFeaturesQuery(self, _: Variables) -> Variables:
        return {"serverInfo": {"features": []}}

    def on_Viewer(self, _: Variables) -> Variables:
        return {"viewer": {"id": "V", "entity": "me", "username": "me", "email": "me@example.org", "flags": "{}", "teams": {"edges": []}}}

    on_GetViewer = on_GetDefaultEntity = on_Viewer

    def on_CreateRunFiles(self, given: Variables) -> Variables:
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": [self._file(name, given["run"]) for name in given["files"]]}}

    def on_ArtifactType(self, _: Variables) -> Variables:
        return {"project": {"artifact": None}}

    def on_CreateArtifact(self, given: Variables) -> Variables:
        self.artifacts.append(given["input"])
        return {"createArtifact": {"artifact": {"id": "A", "state": "PENDING", "artifactSequence": {"id": "S", "latestArtifact": None}}}}

    def on_CreateArtifactManifest(self, _: Variables) -> Variables:
        return {"createArtifactManifest": {"artifactManifest": {"id": "M", "file": self._file("manifest", "artifact")}}}

    def on_UpdateArtifactManifest(self, _: Variables) -> Variables:
        return {"updateArtifactManifest": {"artifactManifest": {"id": "M", "file": self._file("manifest", "artifact")}}}

    def on_CreateArtifactFiles(self, given: Variables) -> Variables:
        files = [self._file(spec["name"], "artifact") for spec in given["input"]["artifactFiles"]]
        return {"createArtifactFiles": {"files": {"edges": [{"node": file} for file in files]}}}

    def on_CommitArtifact(self, _: Variables) -> Variables:
        return {"commitArtifact": {"artifact": {"id": "A", "digest": "D"}}}

    def on_View(self, given: Variables) -> Variables:
        known = [view for view in self.views.values() if view["name"] == given["viewName"]]
        edges = [{"node": {"id": view["id"], "displayName": view["displayName"], "spec": view["spec"]}} for view in known]
        return {"project": {"allViews": {"edges": edges}}}

    def on_UpsertView2(self, given: Variables) -> Variables:
        view = {"id": f"W{len(self.views)}", **given}
        self.views[view["id"]] = view
        return {"upsertView": {"view": {"id": view["id"], "name": view["name"]}, "inserted": "id" not in given}}


class Handler(BaseHTTPRequestHandler):
    stub: Stub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing: the tests ask the stub."""

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, about: Variables) -> None:
        content = json.dumps(about).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self.reply({})

    def do_PUT(self) -> None:
        self.stub.uploads[self.path.removeprefix("/upload/")] = self.body()
        self.reply({})

    def refuse(self) -> None:
        """In place of do_POST: the key is wrong."""
        self.body()
        self.send_error(401)

    def do_POST(self) -> None:
        body = json.loads(self.body())
        with self.stub.lock:
            if self.path == "/graphql":
                self.reply({"data": self.stub.answer(body["query"], body.get("variables") or {})})
            elif self.stub.drop and "wandb-history.jsonl" in body.get("files", {}):
                self.stub.drop -= 1
                self.stub.dropped += 1
                self.close_connection = True
            else:
                self.stub.stream(self.path.split("/")[-2], body)
                self.reply({"exitcode": None, "limits": {}})
