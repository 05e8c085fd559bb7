"""What security scanners find in a deployment and why it is accepted: one list, for people and for the scanners."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

from astro_xcom.settings import (
    AwsDeployment,
    AwsStorage,
    AzureDeployment,
    AzureStorage,
    Deployment,
    GcpDeployment,
    GcpStorage,
)

Cloud = Literal["aws", "azure", "gcp"]
Scanner = Literal["checkov", "trivy", "parliament"]
Fails = Callable[[Deployment], bool]

WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A check that a deployment may fail."""

    id: str
    scanner: Scanner
    cloud: Cloud
    reason: str
    """Why failing it is right, at least by default."""
    setting: str | None = None
    """What satisfies it, in the words of deployments.yaml, where anything does."""
    fails: Fails
    """Whether a deployment does, with the settings it has: in its JSON, in its plan or in both."""


def _aws(fails: Callable[[AwsDeployment], bool]) -> Fails:
    return lambda one: isinstance(one, AwsDeployment) and fails(one)


def _s3(fails: Callable[[AwsStorage], bool] = lambda storage: True) -> Fails:
    """Scanners find nothing in a bucket that is not created here; the same holds for the helpers below."""
    return _aws(lambda one: not one.storage.existing and fails(one.storage))


def _azure(fails: Callable[[AzureDeployment], bool]) -> Fails:
    return lambda one: isinstance(one, AzureDeployment) and fails(one)


def _account(fails: Callable[[AzureStorage], bool] = lambda storage: True) -> Fails:
    return _azure(lambda one: one.storage.existing is None and fails(one.storage))


def _gcp(fails: Callable[[GcpDeployment], bool]) -> Fails:
    return lambda one: isinstance(one, GcpDeployment) and fails(one)


def _gcs(fails: Callable[[GcpStorage], bool] = lambda storage: True) -> Fails:
    return _gcp(lambda one: not one.storage.existing and fails(one.storage))


def _shuts_azure_out(storage: AzureStorage) -> bool:
    return storage.network is not None and "AzureServices" not in storage.network.bypass


