"""What Terraform forgets: the addresses are those that the stacks give, and no stack forgets what it creates."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.deployments import read_deployments
from astro_xcom.forgotten import address
from astro_xcom.synthesis import synthesized
from support import GOLDEN, Body, synth_file
from test_rules import deployments

STACKS = sorted(file for cloud in ("aws", "azure", "gcp") for file in (GOLDEN / cloud).glob("*.json"))
EDITS = yaml.safe_load((Path(__file__).parent / "transitions" / "edits.yaml").read_text())


def addresses(body: Body) -> set[str]:
    return {f"{type_}.{name}" for type_, found in body["resource"].items() for name in found}


def forgets(body: Body) -> set[str]:
    assert all(block["lifecycle"] == {"destroy": False} for block in body.get("removed", []))
    return {block["from"] for block in body.get("removed", [])}


@pytest.mark.parametrize("file", STACKS, ids=lambda file: file.stem)
def test_no_stack_forgets_what_it_creates(file: Path) -> None:
    body = json.loads(file.read_text())
    assert not forgets(body) & addresses(body)


@pytest.mark.parametrize("file", STACKS, ids=lambda file: file.stem)
def test_every_stack_says_which_terraform_it_needs(file: Path) -> None:
    assert json.loads(file.read_text())["terraform"]["required_version"] == ">= 1.10"


def made(deployment: Body, folder: Path) -> Body:
    """The JSON of a deployment that is called as those of the table are."""
    folder.mkdir(exist_ok=True)
    name = f"{deployment['cloud']}-edited"
    (folder / "deployments.yaml").write_text(yaml.safe_dump({"deployments": {name: deployment}}))
    body: Body = json.loads((synth_file(folder / "deployments.yaml", folder / "out")[name] / "cdk.tf.json").read_text())
    return body


def with_storage(cloud: str, **storage: Any) -> Body:
    base = EDITS["bases"][cloud]
    return {**base, "storage": {**base["storage"], **storage}}


GIVEN_KEY = {
    "encryption": "customer-managed",
    "kms_key_name": "projects/acme-keys/locations/us-central1/keyRings/data/cryptoKeys/xcom",
}


def test_every_address_is_one_that_a_stack_gives(tmp_path: Path) -> None:
    """Else a block would name nothing, and what it is for would be destroyed."""
    bodies = [json.loads(file.read_text()) for file in STACKS] + [made(with_storage("gcp", **GIVEN_KEY), tmp_path)]
    # The worker ml of the goldens has an identity that exists; what it is to forget is one that was created here.
    for cloud, base in EDITS["bases"].items():
        worker = {
            "agent": {**base["agent"], "values": {"workers": [{"name": "ml"}]}},
            "identity": {"workers": {"ml": {}}},
        }
        bodies.append(made({**base, **worker}, tmp_path / cloud))
    given = {address for body in bodies for address in addresses(body)}
    for body in bodies:
        for found in forgets(body):
            # Credentials and members are named after the cluster and the service accounts of each deployment.
            if not found.startswith(("azurerm_federated_identity_credential.", "google_service_account_iam_member.")):
                assert found in given


def test_the_grant_of_a_given_key_is_forgotten_where_version_0_1_had_it(tmp_path: Path) -> None:
    body = made(with_storage("gcp", **GIVEN_KEY, protect_from_destroy=False), tmp_path)
    (old,) = json.loads((GOLDEN / "gcp" / "gcp-maximal.json").read_text())["resource"][
        "google_kms_crypto_key_iam_member"
    ]
    assert forgets(body) == {f"google_kms_crypto_key_iam_member.{old}"}


@pytest.mark.parametrize(
    ("cloud", "edit", "types"),
    [
        ("azure", {"identity": {"name": "azure-edited-xcom", "existing": True, "federate": False}}, "credential"),
        (
            "gcp",
            {"identity": {"existing_service_account": "a-bcdef@acme-data.iam.gserviceaccount.com", "federate": False}},
            "google_service_account_iam_member",
        ),
    ],
)
def test_credentials_and_members_are_forgotten_by_the_names_that_they_had(
    cloud: str, edit: Any, types: str, tmp_path: Path
) -> None:
    before = EDITS["bases"][cloud]
    if cloud == "azure":
        before = {**before, "resource_group": {**before["resource_group"], "existing": True}}
    had = {found for found in addresses(made(before, tmp_path / "before")) if types in found}
    assert len(had) == 5
    assert had <= forgets(made({**before, **edit}, tmp_path / "after"))


def test_without_protection_nothing_is_forgotten(tmp_path: Path) -> None:
    assert "removed" not in made(with_storage("aws", protect_from_destroy=False), tmp_path)


@pytest.mark.parametrize(
    ("cloud", "identity", "kept", "gone"),
    [
        (
            "azure",
            {"name": "agents", "existing": True, "resource_group": "ids", "grant_storage": False},
            "azurerm_federated_identity_credential",
            "azurerm_role_assignment",
        ),
        (
            "gcp",
            {"existing_service_account": "agents@acme-data.iam.gserviceaccount.com", "grant_storage": False},
            "google_service_account_iam_member",
            "google_storage_bucket_iam_member",
        ),
    ],
)
def test_a_grant_that_is_left_to_another_deployment_stays(
    cloud: str, identity: Body, kept: str, gone: str, tmp_path: Path
) -> None:
    file = tmp_path / "deployments.yaml"

    def body(**own: object) -> Body:
        changed = {"identity": {**identity, **own}}
        file.write_text(json.dumps({"deployments": deployments(cloud, {"a": changed})}))
        return synthesized(read_deployments(file), file=file.name)["a"]

    before, after = body(grant_storage=True), body()
    granted = [f"{gone}.{address}" for address in before["resource"][gone]]
    assert gone not in after["resource"]
    assert kept in after["resource"]
    assert set(granted) <= {each["from"] for each in after["removed"]}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("helm",), "a.helm"),
        (("storage", "bucket"), None),
        (("storage-account", "account"), None),
        (("identity", "user-acme_astro_prod.x"), None),
        (("identity", "a" * 150, "b" * 150), None),
    ],
)
def test_an_address_is_built_as_cdktf_builds_it(path: tuple[str, ...], name: str | None) -> None:
    from cdktf import App, TerraformElement, TerraformStack
    from constructs import Construct

    scope: Construct = TerraformStack(App(), "any")
    for part in path[:-1]:
        scope = Construct(scope, part)
    element = TerraformElement(scope, path[-1])
    assert address("a", *path) == f"a.{element.friendly_unique_id}"
    assert name is None or name == address("a", *path)
