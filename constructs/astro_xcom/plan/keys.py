"""Which keys can no longer be used to read. No side effects, no cdktf import."""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta

from astro_xcom.plan.document import Plan, texts
from astro_xcom.plan.effect import Effect, lines
from astro_xcom.plan.types import BESIDE
from astro_xcom.settings import AwsDeployment, Deployment, GcpDeployment

ENCRYPTS = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


def of_aws(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Keys that the agents may no longer decrypt with."""
    if not isinstance(deployment, AwsDeployment):
        return
    storage = deployment.storage
    policies = [
        change.before.get("policy") for change in plan.of("aws_iam_role_policy") if not BESIDE.search(change.address)
    ]
    before = {key: writes for policy in [*policies, plan.outputs.get("access_policy", (None,))[0]] if policy
              for key, writes in _decrypts(policy)}  # fmt: skip
    writes_after = {storage.kms_key_arn}
    writes_after |= {change.before.get("arn") for change in plan.of("aws_kms_key") if change.stays}
    after = {*writes_after, *storage.former_kms_key_arns}
    gap = [key for key, writes in before.items() if writes and key not in writes_after]
    if gap and plan.outputs.get("xcom_path", (None, None))[1] and not deployment.adopted:
        yield Effect(
            kind="QUIET",
            code="encryption-gap",
            what="Agents lose the permission to encrypt with the old key some seconds before the bucket stops using "
            "it: their writes are refused in between.",
            instead="Apply while no task runs.",
        )
    for key, writes in before.items():
        if key not in after and plan.outputs.get("xcom_path", (None, None))[1]:
            yield _unreadable(deployment, plan, key, "former_kms_key_arns", storage.former_kms_key_arns, writes=writes)


def _decrypts(policy: str) -> Iterator[tuple[str, bool]]:
    """(key, whether it also encrypts) of each key that a policy lets decrypt with."""
    for statement in json.loads(policy).get("Statement", []):
        actions, keys = (texts(statement.get(each)) for each in ("Action", "Resource"))
        if "kms:Decrypt" in actions:
            yield from ((key, "kms:GenerateDataKey" in actions) for key in keys)


def of_gcp(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Keys that Cloud Storage may no longer decrypt with."""
    if not isinstance(deployment, GcpDeployment):
        return
    members = list(plan.of("google_kms_crypto_key_iam_member"))
    kept = {each.before["crypto_key_id"] for each in members if each.stays or "forget" in each.actions}
    kept |= {each.after.get("crypto_key_id") for each in members if "create" in each.actions}
    former = deployment.storage.former_kms_key_names
    for change in members:
        key = change.before.get("crypto_key_id")
        if change.destroys and key not in kept:
            writes = change.before.get("role") == ENCRYPTS
            yield _unreadable(deployment, plan, str(key), "former_kms_key_names", former, writes=writes)


def _unreadable(
    deployment: Deployment, plan: Plan, key: str, setting: str, former: Iterable[str], *, writes: bool
) -> Effect:
    if not writes:
        return Effect(
            kind="SOON",
            code="former-key-dropped",
            what=f"Values that the former key {key} encrypted and that have not expired can no longer be read.",
        )
    expired = "its last value has expired"
    if plan.day and not deployment.adopted:
        expired = f"{plan.day + timedelta(days=deployment.xcom.retention_days + 1)}, when {expired}"
    return Effect(
        kind="STOP",
        code="key-not-readable",
        what=f"Values that the key {key} encrypted cannot be read after the apply.",
        instead=f"These lines keep them readable; remove them from {expired}:"
        if "," in expired
        else f"These lines keep them readable; remove them once {expired}:",
        paste=lines("storage", setting, [*former, key]),
    )
