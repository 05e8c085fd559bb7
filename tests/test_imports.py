"""What exists already, as import blocks: every resource has a name, its exact id, and its parents with it."""

import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from astro_xcom.cli import app
from astro_xcom.cli.source import synthesized_files
from astro_xcom.deployments import read_deployments
from astro_xcom.errors import SettingErrors
from astro_xcom.hcp.bundle import archive
from astro_xcom.hcp.export import differences, write
from astro_xcom.hcp.stack_files import body
from astro_xcom.imports import import_blocks, importable
from support import AGENT, BASES, EXAMPLE, GOLDEN, Body, edited, read

FILES = [EXAMPLE / "deployments.yaml", *sorted(GOLDEN.glob("*/deployments.yaml"))]
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP = f"{SUBSCRIPTION}/resourceGroups/astro-xcom"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/acmeastroxcom"
CONTAINER = f"{ACCOUNT}/blobServices/default/containers/xcom"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/hand-xcom"
GUID = "00000000-0000-0000-0000-000000000000"
EMAIL = "hand-xcom@acme-data.iam.gserviceaccount.com"
REFUSED = yaml.safe_load(Path(__file__).with_name("refused_imports.yaml").read_text())


def blocks(cloud: str, folder: Path, **more: Body) -> dict[str, str]:
    """Type of resource -> id."""
    deployment = edited({"cloud": cloud, "agent": AGENT, **BASES[cloud]}, more)
    found = import_blocks("hand", read(json.dumps({"deployments": {"hand": deployment}}), folder)["hand"])
    return {address.partition(".")[0]: id_ for address, id_ in found.items()}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_resource_of_a_stack_has_a_name(file: Path) -> None:
    for name, deployment in read_deployments(file).items():
        golden = GOLDEN / name.partition("-")[0] / f"{name}.json"
        resources = json.loads(golden.read_text())["resource"]
        there = [each.address for each in importable(name, deployment).values()]
        assert sorted(there) == sorted(f"{type_}.{each}" for type_ in resources for each in resources[type_])


@pytest.mark.parametrize(
    ("cloud", "imports", "expected"),
    [
        ("aws", {"bucket": True}, {"aws_s3_bucket": "acme-xcom"}),
        (
            "aws",
            {"lifecycle": True},
            {"aws_s3_bucket": "acme-xcom", "aws_s3_bucket_lifecycle_configuration": "acme-xcom"},
        ),
        (
            "aws",
            {"role-policy": True},
            {"aws_iam_role": "hand-xcom", "aws_iam_role_policy": "hand-xcom:storage-acme-xcom"},
        ),
        ("aws", {"aws_iam_role.identity_role_F615E672": "hand-xcom"}, {"aws_iam_role": "hand-xcom"}),
        ("aws", {"release": "astro/astro-agent"}, {"helm_release": "astro/astro-agent"}),
        (
            "azure",
            {"container": True},
            {
                "azurerm_resource_group": GROUP,
                "azurerm_storage_account": ACCOUNT,
                "azurerm_storage_container": CONTAINER,
            },
        ),
        (
            "azure",
            {"credential astro/prod-triggerer": True},
            {
                "azurerm_resource_group": GROUP,
                "azurerm_user_assigned_identity": IDENTITY,
                "azurerm_federated_identity_credential": f"{IDENTITY}/federatedIdentityCredentials/"
                "aks-data_astro_prod-triggerer",
            },
        ),
        (
            "azure",
            {"role-assignment": f"{CONTAINER}/providers/Microsoft.Authorization/roleAssignments/{GUID}"},
            {
                "azurerm_resource_group": GROUP,
                "azurerm_storage_account": ACCOUNT,
                "azurerm_storage_container": CONTAINER,
                "azurerm_user_assigned_identity": IDENTITY,
                "azurerm_role_assignment": f"{CONTAINER}/providers/Microsoft.Authorization/roleAssignments/{GUID}",
            },
        ),
        ("gcp", {"bucket": True}, {"google_storage_bucket": "acme-xcom"}),
        (
            "gcp",
            {"member objects": True},
            {
                "google_storage_bucket": "acme-xcom",
                "google_service_account": f"projects/acme-data/serviceAccounts/{EMAIL}",
                "google_storage_bucket_iam_member": f"b/acme-xcom roles/storage.objectAdmin serviceAccount:{EMAIL}",
            },
        ),
        (
            "gcp",
            {"member astro/prod-triggerer": True},
            {
                "google_service_account": f"projects/acme-data/serviceAccounts/{EMAIL}",
                "google_service_account_iam_member": f"projects/acme-data/serviceAccounts/{EMAIL} "
                "roles/iam.workloadIdentityUser serviceAccount:acme-data.svc.id.goog[astro/prod-triggerer]",
            },
        ),
    ],
)
def test_a_name_gives_the_exact_id_and_brings_its_parents(
    cloud: str, imports: Body, expected: dict[str, str], tmp_path: Path
) -> None:
    assert blocks(cloud, tmp_path, imports=imports) == expected


