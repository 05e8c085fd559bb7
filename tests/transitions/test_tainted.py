"""A grant that Terraform could not finish: what real Terraform core plans, and what is said of it."""

import json
from pathlib import Path

import pytest

from astro_xcom.deployments import read_deployments
from astro_xcom.plan import forecast, read_plan
from support import Body
from transitions.test_transitions import TABLE, applied, change, codes, stack

pytestmark = pytest.mark.terraform


def tainted(state: Body, type_: str) -> Body:
    """The state with the first resource of a type marked as Terraform marks what failed half-way."""
    resource = next(each for each in state["resources"] if (each["mode"], each["type"]) == ("managed", type_))
    resource["instances"][0]["status"] = "tainted"
    return state


@pytest.mark.parametrize(
    ("cloud", "type_"),
    [
        ("aws", "aws_iam_role_policy"),
        ("azure", "azurerm_federated_identity_credential"),
        ("gcp", "google_service_account_iam_member"),
    ],
)
def test_a_tainted_grant_is_never_called_fine(
    cloud: str, type_: str, shared: Path, session_folder: Path, tmp_path: Path
) -> None:
    base = TABLE["bases"][cloud]
    state = tainted(json.loads(applied(base, shared, session_folder).read_text()), type_)
    (tmp_path / "v1.tfstate").write_text(json.dumps(state))
    done = change(shared, tmp_path / "v1.tfstate", stack(base, tmp_path / "stack"), tmp_path / "out", "--no-apply")
    assert done.actions("delete") == [type_]
    deployment = read_deployments(tmp_path / "stack" / "deployments.yaml")[f"{cloud}-edited"]
    said = forecast(deployment, read_plan((tmp_path / "out" / "plan.json").read_text()))
    assert codes(said) == {"QUIET equal-replaced"}
    assert f"`terraform untaint {type_}." in str(said.effects[0].instead)