ACCEPTED = (
    # ---- checkov
    Accepted(
        id="CKV_AWS_18",
        scanner="checkov",
        cloud="aws",
        reason="Access logs need an existing bucket of yours.",
        setting="storage.access_log_bucket",
        fails=_s3(lambda storage: storage.access_log_bucket is None),
    ),
    Accepted(
        id="CKV_AWS_144",
        scanner="checkov",
        cloud="aws",
        reason="XComs live for days, and running a task again writes them again: they need no copy in another region.",
        fails=_s3(),
    ),
    Accepted(
        id="CKV_AWS_145",
        scanner="checkov",
        cloud="aws",
        reason="Objects are encrypted with keys of S3 (SSE-S3); a KMS key costs money.",
        setting="storage.encryption: SSE-KMS",
        fails=_s3(lambda storage: storage.encryption != "SSE-KMS"),
    ),
    Accepted(
        id="CKV2_AWS_62",
        scanner="checkov",
        cloud="aws",
        reason="Nothing here uses events about XComs, and every event costs money.",
        setting="storage.eventbridge_notifications: true",
        fails=_s3(lambda storage: not storage.eventbridge_notifications),
    ),
    Accepted(
        id="CKV_AZURE_33",
        scanner="checkov",
        cloud="azure",
        reason="Asks for logs of queues. The account holds no queues, and azurerm 5 has no block to switch these "
        "logs on.",
        fails=_account(),
    ),
    Accepted(
        id="CKV_AZURE_36",
        scanner="checkov",
        cloud="azure",
        reason="Asks that network rules let Azure services in. Agents do not come through these services, "
        "and your settings leave them out.",
        setting="storage.network.bypass with AzureServices (the default)",
        fails=_account(_shuts_azure_out),
    ),
    Accepted(
        id="CKV_AZURE_59",
        scanner="checkov",
        cloud="azure",
        reason="Agents may come from any network, but they can read nothing without a token of their identity.",
        setting="storage.public_network_access: false, with storage.private_endpoint",
        fails=_account(lambda storage: storage.public_network_access),
    ),
    Accepted(
        id="CKV_AZURE_206",
        scanner="checkov",
        cloud="azure",
        reason="XComs live for days, and running a task again writes them again: they need no copy in another region.",
        setting="storage.replication: GRS",
        fails=_account(lambda storage: storage.replication in ("LRS", "ZRS")),
    ),
    Accepted(
        id="CKV2_AZURE_1",
        scanner="checkov",
        cloud="azure",
        reason="Blobs are encrypted with Microsoft's keys; your own key needs a vault.",
        setting="storage.customer_managed_key",
        fails=_account(lambda storage: storage.customer_managed_key is None),
    ),
    Accepted(
        id="CKV2_AZURE_21",
        scanner="checkov",
        cloud="azure",
        reason="Asks for Log Analytics storage insights. They read with an account key, and account keys are off. "
        "storage.access_log_storage_account_id logs who reads, writes and deletes; checkov does not check "
        "that setting.",
        fails=_azure(lambda one: one.storage.existing != "container"),
    ),
    Accepted(
        id="CKV2_AZURE_33",
        scanner="checkov",
        cloud="azure",
        reason="A private endpoint needs one of your subnets and costs money.",
        setting="storage.private_endpoint",
        fails=_account(lambda storage: storage.private_endpoint is None),
    ),
    Accepted(
        id="CKV_GCP_62",
        scanner="checkov",
        cloud="gcp",
        reason="Access logs need an existing bucket of yours.",
        setting="storage.access_log_bucket",
        fails=_gcs(lambda storage: storage.access_log_bucket is None),
    ),
    Accepted(
        id="CKV_GCP_63",
        scanner="checkov",
        cloud="gcp",
        reason="Found in plans only: checkov mistakes missing access logs for logs that go into the bucket itself.",
        setting="storage.access_log_bucket",
        fails=_gcs(lambda storage: storage.access_log_bucket is None),
    ),
    Accepted(
        id="CKV_GCP_82",
        scanner="checkov",
        cloud="gcp",
        reason="Asks that a Cloud KMS key is protected from destroy. You switched that off, to destroy the deployment.",
        setting="storage.protect_from_destroy: true (the default)",
        fails=_gcs(
            lambda storage: (
                storage.encryption == "customer-managed"
                and storage.kms_key_name is None
                and not storage.protect_from_destroy
            )
        ),
    ),
    # ---- trivy
    Accepted(
        id="AVD-AWS-0088",
        scanner="trivy",
        cloud="aws",
        reason="Found in JSON only: there trivy reads no nested blocks and so misses the encryption. A plan passes.",
        fails=_s3(),
    ),
    Accepted(
        id="AVD-AWS-0089",
        scanner="trivy",
        cloud="aws",
        reason="Access logs need an existing bucket of yours.",
        setting="storage.access_log_bucket",
        fails=_s3(lambda storage: storage.access_log_bucket is None),
    ),
    Accepted(
        id="AVD-AWS-0090",
        scanner="trivy",
        cloud="aws",
        reason="Found in JSON only: there trivy reads no nested blocks and so misses the versioning. A plan passes.",
        fails=_s3(),
    ),
    Accepted(
        id="AVD-AWS-0132",
        scanner="trivy",
        cloud="aws",
        reason="Asks for the ARN of a KMS key. A key costs money, the ARN of a key created here is not known "
        "before the apply, and in JSON trivy reads no nested blocks.",
        setting="storage.encryption: SSE-KMS, with storage.kms_key_arn, in a plan",
        fails=_s3(),
    ),
    Accepted(
        id="AVD-AZU-0010",
        scanner="trivy",
        cloud="azure",
        reason="Same reason as CKV_AZURE_36; found in plans only. trivy finds nothing else on Azure.",
        setting="storage.network.bypass with AzureServices (the default)",
        fails=_account(_shuts_azure_out),
    ),
    Accepted(
        id="AVD-GCP-0007",
        scanner="trivy",
        cloud="gcp",
        reason="roles/storage.objectAdmin is an administrator's role by name only: agents hold it for the objects "
        "of this one bucket, as Astronomer documents.",
        fails=_gcp(lambda one: True),
    ),
    Accepted(
        id="AVD-GCP-0066",
        scanner="trivy",
        cloud="gcp",
        reason="Asks for the name of a Cloud KMS key. A key costs money, the name of a key created here is not "
        "known before the apply, and in JSON trivy reads no nested blocks.",
        setting="storage.encryption: customer-managed, with storage.kms_key_name, in a plan",
        fails=_gcs(),
    ),
    # ---- parliament
    Accepted(
        id="MALFORMED",
        scanner="parliament",
        cloud="aws",
        reason="Trust policy: parliament asks for a Resource, but a trust policy never has one.",
        fails=_aws(lambda one: one.makes_roles),
    ),
    Accepted(
        id="UNKNOWN_FEDERATION_SOURCE",
        scanner="parliament",
        cloud="aws",
        reason="Trust policy: parliament does not know the OIDC providers of EKS.",
        fails=_aws(lambda one: one.makes_roles),
    ),
    Accepted(
        id="MISMATCHED_TYPE",
        scanner="parliament",
        cloud="aws",
        reason="Bucket policy: s3:TlsVersion is compared with 1.2, and parliament accepts whole numbers only.",
        fails=_s3(),
    ),
    Accepted(
        id="UNKNOWN_CONDITION_FOR_ACTION",
        scanner="parliament",
        cloud="aws",
        reason="Bucket policy: the denial of old TLS covers every action, including two that never carry "
        "s3:TlsVersion.",
        fails=_s3(),
    ),
    Accepted(
        id="RESOURCE_STAR",
        scanner="parliament",
        cloud="aws",
        reason="Key policy: in a key's own policy the star means that key.",
        fails=_s3(lambda storage: storage.encryption == "SSE-KMS" and storage.kms_key_arn is None),
    ),
)


def accepted(scanner: Scanner, deployments: Iterable[Deployment]) -> list[Accepted]:
    """What a scanner may find in any of these deployments, with the settings they have."""
    found = list(deployments)
    return [each for each in ACCEPTED if each.scanner == scanner and any(map(each.fails, found))]


def checkov_config(found: Iterable[Accepted]) -> str:
    """A `.checkov.yaml` that skips these checks, each with its reason."""
    lines = [line for each in found for line in (*_comment(each, indent="  "), f"  - {each.id}")]
    return "\n".join(["skip-check:", *lines, ""] if lines else ["skip-check: []", ""])


def trivy_ignore(found: Iterable[Accepted]) -> str:
    """A `.trivyignore` of these checks, each with its reason, by the ids of older and newer versions of trivy."""
    lines = []
    for each in found:
        lines += [*_comment(each), each.id, each.id.removeprefix("AVD-"), ""]
    return "\n".join(lines)


def _comment(each: Accepted, *, indent: str = "") -> list[str]:
    text = each.reason if each.setting is None else f"{each.reason} Satisfied by {each.setting}."
    return wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False)
