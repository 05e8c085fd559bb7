"""Each edit meets a Helm upgrade that fails, then a cluster out of reach, and is applied in the end.

Real Terraform core; the echo provider treats the release as the real helm provider was seen to treat one in a real API
server (STANDIN_CLUSTER). What the pods do is not in it.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from astro_xcom.deployments import read_deployments
from astro_xcom.plan import forecast, read_plan
from astro_xcom.settings import Deployment
from support import Body, edited
from transitions.test_transitions import KEPT, TABLE, applied, codes, stack

pytestmark = pytest.mark.terraform

UNREACHABLE = "Kubernetes cluster unreachable"
GRANTS = {
    "aws_iam_role", "aws_iam_role_policy",
    "azurerm_federated_identity_credential", "azurerm_role_assignment", "azurerm_user_assigned_identity",
    "google_service_account", "google_service_account_iam_member", "google_storage_bucket_iam_member",
}  # fmt: skip
"""What the pods that run need until Helm has replaced them."""


class Cluster:
    """The made-up cluster of a deployment that was applied, and the changes that meet it."""

    def __init__(self, state: Path, folder: Path, shared: Path) -> None:
        self.state, self.folder, self.shared = state, folder, shared
        self.file = folder / "cluster.json"
        release = next(each for each in json.loads(state.read_text())["resources"] if each["type"] == "helm_release")
        installed = release["instances"][0]["attributes"]
        self.write({f"{installed['namespace']}/{installed['name']}": "deployed"})

    @property
    def releases(self) -> Body:
        """The releases that are there, and their status."""
        return json.loads(self.file.read_text())["releases"]  # type: ignore[no-any-return]

    def write(self, releases: Body, *, reachable: bool = True) -> None:
        """Put the cluster in a condition."""
        self.file.write_text(json.dumps({"reachable": reachable, "releases": releases}))

    def change(self, after: Path, name: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """Plan and apply a stack on the state of the change before, which also a failed one leaves."""
        out = self.folder / name
        command = [sys.executable, str(self.shared / "standin" / "change"), *options, str(self.state), str(after)]
        env = {**os.environ, "STANDIN_CLUSTER": str(self.file)}
        done = subprocess.run([*command, str(out)], env=env, capture_output=True, text=True)
        if (out / "v2.tfstate").exists():
            self.state = out / "v2.tfstate"
        return done

    def deleted(self, name: str) -> set[str]:
        """The types of what an apply deleted."""
        lines = (self.folder / name / "order.jsonl").read_text().splitlines()
        return {each["type"] for each in map(json.loads, lines) if each["op"] == "delete" and not each.get("failed")}

    def plan(self, name: str) -> str:
        """The plan of a change, as JSON."""
        return (self.folder / name / "plan.json").read_text()


IN_CI = {"aws": "the identity is renamed", "azure": "the account is handed over", "gcp": "a worker is renamed"}
ROWS = [
    pytest.param(
        edit, cloud, id=f"{cloud}: {edit['name']}", marks=() if edit["name"] == IN_CI[cloud] else pytest.mark.long
    )
    for edit in TABLE["edits"]
    for cloud in edit["clouds"]
    if not edit.get("refused")
]


@dataclass(frozen=True)
class Applied:
    """A deployment that was applied, what its edit makes of it, and the cluster that it runs in."""

    deployment: Deployment
    stack: Path
    cluster: Cluster
    kept: set[str]


def begin(edit: Body, cloud: str, shared: Path, session_folder: Path, folder: Path) -> Applied:
    """Apply what was there before the edit."""
    v1 = edited(TABLE["bases"][cloud], edit.get("before", {}))
    after = stack(edited(v1, edit["edit"]), folder / "stack")
    deployment = read_deployments(folder / "stack" / "deployments.yaml")[f"{cloud}-edited"]
    kept = KEPT if v1["storage"].get("protect_from_destroy", True) else set()
    return Applied(deployment, after, Cluster(applied(v1, shared, session_folder), folder, shared), kept)


@pytest.mark.parametrize(("edit", "cloud"), ROWS)
def test_an_edit_whose_upgrade_fails(
    edit: Body, cloud: str, shared: Path, session_folder: Path, tmp_path: Path
) -> None:
    begun = begin(edit, cloud, shared, session_folder, tmp_path)
    cluster = begun.cluster
    failed = cluster.change(begun.stack, "failed", "--fail", "helm_release:*")
    if "nothing of that kind was done" in failed.stdout + failed.stderr:
        assert "failed" not in cluster.releases.values()
        return  # the edit does not reach the release
    assert failed.returncode == 0, failed.stdout + failed.stderr
    assert not begun.kept & cluster.deleted("failed")
    # The old pods run on: what they need goes only where check says so.
    said = codes(forecast(begun.deployment, read_plan(cluster.plan("failed"))))
    assert not GRANTS & cluster.deleted("failed") or {"QUIET grant-replaced", "QUIET member-replaced"} & said
    healed = cluster.change(begun.stack, "healed")
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert not begun.kept & cluster.deleted("healed")
    assert set(cluster.releases.values()) <= {"deployed"}


@pytest.mark.parametrize(("edit", "cloud"), ROWS)
def test_an_edit_while_the_cluster_is_out_of_reach(
    edit: Body, cloud: str, shared: Path, session_folder: Path, tmp_path: Path
) -> None:
    begun = begin(edit, cloud, shared, session_folder, tmp_path)
    cluster, there = begun.cluster, begun.cluster.releases
    cluster.write(there, reachable=False)
    outage = cluster.change(begun.stack, "outage")
    said = codes(forecast(begun.deployment, read_plan(cluster.plan("outage"))))
    assert begun.deployment.agent
    handed_over = not begun.deployment.agent.release
    assert handed_over or "STOP release-not-found" in said
    assert (outage.returncode == 0) == handed_over
    assert handed_over or UNREACHABLE in outage.stdout + outage.stderr
    assert not begun.kept & cluster.deleted("outage")
    assert cluster.releases == there
    cluster.write(there)
    back = cluster.change(begun.stack, "back")
    assert back.returncode == 0, back.stdout + back.stderr
    assert not begun.kept & cluster.deleted("back")
    assert set(cluster.releases.values()) == {"deployed"}
