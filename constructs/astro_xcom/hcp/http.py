"""The HTTP client: https alone, bounded in bytes and time, and silent about what it sends."""

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from astro_xcom.errors import SettingError
from astro_xcom.files import LARGEST

if TYPE_CHECKING:
    import httpx

Found = TypeVar("Found")
LARGEST_COMPRESSED = 2**18
"""Bytes of an answer that comes compressed although that is not asked for: it may become a thousand times as large."""


class Failed(Exception):
    """The server said no, or nothing for too long. Reads as a sentence and never holds the token."""

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class TooSlow(Exception):
    """No whole answer in time."""


def client(hostname: str, token: str, seconds: float) -> Any:
    """A client of pytfe for one host. Raises SettingError, with the variable, where the environment is in its way."""
    verify = os.environ.get("TFE_VERIFY_TLS", "")
    if verify.lower() in ("0", "false", "no"):
        hint = "to unset it; SSL_CERT_FILE names the certificates of an authority of your own"
        raise SettingError("TFE_VERIFY_TLS would send the token to any server that answers", got=verify, hint=hint)
    with _without_settings_of_pytfe():
        from pytfe import TFEClient, TFEConfig

        try:
            # No retries by pytfe: it repeats whatever got no answer, which would make a second run, and gives up on
            # 500. No ca_bundle: httpx heeds SSL_CERT_FILE by itself.
            made = TFEClient(
                TFEConfig(
                    address=f"https://{hostname}",
                    token=token,
                    timeout=seconds,
                    verify_tls=True,
                    max_retries=0,
                    ca_bundle=None,
                )
            )
        except (ImportError, OSError, ValueError, TypeError) as error:
            raise SettingError(_why(error)) from error
    http = made.runs.t._sync
    http.headers["Accept-Encoding"] = "identity"
    http.event_hooks = {"request": [_check_request], "response": [_check_response]}
    return made


def within(seconds: float, do: Callable[[], Found]) -> Found:
    """What `do` returns. Raises TooSlow when it takes longer, as where a server sends a byte a second."""
    found: list[Found] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.append(do())
        except BaseException as error:  # raised where it is waited for
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TooSlow(f"no whole answer within {seconds:.0f} seconds")
    return found[0]


def check_url(url: object, what: str) -> str:
    """A URL that the server named. What is sent or read there is secret, so it must be https."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        good = parts is not None and parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good:
        raise Failed(f"{what}: the server named a place that is no https URL")
    return str(url)


@contextmanager
def _without_settings_of_pytfe() -> Iterator[None]:
    """It reads variables as it is imported, fails on odd ones, and logs secrets when it is told to log."""
    names = [name for name in os.environ if name.startswith(("TFE_", "PYTFE_"))]
    if os.environ.get("PYTFE_LOG"):
        warnings.warn("PYTFE_LOG has no effect here: it would print secrets", stacklevel=3)
    kept = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(kept)
        for name in ("pytfe", "httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)


def _why(error: Exception) -> str:
    text = str(error)
    proxies = [name for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy") if os.environ.get(name)]
    if proxies and (isinstance(error, ImportError) or "proxy" in text.lower() or isinstance(error, ValueError)):
        return f"{proxies[0]}: cannot be used: only proxies of http:// and https:// can; try to unset it, or NO_PROXY"
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if os.environ.get(name) and isinstance(error, OSError):
            return f"{name}: {os.environ[name]}: holds no certificates that can be read; try to unset it"
    return f"cannot connect: {text}"


def _check_request(request: "httpx.Request") -> None:
    if request.url.scheme != "https":
        raise Failed(f"{request.url.host}: is not asked over plain http")


def _check_response(response: "httpx.Response") -> None:
    if response.has_redirect_location and response.request.method != "GET":
        raise Failed(f"{response.request.url.host} sends elsewhere what is meant for it, which is not followed")
    compressed = response.headers.get("Content-Encoding", "identity") != "identity"
    response.stream = _bounded(response.stream, LARGEST_COMPRESSED if compressed else LARGEST)


def _bounded(stream: Any, largest: int) -> Any:
    import httpx

    class Bounded(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for part in stream:
                size += len(part)
                if size > largest:
                    raise Failed(f"an answer has more than {largest:,} bytes")
                yield part

        def close(self) -> None:
            stream.close()

    return Bounded()
