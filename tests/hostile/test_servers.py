"""Servers that answer with anything at all: Failed says so, soon, and what is secret goes nowhere else."""

import contextlib
import http.server
import json
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from astro_xcom.hcp.api import Api, Failed, RetryPolicy
from hostile.test_fuzz import ODD, SEED, mutated

TOKEN = "a-token-that-nobody-else-gets"
LONGEST = 10
Answer = Callable[["Handler"], None]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    answer: Answer
    asked: list[tuple[str, str, str | None]]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization")))
        self.close_connection = True
        self.server.answer(self)

    do_GET = do_POST = do_PATCH = do_PUT = any  # noqa: N815

    def say(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


def serve(authority: trustme.CA | None) -> Server:
    server = Server(("localhost", 0), Handler)
    server.asked = []
    if authority:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server, Server]]:
    """The one that is named, another one, and one without TLS."""
    authority = trustme.CA()
    place = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(place)
    made = (serve(authority), serve(authority), serve(None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(place))
        yield made
    for server in made:
        server.shutdown()


def url(server: Server, scheme: str = "https") -> str:
    return f"{scheme}://localhost:{server.server_address[1]}/elsewhere"


@pytest.fixture
def api(servers: tuple[Server, Server, Server]) -> Api:
    for server in servers:
        server.asked.clear()
    patience = RetryPolicy(request=2, answer=2, pauses=(0.01,), polls=(0.01,), upload=2, longest_pause=0.05)
    return Api(f"localhost:{servers[0].server_address[1]}", TOKEN, patience)


def ways(api: Api) -> dict[str, Callable[[], object]]:
    """Every way in which something is asked."""
    there = f"https://{api.hostname}/file"
    return {
        "get": lambda: api.get("x"),
        "patch": lambda: api.patch("x", {}),
        "make": lambda: api.make("x", {}, lambda: None),
        "act": lambda: api.act("x", lambda: False),
        "json_plan": lambda: api.json_plan("run-1"),
        "text": lambda: api.text(there),
        "upload": lambda: api.upload(there, b"archive", lambda: None),
    }


WAYS = ("get", "patch", "make", "act", "json_plan", "text", "upload")


def fails(api: Api, way: str) -> str:
    """What is said when it fails, in time and without the token."""
    started = time.monotonic()
    with pytest.raises(Failed) as failed, api.reading():
        ways(api)[way]()
    assert time.monotonic() - started < LONGEST
    assert TOKEN not in str(failed.value)
    assert len(str(failed.value)) < 1000
    return str(failed.value)


def trickle(handler: Handler) -> None:
    with contextlib.suppress(OSError):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(60):
            handler.wfile.write(b"[")
            handler.wfile.flush()
            time.sleep(0.5)


def trickle_headers(handler: Handler) -> None:
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(60):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.5)


def flood(handler: Handler) -> None:
    with contextlib.suppress(OSError):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b"[" * 2**20)


@pytest.mark.parametrize("answer", [trickle, trickle_headers], ids=["body", "headers"])
@pytest.mark.parametrize("way", ["get", "make", "text", "upload"])
def test_a_server_that_takes_for_ever(answer: Answer, way: str, api: Api, servers: tuple[Server, ...]) -> None:
    servers[0].answer = answer
    assert "within 2 seconds" in fails(api, way)


