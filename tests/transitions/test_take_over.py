"""The setup of Astronomer's page, created by hand, becomes a stack: nothing is destroyed or replaced."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from astro_xcom.cli import app
from astro_xcom.deployments import read_deployments
from astro_xcom.imports import import_blocks
from astro_xcom.plan import forecast, read_plan
from support import Body, synth_file
from transitions.test_transitions import Change, change, codes

pytestmark = pytest.mark.terraform

VENDOR = Path(__file__).parent.parent / "vendor"
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
GROUP = f"{SUBSCRIPTION}/resourceGroups/astro"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/acmeastroxcom"
CONTAINER = f"{ACCOUNT}/blobServices/default/containers/xcom"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/astro-agents"
CREDENTIAL = f"{IDENTITY}/federatedIdentityCredentials/by-hand"
ASSIGNMENT = f"{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments/33333333-3333-3333-3333-333333333333"
ISSUER = "https://westeurope.oic.prod-aks.azure.com/11111111-1111-1111-1111-111111111111/22222222-2222-2222-2222-222222222222/"
PROVIDER = (
    "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": PROVIDER},
            "Condition": {"StringLike": {f"{PROVIDER.partition('/')[2]}:sub": "system:serviceaccount:astro:*"}},
        }
    ],
}
EMAIL = "astro-agents@acme-data.iam.gserviceaccount.com"


def s3(kind: str, **attributes: Any) -> Body:
    return {f"aws_s3_bucket{kind}:acme-xcom": {"id": "acme-xcom", "bucket": "acme-xcom", **attributes}}


CLOUDS: dict[str, Body] = {
    "aws": {
        **s3("", region="us-east-1"),
        **s3("_versioning", versioning_configuration=[{"status": "Enabled"}]),
        **s3("_server_side_encryption_configuration",
             rule=[{"apply_server_side_encryption_by_default": [{"sse_algorithm": "AES256"}]}]),
        **s3("_lifecycle_configuration",
             rule=[{"id": "old", "status": "Enabled", "filter": [{"prefix": "xcom/"}], "expiration": [{"days": 90}]}]),
        "aws_iam_role:astro-agents": {
            "id": "astro-agents", "name": "astro-agents", "path": "/", "assume_role_policy": json.dumps(TRUST),
            "arn": "arn:aws:iam::111122223333:role/astro-agents", "max_session_duration": 3600,
        },
    },
    "azure": {
        f"azurerm_storage_account:{ACCOUNT}": {
            "id": ACCOUNT, "name": "acmeastroxcom", "resource_group_name": "astro", "location": "westeurope",
            "account_kind": "StorageV2", "account_tier": "Standard", "account_replication_type": "LRS",
            "https_traffic_only_enabled": True, "min_tls_version": "TLS1_2", "shared_access_key_enabled": True,
        },
        f"azurerm_storage_container:{CONTAINER}": {
            "id": CONTAINER, "name": "xcom", "storage_account_id": ACCOUNT, "container_access_type": "private",
        },
        f"azurerm_user_assigned_identity:{IDENTITY}": {
            "id": IDENTITY, "name": "astro-agents", "resource_group_name": "astro", "location": "westeurope",
            "client_id": "22222222-2222-2222-2222-222222222222", "principal_id": "44444444-4444-4444-4444-444444444444",
        },
        f"azurerm_federated_identity_credential:{CREDENTIAL}": {
            "id": CREDENTIAL, "name": "by-hand", "resource_group_name": "astro", "parent_id": IDENTITY,
            "issuer": ISSUER, "subject": "system:serviceaccount:astro:prod-worker-default-worker",
            "audience": ["api://AzureADTokenExchange"],
        },
        f"azurerm_role_assignment:{ASSIGNMENT}": {
            "id": ASSIGNMENT, "scope": ACCOUNT, "role_definition_name": "Storage Blob Data Contributor",
            "principal_id": "44444444-4444-4444-4444-444444444444", "principal_type": "ServicePrincipal",
        },
    },
    "gcp": {
        "google_storage_bucket:acme-xcom": {
            "id": "acme-xcom", "name": "acme-xcom", "location": "US", "project": "acme-data",
            "uniform_bucket_level_access": True, "storage_class": "STANDARD", "force_destroy": False,
        },
        f"google_service_account:projects/acme-data/serviceAccounts/{EMAIL}": {
            "id": f"projects/acme-data/serviceAccounts/{EMAIL}", "account_id": "astro-agents", "project": "acme-data",
        },
    },
}  # fmt: skip
"""What somebody made by the page's words: 90 days on AWS and a star in the trust, keys on Azure."""
OPTIONS = {
    "aws": ["region=us-east-1", "cluster.name=data", f"cluster.oidc_provider_arn={PROVIDER}"],
    "azure": [
        "subscription_id=00000000-0000-0000-0000-000000000000", "location=westeurope", "resource_group.name=astro",
        "identity.name=astro-agents", "cluster.name=data", "cluster.resource_group=aks", f"cluster.issuer={ISSUER}",
        "identity.credential_names.astro/prod-worker-default-worker=by-hand", f"imports.role-assignment={ASSIGNMENT}",
    ],
    "gcp": ["cluster.name=data", "cluster.location=us-central1", "storage.location=US"],
}  # fmt: skip
EXPECTED = {"aws": 6, "azure": 6, "gcp": 3}
"""How many things are imported, the release among them."""
SAYS = {
    "aws": {"QUIET trust-exact", "SOON expires-earlier"},
    "azure": {"QUIET keys-off", "SOON expires-from-now"},
    "gcp": {"SOON expires-from-now"},
}


def taken_over(
    cloud: str, shared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, values: Path | None = None
) -> tuple[Change, Path]:
    """Take over the page's setup, and apply it in a cloud that has exactly that."""
    values = values or VENDOR / f"{cloud}.yaml"
    sets = [part for each in OPTIONS[cloud] for part in ("--set", each)]
    options = ["--release", "astro-agent", "--namespace", "astro", "--import", "--yes"]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(
        sys, "argv", ["astro-xcom", "take-over", "hand", "--values", str(values), "--cloud", cloud, *options, *sets]
    )
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert not ended.value.code
    release: Body = {
        "id": "astro-agent",
        "name": "astro-agent",
        "namespace": "astro",
        "chart": "astro-remote-execution-agent",
        "repository": "https://helm.astronomer.io",
        "version": "2.3.3",
        "values": [values.read_text()],
    }
    there = CLOUDS[cloud] | {"helm_release:astro/astro-agent": release}
    (folder / "cloud.json").write_text(json.dumps(there))
    stack = synth_file(folder / "deployments.yaml", folder / "out")["hand"]
    out = folder / "change"
    return change(shared, Path("-"), stack, out, "--cloud", str(folder / "cloud.json")), out


@pytest.mark.parametrize("cloud", CLOUDS)
def test_what_was_made_by_hand_becomes_a_stack(
    cloud: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, out = taken_over(cloud, shared, tmp_path, monkeypatch)  # its second plan is empty, or this fails
    assert not done.actions("delete", "forget")
    deployment = read_deployments(tmp_path / "deployments.yaml")["hand"]
    imported = {each["address"] for each in done.plan["resource_changes"] if "importing" in each["change"]}
    assert imported == set(import_blocks("hand", deployment))
    assert len(imported) == EXPECTED[cloud]
    said = forecast(deployment, read_plan((out / "plan.json").read_text()))
    assert codes(said) == SAYS[cloud]
