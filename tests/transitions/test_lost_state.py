"""Lost state: the same deployment comes back by imports, and an import whose thing is gone says so."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.departed import departed
from astro_xcom.imports import Importable, importable, not_there
from support import Body, edited, read, synth_file
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


def things_of(name: str, deployment: Body, folder: Path) -> dict[str, Importable]:
    return importable(name, read(json.dumps({"deployments": {name: deployment}}), folder)[name])


def lines(things: dict[str, Importable], there: dict[str, Body]) -> Body:
    """`imports` of everything, as `astro-xcom imports` lists it, with the ids that the cloud chose."""
    chosen = {thing: there[each.address]["id"] for thing, each in things.items() if each.id is None}
    return {
        thing: chosen.get(thing, True)
        for thing, each in things.items()
        if each.address.partition(".")[0] not in MADE_AGAIN
    }


def cloud_of(things: dict[str, Importable], imports: Body, there: dict[str, Body], folder: Path) -> Path:
    """A made-up cloud in which exactly these things are."""
    found: dict[str, Any] = {}
    for thing, given in imports.items():
        address = things[thing].address
        found[f"{address.partition('.')[0]}:{things[thing].id or given}"] = there[address]
    file = folder / "cloud.json"
    file.write_text(json.dumps(found))
    return file


# In CI one cloud: `make test-transitions` runs them all.
ONE_IN_CI = [pytest.param(cloud, marks=() if cloud == "azure" else pytest.mark.long) for cloud in FULL]


@pytest.mark.parametrize("cloud", ONE_IN_CI)
def test_a_lost_state_comes_back(cloud: str, shared: Path, session_folder: Path, tmp_path: Path) -> None:
    deployment = edited(TABLE["bases"][cloud], FULL[cloud])
    there = held(applied(deployment, shared, session_folder))
    things = things_of(f"{cloud}-edited", deployment, tmp_path)
    imports = lines(things, there)
    made_up = cloud_of(things, imports, there, tmp_path)
    again = stack({**deployment, "imports": imports}, tmp_path / "again")
    done = change(shared, Path("-"), again, tmp_path / "out", "--cloud", str(made_up))
    assert not done.actions("delete", "forget")
    assert set(done.actions("create")) <= MADE_AGAIN
    assert len([each for each in done.plan["resource_changes"] if "importing" in each["change"]]) == len(imports)
    # Lines that are left in the file do nothing once the state holds them.
    settled = change(shared, tmp_path / "out" / "v2.tfstate", again, tmp_path / "settled", "--no-apply")
    assert not settled.actions("create", "update", "delete", "forget")


@pytest.mark.parametrize("cloud", ONE_IN_CI)
def test_a_deployment_comes_back_under_another_name(
    cloud: str, shared: Path, session_folder: Path, tmp_path: Path
) -> None:
    """Without its state: the names of before, which `check` prints of a state that is there, and imports."""
    before = edited(TABLE["bases"][cloud], FULL[cloud])
    state = applied(before, shared, session_folder)
    there = held(state)
    shutil.copy(state, tmp_path / f"terraform.{cloud}-edited.tfstate")
    file = tmp_path / "deployments.yaml"
    (left,) = departed(file, {})
    names = {section: each for section, each in left.settings.items() if section != "state"}
    renamed = edited(before, names)
    things = things_of("renamed", renamed, tmp_path)
    imports = lines(things, there)
    made_up = cloud_of(things, imports, there, tmp_path)
    file.write_text(yaml.safe_dump({"deployments": {"renamed": {**renamed, "imports": imports}}}))
    again = synth_file(file, tmp_path / "again")["renamed"]
    done = change(shared, Path("-"), again, tmp_path / "out", "--cloud", str(made_up))
    assert not done.actions("delete", "forget")
    assert set(done.actions("create")) <= MADE_AGAIN
    assert len([each for each in done.plan["resource_changes"] if "importing" in each["change"]]) == len(imports)


@pytest.mark.parametrize("cloud", ONE_IN_CI)
def test_an_import_whose_thing_is_gone_says_so(cloud: str, shared: Path, tmp_path: Path) -> None:
    deployment = {**TABLE["bases"][cloud], "imports": {"release": True}}
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
    (found,) = read(json.dumps({"deployments": {"x": deployment}}), tmp_path).values()
    names = {each.address: thing for thing, each in importable("x", found).items()}
    said = re.sub("[\u2502\\s]+", " ", done.stderr)  # as a terminal shows it
    assert [line.partition(" is not")[0] for line in not_there(said, names)] == ["imports: release"]
