"""Values of before a take-over are read after it: the page's environment writes, the taken-over deployment's reads."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.environment import GCSFS
from e2e.agents import Agent, Pod, pods
from e2e.aws import Aws
from e2e.azure import Azure
from e2e.chain import VALUES
from e2e.gcp import CONNECTION
from e2e.tokens import Invented
from e2e.world import World, deployer
from support import Run, render
from test_vendor_values import PATH, page
from transitions.test_take_over import ISSUER, PROVIDER, taken_over

pytestmark = pytest.mark.e2e

OWN = "team_xcom"
CONNECTIONS = {
    "aws": (None, "aws_default", OWN),
    "azure": ("wasb_xcom", OWN),  # the page has always one
    "gcp": (None, "google_cloud_default", OWN),
}
"""What stands before the @ of the page's path."""
TYPES = {"aws": "aws", "gcp": "google_cloud_platform"}
WORKER = "prod-worker-default-worker"


@dataclass(frozen=True)
class TakenOver:
    """One worker of a setup that was made by hand and then taken over."""

    world: World
    before: Pod
    after: Pod

    def written(self, agent: Agent, value: Any) -> Any:
        """What is kept in the database of a value that is in the storage: with zip, gcsfs uploads behind the task."""
        stored = agent.write(value)
        for _ in range(300):
            if self.world.store.keys():
                break
            time.sleep(0.1)
        return stored


@pytest.fixture
def taken(
    request: pytest.FixtureRequest, shared: Path, helm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TakenOver]:
    """Made by hand by the page's words, and taken over with imports."""
    cloud, connection = request.param
    values = tmp_path / "by-hand.yaml"
    content = page(cloud, connection, {"openLineage": {"enabled": False}})  # the chart wants it, and so a page has it
    if connection == OWN and cloud in TYPES:
        content["commonEnv"].append(
            {"name": f"AIRFLOW_CONN_{OWN.upper()}", "value": f'{{"conn_type": "{TYPES[cloud]}"}}'}
        )
    values.write_text(yaml.safe_dump(content))
    done, out = taken_over(cloud, shared, tmp_path, monkeypatch, values)
    assert not done.actions("delete", "forget")
    run = Run(plan=done.plan, state=json.loads((out / "v2.state.json").read_text()))
    opened = request.getfixturevalue(f"open_{cloud}")
    with opened("hand", deploy=deployer({"hand": out}, lambda _: run, helm, tmp_path)) as world:
        if isinstance(world, Aws):
            world.account.cluster = Invented(f"https://{PROVIDER.partition('/')[2]}")
        elif isinstance(world, Azure):
            world.subscription.cluster = Invented(ISSUER)
        else:
            own = f"AIRFLOW_CONN_{OWN.upper()}"
            # The emulator has no API for the layout of buckets, which the page's environment asks.
            world.emulator = {**world.emulator, own: world.emulator[CONNECTION], **GCSFS}
        yield TakenOver(world, pods(render(helm, values))[WORKER], world.pods[WORKER])


IN_CI = ("aws_default", "wasb_xcom", "google_cloud_default")
EVERY = [
    pytest.param((cloud, each), id=f"{cloud}: {each}", marks=() if each in IN_CI else pytest.mark.long)
    for cloud in CONNECTIONS
    for each in CONNECTIONS[cloud]
]


@pytest.mark.parametrize("taken", EVERY, indirect=True)
def test_a_value_of_before_is_read_and_purged_after(taken: TakenOver) -> None:
    with taken.world.agents(taken.before, taken.after) as (old, new):
        for value in VALUES.values():
            stored = taken.written(old, value)
            assert str(stored).startswith(taken.before.env[PATH])
            assert new.read(stored) == value
            new.purge(stored)
        assert not taken.world.store.keys()


@pytest.mark.long
@pytest.mark.parametrize("taken", EVERY, indirect=True)
def test_pods_of_before_read_what_is_written_while_they_drain(taken: TakenOver) -> None:
    with taken.world.agents(taken.before, taken.after) as (old, new):
        assert old.read(taken.written(new, "value")) == "value"


@pytest.mark.parametrize("taken", [pytest.param(("aws", "aws_default"), id="aws")], indirect=True)
@pytest.mark.parametrize("theirs", ["s3://acme-xcom/xcom", "s3a://aws_default@acme-xcom/xcom"])
def test_by_another_path_a_value_of_before_reads_as_its_path(theirs: str, taken: TakenOver) -> None:
    before = replace(taken.before, env={**taken.before.env, PATH: theirs})
    with taken.world.agents(before, taken.after) as (old, new):
        stored = old.write("value")
        assert new.read(stored) == stored
