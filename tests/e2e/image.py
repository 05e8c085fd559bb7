"""The Dockerfiles of the agents' image: what they run after the installation."""

import re
import subprocess
from pathlib import Path

from support import PROJECT


def checks(cloud: str) -> list[str]:
    """The programs that a build runs with `python -c`."""
    return re.findall(r'^RUN python -c "(.*)"$', (PROJECT / "agent" / f"{cloud}.Dockerfile").read_text(), re.MULTILINE)


def run(python: Path, program: str) -> None:
    """Run one of them."""
    done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
