"""Python environments for tools whose requirements do not go together with the project's."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "astro-xcom"


def environment(*requirements: Path, name: str) -> Path:
    """The bin folder of a virtual environment with the requirements of these files, made on first use and then kept.

    Another environment is made when a file or this Python changes. Whoever calls at the same time waits for the first
    one. Raises RuntimeError with pip's message when they cannot be installed.
    """
    python = f"{platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}"
    key = hashlib.sha256(python.encode() + b"".join(file.read_bytes() for file in requirements)).hexdigest()[:16]
    folder = CACHE / f"{name}-{key}"
    ready = folder / "ready"  # made last: a folder without it was left half done
    CACHE.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed, by the end of the process at the latest
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            # Not made elsewhere and renamed: the scripts of an environment hold its path.
            _run(sys.executable, "-m", "venv", str(folder))
            wanted = [f"--requirement={file}" for file in requirements]
            _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *wanted)
            ready.touch()
    return folder / "bin"


def _run(*command: str) -> None:
    quiet = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
