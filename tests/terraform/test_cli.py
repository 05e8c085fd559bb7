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
        return self._run("cdktf", *arguments)

    def make_deploy(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        """What `make deploy` and, with --destroy, `make destroy` do, once set up and without a question."""
        synth = self._run("python", "main.py")
        assert synth.returncode == 0, synth.stderr
        return self._run("python", "tools/deploy.py", name, *options, "--auto-approve", "--skip-provider-lock")

    def edit(self, name: str, **storage: object) -> None:
        """Change settings of a deployment's storage."""
        file = self.folder / "deployments.yaml"
        content = yaml.safe_load(file.read_text())
        content["deployments"][name]["storage"].update(storage)
        file.write_text(yaml.safe_dump(content))

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(command),
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
    for name in ("main.py", "cdktf.json", "Pipfile", "Pipfile.lock", "constructs", "examples", "tools", ".venv"):
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


WITHOUT_QUESTIONS = ("--auto-approve", "--skip-synth", "--skip-provider-lock")


@pytest.mark.parametrize("example", OUTPUTS)
def test_synth_deploy_diff_and_no_destroy(example: str, cdktf: Cdktf) -> None:
    done = cdktf("synth")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (cdktf.folder / "cdktf.out" / "stacks" / example / "cdk.tf.json").exists()

    done = cdktf("deploy", example, *WITHOUT_QUESTIONS, "--outputs-file", "outputs.json")
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = json.loads((cdktf.folder / "outputs.json").read_text())[example]
    assert outputs.items() >= OUTPUTS[example].items()
    state = cdktf.folder / f"terraform.{example}.tfstate"
    deployed = state.read_bytes()

    done = cdktf("diff", example, "--skip-synth", "--skip-provider-lock")
    assert "found no differences, so no changes are needed" in done.stdout

    done = cdktf("destroy", example, *WITHOUT_QUESTIONS)
    assert done.returncode == 1  # test_every_cloud.py shows what Terraform says; cdktf may cut the end of it off
    assert state.read_bytes() == deployed


def test_a_stop_is_applied_only_when_it_is_asked_for_by_name(cdktf: Cdktf) -> None:
    example = "gcp-example"
    state, cluster = cdktf.folder / f"terraform.{example}.tfstate", cdktf.folder / "cluster.json"
    cdktf.environment["STANDIN_CLUSTER"] = str(cluster)
    done = cdktf.make_deploy(example)
    assert done.returncode == 0, done.stdout + done.stderr
    deployed = state.read_bytes()

    cdktf.edit(example, path="elsewhere", protect_from_destroy=False)
    done = cdktf.make_deploy(example)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "STOP path-changed" in done.stdout
    assert "Nothing was changed. To go on all the same: ALLOW=CODE" in done.stderr
    assert state.read_bytes() == deployed

    done = cdktf.make_deploy(example, "--allow=path-changed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "STOP path-changed (allowed)" in done.stdout
    assert "/elsewhere" in state.read_text()

    cluster.write_text(json.dumps({**json.loads(cluster.read_text()), "reachable": False}))
    done = cdktf.make_deploy(example, "--destroy")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "STOP release-not-found" in done.stdout
    assert "STOP storage-destroyed (allowed)" in done.stdout
    assert json.loads(state.read_text())["resources"]

    cluster.write_text(json.dumps({**json.loads(cluster.read_text()), "reachable": True}))
    done = cdktf.make_deploy(example, "--destroy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(state.read_text())["resources"] == []
    assert json.loads(cluster.read_text())["releases"] == {}


def test_make_deploy_of_a_deployment_that_is_not_there(cdktf: Cdktf) -> None:
    done = cdktf.make_deploy("aws-exampel")
    assert done.returncode == 1
    assert "aws-exampel: is no deployment of deployments.yaml: aws-example, azure-example, gcp-example" in done.stderr


def test_bad_settings_end_in_one_clear_message(cdktf: Cdktf) -> None:
    (cdktf.folder / "deployments.yaml").write_text("deployments: {x: {cloud: aws}}\n")
    done = cdktf("synth")
    assert done.returncode == 1
    assert "deployments.yaml: x.region: is required" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (cdktf.folder / "cdktf.out").exists()
