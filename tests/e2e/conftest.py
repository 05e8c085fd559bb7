"""Fixtures: agents' environments, certificates and emulators."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from e2e.agents import Airflow
from e2e.aws import Aws, OpenAws, opened
from e2e.azure import Azure, OpenAzure
from e2e.azure import opened as opened_on_azure
from e2e.certificates import Certificates
from e2e.gcp import Gcp, OpenGcp
from e2e.gcp import opened as opened_on_gcp
from e2e.ports import free_port, wait_for
from e2e.world import Deploy, deployer
from environments import NODE, environment, node_environment
from support import PROJECT, Applied

HERE = Path(__file__).parent
IMPORTED = {"aws": ["s3fs"], "azure": ["adlfs"], "gcp": []}  # gcsfs and google.auth look at the environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that none is waited for at the end."""
    items.sort(key=lambda item: item.path.name != "test_dag.py")


@pytest.fixture(scope="session")
def agents_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The Python of an agents' image for a cloud: Airflow and agent/requirements-<cloud>.txt, as locked.

    With the variable AGENT_AIRFLOW they are not as locked, but today's newest with that Airflow: a requirement such as
    `apache-airflow==3.3.*`, or a file of requirements such as airflow-3.2.in.
    """
    other = os.environ.get("AGENT_AIRFLOW")

    def python(cloud: str) -> Path:
        files = [HERE / "locks" / f"agent-{cloud}.txt"]
        if other:
            wanted = tmp_path_factory.getbasetemp() / "airflow.txt"
            text = Path(other).read_text() if Path(other).is_file() else f"{other}\n"
            wanted.write_text(f"{text}# {date.today()}\n")  # else an environment of last week would be used again
            files = [wanted, PROJECT / "agent" / f"requirements-{cloud}.txt"]
        return environment(*files, name=f"agent-{cloud}") / "python"

    return python


@pytest.fixture(scope="session")
def airflow(agents_python: Callable[[str], Path], certificates: Certificates) -> Iterator[Callable[[str], Airflow]]:
    """The Airflow of an agents' image for a cloud."""
    with ExitStack() as stack:

        @cache
        def imported(cloud: str) -> Airflow:
            home = Path(stack.enter_context(TemporaryDirectory(prefix=f"airflow-{cloud}-")))
            env = {"SSL_CERT_FILE": str(certificates.ca)}
            return stack.enter_context(Airflow(agents_python(cloud), home, env, IMPORTED[cloud]))

        yield imported


@pytest.fixture(scope="session")
def emulators() -> Path:
    """The commands of the emulators that are written in Python."""
    return environment(HERE / "locks" / "emulators.txt", name="emulators")


@pytest.fixture(scope="session")
def stacks(stacks: dict[str, Path], readme_stacks: dict[str, Path]) -> dict[str, Path]:
    """As elsewhere, and README's on AWS, whose bucket has no key of its own."""
    return {**stacks, "aws-readme": readme_stacks["aws-example"]}


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


@pytest.fixture
def open_aws(
    deploy: Deploy, moto: int, certificates: Certificates, airflow: Callable[[str], Airflow], tmp_path: Path
) -> OpenAws:
    """Opens a deployment on AWS by its name."""
    return partial(opened, deploy=deploy, moto=moto, certificates=certificates, airflow=airflow("aws"), folder=tmp_path)


@pytest.fixture
def aws(open_aws: OpenAws) -> Iterator[Aws]:
    """The example's deployment on AWS."""
    with open_aws("aws-example") as world:
        yield world


@pytest.fixture(scope="session")
def gcs(emulators: Path) -> Iterator[int]:
    """The port of an emulator of Cloud Storage."""
    port = free_port()
    options = ["--in-memory", "--quiet", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [emulators / "gcp-storage-emulator", "start", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(port, server)
    yield port
    server.kill()
    server.wait()


@pytest.fixture(scope="session")
def azurite(certificates: Certificates) -> Iterator[Callable[[str], int]]:
    """Starts an emulator of Blob Storage that has one storage account, by the account's name; its port."""
    program = node_environment(HERE / "azurite", name="azurite") / "azurite" / "dist" / "src" / "blob" / "main.js"
    servers: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}

    def start(account: str) -> int:
        if account not in servers:
            port = free_port()
            tls = ["--cert", str(certificates.server), "--key", str(certificates.server_key), "--oauth", "basic"]
            options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
            servers[account] = (
                port,
                subprocess.Popen(
                    [NODE, program, "--blobPort", str(port), *tls, *options],
                    env={"AZURITE_ACCOUNTS": f"{account}:bm8ga2V5"},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                ),
            )
            wait_for(port, servers[account][1])
        return servers[account][0]

    yield start
    for _, server in servers.values():
        server.kill()
        server.wait()


@pytest.fixture
def open_azure(
    deploy: Deploy,
    azurite: Callable[[str], int],
    certificates: Certificates,
    airflow: Callable[[str], Airflow],
    tmp_path: Path,
) -> OpenAzure:
    """Opens a deployment on Azure by its name."""
    return partial(
        opened_on_azure,
        deploy=deploy,
        azurite=azurite,
        certificates=certificates,
        airflow=airflow("azure"),
        folder=tmp_path,
    )


@pytest.fixture
def azure(open_azure: OpenAzure) -> Iterator[Azure]:
    """The example's deployment on Azure."""
    with open_azure("azure-example") as world:
        yield world


@pytest.fixture
def open_gcp(
    deploy: Deploy, gcs: int, certificates: Certificates, airflow: Callable[[str], Airflow], tmp_path: Path
) -> OpenGcp:
    """Opens a deployment on Google Cloud by its name."""
    return partial(
        opened_on_gcp, deploy=deploy, gcs=gcs, certificates=certificates, airflow=airflow("gcp"), folder=tmp_path
    )


@pytest.fixture
def gcp(open_gcp: OpenGcp) -> Iterator[Gcp]:
    """The example's deployment on Google Cloud."""
    with open_gcp("gcp-example") as world:
        yield world
