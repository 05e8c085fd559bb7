"""Fixtures that find real Terraform, real Helm and the offline providers."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from cdktf import Testing

from cluster.control_plane import Cluster, ControlPlane, built, go
from once import made_once
from support import EXAMPLE, GOLDEN, PROJECT, TERRAFORM, Applied, synth_file

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell in the background ignores Ctrl-C for what it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("DEPLOYMENTS", None)  # of whoever runs `make test`
Testing.__test__ = False  # else pytest looks for tests in it, once a module, through jsii

make_command = functools.cache(lambda app, _, make=typer.main.get_command: make(app))
# Each run would make the command anew, with all that it holds.
typer.main.get_command = lambda app: make_command(app, len(app.registered_commands))  # type: ignore[assignment]

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
    if shutil.which(TERRAFORM) is None:
        missing(f"the {TERRAFORM} command")
    return SHARED


@pytest.fixture(scope="session")
def helm(shared: Path) -> Path:
    """A real Helm."""
    fetched = subprocess.run([sys.executable, shared / "tools" / "fetch-helm"], capture_output=True, text=True)
    if fetched.returncode:
        missing(f"Helm ({fetched.stderr.strip()})")
    return Path(fetched.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the whole test session, the same in each of its processes."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def stacks(session_folder: Path) -> dict[str, Path]:
    """The folder of every stack of the example and of tests/golden."""
    files = [EXAMPLE / "deployments.yaml", *sorted(GOLDEN.glob("*/deployments.yaml"))]

    def make(out: Path) -> None:
        out.mkdir()
        for n, file in enumerate(files):
            synth_file(file, out / str(n))

    return {stack.name: stack for stack in sorted(made_once(session_folder / "stacks", make).glob("*/stacks/*"))}


@pytest.fixture(scope="session")
def readme_stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The stacks of README's deployments, which have nothing but what each cloud needs."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(EXAMPLE / "examples")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", (PROJECT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (folder / "deployments.yaml").write_text(block)
    return synth_file(folder / "deployments.yaml", folder / "out")


@pytest.fixture(scope="session")
def applied(shared: Path, session_folder: Path) -> Applied:
    """Applies stacks with real Terraform core, each once per test session."""
    return Applied(shared, session_folder / "applied")


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with a controller manager, on this machine."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("needs a control plane of our own, to run pods as processes: without KUBECONFIG")
    if go() is None:
        missing("Go, to build a control plane, or a cluster by KUBECONFIG")
    with ControlPlane(built(), tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The cluster: that of KUBECONFIG, or a control plane of our own."""
    if given := os.environ.get("KUBECONFIG"):
        if shutil.which("kubectl") is None:
            missing("the kubectl command, for the cluster of KUBECONFIG")
        return Cluster(Path(given), os.environ["PATH"])
    own: ControlPlane = request.getfixturevalue("control_plane")
    return own.cluster
