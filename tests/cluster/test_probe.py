"""The probe's manifests in a real API server: strictly validated, by an account that may do nothing else."""

import json
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from astro_xcom.probe.manifests import Probe, manifests, to_yaml
from cluster.control_plane import Cluster
from support import EXAMPLE
from test_probe import DEPLOYMENTS, probe_of

pytestmark = pytest.mark.cluster

WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def prober(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig of somebody who may create, see, change and delete Jobs and ConfigMaps in the agents' namespace."""

    def named(kind: str, **content: Any) -> dict[str, Any]:
        group = "v1" if kind == "ServiceAccount" else "rbac.authorization.k8s.io/v1"
        return {"apiVersion": group, "kind": kind, "metadata": {"name": "prober", "namespace": "astro"}, **content}

    verbs = ["create", "get", "patch", "delete"]
    rules = [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs},
    ]
    subject = {"kind": "ServiceAccount", "name": "prober", "namespace": "astro"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "prober"}
    cluster.apply([
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "astro"}},
        named("ServiceAccount"),
        named("Role", rules=rules),
        named("RoleBinding", subjects=[subject], roleRef=role),
    ])  # fmt: skip
    return cluster.as_account("astro", "prober", tmp_path_factory.mktemp("prober"))


def pods(cluster: Cluster, probe: Probe) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get("pods", "--namespace=astro", f"--selector=astro-xcom/probe={probe.name}")[
        "items"
    ]
    return found


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_they_are_accepted_and_each_trusted_account_gets_one_pod(
    name: str, cluster: Cluster, prober: Path, stacks: dict[str, Path]
) -> None:
    probe = probe_of(name, stacks)
    cluster.make_accounts(probe.subjects)
    text = to_yaml(manifests(probe))
    done = cluster.kubectl("apply", "--validate=strict", "--filename=-", given=text, kubeconfig=prober)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    deadline = time.monotonic() + WAIT_SECONDS
    while len(pods(cluster, probe)) < len(probe.subjects) and time.monotonic() < deadline:
        time.sleep(0.5)
    used = [f"system:serviceaccount:astro:{pod['spec']['serviceAccountName']}" for pod in pods(cluster, probe)]
    assert sorted(used) == sorted(probe.subjects)
    (data,) = [each["data"] for each in cluster.get("configmaps", "--namespace=astro")["items"]
               if each["metadata"]["name"] == probe.config_map_name]  # fmt: skip
    assert data == manifests(probe)[0]["data"], "as it was written"
    names = [f"{each['kind'].lower()}/{each['metadata']['name']}" for each in manifests(probe)]
    done = cluster.kubectl("--namespace=astro", "delete", "--wait=false", *names, kubeconfig=prober)
    assert done.returncode == 0, done.stderr


def test_a_misspelt_field_is_refused(cluster: Cluster, prober: Path, stacks: dict[str, Path]) -> None:
    text = to_yaml(manifests(probe_of("aws-example", stacks))).replace("restartPolicy:", "restartpolicy:")
    done = cluster.kubectl("apply", "--validate=strict", "--filename=-", given=text, kubeconfig=prober)
    assert done.returncode != 0
    assert "restartpolicy" in done.stderr


@pytest.mark.parametrize("what", ["secrets", "pods", "serviceaccounts", "deployments"])
def test_who_applies_them_may_do_nothing_else(what: str, cluster: Cluster, prober: Path) -> None:
    for verb in ("get", "list", "create"):
        asked = cluster.kubectl("auth", "can-i", verb, what, "--namespace=astro", kubeconfig=prober)
        assert asked.stdout.strip() == "no"


def test_an_account_that_does_not_exist_is_named(cluster: Cluster, prober: Path) -> None:
    options = ["aws-example", "--file", str(EXAMPLE / "deployments.yaml"), "--minutes=0.1"]
    made = cluster.astro_xcom("probe", *options)
    assert made.returncode == 0, made.stderr
    for kind in ("worker-default-worker", "worker-heavy", "dag-processor", "triggerer", "sentinel"):
        cluster.kubectl("--namespace=astro", "delete", "serviceaccount", f"prod-aws-{kind}", "--ignore-not-found")
    assert cluster.kubectl("apply", "--filename=-", given=made.stdout, kubeconfig=prober).returncode == 0
    told = cluster.astro_xcom("probe", *options, "--kubectl", "--json")
    assert told.returncode == 1
    problems = json.loads(told.stdout)["problems"]
    assert len(problems) == 5
    assert all("no report: the service account does not exist" in problem for problem in problems), problems
    removed = cluster.astro_xcom("probe", *options, "--delete")
    assert cluster.kubectl(*shlex.split(removed.stdout)[1:]).returncode == 0
