"""The real cdktf command, from deployments.yaml to destroy, with real Terraform core and echoing providers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import missing
from support import EXAMPLE, PROJECT, synth_file

pytestmark = pytest.mark.terraform


class Cdktf:
    """A copy of the project that shares its environment, and the command run in it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["cdktf", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture
def cdktf(shared: Path, tmp_path: Path) -> Cdktf:
    if not (PROJECT / "node_modules" / ".bin" / "cdktf").exists():
        missing("the cdktf command (make cli)")
    for name in ("main.py", "cdktf.json", "Pipfile", "Pipfile.lock", "constructs", "examples", ".venv"):
        (tmp_path / name).symlink_to(PROJECT / name)
    (tmp_path / "deployments.yaml").write_text((EXAMPLE / "deployments.yaml").read_text())
    stacks = synth_file(EXAMPLE / "deployments.yaml", tmp_path / "pins")
    setup = subprocess.run(
        [sys.executable, shared / "standin" / "setup", *(stack / "cdk.tf.json" for stack in stacks.values())],
        capture_output=True,
        text=True,
    )
    assert setup.returncode == 0, setup.stderr
    path = [PROJECT / "node_modules" / ".bin", PROJECT / ".venv" / "bin", PROJECT / ".pipenv" / "bin"]
    return Cdktf(
        tmp_path,
        {
            **os.environ,
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "TF_CLI_CONFIG_FILE": setup.stdout.splitlines()[-1],
            "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "1",
            "CHECKPOINT_DISABLE": "1",
            "DISABLE_VERSION_CHECK": "1",
            "PIPENV_VENV_IN_PROJECT": "1",
            "PIPENV_IGNORE_VIRTUALENVS": "1",
            "PIPENV_VERBOSITY": "-1",
        },
    )


OUTPUTS = {
    "aws-example": {"role_arn": "arn:aws:iam::111122223333:role/aws-example-xcom"},
    "azure-example": {"account": "acmeastroxcom", "xcom_path": "abfs://wasb_xcom@xcom/xcom"},
    "gcp-example": {"service_account_email": "gcp-example-xcom@acme-data.iam.gserviceaccount.com"},
}
"""What the outputs of a deployment hold, among others."""


@pytest.mark.parametrize("example", OUTPUTS)
def test_synth_diff_deploy_and_destroy(example: str, cdktf: Cdktf) -> None:
    done = cdktf("synth")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (cdktf.folder / "cdktf.out" / "stacks" / example / "cdk.tf.json").exists()

    done = cdktf("diff", example, "--skip-provider-lock")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "to add, 0 to change, 0 to destroy" in done.stdout

    deploy = ("deploy", example, "--auto-approve", "--skip-provider-lock", "--outputs-file", "outputs.json")
    done = cdktf(*deploy)
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = json.loads((cdktf.folder / "outputs.json").read_text())[example]
    assert outputs.items() >= OUTPUTS[example].items()
    state = cdktf.folder / f"terraform.{example}.tfstate"
    deployed = state.read_bytes()

    done = cdktf("diff", example, "--skip-provider-lock")
    assert "found no differences, so no changes are needed" in done.stdout

    destroy = ("destroy", example, "--auto-approve", "--skip-provider-lock")
    done = cdktf(*destroy)
    assert done.returncode == 1  # test_every_cloud.py shows what Terraform says; cdktf may cut the end of it off
    assert state.read_bytes() == deployed

    file = cdktf.folder / "deployments.yaml"
    content = yaml.safe_load(file.read_text())
    content["deployments"][example]["storage"]["protect_from_destroy"] = False
    file.write_text(yaml.safe_dump(content))
    done = cdktf(*deploy)
    assert done.returncode == 0, done.stdout + done.stderr
    done = cdktf(*destroy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(state.read_text())["resources"] == []


def test_bad_settings_end_in_one_clear_message(cdktf: Cdktf) -> None:
    (cdktf.folder / "deployments.yaml").write_text("deployments: {x: {cloud: aws}}\n")
    done = cdktf("synth")
    assert done.returncode == 1
    assert "deployments.yaml: x.region: is required" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (cdktf.folder / "cdktf.out").exists()
