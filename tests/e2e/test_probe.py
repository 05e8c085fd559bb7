"""The probe's pods under real Airflow: all well on each cloud, and each planted fault in the DAG's words."""

from collections.abc import Callable
from typing import Any

import pytest

from astro_xcom.probe.manifests import manifests
from astro_xcom.probe.report import Found, summed_up, table
from e2e.probe import Job, accounts_of, jobs, probe_of, run_jobs
from e2e.world import World

pytestmark = pytest.mark.e2e

OBJECT_STORAGE = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"


def probed(world: World, spoil: Callable[[dict[str, Job]], None] = lambda running: None, **options: Any) -> Found:
    """What the probe says of a deployment, some of whose pods may be spoilt."""
    probe = probe_of(world.deployed, **options)
    running = jobs(probe, accounts_of(world.deployed))
    spoil(running)
    text = run_jobs(world, running, manifests(probe)[0])
    found = summed_up("x", text, expected=probe.everybody)
    assert found.pods, text
    return found


@pytest.mark.parametrize("name", ["aws-example", "aws-maximal", "azure-example", "gcp-example"])
def test_all_is_well_and_nothing_is_left(name: str, request: pytest.FixtureRequest) -> None:
    with request.getfixturevalue(f"open_{name.partition('-')[0]}")(name) as world:
        found = probed(world)
        assert found.ok, table(found)
        others = len(found.pods) - 1
        assert others >= 3
        assert {(pod.wrote, pod.read) for pod in found.pods} == {(11, 9 * others)} or name == "aws-maximal"
        assert world.store.keys() == set()
