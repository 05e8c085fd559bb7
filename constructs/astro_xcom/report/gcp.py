"""The facts of a Google Cloud stack."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from astro_xcom.report.model import ONLY_IF, CloudFacts, IdentityFacts, Lifecycle, Permission, Trust
from astro_xcom.report.terraform import Body, Computed, Stack, block
from astro_xcom.rules.gcp import STORAGE_ROLES, email_of
from astro_xcom.workers import Worker, setting

OUTPUTS = ("bucket", "workload_identity_members")
SECONDS_OF_A_DAY = 86400
ROLES = tuple(STORAGE_ROLES.values())
ALWAYS = (
    "The clusters of a project have one workload identity pool: the same namespace and account name in any of them is "
    "trusted.",
    "A new service account or member takes minutes until it works everywhere.",
    "The roles are granted on the whole bucket, not only on the path.",
)


def computed(_: Body) -> Computed:
    """What a plan knows already: names, which are made of others."""
    return {
        "google_service_account.name": lambda account: (
            f"projects/{account['project']}/serviceAccounts/{_email(account)}"
        ),
    }


def facts(stack: Stack) -> CloudFacts:
    """Service account, members and bucket."""
    outputs, bucket = stack.outputs, stack.one("google_storage_bucket")
    identities = {worker: _identity(stack, worker) for worker in (None, *stack.workers)}
    emails = {worker: _outputs(stack, worker).get("service_account_email") for worker in identities}
    key = block(bucket.get("encryption")).get("default_kms_key_name")
    own = stack.providers.get("google", {}).get("project", "")
    for_others = []
    for worker, email in emails.items():
        if not identities[worker].trust and email:
            for_others.append(
                f"The owner of the service account {email} must grant roles/iam.workloadIdentityUser on it to "
                f"{', '.join(_outputs(stack, worker)['workload_identity_members'])}."
            )
    if not bucket:
        for_others.append(
            f"The owner of the bucket {outputs['bucket']} must keep it private and set when values expire."
        )
    for worker, identity in identities.items():
        if not identity.permissions_made:
            for_others.append(
                f"The owner of the bucket {outputs['bucket']} must grant {' and '.join(ROLES)} on it to "
                f"{', '.join(_holders(stack, worker))}, unless another deployment of the same account does."
            )
    if not bucket and not emails[None]:
        for_others.append(
            f"The owner of the bucket {outputs['bucket']} must keep uniform bucket-level access on: principals need it."
        )
    if key and not stack.all("google_kms_crypto_key_iam_member"):
        for_others.append(
            f"The owner of the key {key} must grant it to the project's Cloud Storage service agent before the bucket "
            "is created."
        )
    for grant in stack.all("google_kms_crypto_key_iam_member"):
        of = grant["crypto_key_id"].split("/")
        if of[0] == "projects" and own not in ("", of[1]):
            for_others.append(
                f"The owner of the key {grant['crypto_key_id']} must let the identity that runs the apply grant it, or "
                "grant it themselves, with storage.grant_kms_key: false."
            )
    for worker, email in emails.items():
        if identities[worker].trust and own and email and not email.endswith(f"@{own}.iam.gserviceaccount.com"):
            for_others.append(
                f"The owner of the service account {email} must let the identity that runs the apply add members to "
                f"it, or add them themselves, with {setting(worker)}.federate: false."
            )
    if logging := block(bucket.get("logging")):
        for_others.append(
            f"The owner of the bucket {logging['log_bucket']} must let cloud-storage-analytics@google.com create "
            "objects there."
        )
    return CloudFacts(
        place={
            "project": stack.providers.get("google", {}).get("project", ""),
            **({"location": bucket["location"]} if bucket else {}),
        },
        storage={"bucket": outputs["bucket"]},
        storage_made=bool(bucket),
        **dict(identities.pop(None)),
        workers=identities,
        lifecycle=_lifecycle(bucket) if bucket else None,
        clusters=tuple(
            f"{cluster['name']} in {cluster['location']} of the project {cluster['project']}"
            for cluster in stack.data.get("google_container_cluster", [])
        ),
        for_others=tuple(for_others),
        always=ALWAYS,
    )


def _outputs(stack: Stack, worker: Worker) -> Body:
    return dict(stack.outputs) if worker is None else stack.workers[worker]


def _holders(stack: Stack, worker: Worker) -> list[str]:
    """Whom roles are granted to: the service account, or with direct grants each principal."""
    outputs = _outputs(stack, worker)
    email = outputs.get("service_account_email")
    return [f"serviceAccount:{email}"] if email else outputs["workload_identity_members"]


def _identity(stack: Stack, worker: Worker) -> IdentityFacts:
    """The service account of a worker, or that of all others: what is of no worker is theirs."""
    holders, email = _holders(stack, worker), _outputs(stack, worker).get("service_account_email")
    of_workers = {holder for each in stack.workers for holder in _holders(stack, each)} - {*holders}

    def of_it(holder: str) -> bool:
        return holder not in of_workers if worker is None else holder in holders

    grants = [(place, grant) for place, grant in _grants(stack) if of_it(grant["member"])]
    granted = any(grant["role"] in ROLES and grant["member"] in holders for _, grant in grants)
    members = [
        each["member"]
        for each in stack.all("google_service_account_iam_member")
        if of_it(f"serviceAccount:{each['service_account_id'].rpartition('/')[2]}")
    ]
    made = [f"serviceAccount:{_email(each)}" for each in stack.all("google_service_account")]
    return IdentityFacts(
        identity={"service account": email} if email else {"principals": "each Kubernetes service account itself"},
        identity_made=not email or any(map(of_it, made)),
        trust=tuple(
            Trust(subject=_subject(member), through={"workloadIdentityUser" if email else "principal": member})
            for member in (members if email else holders)
        ),
        permissions=(
            *(() if granted else (Permission(allowed=(role,), on=(stack.outputs["bucket"],)) for role in ROLES)),
            *_permissions(grants, holders),
        ),
        permissions_made=granted,
    )


def _email(account: Body) -> str:
    return email_of(account["account_id"], account["project"])


def _grants(stack: Stack) -> Iterator[tuple[str, Body]]:
    """Where a role is granted, and the member of it. A state may have the long name of each."""
    for grant in stack.all("google_storage_bucket_iam_member"):
        yield grant["bucket"].removeprefix("b/"), grant
    for grant in stack.all("google_project_iam_member"):
        yield f"projects/{grant['project'].removeprefix('projects/')}", grant
    for grant in stack.all("google_secret_manager_secret_iam_member"):
        yield f"projects/{grant['project']}/secrets/{grant['secret_id'].rpartition('/')[2]}", grant


def _permissions(grants: Iterable[tuple[str, Body]], holders: list[str]) -> Iterator[Permission]:
    """Roles of all the agents, once; and what others have, or not all of them."""
    found: dict[tuple[str, str], list[str]] = {}
    for place, grant in grants:
        condition = block(grant.get("condition")).get("expression")
        on = place + (f"{ONLY_IF}{condition}" if condition else "")
        found.setdefault((grant["role"], on), []).append(grant["member"])
    for (role, on), members in found.items():
        whole = set(holders) <= set(members)
        if whole:
            yield Permission(allowed=(role,), on=(on,))
        for member in members:
            if not whole or member not in holders:
                yield Permission(allowed=(role,), on=(f"{on} for {member}",))


def _subject(member: str) -> str:
    """`serviceAccount:<pool>[<namespace>/<name>]`, or a principal -> the subject it stands for; else as it is."""
    match = re.fullmatch(r"serviceAccount:[^\[]+\[([^/]+)/(.+)\]|principal://.+/subject/ns/([^/]+)/sa/([^/]+)", member)
    return ":".join(("system:serviceaccount", *filter(None, match.groups()))) if match else member


def _lifecycle(bucket: Body) -> Lifecycle:
    found: dict[str, Any] = {}
    for rule in bucket.get("lifecycle_rule", []):
        condition, action = block(rule["condition"]), block(rule["action"])["type"]
        if action == "AbortIncompleteMultipartUpload":
            found["abort_upload_days"] = condition["age"]
        elif action != "Delete":
            continue
        elif condition.get("with_state") == "LIVE":
            found |= {"expire_days": condition["age"], "below": next(iter(condition.get("matches_prefix") or ()), None)}
        elif condition.get("with_state") == "ARCHIVED":
            found["noncurrent_days"] = condition["days_since_noncurrent_time"]
    soft = block(bucket.get("soft_delete_policy")).get("retention_duration_seconds")
    return Lifecycle(**found, soft_delete_days=None if soft is None else soft // SECONDS_OF_A_DAY)
