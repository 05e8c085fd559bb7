"""What people call a block, and what they know it by."""

import re
from typing import Any

from astro_xcom.graph.references import Block

OWN_NAME = "{}"

WORDS = {
    "aws_caller_identity": ("AWS account", ""),
    "aws_eks_cluster": ("EKS cluster", "{name}"),
    "aws_eks_cluster_auth": ("EKS token", ""),
    "aws_iam_openid_connect_provider": ("OIDC provider", ""),
    "aws_eks_pod_identity_association": ("Pod Identity association", "{service_account}"),
    "aws_iam_policy_document": ("Policy document", OWN_NAME),
    "aws_iam_role": ("IAM role", "{name}"),
    "aws_iam_role_policy": ("Policy of the role", "{name}"),
    "aws_iam_role_policy_attachment": ("Attached policy", "{policy_arn}"),
    "aws_kms_alias": ("KMS alias", "{name}"),
    "aws_kms_key": ("KMS key", ""),
    "aws_region": ("AWS region", ""),
    "aws_partition": ("AWS partition", ""),
    "aws_s3_bucket": ("S3 bucket", "{bucket}"),
    "aws_s3_bucket_lifecycle_configuration": ("Expiry", "after {rule.expiration.days} days"),
    "aws_s3_bucket_logging": ("Access log", "to {target_bucket}"),
    "aws_s3_bucket_notification": ("Events", ""),
    "aws_s3_bucket_ownership_controls": ("Object ownership", "{rule.object_ownership}"),
    "aws_s3_bucket_policy": ("Bucket policy", ""),
    "aws_s3_bucket_public_access_block": ("Public access block", ""),
    "aws_s3_bucket_server_side_encryption_configuration": (
        "Encryption",
        "{rule.apply_server_side_encryption_by_default.sse_algorithm}",
    ),
    "aws_s3_bucket_versioning": ("Versioning", "{versioning_configuration.status}"),
    "azurerm_federated_identity_credential": ("Federated credential", "{subject}"),
    "azurerm_kubernetes_cluster": ("AKS cluster", "{name}"),
    "azurerm_monitor_diagnostic_setting": ("Access log", "{name}"),
    "azurerm_private_endpoint": ("Private endpoint", "{name}"),
    "azurerm_resource_group": ("Resource group", "{name}"),
    "azurerm_role_assignment": ("Role assignment", "{role_definition_name}"),
    "azurerm_storage_account": ("Storage account", "{name}"),
    "azurerm_storage_container": ("Blob container", "{name}"),
    "azurerm_storage_management_policy": (
        "Expiry",
        "after {rule.actions.base_blob.delete_after_days_since_modification_greater_than} days",
    ),
    "azurerm_user_assigned_identity": ("Managed identity", "{name}"),
    "google_client_config": ("Google credentials", ""),
    "google_container_cluster": ("GKE cluster", "{name}"),
    "google_kms_crypto_key": ("KMS key", "{name}"),
    "google_kms_crypto_key_iam_member": ("Role on the key", "{role}"),
    "google_kms_key_ring": ("KMS key ring", "{name}"),
    "google_project": ("Google Cloud project", "{project_id}"),
    "google_project_iam_member": ("Role on the project", "{role}"),
    "google_secret_manager_secret_iam_member": ("Role on the secret", "{role}"),
    "google_service_account": ("Service account", "{account_id}"),
    "google_service_account_iam_member": ("Workload Identity user", "{member}"),
    "google_storage_bucket": ("Cloud Storage bucket", "{name}"),
    "google_storage_bucket_iam_member": ("Role on the bucket", "{role}"),
    "google_storage_project_service_account": ("Cloud Storage agent", ""),
    "helm_release": ("Helm release", "{name}, chart {version}"),
}
"""Type -> what it is, and its name or main setting: arguments in braces, or the construct's own name."""

PLACEHOLDER = re.compile(r"\{([\w.]+)\}")
FRONT = re.compile(r"^(roles/|system:serviceaccount:|serviceAccount:)")


def kind(block: Block) -> str:
    """`S3 bucket`."""
    known = WORDS.get(block.type)
    return known[0] if known else block.type.partition("_")[2].replace("_", " ").capitalize()


def name(block: Block) -> str:
    """`acme-astro-xcom`; the construct's own name if no other is known yet; empty if none says anything."""
    template = WORDS.get(block.type, ("", "{name}"))[1]
    values = {path: _at(block.arguments, path) for path in PLACEHOLDER.findall(template)}
    if template == OWN_NAME or any(value is None or "${" in value for value in values.values()):
        return block.path[-1]
    return FRONT.sub("", PLACEHOLDER.sub(lambda path: str(values[path[1]]), template))


def short(text: str) -> str:
    """`acme-data.svc.id.goog[astro/prod-worker]` -> `prod-worker`."""
    return re.split(r"[:/]", text.rstrip("]"))[-1]


def _at(value: Any, path: str) -> str | None:
    for part in path.split("."):
        value = value[0] if isinstance(value, list) and value else value
        value = value.get(part) if isinstance(value, dict) else None
    return None if value is None else str(value)
