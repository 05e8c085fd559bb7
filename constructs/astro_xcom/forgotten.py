"""What a deployment no longer creates is forgotten by Terraform, not destroyed. No side effects, no cdktf import.

`prevent_destroy` holds only while its block is in the JSON: a setting that drops the block would delete the thing.
A `removed` block stands in its place. Terraform ignores one for an address that never existed.
"""

import hashlib
import re
from collections.abc import Iterator

from astro_xcom.rules import azure, gcp
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment
from astro_xcom.workers import Worker, construct_id

BUCKET_SETTINGS = {
    "public-access-block": "public_access_block",
    "policy": "policy",
    "ownership": "ownership_controls",
    "versioning": "versioning",
    "encryption": "server_side_encryption_configuration",
    "lifecycle": "lifecycle_configuration",
    "logging": "logging",
    "notification": "notification",
}
"""Construct id -> the rest of the type. They stay with a bucket that is handed over: without them it is not private."""


def forgotten(deployment: Deployment) -> list[str]:
    """The addresses of what holds values, keys, identity or agents and is not created with these settings.

    Next to none when `storage.protect_from_destroy` is off: a setting then destroys what it no longer creates.
    """
    if not deployment.storage.protect_from_destroy:
        return list(_created_elsewhere(deployment))
    found = [] if deployment.agent.release else [address("helm_release", "agent", "release")]
    if isinstance(deployment, AwsDeployment):
        return [*found, *_on_aws(deployment)]
    if isinstance(deployment, AzureDeployment):
        return [*found, *_on_azure(deployment)]
    if isinstance(deployment, GcpDeployment):
        return [*found, *_on_gcp(deployment)]
    return found


def _created_elsewhere(deployment: Deployment) -> Iterator[str]:
    """What version 0.1 created at another address: destroying the old one would take away the new one, its equal."""
    if isinstance(deployment, GcpDeployment) and deployment.storage.kms_key_name and deployment.storage.grant_kms_key:
        yield address("google_kms_crypto_key_iam_member", "storage", "key-grant")


def address(type_: str, *path: str) -> str:
    """The address of a resource, from its type and the ids of its constructs below the stack (as CDKTF builds it)."""
    human: list[str] = []
    for part in path:
        if not human or not human[-1].endswith(part):
            human.append(part)
    name = "_".join(re.sub(r"[^A-Za-z0-9_-]", "", part) for part in human)
    if len(path) == 1:
        return f"{type_}.{name}"
    digest = hashlib.md5("/".join(path).encode(), usedforsecurity=False).hexdigest()[:8].upper()
    return f"{type_}.{name[:240]}_{digest}"


def _on_aws(deployment: AwsDeployment) -> Iterator[str]:
    storage = deployment.storage
    if storage.existing:
        yield address("aws_s3_bucket", "storage", "bucket")
        for id_, kind in BUCKET_SETTINGS.items():
            yield address(f"aws_s3_bucket_{kind}", "storage", id_)
    if storage.existing or storage.encryption != "SSE-KMS" or storage.kms_key_arn:
        yield address("aws_kms_key", "storage", "key")
        yield address("aws_kms_alias", "storage", "key-alias")
    for worker, role in deployment.roles().items():
        if role.existing_role:
            yield address("aws_iam_role", construct_id(worker), "role")
            yield address("aws_iam_role_policy", "storage", f"grant-{construct_id(worker)}")


def _on_azure(deployment: AzureDeployment) -> Iterator[str]:
    storage = deployment.storage
    if deployment.resource_group.existing:
        yield address("azurerm_resource_group", "resource-group")
    if storage.existing:
        yield address("azurerm_storage_account", "storage-account", "account")
        yield address("azurerm_storage_management_policy", "storage-account", "lifecycle")
        yield address("azurerm_private_endpoint", "storage-account", "private-endpoint")
        yield address("azurerm_monitor_diagnostic_setting", "storage-account", "access-logs")
    if storage.existing or not storage.customer_managed_key:
        yield address("azurerm_user_assigned_identity", "storage-account", "key-identity")
        yield address("azurerm_role_assignment", "storage-account", "key-grant")
    if storage.existing == "container":
        yield address("azurerm_storage_container", "storage", "container")
    for worker, identity in deployment.identities().items():
        id_ = construct_id(worker)
        if identity.existing:
            yield address("azurerm_user_assigned_identity", id_, "identity")
        if not identity.granted:
            yield address("azurerm_role_assignment", "storage", f"grant-{id_}")
        for key in () if identity.federate else deployment.cluster_keys():
            for namespace, account in _accounts(deployment, worker):
                credential = azure.federated_credential_name(key, namespace, account)
                yield address("azurerm_federated_identity_credential", id_, credential)


def _on_gcp(deployment: GcpDeployment) -> Iterator[str]:
    storage = deployment.storage
    if storage.existing:
        yield address("google_storage_bucket", "storage", "bucket")
    encrypted = not storage.existing and storage.encryption == "customer-managed"
    if not encrypted or storage.kms_key_name:
        yield address("google_kms_key_ring", "storage", "key-ring")
        yield address("google_kms_crypto_key", "storage", "key")
        yield address("google_kms_crypto_key_iam_member", "storage", "key-grant")
    if not encrypted or not storage.kms_key_name or not storage.grant_kms_key:
        yield address("google_kms_crypto_key_iam_member", "storage", "given-key-grant")
    direct = deployment.identity.mechanism == "direct"  # pods that run with a service account go on with it
    for worker, identity in deployment.identities().items():
        id_ = construct_id(worker)
        if identity.existing_service_account or direct:
            yield address("google_service_account", id_, "account")
        if not identity.grant_storage or direct:
            yield address("google_storage_bucket_iam_member", "storage", f"objects-{id_}")
            yield address("google_storage_bucket_iam_member", "storage", f"bucket-{id_}")
        if not identity.federate or direct:
            for cluster in (deployment.cluster, *deployment.trusted_clusters):
                pool = cluster.workload_pool or f"{cluster.project or deployment.project}{gcp.POOL}"
                for namespace, account in _accounts(deployment, worker):
                    key = f"{pool.removesuffix(gcp.POOL)}_{namespace}_{account}"
                    yield address("google_service_account_iam_member", id_, f"user-{key}")


def _accounts(deployment: Deployment, worker: Worker) -> list[list[str]]:
    """Namespace and name of every service account that may have been trusted with an identity."""
    subjects = deployment.agent.subjects() if worker is None else deployment.trusted()[worker]
    return [subject.split(":")[2:] for subject in subjects]
