"""Fixtures: agents' environments, certificates and emulators."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.certificates import Certificates
from e2e.world import Deploy, deployer
from environments import environment
from support import PROJECT, Applied

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def agents_python() -> Callable[[str], Path]:
    """The Python of an agents' image for a cloud: Airflow and agent/requirements-<cloud>.txt."""
    airflow = HERE / "requirements-airflow.txt"
    return lambda cloud: (
        environment(airflow, PROJECT / "agent" / f"requirements-{cloud}.txt", name=f"agent-{cloud}") / "python"
    )


@pytest.fixture(scope="session")
def emulators() -> Path:
    """The commands of the emulators that are written in Python."""
    return environment(HERE / "requirements-emulators.txt", name="emulators")


@pytest.fixture(scope="session")
def deploy(stacks: dict[str, Path], applied: Applied, helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """Applies a deployment with real Terraform core, and renders its release with real Helm."""
    return deployer(stacks, applied, helm, tmp_path_factory.mktemp("values"))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def moto(emulators: Path) -> Iterator[int]:
    """The port of an S3 and STS emulator."""
    port = free_port()
    server = subprocess.Popen(
        [emulators / "moto_server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(port, server)
    yield port
    server.kill()
    server.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def wait_for(port: int, server: "subprocess.Popen[bytes]", seconds: float = 60) -> None:
    """Until something answers on the port."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{server.args!r} does not answer (exit code {server.poll()})")
