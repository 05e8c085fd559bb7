"""The probe in a real API server: its Jobs' pods run real Airflow, with tokens that the API server signed."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from astro_xcom.probe.in_pod.xcom_causes import CAUSES, said
from cluster.control_plane import Cluster, ControlPlane
from e2e.certificates import Certificates
from e2e.in_cluster import in_cluster
from e2e.world import World
from support import EXAMPLE

pytestmark = pytest.mark.cluster


@dataclass
class Installed:
    """A deployment of the example, whose agents run in the cluster."""

    world: Any
    cluster: Cluster
    options: list[str]

    def probe(self) -> dict[str, Any]:
        """What the probe reports, as its page says to run it."""
        made = self.cluster.astro_xcom("probe", *self.options)
        assert made.returncode == 0, made.stderr
        done = self.cluster.kubectl("apply", "--validate=strict", "--filename=-", given=made.stdout)
        assert done.returncode == 0, done.stderr
        told = self.cluster.astro_xcom("probe", *self.options, "--kubectl", "--json")
        found: dict[str, Any] = json.loads(told.stdout)
        assert told.returncode == (0 if found["ok"] else 1)
        removed = self.cluster.astro_xcom("probe", *self.options, "--delete")
        assert self.cluster.kubectl(*shlex.split(removed.stdout)[1:]).returncode == 0
        return found


Install = Callable[[str], Any]


@pytest.fixture
def install(
    control_plane: ControlPlane, helm: Path, certificates: Certificates, tmp_path: Path, request: pytest.FixtureRequest
) -> Install:
    """Installs the example's deployment on a cloud."""

    @contextmanager
    def opened(cloud: str) -> Iterator[Installed]:
        name, state = f"{cloud}-example", tmp_path / "state.json"
        world: World
        with request.getfixturevalue(f"open_{cloud}")(name) as world:
            state.write_text(json.dumps(world.deployed.run.state))
            options = [name, "--file", str(EXAMPLE / "deployments.yaml"), "--state", str(state), "--minutes=2"]
            with in_cluster(world, control_plane, helm, certificates, tmp_path) as cluster:
                yield Installed(world, cluster, options)

    return opened


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_all_is_well_and_nothing_is_left(cloud: str, install: Install) -> None:
    with install(cloud) as installed:
        found = installed.probe()
        assert found["ok"], found
        trusted = installed.world.deployed.run.output("trusted_subjects")
        assert sorted(pod["account"] for pod in found["pods"]) == sorted(each.rpartition(":")[2] for each in trusted)
        assert {pod["read"] for pod in found["pods"]} == {9 * (len(trusted) - 1)}
        assert installed.world.store.keys() == set()
        for kind in ("jobs", "configmaps"):
            names = [each["metadata"]["name"] for each in installed.cluster.get(kind, "--namespace=astro")["items"]]
            assert not [name for name in names if "xcom-probe" in name]


def test_an_account_that_is_not_trusted_says_so(install: Install) -> None:
    with install("aws") as installed:
        first = installed.world.deployed.run.output("trusted_subjects")[0]
        for statement in installed.world.account.trust:
            for condition, subjects in statement["Condition"]["StringEquals"].items():
                if condition.endswith(":sub"):
                    subjects.remove(first)
        account = first.rpartition(":")[2]
        problems = [each for each in installed.probe()["problems"] if each.startswith(f"{account}: ")]
        assert any(said(CAUSES["not trusted"], "s3") in problem for problem in problems)