def test_parents_that_exist_elsewhere_are_not_imported(tmp_path: Path) -> None:
    found = blocks("azure", tmp_path, imports={"container": True}, resource_group={"existing": True})
    assert set(found) == {"azurerm_storage_account", "azurerm_storage_container"}


def test_members_of_an_account_that_exists_are_as_the_stack_writes_it(tmp_path: Path) -> None:
    found = blocks("gcp", tmp_path, imports={"members": True}, identity={"existing_service_account": EMAIL})
    assert found["google_service_account_iam_member"].startswith(f"projects/-/serviceAccounts/{EMAIL} ")


def test_names_that_an_import_must_keep_are_settings(tmp_path: Path) -> None:
    found = blocks(
        "aws", tmp_path, imports={"role-policy": True}, identity={"role_name": "agents", "policy_name": "xcom"}
    )
    assert found["aws_iam_role_policy"] == "agents:xcom"
    names = {"credential_names": {"astro/prod-triggerer": "by-hand"}}
    found = blocks("azure", tmp_path, imports={"credential astro/prod-triggerer": True}, identity=names)
    assert found["azurerm_federated_identity_credential"] == f"{IDENTITY}/federatedIdentityCredentials/by-hand"


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row["says"])
def test_an_import_that_cannot_be_is_refused(row: Body, tmp_path: Path) -> None:
    with pytest.raises(SettingErrors) as refused:
        blocks(row["cloud"], tmp_path, **row["edit"])
    (line,) = refused.value.lines
    assert line.startswith("deployments.yaml: hand.")
    assert row["says"] in line


def test_every_import_that_cannot_be_has_a_line(tmp_path: Path) -> None:
    with pytest.raises(SettingErrors) as refused:
        blocks("gcp", tmp_path, imports={"buckets": True, "bucket": "b/acme-xcom", "roles": True})
    assert len(refused.value.lines) == 3


@pytest.mark.parametrize("cloud", BASES)
def test_the_command_prints_lines_that_can_be_pasted(
    cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment = {"cloud": cloud, "agent": AGENT, **BASES[cloud]}
    read(json.dumps({"deployments": {"hand": deployment}}), tmp_path)
    monkeypatch.setattr(sys, "argv", ["astro-xcom", "imports", "hand", "-f", str(tmp_path / "deployments.yaml")])
    with pytest.raises(SystemExit):
        app.main()
    lines = yaml.safe_load(capsys.readouterr().out)
    found = read(json.dumps({"deployments": {"hand": deployment | lines}}), tmp_path)["hand"]
    there = {each.address: each.id for each in importable("hand", found).values() if each.id}
    assert import_blocks("hand", found) == there


@pytest.mark.parametrize("cloud", BASES)
def test_imports_are_part_of_what_is_exported_and_uploaded(cloud: str, tmp_path: Path) -> None:
    deployment = {"cloud": cloud, "agent": AGENT, **BASES[cloud], "imports": {"release": True}}
    deployments = read(json.dumps({"deployments": {"hand": deployment}}), tmp_path)
    files = synthesized_files(deployments, tmp_path / "deployments.yaml")["hand"]
    assert body(files)["import"] == [{"to": "helm_release.agent_release_2CFEB619", "id": "astro/astro-agent"}]
    with tarfile.open(fileobj=io.BytesIO(archive(files))) as uploaded:
        assert uploaded.getnames() == ["cdk.tf.json"]
    changes = differences({"hand": files}, tmp_path / "terraform")
    write(changes, tmp_path / "terraform", prune=False)
    assert not differences({"hand": files}, tmp_path / "terraform")
    without = read(json.dumps({"deployments": {"hand": deployment | {"imports": {}}}}), tmp_path)
    stale = differences(synthesized_files(without, tmp_path / "deployments.yaml"), tmp_path / "terraform")
    assert [each.path for each in stale] == ["stacks/hand/cdk.tf.json"]
