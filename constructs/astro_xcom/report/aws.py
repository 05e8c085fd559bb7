"""The facts of an AWS stack."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from astro_xcom.report.model import ONLY_IF, CloudFacts, IdentityFacts, Lifecycle, Permission, Trust
from astro_xcom.report.needs import POLICY
from astro_xcom.report.terraform import Body, Computed, Stack, block
from astro_xcom.rules import places
from astro_xcom.rules.aws import BESIDE, POD_IDENTITY_ACTIONS, POD_IDENTITY_SERVICE, POD_IDENTITY_TAGS
from astro_xcom.workers import Worker

OUTPUTS = ("bucket", "role_arn")
ASSUME = "sts:AssumeRoleWithWebIdentity"
ANNOTATED = "Pods without the annotation, or started before it, reach S3 anonymously and are refused (403)."
ASSOCIATED = (
    "Pods that started before their association, and pods on Fargate, reach S3 without the role and are refused (403)."
)
ALWAYS = (
    "A new role or trust takes seconds to minutes until it works everywhere.",
    "The agents' image needs apache-airflow-providers-amazon[s3fs]; with s3fs alone pip installs a broken s3fs.",
)


def computed(body: Body) -> Computed:
    """What a plan knows already: policies as JSON, the region's partition, the one account that is allowed."""
    provider = body["provider"]["aws"][0]
    (account,) = provider.get("allowed_account_ids") or [None]
    return {
        "aws_iam_policy_document.json": _policy,
        "aws_partition.partition": lambda _: places.partition(provider["region"]),
        "aws_caller_identity.account_id": lambda _: account,
    }


def facts(stack: Stack) -> CloudFacts:
    """Role, trust, policy and bucket."""
    provider, bucket = stack.providers.get("aws", {}), stack.outputs["bucket"]
    made = bool(stack.one("aws_s3_bucket"))
    associations, annotated = stack.all("aws_eks_pod_identity_association"), bool(stack.outputs.get("annotations"))
    roles = {worker: _role(stack, worker) for worker in (None, *stack.workers)}
    for_others = list(_for_owners(roles, annotated=annotated, associated=bool(associations)))
    if associations:
        for_others.append(
            "The owner of each cluster must install the add-on eks-pod-identity-agent (built into EKS Auto Mode). The "
            "identity that runs the apply must be allowed to create associations (eks:CreatePodIdentityAssociation) "
            "and to pass the role to them (iam:PassRole)."
        )
    arns = " and ".join(f"the role {role.identity['role']}" for role in roles.values())
    if not made:
        for_others.append(
            f"The owner of the bucket {bucket} must keep it private and set when values expire. If the bucket is "
            f"in another account, its bucket policy must also allow {arns} the permissions in this report."
        )
    own_key = _own_key(stack)
    # The same for every role.
    grants = (each["policy"] for each in stack.all("aws_iam_role_policy") if each["name"] != BESIDE)
    access = _permissions(next(grants, None) or stack.outputs.get("access_policy") or "{}")
    for key in dict.fromkeys(on.partition(ONLY_IF)[0] for each in access if _of_a_key(each) for on in each.on):
        if key != own_key:
            for_others.append(
                f"The owner of the key {key} must let IAM policies decide, in the key policy. If the key is in another "
                f"account, the key policy must also allow {arns} the permissions in this report."
            )
    if logging := stack.one("aws_s3_bucket_logging"):
        for_others.append(
            f"The owner of the bucket {logging['target_bucket']} must let logging.s3.amazonaws.com put objects there, "
            "and encrypt the bucket with SSE-S3."
        )
    return CloudFacts(
        place={
            "region": provider.get("region", ""),
            "account": (provider.get("allowed_account_ids") or ["not restricted (the account of the credentials)"])[0],
        },
        storage={"bucket": bucket},
        storage_made=made,
        **dict(roles.pop(None)),
        workers=roles,
        lifecycle=_lifecycle(stack.one("aws_s3_bucket_lifecycle_configuration")) if made else None,
        clusters=tuple(
            f"{cluster['name']} in {cluster.get('region') or provider.get('region') or cluster['arn'].split(':')[3]}"
            for cluster in stack.data.get("aws_eks_cluster", [])
        ),
        for_others=tuple(for_others),
        always=(ANNOTATED if annotated or not associations else ASSOCIATED, *ALWAYS),
    )


