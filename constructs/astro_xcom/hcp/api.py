"""HCP Terraform's API: one request at a time, repeated where that is safe."""

import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from astro_xcom.errors import SettingError
from astro_xcom.files import LARGEST
from astro_xcom.hcp.http import Failed, TooSlow, check_url, client, within
from astro_xcom.json_files import OTHER_SHAPE, parse_json

__all__ = ["PATIENCE", "Api", "Failed", "Json", "RetryPolicy"]

Json = dict[str, Any]
LEAST_SECONDS = 10
LONGEST_TEXT = 500
"""Of what a server says that is repeated."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How long things may take, in seconds."""

    request: float = 30
    """One request: to connect, and between two parts of the answer."""
    answer: float = 60
    """One whole request."""
    pauses: tuple[float, ...] = (1, 2, 4, 8, 15, 30)
    """Between the attempts of one request."""
    longest_pause: float = 60
    """What is taken of a pause that the server asks for."""
    polls: tuple[float, ...] = (1, 2, 3, 5)
    """Between two looks at an upload or a run; the last one stays."""
    upload: float = 300
    """Until HCP Terraform has unpacked an upload."""


PATIENCE = RetryPolicy()


class _Throttled(Exception):
    """The server did nothing, because it is asked too often."""

    def __init__(self, pause: float | None) -> None:
        super().__init__("it is asked too often (429)")
        self.pause = pause


class _OutcomeUnknown(Exception):
    """The server may have done what it was asked, or not."""


