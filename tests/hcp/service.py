"""A local service that speaks the documented JSON:API of HCP Terraform over https, with faults on request."""

import http.server
import itertools
import json
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import trustme

from support import Body

TOKEN = "made-up.atlasv1.0123456789abcdef"
UPLOAD_SECRET = "signed-upload-0123456789"
CHANGES: Body = {"format_version": "1.2", "resource_changes": [], "output_changes": {"xcom_path": {}}}
"""The JSON of a plan that loses nothing."""
SLOW = 1
"""Seconds; longer than a client waits that expects no answer."""

FAULTS = ("429", "500", "500 after it was done", "dropped", "dropped after it was done", "slow after it was done")


@dataclass
class Service:
    """What the service holds, and how its next runs go."""

    token: str = TOKEN
    organization: str = "acme"
    projects: dict[str, Body] = field(default_factory=dict)
    workspaces: dict[str, Body] = field(default_factory=dict)
    variables: dict[str, Body] = field(default_factory=dict)
    versions: dict[str, Body] = field(default_factory=dict)
    runs: dict[str, Body] = field(default_factory=dict)
    archives: dict[str, bytes] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    """Runs."""
    asked: list[str] = field(default_factory=list)
    """The steps in the order they were asked for."""
    story: list[Body] = field(default_factory=list)
    """The attributes of a run at one look after the other; the last ones stay."""
    plan: Body = field(default_factory=dict)
    json_plan: Body | None = field(default_factory=lambda: CHANGES)
    """None: the token may not read it."""
    log: str = ""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """Step -> what goes wrong, one request after the other. `*` at the end: from then on always."""
    port: int = 0
    _ids: Any = field(default_factory=itertools.count)
    _looks: Counter[str] = field(default_factory=Counter)

    @property
    def hostname(self) -> str:
        return f"localhost:{self.port}"

    def id(self, kind: str) -> str:
        return f"{kind}-{next(self._ids):016d}"

    def fault(self, step: str) -> str | None:
        """What goes wrong with this request."""
        waiting = self.faults.get(step, [])
        if not waiting:
            return None
        return waiting[0].removesuffix("*") if waiting[0].endswith("*") else waiting.pop(0)

    # ---- what each step does; None is a 404

    def answer(self, step: str, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        do: Callable[..., tuple[int, Body] | None] = getattr(self, "do_" + step.replace(" ", "_"))
        return do(place, query, sent)

    def do_find_project(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        if place[1] != self.organization:
            return None
        wanted = query["filter[names]"].lower()
        return 200, {"data": [one for one in self.projects.values() if one["attributes"]["name"].lower() == wanted]}

    def do_make_project(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        return self._make(self.projects, "prj", sent, unique="name")

    def do_find_workspace(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        if place[1] != self.organization:
            return None
        found = [one for one in self.workspaces.values() if one["attributes"]["name"] == place[2]]
        return (200, {"data": found[0]}) if found else None

    def do_make_workspace(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        return None if place[1] != self.organization else self._make(self.workspaces, "ws", sent, unique="name")

    def do_list_variables(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        shown = [
            {**one, "attributes": {**one["attributes"], **({"value": None} if one["attributes"]["sensitive"] else {})}}
            for one in self.variables.values()
        ]
        return 200, {"data": shown}

    def do_make_variable(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        return self._make(self.variables, "var", sent, unique="key")

    def do_change_variable(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        variable = self.variables[place[2]]
        if variable["attributes"]["sensitive"] and sent["data"]["attributes"].get("sensitive") is False:
            return 422, {"errors": [{"status": "422", "title": "invalid attribute", "detail": "Sensitive stays so"}]}
        variable["attributes"].update(sent["data"]["attributes"])
        return 200, {"data": variable}

    def do_make_version(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        id_ = self.id("cv")
        attributes = {**sent["data"]["attributes"], "status": "pending", "error-message": None}
        self.versions[id_] = {"id": id_, "type": "configuration-versions", "attributes": attributes}
        url = f"https://{self.hostname}/upload/{UPLOAD_SECRET}/{id_}"
        shown = {**self.versions[id_], "attributes": {**attributes, "upload-url": url}}
        return 201, {"data": shown}

    def do_read_version(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        version = self.versions[place[1]]
        if version["id"] in self.archives and version["attributes"]["status"] == "pending":
            self._looks[version["id"]] += 1
            if self._looks[version["id"]] > 1:
                version["attributes"]["status"] = "uploaded"
        return 200, {"data": version}

    def do_make_run(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        related = sent["data"]["relationships"]
        if self.versions[related["configuration-version"]["data"]["id"]]["attributes"]["status"] != "uploaded":
            return 422, {"errors": [{"status": "422", "detail": "Configuration version is not uploaded"}]}
        id_ = self.id("run")
        attributes = {**sent["data"]["attributes"], "status": "pending"}
        self.runs[id_] = {"id": id_, "type": "runs", "attributes": attributes, "relationships": related}
        return 201, {"data": self.runs[id_]}

    def do_list_runs(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        operations = query.get("filter[operation]", "plan_and_apply").split(",")
        shown = [
            run
            for run in self.runs.values()
            if ("plan_only" if run["attributes"]["plan-only"] else "plan_and_apply") in operations
        ]
        return 200, {"data": shown}

    def do_read_run(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        run = self.runs[place[1]]
        look = min(self._looks[place[1]], len(self.story) - 1)
        run["attributes"].update(self.story[look])
        if not self._waits(run):
            self._looks[place[1]] += 1
        return 200, {"data": run}

    def do_read_plan(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        url = f"https://{self.hostname}/log/{UPLOAD_SECRET}"
        return 200, {"data": {"id": "plan-1", "type": "plans", "attributes": {**self.plan, "log-read-url": url}}}

    def do_read_json_plan(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        if self.json_plan is None:
            return None
        self._looks[f"plan of {place[1]}"] += 1  # the first look comes before it is written
        written = self._looks[f"plan of {place[1]}"] > 1
        return (307, {"Location": f"https://{self.hostname}/plan/{UPLOAD_SECRET}"}) if written else (204, {})

    def do_confirm(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        run = self.runs[place[1]]
        if not self._waits(run):
            return 409, {"errors": [{"status": "409", "title": "transition not allowed"}]}
        self.confirmed.add(place[1])
        self._looks[place[1]] += 1
        return 202, {}

    def _waits(self, run: Body) -> bool:
        """Whether somebody has to confirm it first."""
        waits = run["attributes"].get("actions", {}).get("is-confirmable")
        return bool(waits) and not run["attributes"]["auto-apply"] and run["id"] not in self.confirmed

    def do_read_apply(self, place: re.Match[str], query: Body, sent: Body) -> tuple[int, Body] | None:
        return 200, {"data": {"id": "apply-1", "type": "applies", "attributes": {"status": "unreachable"}}}

    def _make(self, kept: dict[str, Body], kind: str, sent: Body, *, unique: str) -> tuple[int, Body]:
        attributes = sent["data"]["attributes"]
        if any(one["attributes"][unique] == attributes[unique] for one in kept.values()):
            taken = {"status": "422", "title": "invalid attribute", "detail": f"{unique} has already been taken"}
            return 422, {"errors": [taken]}
        id_ = self.id(kind)
        kept[id_] = {"id": id_, **sent["data"]}
        return 201, {"data": kept[id_]}


ROUTES = {
    "find project": ("GET", r"/api/v2/organizations/([^/]+)/projects"),
    "make project": ("POST", r"/api/v2/organizations/([^/]+)/projects"),
    "find workspace": ("GET", r"/api/v2/organizations/([^/]+)/workspaces/([^/]+)"),
    "make workspace": ("POST", r"/api/v2/organizations/([^/]+)/workspaces"),
    "list variables": ("GET", r"/api/v2/workspaces/([^/]+)/vars"),
    "make variable": ("POST", r"/api/v2/workspaces/([^/]+)/vars"),
    "change variable": ("PATCH", r"/api/v2/workspaces/([^/]+)/vars/([^/]+)"),
    "make version": ("POST", r"/api/v2/workspaces/([^/]+)/configuration-versions"),
    "read version": ("GET", r"/api/v2/configuration-versions/([^/]+)"),
    "list runs": ("GET", r"/api/v2/workspaces/([^/]+)/runs"),
    "make run": ("POST", r"/api/v2/runs"),
    "read run": ("GET", r"/api/v2/runs/([^/]+)"),
    "read plan": ("GET", r"/api/v2/runs/([^/]+)/plan"),
    "read json plan": ("GET", r"/api/v2/runs/([^/]+)/plan/json-output"),
    "confirm": ("POST", r"/api/v2/runs/([^/]+)/actions/apply"),
    "read apply": ("GET", r"/api/v2/runs/([^/]+)/apply"),
    "upload": ("PUT", rf"/upload/{UPLOAD_SECRET}/([^/]+)"),
    "read json plan's file": ("GET", rf"/plan/{UPLOAD_SECRET}"),
    "read log": ("GET", rf"/log/{UPLOAD_SECRET}"),
}


def find_step(method: str, path: str) -> tuple[str, re.Match[str]]:
    """Which step of the documented API a request is."""
    for step, (expected, route) in ROUTES.items():
        place = re.fullmatch(route, path)
        if place and method == expected:
            return step, place
    raise AssertionError(f"{method} {path} is not documented")


class Server(http.server.ThreadingHTTPServer):
    """Serves whatever `service` is set to."""

    daemon_threads = True

    def __init__(self, authority: trustme.CA) -> None:
        super().__init__(("localhost", 0), Handler)
        self.service = Service(port=self.server_address[1])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def renew(self) -> Service:
        """An empty service on the same port."""
        self.service = Service(port=self.server_address[1])
        return self.service

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, as some tests mean it to."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet per answer
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        service = self.server.service
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        step, place = find_step(self.command, unquote(url.path))
        service.asked.append(step)
        fault = service.fault(step)
        if fault == "429":
            return self.reply(
                429, {"errors": [{"status": "429", "title": "Too many requests"}]}, **{"Retry-After": "0.02"}
            )
        if fault == "500":
            return self.reply(500, {})
        if fault == "dropped":
            return self.drop()
        if step in ("upload", "read log", "read json plan's file"):
            assert "Authorization" not in self.headers, "the token was sent to a storage URL"
        elif self.headers["Authorization"] != f"Bearer {service.token}":
            return self.reply(401, {"errors": ["unauthorized"]})
        answer: Body | str | None = None
        if step == "upload":
            service.archives[place[1]] = content
            status, answer = 200, None
        elif step == "read log":
            status, answer = 200, None
        elif step == "read json plan's file":
            status, answer = 200, json.dumps(service.json_plan)
        else:
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            found = service.answer(step, place, query, json.loads(content or b"{}"))
            status, answer = found or (404, {"errors": [{"status": "404", "title": "not found"}]})
        if fault == "500 after it was done":
            return self.reply(500, {})
        if fault == "dropped after it was done":
            return self.drop()
        if fault == "slow after it was done":
            time.sleep(SLOW)
        headers: dict[str, str] = {"Location": answer["Location"]} if status == 307 and isinstance(answer, dict) else {}
        return self.reply(status, answer if answer is not None else service.log, **headers)

    do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815

    def reply(self, status: int, answer: Body | str, **headers: str) -> None:
        content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        kind = "text/plain" if isinstance(answer, str) else "application/vnd.api+json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def drop(self) -> None:
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: tests read stderr."""