def _for_owners(roles: Mapping[Worker, IdentityFacts], *, annotated: bool, associated: bool) -> Iterator[str]:
    """What the owner of each existing role does; workers may share one."""
    trusted = []
    if annotated:
        trusted.append("with the audience sts.amazonaws.com, of the OIDC provider of every cluster")
    if associated:
        trusted.append(
            f"for {POD_IDENTITY_SERVICE} with {' and '.join(POD_IDENTITY_ACTIONS)}, by the request "
            f"tags {', '.join(POD_IDENTITY_TAGS)}"
        )
    outputs: dict[str, list[str]] = {}
    for worker, role in roles.items():
        if not role.identity_made:
            output = "" if worker is None else f"worker_identities.{worker}."
            outputs.setdefault(role.identity["role"], []).append(output)
    for name, of in outputs.items():
        subjects = " and ".join(f"{output}trusted_subjects" for output in of)
        yield (
            f"The owner of the role {name} must attach the output {of[0]}access_policy, and trust exactly the "
            f"output{'s' if len(of) > 1 else ''} {subjects}, {'; and '.join(trusted)}."
        )


def _role(stack: Stack, worker: Worker) -> IdentityFacts:
    """The role of a worker, or that of all others: each of them by its name, that of the others as what is left."""
    outputs = stack.outputs if worker is None else stack.workers[worker]
    own = {key: each["role_arn"].rpartition("/")[2] for key, each in stack.workers.items()}

    def of_it(name: str) -> bool:
        return name not in own.values() if worker is None else name == own[worker]

    of_workers = {subject for each in stack.workers.values() for subject in each["trusted_subjects"]}
    associations = [
        each
        for each in stack.all("aws_eks_pod_identity_association")
        if (_subject(each) in outputs["trusted_subjects"] if worker else _subject(each) not in of_workers)
    ]
    role = next((each for each in stack.all("aws_iam_role") if of_it(each["name"])), None)
    policies = [each for each in stack.all("aws_iam_role_policy") if of_it(each["role"])]
    grant = next((each for each in policies if each["name"] != BESIDE), None)
    policy = grant["policy"] if grant else outputs.get("access_policy")
    beside = [permission for each in policies if each["name"] == BESIDE for permission in _permissions(each["policy"])]
    attached = [
        Permission(allowed=(f"{POLICY}{each['policy_arn']} allows",), on=())
        for each in stack.all("aws_iam_role_policy_attachment")
        if of_it(each["role"])
    ]
    return IdentityFacts(
        identity={"role": outputs["role_arn"]},
        identity_made=role is not None,
        trust=tuple(_joined(_trust(role["assume_role_policy"]), associations)) if role else (),
        permissions=(*(_permissions(policy) if policy else ()), *beside, *attached),
        permissions_made=grant is not None,
    )


def _subject(association: Body) -> str:
    return f"system:serviceaccount:{association['namespace']}:{association['service_account']}"


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
    """Texts, in an order of their own: that of a policy means nothing."""
    values = value if isinstance(value, list) else [value]
    return sorted(each if isinstance(each, str) else json.dumps(each) for each in values)


def _trust(policy: str) -> Iterator[Trust]:
    for statement in _statements(policy):
        if _service(statement) == [POD_IDENTITY_SERVICE]:
            yield from _pod_identity(statement)
            continue
        claims: dict[str, list[str]] = {"aud": [], "sub": []}
        others = []
        for test, key, values in _conditions(statement):
            claim = key.rpartition(":")[2]
            if claim in claims:
                claims[claim] += [value if test == "StringEquals" else f"{test} {value}" for value in values]
            else:
                others.append(f"{test} {key} {', '.join(values)}")
        for provider in _principals(statement):
            for subject in claims["sub"] or ["any service account"]:
                yield Trust(
                    subject=subject,
                    through={
                        "OIDC provider": provider,
                        "audience": " ".join(claims["aud"]) or "any",
                        **_unusual(statement),
                        **({"only if": " and ".join(others)} if others else {}),
                    },
                )


POD_IDENTITY = "EKS Pod Identity"


def _service(statement: Body) -> list[str]:
    """The service that a statement trusts, if it trusts nobody else."""
    principal = statement.get("Principal", {})
    return _list(principal["Service"]) if isinstance(principal, dict) and principal.keys() == {"Service"} else []


def _pod_identity(statement: Body) -> Iterator[Trust]:
    tags: dict[str, list[str]] = {f"aws:RequestTag/{tag}": [] for tag in POD_IDENTITY_TAGS}
    others = []
    for test, key, values in _conditions(statement):
        if test == "StringEquals" and key in tags:
            tags[key] = values
        else:
            others.append(f"{test} {key} {', '.join(values)}")
    clusters, namespaces, accounts = tags.values()
    for cluster in clusters or ["any cluster"]:
        for namespace in namespaces or ["any namespace"]:
            for account in accounts or ["any service account"]:
                yield Trust(
                    subject=f"system:serviceaccount:{namespace}:{account}",
                    through={
                        POD_IDENTITY: cluster,
                        **_unusual(statement, sorted(POD_IDENTITY_ACTIONS)),
                        **({"only if": " and ".join(others)} if others else {}),
                    },
                )


