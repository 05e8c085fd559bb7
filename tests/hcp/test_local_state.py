"""A deployment with a state on this machine is not pushed beside it."""

import shutil
from pathlib import Path

import pytest
import yaml

from hcp.conftest import Command, Said
from hcp.service import Service

GCP = "terraform.gcp-example.tfstate"


@pytest.fixture
def file(project: Path, tmp_path: Path) -> Path:
    """The project's deployments, free to change."""
    (tmp_path / "examples").symlink_to(project / "examples")
    return Path(shutil.copy(project / "deployments.yaml", tmp_path))


def push(command: Command, service: Service, file: Path, stack: str = "gcp-example") -> Said:
    options = ("--organization", "acme", "--hostname", service.hostname, "--no-wait")
    return command("push", stack, "-f", file, *options)


def keep(file: Path, state: object, stack: str = "gcp-example") -> None:
    content = yaml.safe_load(file.read_text())
    content["deployments"][stack]["state"] = state
    file.write_text(yaml.safe_dump(content))


def test_a_state_beside_the_deployments_is_refused(command: Command, service: Service, file: Path) -> None:
    (file.parent / GCP).write_text("{}")
    said = push(command, service, file)
    assert said.code == 1
    assert said.err == (
        f"deployments.yaml: gcp-example.state: {file.parent / GCP} is a state of this deployment; HCP Terraform does "
        "not see it, and would create everything again; try to move it first "
        '("Move a state" in docs/hcp-terraform.md), '
        "or to rename the file if that was done\n"
    )
    assert not service.asked


def test_a_state_that_was_not_moved_to_the_workspace_is_refused(command: Command, service: Service, file: Path) -> None:
    (file.parent / "terraform.aws-example.tfstate").write_text("{}")
    said = push(command, service, file, "aws-example")
    assert said.code == 1
    assert "terraform.aws-example.tfstate is a state of this deployment" in said.err
    assert not service.asked


def test_an_explicit_local_state_is_refused_together_with_its_file(
    command: Command, service: Service, file: Path
) -> None:
    keep(file, {"local": {"path": "mine.tfstate"}})
    said = push(command, service, file)
    assert said.code == 1
    assert said.err.startswith("deployments.yaml: gcp-example.state.local: keeps the state on this machine; HCP")
    assert "try state: {hcp: {organization: ...}}" in said.err
    assert len(said.err.splitlines()) == 1
    (file.parent / "mine.tfstate").write_text("{}")
    said = push(command, service, file)
    assert f"gcp-example.state: {file.parent / 'mine.tfstate'} is a state" in said.err.splitlines()[1]
    assert not service.asked


def test_a_new_workspace_is_said_to_start_empty(command: Command, service: Service, file: Path) -> None:
    (file.parent / "terraform.another.tfstate").write_text("{}")
    said = push(command, service, file)
    assert said.code == 0
    assert (
        "workspace gcp-example is new: HCP Terraform starts with an empty state. If the deployment had another name"
        in said.err
    )
    again = push(command, service, file)
    assert again.code == 0
    assert "is new" not in again.err
