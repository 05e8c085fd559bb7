"""Runs the user's own commands: no shell, no questions, a time limit for each."""

import json
import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from typing import Any

LONGEST = 300
# No pager, no question, no colour, no look for newer versions.
QUIET = {"AWS_PAGER": "", "CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "NO_COLOR": "1", "CHECKPOINT_DISABLE": "1"}
DENIED = re.compile(
    r"AccessDenied|UnauthorizedOperation|not authorized|AuthorizationFailed|ForbiddenBy|Forbidden\b"
    r"|PERMISSION_DENIED|does not have (permission|[a-z.]+ access)",
    re.IGNORECASE,
)
"""What says that a thing may be there, and that who asks may not see it."""


class Unanswered(Exception):
    """Why a command gave no answer, in words."""


class Absent(Unanswered):
    """There is no such command."""


class Failed(Unanswered):
    """The command ended with an error; `said` is what it wrote, on one line."""

    def __init__(self, command: str, said: str) -> None:
        self.said = said
        failed = "may not tell with the rights of your login" if DENIED.search(said) else "failed"
        super().__init__(f"{command} {failed}: {shortened(said)}" if said else f"{command} failed without a word")


class Commands:
    """The commands on PATH, each with `seconds` to answer in."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def there(self, command: str) -> bool:
        """Whether there is such a command."""
        return shutil.which(command) is not None

    def text(self, command: str, *arguments: str) -> str:
        """What it writes to stdout. Raises Unanswered."""
        program = shutil.which(command)
        if program is None:
            raise Absent(f"there is no command {printable(command)}")
        try:
            running = subprocess.Popen(  # noqa: S603 - one of the user's own
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **QUIET},
                start_new_session=True,  # so that what it starts ends with it, and nothing asks on the terminal
            )
        except (OSError, ValueError) as error:
            raise Unanswered(f"{command} cannot be run: {error}") from None
        try:
            out, err = running.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            _end(running)
            raise Unanswered(f"{command} gave no answer within {self._seconds:g} seconds") from None
        except BaseException:
            _end(running)
            raise
        if running.returncode:
            raise Failed(command, _words(err.decode(errors="replace"), out.decode(errors="replace")))
        return out.decode(errors="replace")

    def json(self, command: str, *arguments: str) -> Any:
        """The same, read as JSON."""
        text = self.text(command, *arguments)
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise Unanswered(f"{command} answered what is no JSON: {shortened(printable(text))}") from None


def _end(running: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        os.killpg(running.pid, signal.SIGKILL) if hasattr(os, "killpg") else running.kill()
    with suppress(subprocess.TimeoutExpired):
        running.communicate(timeout=1)


def _words(err: str, out: str) -> str:
    """What a command says of its failure, without the log lines of Kubernetes' libraries in front of it."""
    plain = re.sub(r"^[EWI][0-9]{4} .*$", "", err, flags=re.MULTILINE)
    return printable(plain) or printable(err) or printable(out)


def printable(text: str) -> str:
    """Somebody else's text on one line, without what a terminal would obey."""
    plain = re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", text)).strip()
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in plain)


def shortened(text: str) -> str:
    """A long text without its end."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def at(document: Any, *path: str | int) -> Any:
    """What is there in a document; None where it has another shape."""
    for key in path:
        try:
            document = document[key]
        except (LookupError, TypeError):
            return None
    return document


def entries(document: Any, *path: str | int) -> list[Any]:
    """The list that is there; empty where there is none."""
    found = at(document, *path)
    return found if isinstance(found, list) else []
