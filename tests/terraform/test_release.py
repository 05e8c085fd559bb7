"""A release that the state and the cluster see differently: what happens, and what the next apply does about it.

Real Terraform core; the provider echoes, and treats a release in a made-up cluster as the real helm provider was seen
to treat one in a real API server. With `upgrade_install: false`, which was the only way once, a test shows the trouble;
with the default it heals. The arguments of the release are the same on each cloud, so one test tries all three and the
rest AWS. Not in the made-up cluster: objects without a Helm release and their owner, revisions, pending-install,
values, and pods.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import TERRAFORM, Body

pytestmark = pytest.mark.terraform

RELEASE = "helm_release.agent_release_2CFEB619"
KEY = "astro/astro-agent"
TAKEN = "cannot re-use a name that is still in use"
FAILS_AT_FIRST = {"STANDIN_FAIL": "helm_release:create"}


class Deployment:
    """A stack with its state, and the cluster that its release goes to."""

    def __init__(self, stack: Path, folder: Path, shared: Path, **settings: Any) -> None:
        self.folder, self.cluster = folder, folder.with_suffix(".cluster.json")
        shutil.copytree(stack, folder)
        local = {"terraform": {"backend": {"local": {"path": "terraform.tfstate"}}}}
        (folder / "local_override.tf.json").write_text(json.dumps(local))
        self.edit(**settings)
        setup = [sys.executable, str(shared / "standin" / "setup"), str(folder)]
        config = subprocess.run(setup, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        self.env = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": config,
            "CHECKPOINT_DISABLE": "1",
            "STANDIN_CLUSTER": str(self.cluster),
        }
        assert self.terraform("init").returncode == 0

    def edit(self, **settings: Any) -> None:
        """Change the release's arguments; None leaves one out."""
        file = self.folder / "cdk.tf.json"
        body = json.loads(file.read_text())
        release = body["resource"]["helm_release"][RELEASE.partition(".")[2]]
        release.update(settings)
        for name in [name for name, value in release.items() if value is None]:
            del release[name]
        file.write_text(json.dumps(body))

    def terraform(self, command: str, *options: str, **env: str) -> "subprocess.CompletedProcess[str]":
        asked = {"apply": ["-auto-approve"], "destroy": ["-auto-approve"], "plan": ["-out=plan"]}.get(command, [])
        return subprocess.run(
            [TERRAFORM, command, "-no-color", "-input=false", *asked, *options],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
        )

    def apply(self, **env: str) -> str:
        """The error of an apply; empty when there is none."""
        done = self.terraform("apply", **env)
        assert (done.returncode == 0) == (not done.stderr), done.stdout + done.stderr
        return done.stderr

    def plan(self) -> Body:
        """The plan of a next apply."""
        done = self.terraform("plan")
        assert done.returncode == 0, done.stderr
        shown = subprocess.run(
            [TERRAFORM, "show", "-json", "plan"], cwd=self.folder, env=self.env, capture_output=True, check=True
        )
        plan: Body = json.loads(shown.stdout)
        return plan

    def actions(self) -> list[str]:
        """What the next apply does with the release."""
        (change,) = [each for each in self.plan()["resource_changes"] if each["address"] == RELEASE]
        actions: list[str] = change["change"]["actions"]
        return actions

    def in_state(self) -> bool:
        return (
            RELEASE
            in subprocess.run(
                [TERRAFORM, "state", "list"], cwd=self.folder, env=self.env, capture_output=True, text=True
            ).stdout
        )

    @property
    def releases(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.cluster.read_text())["releases"]
        return found

    def forget(self) -> None:
        """Take the release out of the state by hand."""
        command = [TERRAFORM, "state", "rm", RELEASE]
        subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, check=True)

    def reach(self, reachable: bool) -> None:
        self.cluster.write_text(json.dumps({**json.loads(self.cluster.read_text()), "reachable": reachable}))


Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(stacks: dict[str, Path], shared: Path, tmp_path: Path) -> Deploy:
    """A deployment of a cloud that is not applied yet."""

    def deployment(cloud: str = "aws", **settings: Any) -> Deployment:
        return Deployment(stacks[f"{cloud}-example"], tmp_path / "stack", shared, **settings)

    return deployment


@pytest.mark.parametrize(
    "cloud", ["aws", pytest.param("azure", marks=pytest.mark.long), pytest.param("gcp", marks=pytest.mark.long)]
)
def test_a_failed_first_installation_heals_at_the_next_apply(deploy: Deploy, cloud: str) -> None:
    deployment = deploy(cloud)
    assert "Planted failure" in deployment.apply(**FAILS_AT_FIRST)
    assert deployment.releases == {KEY: "failed"}
    assert not deployment.in_state()
    assert not deployment.apply()
    assert deployment.releases == {KEY: "deployed"}
    assert deployment.actions() == ["no-op"]


def test_without_upgrade_install_a_failed_first_installation_ends_every_apply(deploy: Deploy) -> None:
    deployment = deploy(upgrade_install=None)
    assert "Planted failure" in deployment.apply(**FAILS_AT_FIRST)
    assert TAKEN in deployment.apply()
    assert TAKEN in deployment.apply()
    deployment.edit(upgrade_install=True)  # what an upgrade of this project does to who is stuck
    assert not deployment.apply()
    assert deployment.releases == {KEY: "deployed"}


def test_atomic_removes_a_failed_first_installation_and_rolls_an_upgrade_back(deploy: Deploy) -> None:
    deployment = deploy(atomic=True)
    assert "Planted failure" in deployment.apply(**FAILS_AT_FIRST)
    assert deployment.releases == {}
    assert not deployment.apply()
    deployment.edit(timeout=1000)
    assert "Planted failure" in deployment.apply(STANDIN_FAIL="helm_release:update")
    assert deployment.releases == {KEY: "deployed"}
    assert deployment.actions() == ["update"]


