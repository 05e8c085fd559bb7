"""A `cloud` block is that of cdktf, without its question for the version of Terraform."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cdktf import CloudBackend, NamedCloudWorkspace, TerraformStack, Testing

from astro_xcom.cloud_block import CloudBlock
from astro_xcom.settings.backend import HcpState
from support import only, synth


@pytest.mark.parametrize(
    "settings",
    [
        {"organization": "acme"},
        {"organization": "acme", "project": "Data Team"},
        {"organization": "acme", "hostname": "tfe.acme.example"},
        {"organization": "acme", "hostname": "app.eu.terraform.io"},
    ],
)
def test_the_json_is_that_of_cdktf(settings: dict[str, Any]) -> None:
    backend = HcpState(**settings)
    ours, theirs = (TerraformStack(Testing.app(), "one") for _ in range(2))
    CloudBlock(ours, backend, workspace="one")
    CloudBackend(
        theirs,
        organization=backend.organization,
        hostname=backend.hostname,
        workspaces=NamedCloudWorkspace("one", backend.project),
    )
    assert synth(ours) == synth(theirs)


def test_another_stack_reads_its_outputs() -> None:
    app = Testing.app()
    one, other = TerraformStack(app, "one"), TerraformStack(app, "other")
    block = CloudBlock(one, HcpState(organization="acme"), workspace="its-workspace")
    block.get_remote_state_data_source(other, "read", "one")
    read = only(synth(other), "terraform_remote_state", kind="data")
    assert read["backend"] == "remote"
    assert read["config"]["workspaces"] == {"name": "its-workspace"}


DEPLOYMENTS = """
deployments:
  one:
    cloud: aws
    region: us-east-1
    cluster: {name: data-prod}
    agent: {namespace: astro, resource_name_prefix: prod}
    storage: {bucket: acme-xcom}
    state: {hcp: {organization: acme}}
"""
PROGRAM = """
from cdktf import App
from astro_xcom.deployments import read_deployments
from astro_xcom.synthesis import add_stacks
app = App()
add_stacks(app, read_deployments("deployments.yaml"), file="deployments.yaml")
app.synth()
"""


def test_it_is_synthesized_on_a_machine_without_terraform(tmp_path: Path) -> None:
    (tmp_path / "deployments.yaml").write_text(DEPLOYMENTS)
    (tmp_path / "bin").mkdir()
    env = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(tmp_path / "bin")])}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cdktf.out" / "stacks" / "one" / "cdk.tf.json").exists()
