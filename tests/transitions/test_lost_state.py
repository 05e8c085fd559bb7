"""Lost state: the same deployment comes back by imports, and an import whose thing is gone says so."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from astro_xcom.imports import importable
from support import Body, edited, read
from transitions.test_transitions import TABLE, applied, change, stack

pytestmark = pytest.mark.terraform

FULL = {
    "aws": {"storage": {"encryption": "SSE-KMS", "eventbridge_notifications": True}},
    "azure": {},
    "gcp": {"storage": {"encryption": "customer-managed"}},
}
"""A key, too, whose id the cloud chose."""
MADE_AGAIN = {"google_kms_crypto_key_iam_member"}
"""A member that exists is added once more, which changes nothing."""


def held(state: Path) -> dict[str, Body]:
    """Address -> attributes of what a state holds."""
    resources = json.loads(state.read_text())["resources"]
    return {
        f"{each['type']}.{each['name']}": each["instances"][0]["attributes"]
        for each in resources
        if each["mode"] == "managed"
    }


def lines(deployment: Body, there: dict[str, Body], folder: Path) -> Body:
    """`imports` of everything, as `astro-xcom imports` lists it, with the ids that the cloud chose."""
    folder.mkdir()
    name = f"{deployment['cloud']}-edited"
    things = importable(name, read(json.dumps({"deployments": {name: deployment}}), folder)[name])
    chosen = {thing: there[each.address]["id"] for thing, each in things.items() if each.id is None}
    return {
        thing: chosen.get(thing, True)
        for thing, each in things.items()
        if each.address.partition(".")[0] not in MADE_AGAIN
    }


def cloud_of(deployment: Body, imports: Body, there: dict[str, Body], folder: Path) -> Path:
    """A made-up cloud in which exactly these things are."""
    name = f"{deployment['cloud']}-edited"
    things = importable(name, read(json.dumps({"deployments": {name: deployment}}), folder)[name])
    found: dict[str, Any] = {}
    for thing, given in imports.items():
        address = things[thing].address
        found[f"{address.partition('.')[0]}:{things[thing].id or given}"] = there[address]
    file = folder / "cloud.json"
    file.write_text(json.dumps(found))
    return file


@pytest.mark.parametrize("cloud", FULL)
def test_a_lost_state_comes_back(cloud: str, shared: Path, session_folder: Path, tmp_path: Path) -> None:
    deployment = edited(TABLE["bases"][cloud], FULL[cloud])
    there = held(applied(deployment, shared, session_folder))
    imports = lines(deployment, there, tmp_path / "lines")
    made_up = cloud_of(deployment, imports, there, tmp_path / "lines")
    again = stack({**deployment, "imports": imports}, tmp_path / "again")
    done = change(shared, Path("-"), again, tmp_path / "out", "--cloud", str(made_up))
    assert not done.actions("delete", "forget")
    assert set(done.actions("create")) <= MADE_AGAIN
    assert len([each for each in done.plan["resource_changes"] if "importing" in each["change"]]) == len(imports)
    # Lines that are left in the file do nothing once the state holds them.
    settled = change(shared, tmp_path / "out" / "v2.tfstate", again, tmp_path / "settled", "--no-apply")
    assert not settled.actions("create", "update", "delete", "forget")


def test_an_import_whose_thing_is_gone_says_so(shared: Path, tmp_path: Path) -> None:
    deployment = {**TABLE["bases"]["aws"], "imports": {"bucket": True}}
    (tmp_path / "cloud.json").write_text("{}")
    command = [
        sys.executable,
        str(shared / "standin" / "change"),
        "--no-apply",
        "--cloud",
        str(tmp_path / "cloud.json"),
    ]
    again = stack(deployment, tmp_path / "again")
    done = subprocess.run([*command, "-", str(again), str(tmp_path / "out")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Cannot import non-existent remote object" in done.stderr
    assert "acme-astro-xcom" in done.stderr