def _joined(trust: Iterable[Trust], associations: list[Body]) -> Iterator[Trust]:
    """A service account gets the role where it has both, the role's trust and an association."""
    missing = {
        (f":eks:{each['region']}:", f":cluster/{each['cluster_name']}",
         _subject(each)): each
        for each in associations
    }  # fmt: skip
    for one in trust:
        arn = one.through.get(POD_IDENTITY)
        if arn is None:
            yield one
            continue
        key = next((key for key in missing if key[0] in arn and arn.endswith(key[1]) and key[2] == one.subject), None)
        if key is None:
            yield Trust(subject=one.subject, through={**one.through, "association": "none"})
        else:
            del missing[key]
            yield one
    for (_, _, subject), each in missing.items():
        place = f"{each['cluster_name']} in {each['region']}"
        yield Trust(subject=subject, through={POD_IDENTITY: place, "trust of the role": "none"})


def _conditions(statement: Body) -> Iterator[tuple[str, str, list[str]]]:
    """(test, key, values) of each, in an order of their own."""
    for test, of in sorted(statement.get("Condition", {}).items()):
        for key, values in sorted(of.items()):
            yield test, key, _list(values)


def _principals(statement: Body) -> list[str]:
    """OIDC providers by their ARN, anybody else as it is written."""
    principal = statement.get("Principal", {})
    if not isinstance(principal, dict):
        return [principal]
    others = {kind: who for kind, who in principal.items() if kind != "Federated"}
    return [
        *(_list(principal["Federated"]) if "Federated" in principal else ()),
        *([json.dumps(others)] if others or not principal else ()),
    ]


def _unusual(statement: Body, actions: Sequence[str] = (ASSUME,)) -> dict[str, str]:
    """What a statement of trust has but should not, in the policy's own words."""
    usual = {"Effect": ["Allow"], "Action": [*actions]}
    found = {
        key: _list(statement[key]) for key in ("Effect", "Action", "NotAction", "NotPrincipal") if key in statement
    }
    return {key: ", ".join(values) for key, values in found.items() if values != usual.get(key)}


def _own_key(stack: Stack) -> str | None:
    """The key that is created here, by the name under which the bucket uses it."""
    rule = block(stack.one("aws_s3_bucket_server_side_encryption_configuration").get("rule"))
    used: str | None = block(rule.get("apply_server_side_encryption_by_default")).get("kms_master_key_id")
    return used if stack.one("aws_kms_key") else None


def _of_a_key(permission: Permission) -> bool:
    return permission.allowed[0].startswith("kms:")


def _permissions(policy: str) -> Iterator[Permission]:
    for statement in _statements(policy):
        front = "" if statement["Effect"] == "Allow" else f"{statement['Effect']} "
        conditions = [f"{test} {key} {', '.join(values)}" for test, key, values in _conditions(statement)]
        back = f"{ONLY_IF}{' and '.join(conditions)}" if conditions else ""
        yield Permission(
            allowed=tuple(front + action for action in _all_or_all_but(statement, "Action")),
            on=tuple(resource + back for resource in _all_or_all_but(statement, "Resource")),
        )


def _all_or_all_but(statement: Body, key: str) -> list[str]:
    if f"Not{key}" in statement:
        return [f"everything but {', '.join(_list(statement[f'Not{key}']))}"]
    return _list(statement.get(key, []))


def _lifecycle(configuration: Body) -> Lifecycle:
    found: dict[str, Any] = {}
    for rule in configuration.get("rule", []):
        if rule.get("status") != "Enabled":
            continue
        expiration = block(rule.get("expiration"))
        noncurrent = block(rule.get("noncurrent_version_expiration"))
        abort = block(rule.get("abort_incomplete_multipart_upload"))
        if expiration and not expiration.get("expired_object_delete_marker") and "expire_days" not in found:
            found |= {"expire_days": expiration["days"], "below": block(rule.get("filter")).get("prefix") or None}
        if noncurrent:
            found["noncurrent_days"] = noncurrent["noncurrent_days"]
        if abort:
            found["abort_upload_days"] = abort["days_after_initiation"]
    return Lifecycle(**found)
