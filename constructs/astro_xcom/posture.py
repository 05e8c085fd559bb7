"""What security scanners find in a deployment and why it is accepted: one list, for people and for the scanners."""

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

Cloud = Literal["aws", "azure", "gcp"]
Scanner = Literal["checkov", "trivy", "parliament"]

WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A check that a deployment may fail."""

    id: str
    scanner: Scanner
    clouds: tuple[Cloud, ...]
    reason: str
    """Why failing it is right, at least by default."""
    setting: str | None = None
    """What satisfies it, in the words of deployments.yaml, where anything does."""


ACCEPTED = (
    # ---- checkov
    Accepted(
        id="CKV_AWS_18",
        scanner="checkov",
        clouds=("aws",),
        reason="Access logs need a bucket of yours to go to.",
        setting="storage.access_log_bucket",
    ),
    Accepted(
        id="CKV_AWS_144",
        scanner="checkov",
        clouds=("aws",),
        reason="XComs live for days and are made again by running a task again: no copy in another region.",
    ),
    Accepted(
        id="CKV_AWS_145",
        scanner="checkov",
        clouds=("aws",),
        reason="Objects are encrypted with keys of S3 (SSE-S3); a KMS key costs money.",
        setting="storage.encryption: SSE-KMS",
    ),
    Accepted(
        id="CKV2_AWS_62",
        scanner="checkov",
        clouds=("aws",),
        reason="Nobody waits for events of XComs, and each costs money.",
        setting="storage.eventbridge_notifications: true",
    ),
    Accepted(
        id="CKV_AZURE_33",
        scanner="checkov",
        clouds=("azure",),
        reason="Asks for logs of queues. The account holds none, and azurerm 5 has no block to switch them on.",
    ),
    Accepted(
        id="CKV_AZURE_59",
        scanner="checkov",
        clouds=("azure",),
        reason="Agents may come from any network; without a token of their identity they get nothing.",
        setting="storage.public_network_access: false, with storage.private_endpoint",
    ),
    Accepted(
        id="CKV_AZURE_206",
        scanner="checkov",
        clouds=("azure",),
        reason="XComs live for days and are made again by running a task again: no copy in another region.",
        setting="storage.replication: GRS",
    ),
    Accepted(
        id="CKV2_AZURE_1",
        scanner="checkov",
        clouds=("azure",),
        reason="Blobs are encrypted with keys of Microsoft; a key of yours needs a vault.",
        setting="storage.customer_managed_key",
    ),
    Accepted(
        id="CKV2_AZURE_21",
        scanner="checkov",
        clouds=("azure",),
        reason="Asks for Log Analytics storage insights, which read with an account key, and those are off. "
        "storage.access_log_storage_account_id logs who reads, writes and deletes; checkov does not look there.",
    ),
    Accepted(
        id="CKV2_AZURE_33",
        scanner="checkov",
        clouds=("azure",),
        reason="A private endpoint needs a subnet of yours and costs money.",
        setting="storage.private_endpoint",
    ),
    Accepted(
        id="CKV_GCP_62",
        scanner="checkov",
        clouds=("gcp",),
        reason="Access logs need a bucket of yours to go to.",
        setting="storage.access_log_bucket",
    ),
    Accepted(
        id="CKV_GCP_63",
        scanner="checkov",
        clouds=("gcp",),
        reason="Found in plans only, where no access logs look like logs into the bucket itself.",
        setting="storage.access_log_bucket",
    ),
    # ---- trivy
    Accepted(
        id="AVD-AWS-0088",
        scanner="trivy",
        clouds=("aws",),
        reason="Found in JSON only, where trivy reads no nested blocks, the encryption among them. A plan passes.",
    ),
    Accepted(
        id="AVD-AWS-0089",
        scanner="trivy",
        clouds=("aws",),
        reason="Access logs need a bucket of yours to go to.",
        setting="storage.access_log_bucket",
    ),
    Accepted(
        id="AVD-AWS-0090",
        scanner="trivy",
        clouds=("aws",),
        reason="Found in JSON only, where trivy reads no nested blocks, the versioning among them. A plan passes.",
    ),
    Accepted(
        id="AVD-AWS-0132",
        scanner="trivy",
        clouds=("aws",),
        reason="Objects are encrypted with keys of S3 (SSE-S3); a KMS key costs money. Of a key made here trivy cannot "
        "see the ARN, and in JSON it reads no nested blocks.",
        setting="storage.encryption: SSE-KMS, with storage.kms_key_arn, in a plan",
    ),
    Accepted(
        id="AVD-GCP-0007",
        scanner="trivy",
        clouds=("gcp",),
        reason="roles/storage.objectAdmin is an administrator's by its name only: agents hold it for the objects of "
        "this one bucket, as Astronomer documents.",
    ),
    Accepted(
        id="AVD-GCP-0066",
        scanner="trivy",
        clouds=("gcp",),
        reason="Objects are encrypted with keys of Google; a key of yours costs money. Of a key made here trivy cannot "
        "see the name, and in JSON it reads no nested blocks.",
        setting="storage.encryption: customer-managed, with storage.kms_key_name, in a plan",
    ),
    # ---- parliament
    Accepted(
        id="MALFORMED",
        scanner="parliament",
        clouds=("aws",),
        reason="Trust policy: it has no Resource, as no trust policy has; parliament asks for one.",
    ),
    Accepted(
        id="UNKNOWN_FEDERATION_SOURCE",
        scanner="parliament",
        clouds=("aws",),
        reason="Trust policy: parliament does not know the OIDC providers of EKS.",
    ),
    Accepted(
        id="MISMATCHED_TYPE",
        scanner="parliament",
        clouds=("aws",),
        reason="Bucket policy: s3:TlsVersion is compared with 1.2, and parliament takes whole numbers only.",
    ),
    Accepted(
        id="UNKNOWN_CONDITION_FOR_ACTION",
        scanner="parliament",
        clouds=("aws",),
        reason="Bucket policy: the denial of old TLS covers every action, also two that never carry s3:TlsVersion.",
    ),
    Accepted(
        id="RESOURCE_STAR",
        scanner="parliament",
        clouds=("aws",),
        reason="Key policy: the star of a key's own policy is that key.",
    ),
)


def accepted(scanner: Scanner, clouds: Iterable[str]) -> list[Accepted]:
    """What a scanner may find on any of these clouds."""
    wanted = set(clouds)
    return [each for each in ACCEPTED if each.scanner == scanner and wanted & set(each.clouds)]


def checkov_config(found: Iterable[Accepted]) -> str:
    """A `.checkov.yaml` that skips these checks, each with its reason."""
    lines = ["skip-check:"]
    for each in found:
        lines += [*_comment(each, indent="  "), f"  - {each.id}"]
    return "\n".join([*lines, ""])


def trivy_ignore(found: Iterable[Accepted]) -> str:
    """A `.trivyignore` of these checks, each with its reason, by the ids of older and newer versions of trivy."""
    lines = []
    for each in found:
        lines += [*_comment(each), each.id, each.id.removeprefix("AVD-"), ""]
    return "\n".join(lines)


def _comment(each: Accepted, *, indent: str = "") -> list[str]:
    text = each.reason if each.setting is None else f"{each.reason} Satisfied by {each.setting}."
    return wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False)