class Api:
    """JSON:API over https with the token of one host."""

    def __init__(self, hostname: str, token: str, patience: RetryPolicy) -> None:
        self.hostname, self.patience, self._token = hostname, patience, token
        self.asked = ""
        """The last request."""
        self.until = math.inf
        """When nothing is asked once more, on the clock of time.monotonic."""
        self._client = client(hostname, token, patience.request)

    def get(self, path: str, **params: str) -> Json:
        """Read a document."""
        return self._attempts(lambda: self._request("GET", path, params=params))

    def patch(self, path: str, document: Json) -> Json:
        """Set something to a given value."""
        return self._attempts(lambda: self._request("PATCH", path, json_body=document))

    def make(self, path: str, document: Json, find: Callable[[], Json | None]) -> Json:
        """Make something, once: when the answer got lost, `find` looks for it before it is asked for again.

        Returns the resource itself.
        """

        def attempt() -> Json:
            try:
                made: Json = self._request("POST", path, json_body=document)["data"]
                return made
            except Failed as error:
                found = find() if error.status in (409, 422) else None  # somebody else was quicker
                if found is None:
                    raise
                return found

        return self._attempts(attempt, find)

    def upload(self, url: str, content: bytes, find: Callable[[], Json | None]) -> None:
        """Put content at a URL that the server named. That URL is a secret too, and in no message."""
        from pytfe.errors import AuthError, NotFound, TFEError

        def attempt() -> Json:
            self.asked = "PUT of the upload"
            upload = self._client.configuration_versions.upload_tar_gzip
            try:
                within(self.patience.upload, lambda: [upload(check_url(url, self.asked), io.BytesIO(content))])
            except (AuthError, NotFound) as error:
                raise Failed(self._clean(str(error), url)) from None
            except TFEError as error:
                if isinstance(error.__cause__, Failed):
                    raise Failed(f"{self.asked}: {error.__cause__}") from None
                raise _OutcomeUnknown(self._clean(str(error), url)) from None
            except TooSlow as error:
                raise _OutcomeUnknown(str(error)) from None
            return {}

        self._attempts(attempt, find)

    def act(self, path: str, done: Callable[[], bool]) -> None:
        """Ask for something that has no answer, once: when the response got lost, `done` says whether it happened."""

        def attempt() -> Json:
            try:
                self._response("POST", path, json_body={})
            except Failed:
                if not done():
                    raise
            return {}

        self._attempts(attempt, lambda: {} if done() else None)

    def json_plan(self, run: str) -> str | None:
        """The plan of a run as `terraform show -json` gives it; None as long as it is not written."""
        found = []

        def attempt() -> Json:
            found.append(self._response("GET", f"runs/{run}/plan/json-output", redirects=True))
            return {}

        self._attempts(attempt)
        response = found[-1]
        if response.is_redirect:
            return self.text(response.headers["Location"])
        return str(response.text) if response.status_code == 200 else None

    def text(self, url: str) -> str:
        """What stands at a URL that the server named. One attempt; the token is not sent there."""
        import httpx

        self.asked = "GET of a file"
        check_url(url, self.asked)

        def read() -> bytes:
            content = b""
            with self._client.runs.t._sync.stream("GET", url, follow_redirects=True) as response:
                if not response.is_success:
                    raise Failed(f"{self.asked}: HTTP {response.status_code}")
                for part in response.iter_bytes():
                    content += part
                    if len(content) > LARGEST:
                        raise Failed(f"{self.asked}: it has more than {LARGEST:,} bytes")
            return content

        try:
            return within(self._seconds(), read).decode(errors="replace")
        except (httpx.HTTPError, httpx.InvalidURL, TooSlow) as error:
            raise Failed(f"{self.asked}: {self._clean(str(error), url)}") from None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read an answer: if it has not the documented form, Failed says which answer it is."""
        try:
            yield
        except SettingError:  # a ValueError too
            raise
        except OTHER_SHAPE as error:
            problem = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            text = f"{self.asked}: the answer of {self.hostname} was not understood: {self._clean(problem)}"
            raise Failed(text) from error

    def _attempts(self, attempt: Callable[[], Json], find: Callable[[], Json | None] = lambda: None) -> Json:
        pauses = iter(self.patience.pauses)
        while True:
            pause = next(pauses, None)
            try:
                return attempt()
            except _Throttled as error:
                problem: Exception = error
                if pause is not None:
                    time.sleep(max(pause, min(error.pause or 0, self.patience.longest_pause)))
            except _OutcomeUnknown as error:
                problem = error
                if pause is not None:
                    time.sleep(pause)
                found = find()
                if found is not None:
                    return found
            if time.monotonic() > self.until:
                raise Failed(f"{self.hostname} did not do it in time: {problem}")
            if pause is None:
                times = len(self.patience.pauses) + 1
                raise Failed(f"{self.hostname} did not do it in {times} attempts: {problem}")

    def _request(self, method: str, path: str, **options: Any) -> Json:
        """One attempt, with a document of JSON:API as its answer."""
        try:
            document = parse_json(self._response(method, path, **options).content)
        except ValueError:
            document = None
        found = document.get("data") if isinstance(document, dict) else None
        if not all(_is_resource(one) for one in (found if isinstance(found, list) else [found])):
            raise Failed(
                f"{self.asked}: {self.hostname} answered with something else than JSON:API: is it HCP Terraform?"
            )
        answered: Json = document
        return answered

    def _seconds(self) -> float:
        """How long one request may take: as long as there is time, and some seconds in any case."""
        return min(self.patience.answer, max(LEAST_SECONDS, self.until - time.monotonic()))

    def _response(self, method: str, path: str, *, redirects: bool = False, **options: Any) -> Any:
        """One attempt, through pytfe's transport: its models refuse states of runs that they do not know."""
        from pytfe.errors import RateLimited, ServerError, TFEError

        self.asked = f"{method} {path}"
        try:
            ask = self._client.runs.t.request
            response = within(self._seconds(), lambda: ask(method, f"/api/v2/{path}", allow_redirects=False, **options))
        except RateLimited as error:
            raise _Throttled(error.retry_after) from None
        except ServerError as error:
            raise _OutcomeUnknown(f"{method} {path}: {self._clean(str(error))}") from None
        except TFEError as error:
            text = f"{method} {path}: {self._clean(str(error))}{HINTS.get(error.status or 0, '')}"
            raise Failed(text, status=error.status) from None
        except TooSlow as error:
            raise _OutcomeUnknown(f"{method} {path}: {error}") from None
        if response.is_redirect and not redirects:
            elsewhere = urlsplit(response.headers["Location"]).hostname or self.hostname
            raise Failed(f"{method} {path}: {self.hostname} sends to {elsewhere}: is it HCP Terraform?")
        return response

    def _clean(self, text: str, *secrets: str) -> str:
        for secret in (self._token, *secrets):
            text = text.replace(secret, "***")
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} ..."


def _is_resource(found: object) -> bool:
    """Whether it has an id, as every resource of JSON:API."""
    return isinstance(found, dict) and isinstance(found.get("id"), str)


HINTS = {
    401: " (401: the token is not valid there, or no longer)",
    403: " (403: the token may not do this)",
    404: " (404: it does not exist, or the token may not see it; runs need the token of a user or a team)",
}
