"""A deployment's release in a real API server: Helm installs what is applied, and pods are processes."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.control_plane import Cluster, ControlPlane
from cluster.kubelet import Kubelet
from cluster.webhook import webhook
from e2e.certificates import Certificates
from e2e.probe import accounts_of
from e2e.world import World
from support import CHART


@contextmanager
def in_cluster(
    world: World, control_plane: ControlPlane, helm: Path, certificates: Certificates, folder: Path
) -> Iterator[Cluster]:
    """The cluster that the deployment trusts, with its agents in it."""
    cluster = control_plane.serve(world.identity.cluster.issuer)
    world.identity.cluster = cluster  # from here on the cloud believes this one
    (document,) = world.deployed.run.one("helm_release")["values"]
    namespace = world.deployed.run.agent_values["namespace"]
    _make_what_others_make(cluster, world, namespace)
    image = world.airflow.python.parent
    with (
        webhook(cluster, certificates, namespace, world.identity.webhook),
        Kubelet(cluster, folder / "kubelet", certificates, image=image, here=world.here),
    ):
        command = [
            str(helm),
            "upgrade",
            "--install",
            "astro-agent",
            str(CHART),
            f"--namespace={namespace}",
            "--values=-",
            "--wait",
        ]
        done = subprocess.run(command, input=document, env=cluster.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        yield cluster


def _make_what_others_make(cluster: Cluster, world: World, namespace: str) -> None:
    """The namespace, and the service accounts that the release does not make."""
    made = {each["metadata"]["name"] for each in world.deployed.objects if each["kind"] == "ServiceAccount"}
    accounts = {name: marks for name, marks in accounts_of(world.deployed).items() if name not in made}
    cluster.apply([
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        *({"apiVersion": "v1", "kind": "ServiceAccount",
           "metadata": {"name": name, "namespace": namespace, "annotations": dict(marks)}}
          for name, marks in accounts.items()),
    ])  # fmt: skip
