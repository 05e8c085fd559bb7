"""What an AWS stack comes to."""

import json
import re
from collections.abc import Iterator
from typing import Any

from astro_xcom.report.model import CloudFacts, Lifecycle, Permission, Trust
from astro_xcom.report.terraform import Body, Computed, Stack, block

OUTPUTS = ("bucket", "role_arn")
PARTITIONS = {
    "aws": r"(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+",
    "aws-cn": r"cn-\w+-\d+",
    "aws-us-gov": r"us-gov-\w+-\d+",
}
ALWAYS = (
    "Pods without the annotation, or started before it, reach S3 anonymously and are refused (403).",
    "A new role or trust takes seconds to minutes until it works everywhere.",
    "The agents' image needs apache-airflow-providers-amazon[s3fs]; with plain s3fs pip installs one that cannot work.",
)


def computed(body: Body) -> Computed:
    """What a plan knows already: policies as JSON, the region's partition, the one account that is allowed."""
    provider = body["provider"]["aws"][0]
    partition = next((name for name, of in PARTITIONS.items() if re.fullmatch(of, provider["region"])), None)
    (account,) = provider.get("allowed_account_ids") or [None]
    return {
        "aws_iam_policy_document.json": _policy,
        "aws_partition.partition": lambda _: partition,
        "aws_caller_identity.account_id": lambda _: account,
    }


def facts(stack: Stack) -> CloudFacts:
    """Role, trust, policy and bucket."""
    provider = stack.providers.get("aws", {})
    bucket, arn = stack.outputs["bucket"], stack.outputs["role_arn"]
    role, grant = stack.one("aws_iam_role"), stack.one("aws_iam_role_policy")
    policy = grant.get("policy") or stack.outputs.get("access_policy")
    made = bool(stack.one("aws_s3_bucket"))
    for_others = []
    if not role:
        for_others.append(
            f"The owner of the role {arn} attaches the output access_policy, and trusts exactly the output "
            "trusted_subjects, with the audience sts.amazonaws.com, of the OIDC provider of every cluster."
        )
    if not made:
        for_others.append(f"The owner of the bucket {bucket} keeps it private, and sets when values expire.")
    return CloudFacts(
        place={
            "region": provider.get("region", ""),
            "account": (provider.get("allowed_account_ids") or ["any: that of the credentials"])[0],
        },
        storage={"bucket": bucket},
        storage_made=made,
        identity={"role": arn},
        identity_made=bool(role),
        trust=tuple(_trust(role["assume_role_policy"])) if role else (),
        permissions=tuple(_permissions(policy)) if policy else (),
        permissions_made=bool(grant),
        lifecycle=_lifecycle(stack.one("aws_s3_bucket_lifecycle_configuration")) if made else None,
        for_others=tuple(for_others),
        always=ALWAYS,
    )


def _policy(document: Body) -> str:
    """As the provider renders it."""
    statements = []
    for statement in document["statement"]:
        conditions: dict[str, dict[str, Any]] = {}
        for condition in statement.get("condition", []):
            conditions.setdefault(condition["test"], {})[condition["variable"]] = condition["values"]
        statements.append(
            {
                "Effect": statement["effect"],
                "Action": statement["actions"],
                "Resource": statement.get("resources", []),
                "Principal": {each["type"]: each["identifiers"] for each in statement.get("principals", [])},
                "Condition": conditions,
            }
        )
    return json.dumps({"Statement": statements})


def _statements(policy: str) -> list[Body]:
    found = json.loads(policy).get("Statement", [])
    return found if isinstance(found, list) else [found]


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _trust(policy: str) -> Iterator[Trust]:
    for statement in _statements(policy):
        principal = statement.get("Principal", {})
        conditions = [
            (test, key.rpartition(":")[2], _list(values))
            for test, of in statement.get("Condition", {}).items()
            for key, values in of.items()
        ]
        audiences = [value for _, claim, values in conditions if claim == "aud" for value in values]
        subjects = [
            value if test == "StringEquals" else f"{test} {value}"
            for test, claim, values in conditions
            if claim == "sub"
            for value in values
        ]
        for provider in (
            _list(principal.get("Federated", json.dumps(principal))) if isinstance(principal, dict) else [principal]
        ):
            for subject in subjects or ["any service account"]:
                yield Trust(
                    subject=subject,
                    through={"OIDC provider": provider, "audience": " ".join(audiences) or "any"},
                )


def _permissions(policy: str) -> Iterator[Permission]:
    for statement in _statements(policy):
        front = "" if statement["Effect"] == "Allow" else f"{statement['Effect']} "
        yield Permission(
            allowed=tuple(front + action for action in sorted(_list(statement.get("Action", [])))),
            on=tuple(sorted(_list(statement.get("Resource", [])))),
        )


def _lifecycle(configuration: Body) -> Lifecycle:
    found: dict[str, Any] = {}
    for rule in configuration.get("rule", []):
        expiration = block(rule.get("expiration"))
        noncurrent = block(rule.get("noncurrent_version_expiration"))
        abort = block(rule.get("abort_incomplete_multipart_upload"))
        if expiration and not expiration.get("expired_object_delete_marker"):
            found |= {"expire_days": expiration["days"], "below": block(rule.get("filter")).get("prefix") or None}
        if noncurrent:
            found["noncurrent_days"] = noncurrent["noncurrent_days"]
        if abort:
            found["abort_upload_days"] = abort["days_after_initiation"]
    return Lifecycle(**found)