@pytest.mark.parametrize("heals", [True, False])
def test_an_outage_drops_the_release_from_the_state(deploy: Deploy, heals: bool) -> None:
    deployment = deploy(upgrade_install=heals or None)
    assert not deployment.apply()
    deployment.reach(False)
    plan = deployment.plan()  # no error, and the release is gone
    assert [drift["address"] for drift in plan["resource_drift"] if drift["change"]["actions"] == ["delete"]] == [
        RELEASE
    ]
    assert "unreachable" in deployment.apply()
    assert not deployment.in_state()
    deployment.reach(True)
    assert deployment.releases == {KEY: "deployed"}  # the agents ran on
    error = deployment.apply()
    assert (error == "") == heals
    assert heals or TAKEN in error
    assert deployment.in_state() == heals


def test_an_import_brings_a_lost_release_back_too(deploy: Deploy, tmp_path: Path) -> None:
    deployment = deploy(upgrade_install=None)
    assert not deployment.apply()
    release = next(
        resource["values"]
        for resource in json.loads(
            subprocess.run(
                [TERRAFORM, "show", "-json"],
                cwd=deployment.folder,
                env=deployment.env,
                capture_output=True,
                check=True,
            ).stdout
        )["values"]["root_module"]["resources"]
        if resource["address"] == RELEASE
    )
    deployment.forget()
    assert TAKEN in deployment.apply()
    cloud = tmp_path / "cloud.json"
    cloud.write_text(json.dumps({f"helm_release:{KEY}": release}))
    done = deployment.terraform("import", RELEASE, KEY, STANDIN_CLOUD=str(cloud))
    assert done.returncode == 0, done.stderr
    assert not deployment.apply()
    assert deployment.in_state()
    deployment.forget()
    (deployment.folder / "import.tf.json").write_text(json.dumps({"import": {"to": RELEASE, "id": KEY}}))
    assert not deployment.apply(STANDIN_CLOUD=str(cloud))
    assert deployment.in_state()


def test_a_destroy_during_an_outage_destroys_no_agents_and_says_so_nowhere(deploy: Deploy) -> None:
    deployment = deploy()
    assert not deployment.apply()
    deployment.reach(False)
    done = deployment.terraform("destroy", f"-target={RELEASE}")
    assert done.returncode == 0
    assert "0 destroyed" in done.stdout
    assert not deployment.in_state()
    assert deployment.releases == {KEY: "deployed"}
    deployment.reach(True)
    assert not deployment.apply()  # what troubleshooting says: apply, then destroy again
    assert deployment.terraform("destroy", f"-target={RELEASE}").returncode == 0
    assert deployment.releases == {}


def test_a_failed_upgrade_is_seen_by_a_refresh_and_repeated(deploy: Deploy) -> None:
    deployment = deploy()
    assert not deployment.apply()
    deployment.edit(timeout=1000)
    assert "Planted failure" in deployment.apply(STANDIN_FAIL="helm_release:update")
    assert deployment.releases == {KEY: "failed"}
    assert deployment.actions() == ["update"]
    assert not deployment.apply()
    assert deployment.releases == {KEY: "deployed"}


def test_to_switch_it_on_replaces_nothing(deploy: Deploy) -> None:
    deployment = deploy(upgrade_install=None)
    assert not deployment.apply()
    deployment.edit(upgrade_install=True)
    changes = [each for each in deployment.plan()["resource_changes"] if each["change"]["actions"] != ["no-op"]]
    assert [(each["address"], each["change"]["actions"]) for each in changes] == [(RELEASE, ["update"])]


@pytest.mark.parametrize("renamed", [{"name": "astro-agent-2"}, {"namespace": "astro-2"}])
def test_another_name_or_namespace_is_another_release(deploy: Deploy, renamed: dict[str, str], tmp_path: Path) -> None:
    deployment = deploy()
    assert not deployment.apply()
    deployment.edit(**renamed)
    assert deployment.actions() == ["delete", "create"]
    log = tmp_path / "log.jsonl"
    assert not deployment.apply(STANDIN_LOG=str(log))
    operations = [json.loads(line) for line in log.read_text().splitlines()]
    assert [each["op"] for each in operations if each["type"] == "helm_release" and each["op"] != "read"] == [
        "delete",
        "create",
    ]
    assert KEY not in deployment.releases


def test_a_release_of_others_runs_on_if_it_is_forgotten_before_the_name_changes(deploy: Deploy) -> None:
    deployment = deploy()
    deployment.cluster.write_text(json.dumps({"releases": {KEY: "deployed"}}))
    assert not deployment.apply()  # upgrades theirs
    deployment.edit(name="astro-agent-2")
    assert deployment.actions() == ["delete", "create"]  # would uninstall theirs
    deployment.forget()  # what troubleshooting says
    assert not deployment.apply()
    assert deployment.releases == {KEY: "deployed", "astro/astro-agent-2": "deployed"}


def test_a_forgotten_release_runs_on(deploy: Deploy) -> None:
    deployment = deploy()
    assert not deployment.apply()
    file = deployment.folder / "cdk.tf.json"
    body = json.loads(file.read_text())
    del body["resource"]["helm_release"]
    body["removed"] = [{"from": RELEASE, "lifecycle": {"destroy": False}}]
    file.write_text(json.dumps(body))
    assert not deployment.apply()
    assert not deployment.in_state()
    assert deployment.releases == {KEY: "deployed"}
