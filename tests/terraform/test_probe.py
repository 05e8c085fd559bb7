"""The probe's pods are the agents' own, as real Helm renders them from the applied values."""

import json
from pathlib import Path
from typing import Any

import pytest

from astro_xcom.probe.manifests import manifests
from e2e.probe import probe_of
from e2e.world import deployer
from support import Applied, Body
from test_probe import DEPLOYMENTS

pytestmark = pytest.mark.terraform

OF_THE_POD = ("serviceAccountName", "imagePullSecrets", "securityContext", "nodeSelector", "affinity", "tolerations")
OF_THE_CONTAINER = ("image", "imagePullPolicy", "securityContext")


def environment(container: Body) -> dict[str, Any]:
    """What the later of two entries says, without the agent's token and where its DAGs are."""
    entries = {entry["name"]: {**entry, "name": ""} for entry in container["env"]}
    return {name: entry for name, entry in entries.items() if name not in NOT_NEEDED}


NOT_NEEDED = ("ASTRO_AGENT_CLIENT_API_TOKEN", "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST")


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=() if "maximal" in each else pytest.mark.long) for each in DEPLOYMENTS]
)
def test_a_job_is_the_pod_of_its_component(
    name: str, stacks: dict[str, Path], applied: Applied, helm: Path, tmp_path: Path
) -> None:
    deployed = deployer(stacks, applied, helm, tmp_path)(name)
    probe = probe_of(deployed)
    templates = {
        each["spec"]["template"]["spec"]["serviceAccountName"]: each["spec"]["template"]
        for each in deployed.objects
        if each["kind"] == "Deployment" and each["metadata"]["labels"]["component"] != "sentinel"
    }
    compared = 0
    for job in manifests(probe)[1:]:
        template = job["spec"]["template"]
        pod, (container,) = template["spec"], template["spec"]["containers"]
        agents = templates.get(pod["serviceAccountName"])
        if agents is None:
            continue  # the sentinel's
        compared += 1
        (own,) = agents["spec"]["containers"]
        assert {key: pod.get(key) for key in OF_THE_POD} == {key: agents["spec"].get(key) for key in OF_THE_POD}
        assert {key: container.get(key) for key in OF_THE_CONTAINER} == {key: own.get(key) for key in OF_THE_CONTAINER}
        assert environment(container) == environment(own)
        for marks in ("labels", "annotations"):
            theirs = agents["metadata"].get(marks, {})
            kept = {key: value for key, value in theirs.items() if key not in ("app", "component", "deployment")}
            assert kept.items() <= template["metadata"].get(marks, {}).items(), json.dumps(kept)
    assert compared >= 3
