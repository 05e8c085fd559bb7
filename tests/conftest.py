"""Fixtures that find real Terraform, real Helm and the offline providers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import GOLDEN, PROJECT, Applied, run_standin, synth_file

SHARED = PROJECT.parent / "shared"


def missing(what: str) -> None:
    """In CI a missing tool is a failure; elsewhere a skip with its reason."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the offline providers and the tool that fetches Helm."""
    if not (SHARED / "standin" / "run").exists():
        missing("the offline Terraform providers (a folder ../shared/standin beside the project)")
    if shutil.which("terraform") is None:
        missing("the terraform command")
    return SHARED


@pytest.fixture(scope="session")
def helm(shared: Path) -> Path:
    """A real Helm."""
    fetched = subprocess.run([sys.executable, shared / "tools" / "fetch-helm"], capture_output=True, text=True)
    if fetched.returncode:
        missing(f"Helm ({fetched.stderr.strip()})")
    return Path(fetched.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of every stack of the example and of tests/golden."""
    out = tmp_path_factory.mktemp("stacks")
    files = [PROJECT / "deployments.yaml", *sorted(GOLDEN.glob("*/deployments.yaml"))]
    return {name: folder for n, file in enumerate(files) for name, folder in synth_file(file, out / str(n)).items()}


@pytest.fixture(scope="session")
def applied(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> "Applied":
    """Applies stacks with real Terraform core, each once per test session."""
    return Applied(lambda stack: run_standin(shared, stack, tmp_path_factory.mktemp(stack.name)))
