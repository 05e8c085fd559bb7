"""A project to run commands in as processes, and to look at afterwards."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support import EXAMPLE, PROJECT

COMMAND = "from astro_xcom.cli.app import main; main()"
LONGEST_SECONDS = 400


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a process left behind."""

    code: int
    out: str
    err: str
    seconds: float


def project(folder: Path) -> Path:
    """The example, with what a synthesis wrote."""
    shutil.copy(PROJECT / "main.py", folder)
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    return folder


def run(folder: Path, command: str, *, env: Mapping[str, str | None], before: str = "") -> Ended:
    """Run a shell command. `main.py` and `astro-xcom` stand for those of this project."""
    python = sys.executable
    command = command.replace("astro-xcom", f"{python} -c '{COMMAND}'").replace("main.py", f"{python} main.py")
    environment = {**os.environ, **{name: value for name, value in env.items() if value is not None}}
    for name, value in env.items():
        if value is None:
            environment.pop(name, None)
    started = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", f"{before}\n{command}"],
        cwd=folder,
        env={name: value.replace("@", str(folder)) for name, value in environment.items()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LONGEST_SECONDS,
    )
    return Ended(
        code=done.returncode,
        out=done.stdout.decode(errors="backslashreplace"),
        err=done.stderr.decode(errors="backslashreplace"),
        seconds=time.monotonic() - started,
    )


def contents(folder: Path) -> dict[str, str]:
    """Everything below a folder: the hashes of files, where links lead, and what else there is."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = (
            f"link to {path.readlink()}"
            if path.is_symlink()
            else "folder"
            if path.is_dir()
            else hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file()
            else "special"
        )
        found[str(path.relative_to(folder))] = kind
    return found
