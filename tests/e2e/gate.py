"""A reverse proxy in front of an emulator that lets through only what a policy allows.

Emulators grant everything to everybody. The gate asks `decide` about each request, and remembers every answer.
"""

import http.client
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from e2e.certificates import Certificates

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-authorization"}


@dataclass(frozen=True)
class Request:
    """A request of an agent, as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    tls: str | None
    """Version, such as TLSv1.3; None for plain http."""

    @property
    def url(self) -> SplitResult:
        return urlsplit(self.target)

    @property
    def path(self) -> str:
        return unquote(self.url.path)

    @property
    def query(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(self.url.query, keep_blank_values=True).items()}


@dataclass(frozen=True)
class Answer:
    """A response of the gate's own, or of the emulator."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Forward = Callable[[Request], Answer]
Decide = Callable[[Request, Forward], Answer]


class Gate:
    """Serves on loopback while it is open: `with Gate(...) as gate`."""

    def __init__(
        self, upstream: int, decide: Decide, certificates: Certificates | None, *, upstream_tls: bool = False
    ) -> None:
        self._upstream, self.decide = upstream, decide
        self._connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if certificates and upstream_tls:
            context = ssl.create_default_context(cafile=str(certificates.ca))
            self._connect = partial(http.client.HTTPSConnection, context=context)
        self.requests: list[str] = []
        """`PUT /bucket/key 403`, in order."""
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                gate._serve(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _serve  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._tls = certificates is not None
        if certificates:
            self._server.socket = certificates.server_context().wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> "Gate":
        # Asked often whether it is to stop, since that is waited for.
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        request = Request(
            method=handler.command,
            target=handler.path,
            headers={key.lower(): value for key, value in handler.headers.items()},
            body=_body(handler),
            tls=handler.connection.version() if self._tls else None,
        )
        answer = self.decide(request, self._forward)
        self.requests.append(f"{request.method} {request.target} {answer.status}")
        handler.send_response(answer.status)
        for key, value in answer.headers.items():
            if key.lower() not in HOP_BY_HOP | {"content-length", "date", "server"}:
                handler.send_header(key, value)
        lengths = [value for key, value in answer.headers.items() if key.lower() == "content-length"]
        length = next(iter(lengths), "0") if request.method == "HEAD" else str(len(answer.body))
        if answer.status != 204:
            handler.send_header("Content-Length", length)
        handler.end_headers()
        if request.method != "HEAD":
            handler.wfile.write(answer.body)

    def _forward(self, request: Request) -> Answer:
        connection = self._connect("127.0.0.1", self._upstream, timeout=60)
        kept = {key: value for key, value in request.headers.items() if key not in HOP_BY_HOP}
        kept.pop("expect", None)
        kept["content-length"] = str(len(request.body))
        connection.request(request.method, request.target, body=request.body or None, headers=kept)
        response = connection.getresponse()
        answer = Answer(response.status, response.read(), dict(response.getheaders()))
        connection.close()
        return answer


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    chunks = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        chunks.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(chunks)
