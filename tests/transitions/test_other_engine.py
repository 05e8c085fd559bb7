"""A state that was applied with CDKTF's JSON, planned with CDK Terrain's: nothing is destroyed or replaced.

CDK Terrain's JSON is a golden with the differences that are listed; tests/test_golden.py, run by `make CDK=cdktn test`,
shows that it writes exactly that. The stand-in has one schema for all versions of a provider, so what a new major does
with an argument that both know is not shown. It has no azurerm 5: here its federated credential gets the new argument,
and the state is changed as azurerm's own migration does it (federated_identity_credential_v0_to_v1.go).
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from support import GOLDEN, PROJECT, Body
from test_engines import ENGINE, cdktn
from transitions.test_transitions import change

pytestmark = [pytest.mark.terraform, pytest.mark.skipif(not ENGINE.exists(), reason="starts from CDKTF")]
CREDENTIAL = "azurerm_federated_identity_credential"
NEW, OLD = "user_assigned_identity_id", "parent_id"


def with_azurerm_5(shared: Path, folder: Path) -> Path:
    """The offline providers, with the argument that azurerm 5 has for two of azurerm 4."""
    shutil.copytree(shared / "standin", folder / "standin")
    for name, inner in (("schemas/azurerm.json", lambda body: body["resource_schemas"]), ("forcenew.json", dict)):
        file = folder / "standin" / name
        body: dict[str, Any] = json.loads(file.read_text())
        known = inner(body)[CREDENTIAL]
        arguments = known["block"]["attributes"] if "block" in known else known
        arguments[NEW] = arguments.pop(OLD)
        del arguments["resource_group_name"]
        file.write_text(json.dumps(body))
    return folder


def migrated(state: Path, place: Path) -> Path:
    """A state as azurerm 5 reads it."""
    body = json.loads(state.read_text())
    for resource in body["resources"]:
        for instance in resource["instances"] if resource["type"] == CREDENTIAL else ():
            attributes = instance["attributes"]
            attributes[NEW] = attributes.pop(OLD)
            del attributes["resource_group_name"]
    place.write_text(json.dumps(body))
    return place


def stack(body: Body, folder: Path) -> Path:
    folder.mkdir()
    (folder / "cdk.tf.json").write_text(json.dumps(body))
    return folder


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("aws-maximal", marks=pytest.mark.long),
        "azure-maximal",  # where the two differ most
        pytest.param("gcp-maximal", marks=pytest.mark.long),
    ],
)
def test_a_state_goes_on_with_the_other_engine(name: str, shared: Path, tmp_path: Path) -> None:
    text = (GOLDEN / name.partition("-")[0] / f"{name}.json").read_text()
    differences = json.loads((PROJECT / cdktn.ENGINE / "differences.json").read_text())
    theirs = cdktn.golden(json.loads(text), differences)
    change(shared, Path("-"), stack(json.loads(text), tmp_path / "v1"), tmp_path / "applied")
    state = migrated(tmp_path / "applied" / "v2.tfstate", tmp_path / "v1.tfstate")
    newer = with_azurerm_5(shared, tmp_path)
    done = change(newer, state, stack(theirs, tmp_path / "v2"), tmp_path / "out", "--no-apply")
    changes = {each["address"]: each["change"]["actions"] for each in done.plan.get("resource_changes", [])}
    assert changes
    assert {address: actions for address, actions in changes.items() if actions not in (["no-op"], ["read"])} == {}
