"""What is handed over, with real Terraform core and providers that echo."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from hcp.conftest import Command
from hcp.service import Service
from support import TERRAFORM, run_standin

pytestmark = pytest.mark.terraform
OVERRIDE = {"terraform": {"backend": {"local": {"path": "offline.tfstate"}}}}
STACKS = ("aws-example", "azure-example", "gcp-example")


@pytest.fixture
def mirror(shared: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the providers; Terraform of this test installs from there."""
    files = exported.glob("stacks/*/cdk.tf.json")
    done = subprocess.run([sys.executable, shared / "standin" / "setup", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    config = Path(done.stdout.splitlines()[-1])
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(config))
    monkeypatch.setenv("CHECKPOINT_DISABLE", "1")
    return config.parent / "mirror"


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [TERRAFORM, *arguments, "-no-color"]
    return subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True)


def unpack(packed: bytes, folder: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def test_what_the_service_received_passes_terraform(
    command: Command, service: Service, exported: Path, shared: Path, tmp_path: Path
) -> None:
    service.story = [{"status": "planned_and_finished", "has-changes": False}]
    service.plan = {"status": "finished"}
    assert command("push", "aws-example", "--from", exported).code == 0
    (received,) = service.archives.values()
    run_standin(shared, unpack(received, tmp_path / "stack"), tmp_path / "out")


@pytest.mark.parametrize("stack", STACKS)
def test_every_bundle_passes_terraform(
    stack: str, command: Command, exported: Path, shared: Path, tmp_path: Path
) -> None:
    command("bundle", stack, "--from", exported, "-o", tmp_path / "x.tar.gz")
    run_standin(shared, unpack((tmp_path / "x.tar.gz").read_bytes(), tmp_path / "stack"), tmp_path / "out")


def test_a_cloud_block_can_be_planned_offline_with_an_override(
    exported: Path, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (exported / "stacks" / "aws-example" / "cdk.tf.json").read_text()
    assert "cloud" in json.loads(text)["terraform"]
    (tmp_path / "cdk.tf.json").write_text(text)
    refused = terraform(tmp_path, "init", "-input=false")
    assert refused.returncode != 0, "the cloud block alone needs its host"
    (tmp_path / "backend_override.tf.json").write_text(json.dumps(OVERRIDE))
    for arguments in (("init", "-input=false"), ("validate",), ("plan", "-input=false")):
        done = terraform(tmp_path, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "to add, 0 to change, 0 to destroy" in done.stdout


def test_checksums_are_made_kept_and_enough_for_terraform(
    command: Command, exported: Path, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CLI_ARGS_providers_lock", f"-fs-mirror={mirror}")
    folder = tmp_path / "terraform"
    said = command("export", folder, "--from", exported, "--lock")
    assert said.code == 0, said.err
    locks = {stack: folder / "stacks" / stack / ".terraform.lock.hcl" for stack in STACKS}
    assert 'hashicorp/aws"' in locks["aws-example"].read_text()
    assert command("export", folder, "--from", exported, "--check", "--lock").code == 0
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", "no-such-terraform")
    assert command("export", folder, "--from", exported, "--lock").out.endswith("up to date\n"), "they are kept"

    command("bundle", "gcp-example", "--from", folder, "-o", tmp_path / "x.tar.gz")
    unpacked = unpack((tmp_path / "x.tar.gz").read_bytes(), tmp_path / "unpacked")
    done = terraform(unpacked, "init", "-input=false", "-lockfile=readonly")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_registry_that_cannot_be_reached_is_named(
    command: Command, exported: Path, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CLI_ARGS_providers_lock", "-net-mirror=https://localhost:1/")
    said = command("export", tmp_path / "out", "--from", exported)
    assert said.code == 0
    assert "no checksums of the providers: .terraform.lock.hcl is left out" in said.err
    assert "providers lock -platform=linux_amd64 failed: Could not retrieve providers for locking" in said.err
    assert "connection refused" in said.err
    assert len(list((tmp_path / "out").rglob("*.*"))) == 3
