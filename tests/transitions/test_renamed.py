"""A renamed deployment with the lines that its left state asks for: Terraform has nothing to do."""

import shutil
from pathlib import Path

import pytest
import yaml

from astro_xcom.departed import departed
from astro_xcom.deployments import read_deployments
from support import edited, synth_file
from transitions.test_transitions import TABLE, applied, change

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize("cloud", TABLE["bases"])
def test_a_renamed_deployment_goes_on(cloud: str, shared: Path, session_folder: Path, tmp_path: Path) -> None:
    before = TABLE["bases"][cloud]
    state = applied(before, shared, session_folder)
    file = tmp_path / "deployments.yaml"
    file.write_text(yaml.safe_dump({"deployments": {"renamed": before}}))
    shutil.copy(state, tmp_path / f"terraform.{cloud}-edited.tfstate")
    (left,) = departed(file, read_deployments(file))
    file.write_text(yaml.safe_dump({"deployments": {"renamed": edited(before, left.settings)}}))
    assert not departed(file, read_deployments(file))
    stack = synth_file(file, tmp_path / "out")["renamed"]
    done = change(shared, state, stack, tmp_path / "change", "--no-apply")
    assert not done.actions("create", "update", "delete", "forget")