@pytest.mark.parametrize("way", ["get", "make", "text"])
def test_an_answer_without_an_end(
    way: str, api: Api, servers: tuple[Server, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("astro_xcom.hcp.http.LARGEST", 2**20)
    monkeypatch.setattr("astro_xcom.hcp.api.LARGEST", 2**20)
    servers[0].answer = flood
    assert "more than 1,048,576 bytes" in fails(api, way)


def test_nothing_is_asked_again_when_the_time_is_over(api: Api, servers: tuple[Server, ...]) -> None:
    servers[0].answer = lambda handler: handler.say(b"{}", 503)
    api.until = time.monotonic() - 1
    assert "did not do it in time" in fails(api, "get")
    assert len(servers[0].asked) == 1


@pytest.mark.parametrize("to", ["another host", "plain http"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("way", WAYS)
def test_redirects(way: str, status: int, to: str, api: Api, servers: tuple[Server, Server, Server]) -> None:
    """Only a file that the server names is looked for elsewhere, by https, and without the token."""
    here, other, plain = servers
    place = url(other) if to == "another host" else url(plain, "http")
    here.answer = lambda handler: handler.say(b"", status, Location=place)
    other.answer = plain.answer = lambda handler: handler.say(b"text")
    if way in ("text", "json_plan") and to == "another host":
        assert ways(api)[way]() == "text"
    else:
        fails(api, way)
        assert other.asked == []
    assert plain.asked == []
    assert not any(token for _, _, token in other.asked)


@pytest.mark.parametrize(
    "place", ["http://localhost/x", "ftp://x", "", None, 7, "https://", "https://a@b/x", "https://["]
)
def test_places_that_are_no_https_urls(place: Any, api: Api, servers: tuple[Server, ...]) -> None:
    for ask in (lambda: api.text(place), lambda: api.upload(place, b"archive", lambda: None)):
        with pytest.raises(Failed, match="no https URL"):
            ask()
    assert all(server.asked == [] for server in servers)


def test_odd_answers(api: Api, servers: tuple[Server, ...]) -> None:
    random_ = random.Random(SEED)
    good = {"data": [{"id": "x", "type": "y", "attributes": {"name": "z"}}], "errors": [{"detail": "d", "title": "t"}]}
    bodies = [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b"null", b"[]", b"7", b'{"data": 7}', b'{"errors": [null]}']
    bodies += [json.dumps(each).encode() for each in ODD]
    bodies += [json.dumps(mutated(good, random_)).encode() for _ in range(40)]
    for body in bodies:
        status = random_.choice([200, 201, 204, 400, 401, 404, 409, 422, 429, 500])
        content = b"" if status == 204 else body
        headers = {"Retry_After": random_.choice(["nan", "inf", "-1", "x", "0.01"])} if status == 429 else {}
        servers[0].answer = lambda handler, c=content, s=status, h=headers: handler.say(c, s, **h)  # type: ignore[misc]
        for way in WAYS:
            with contextlib.suppress(Failed), api.reading():
                ways(api)[way]()


def test_no_library_logs_what_is_secret(
    servers: tuple[Server, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYTFE_LOG", "debug")
    monkeypatch.setenv("PYTFE_LOG_HTTPX", "1")
    with pytest.warns(UserWarning, match="PYTFE_LOG has no effect"):
        api = Api(f"localhost:{servers[0].server_address[1]}", TOKEN, RetryPolicy(pauses=()))
    logging.getLogger().setLevel(logging.DEBUG)
    servers[0].answer = lambda handler: handler.say(b'{"data": {"id": "a-secret-value"}}')
    api.patch("vars/x", {"data": {"value": "a-secret-value"}})
    api.text(f"https://{api.hostname}/a-signed-url")
    logging.getLogger().setLevel(logging.WARNING)
    assert not {"a-secret-value", "a-signed-url", TOKEN} & set(caplog.text.replace("/", " ").split())
    assert "a-secret-value" not in caplog.text
    assert "a-signed-url" not in caplog.text


def test_odd_settings_of_pytfe_do_not_matter(servers: tuple[Server, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TFE_TIMEOUT", "soon"), ("TFE_MAX_RETRIES", "1e3"), ("TFE_ADDRESS", "nonsense")):
        monkeypatch.setenv(name, value)
    servers[0].answer = lambda handler: handler.say(b'{"data": {"id": "x"}}')
    assert Api(f"localhost:{servers[0].server_address[1]}", TOKEN, RetryPolicy()).get("x")["data"] == {"id": "x"}
