"""The types of resource that the stacks create, by what they are for."""

import re

HOLDS = {
    "aws_s3_bucket": "bucket",
    "azurerm_resource_group": "resource group",
    "azurerm_storage_account": "storage account",
    "azurerm_storage_container": "container",
    "google_storage_bucket": "bucket",
}
KEYS = {
    "aws_kms_key": "KMS key",
    "google_kms_key_ring": "key ring",
    "google_kms_crypto_key": "key",
}
IDENTITIES = {
    "aws_iam_role": "role",
    "azurerm_user_assigned_identity": "managed identity",
    "google_service_account": "service account",
}
TRUST = (
    "aws_eks_pod_identity_association",
    "azurerm_federated_identity_credential",
    "google_service_account_iam_member",
)
GRANTS = ("aws_iam_role_policy", "azurerm_role_assignment", "google_storage_bucket_iam_member")
PERMISSIONS = (
    *GRANTS, "aws_iam_role_policy_attachment", "google_project_iam_member", "google_secret_manager_secret_iam_member",
)  # fmt: skip
BESIDE = re.compile(r"\.identity(-[a-z0-9-]+)?_permission")
"""In the address of each of these that is not of the XComs."""
LOGS = ("azurerm_monitor_diagnostic_setting", "aws_s3_bucket_logging", "aws_s3_bucket_notification")
PARTS = {
    "aws_kms_alias",
    "google_kms_crypto_key_iam_member",
    "azurerm_storage_management_policy",
    *(f"aws_s3_bucket_{part}" for part in (
        "public_access_block", "policy", "ownership_controls", "versioning", "server_side_encryption_configuration",
        "lifecycle_configuration",
    )),
}  # fmt: skip
"""What is deleted with the bucket, account or key that it is a part of, which is said of that."""
KNOWN = {*HOLDS, *KEYS, *IDENTITIES, *TRUST, *PERMISSIONS, *LOGS, *PARTS, "helm_release", "azurerm_private_endpoint"}
"""Each of these is spoken of when it is deleted."""

SAME = {
    "aws_eks_pod_identity_association": ("cluster_name", "region", "namespace", "service_account"),
    "aws_iam_role": ("name",),
    "aws_iam_role_policy": ("role", "name"),
    "aws_iam_role_policy_attachment": ("role", "policy_arn"),
    "azurerm_federated_identity_credential": ("parent_id", "user_assigned_identity_id", "name"),
    "azurerm_role_assignment": ("scope", "role_definition_name", "principal_id"),
    "azurerm_user_assigned_identity": ("resource_group_name", "name"),
    "google_kms_crypto_key_iam_member": ("crypto_key_id", "role", "member"),
    "google_project_iam_member": ("project", "role", "member"),
    "google_secret_manager_secret_iam_member": ("secret_id", "role", "member"),
    "google_service_account": ("project", "account_id"),
    "google_service_account_iam_member": ("service_account_id", "role", "member"),
    "google_storage_bucket_iam_member": ("bucket", "role", "member"),
}
"""Type -> by what the cloud tells two of them apart."""
