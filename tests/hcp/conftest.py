"""The local service, and stacks to push to it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
import yaml

from astro_xcom.cli import app
from astro_xcom.hcp import api
from hcp.service import TOKEN, UPLOAD_SECRET, Server, Service
from support import EXAMPLE

QUICK = api.RetryPolicy(request=30, pauses=(0.01, 0.02, 0.03), polls=(0.01,), upload=5)


@dataclass(frozen=True)
class Said:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


class Command:
    """Runs `astro-xcom` with real arguments, and looks for secrets in all that it says."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str | Path) -> Said:
        self._monkeypatch.setattr("sys.argv", ["astro-xcom", *map(str, arguments)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.main()
        captured = self._capsys.readouterr()
        code, err = (
            (1, f"{captured.err}{ended.value.code}\n")
            if isinstance(ended.value.code, str)
            else (
                int(ended.value.code or 0),
                captured.err,
            )
        )
        assert TOKEN not in captured.out + err
        assert UPLOAD_SECRET not in captured.out + err
        assert "Traceback" not in captured.out + err
        return Said(code, captured.out, err)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(capsys, monkeypatch)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    authority = trustme.CA()
    place = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(place)
    os.environ["SSL_CERT_FILE"] = str(place)
    server = Server(authority)
    yield server
    server.shutdown()
    del os.environ["SSL_CERT_FILE"]


@pytest.fixture(scope="session")
def project(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose AWS deployment lives in a workspace of the service; the others name none."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "examples").symlink_to(EXAMPLE / "examples")
    content = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    aws = content["deployments"]["aws-example"]
    aws["cluster"]["authentication"] = "token"
    aws["state"] = {"hcp": {"organization": "acme", "project": "Data", "hostname": server.service.hostname}}
    (folder / "deployments.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="session")
def exported(project: Path) -> Path:
    """What export writes for that project, without checksums."""
    from astro_xcom.cli.export import export

    export(project / "terraform", file=project / "deployments.yaml", lock=False)
    return project / "terraform"


@pytest.fixture
def service(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Service:
    # Where the offline providers are installed already; another home would install them again, over the network.
    monkeypatch.setenv("TF_STANDIN_CACHE", os.environ.get("TF_STANDIN_CACHE", str(Path.home() / ".cache/tf-standin")))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith(("TF_TOKEN_", "TFE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TFE_TOKEN", TOKEN)
    monkeypatch.setenv("TFE_ADDRESS", f"https://{server.service.hostname}")
    monkeypatch.setattr(api, "PATIENCE", QUICK)
    return server.renew()
