"""The rules of AWS names, checked before anything is written. Pure; every check returns its argument."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from astro_xcom.errors import SettingError
from astro_xcom.rules import limits, places
from astro_xcom.rules.common import bare_bucket, slug, suggestion

# S3 User Guide, "General purpose bucket naming rules".
RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
NOT_GENERAL_PURPOSE = {
    "-s3alias": "the alias of an access point",
    "--ol-s3": "the alias of an Object Lambda access point",
    ".mrap": "a multi-region access point",
    "--x-s3": "a directory bucket",
    "--table-s3": "a table bucket",
}
"""Suffix -> what has it."""
REGIONAL = "-an"
"""Suffix of general purpose buckets in an account's own regional namespace."""
REGION = "[a-z]{2,}(-[a-z]+)+-[0-9]"


def s3_bucket(value: str) -> str:
    """An S3 bucket name.

    Dots are refused: with them TLS to the bucket's own host name cannot be verified.
    """
    _no_access_point(value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", value):
        raise SettingError(
            "must be 3-63 lower-case letters, digits or hyphens, starting and ending with a letter or digit",
            got=value,
            hint=suggestion(s3_bucket, value, slug(bare_bucket(value), longest=63), "acme-astro-xcom"),
        )
    for prefix in RESERVED_PREFIXES:
        if value.startswith(prefix):
            raise SettingError(
                f"S3 keeps the prefix {prefix} for itself",
                got=value,
                hint=suggestion(s3_bucket, value, value.removeprefix(prefix)),
            )
    _general_purpose(value)
    if value.endswith(REGIONAL):
        raise SettingError(
            f"S3 keeps the suffix {REGIONAL} for buckets in an account's own regional namespace, which are not created "
            "here: choose another name, or create the bucket yourself and use it as an existing one",
            got=value,
        )
    return value


def existing_s3_bucket(value: str) -> str:
    """The name of an existing bucket, which may have dots and the like."""
    _no_access_point(value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        raise SettingError(
            "must be a bucket's name: 3-63 lower-case letters, digits, hyphens or dots",
            got=value,
            hint=suggestion(existing_s3_bucket, value, bare_bucket(value)),
        )
    _general_purpose(value)
    return value


def _no_access_point(value: str) -> None:
    match = re.match(r"arn:[a-z-]+:(s3[a-z0-9-]*):[a-z0-9-]*:[0-9]*:(accesspoint|bucket|outpost)", value)
    if match:
        what = "an access point" if match[2] == "accesspoint" else "a bucket of another kind"
        raise SettingError(f"must be the name of a general purpose bucket; this is the ARN of {what}", got=value)


def _general_purpose(value: str) -> None:
    for suffix, what in NOT_GENERAL_PURPOSE.items():
        if value.endswith(suffix):
            raise SettingError(
                f"must be the name of a general purpose bucket; what ends with {suffix} is {what}", got=value
            )


def aws_region(value: str) -> str:
    """An AWS region code."""
    if not re.fullmatch(REGION, value):
        plain = re.sub(r"(?<=[0-9])[a-z]$", "", value.lower())  # a zone is its region and a letter
        raise SettingError(
            "must be an AWS region code, such as us-east-1", got=value, hint=suggestion(aws_region, value, plain)
        )
    return value


def aws_account_id(value: str) -> str:
    """An AWS account id: twelve digits, quoted in YAML so that a leading zero survives."""
    if not re.fullmatch(r"[0-9]{12}", value):
        hint = suggestion(aws_account_id, value, value.replace("-", ""))
        raise SettingError("must be the 12 digits of an AWS account id, in quotes", got=value, hint=hint)
    return value


def iam_role(value: str) -> str:
    """An IAM role name: at most 64 characters."""
    if not re.fullmatch(r"[\w+=,.@-]{1,64}", value, re.ASCII):
        raise SettingError(
            "must be 1-64 letters, digits or _ + = , . @ - (IAM refuses longer role names only at apply)",
            got=value,
            hint=suggestion(iam_role, value, re.sub(r"[^A-Za-z0-9_+=,.@-]+", "-", value)[:64].strip("-"), "astro-xcom"),
        )
    return value


def iam_path(value: str) -> str:
    """The path of an IAM role."""
    if not re.fullmatch(r"/([A-Za-z0-9_.+=,@-]+/)*", value) or len(value) > 512:
        folders = re.findall(r"[A-Za-z0-9_.+=,@-]+", value)
        raise SettingError(
            "must be folders of letters, digits and _ . + = , @ -, starting and ending with '/', at most 512 in all",
            got=value,
            hint=suggestion(iam_path, value, "/".join(["", *folders, ""]), "/"),
        )
    return value


def _arn(value: str, pattern: str, what: str, example: str) -> str:
    if not re.fullmatch(r"arn:aws(-[a-z]+)*:" + pattern, value):
        raise SettingError(f"must be the ARN of {what}", got=value, hint=f'"{example}"')
    return value


def oidc_provider_arn(value: str) -> str:
    """The ARN of the IAM OIDC provider of an EKS cluster."""
    return _arn(
        value,
        r"iam::[0-9]{12}:oidc-provider/[A-Za-z0-9.-]+(/[A-Za-z0-9_./-]*[A-Za-z0-9_-])?",
        "an IAM OIDC provider",
        "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E",
    )


def iam_policy_arn(value: str) -> str:
    """The ARN of an IAM policy, such as a permissions boundary."""
    return _arn(
        value,
        r"iam::([0-9]{12}|aws):policy/([A-Za-z0-9_.+=,@-]+/)*[A-Za-z0-9_.+=,@-]+",
        "an IAM policy",
        "arn:aws:iam::111122223333:policy/platform-boundary",
    )


def iam_role_arn(value: str) -> str:
    """The ARN of an IAM role."""
    return _arn(
        value,
        r"iam::[0-9]{12}:role/([A-Za-z0-9_.+=,@-]+/)*[A-Za-z0-9_.+=,@-]+",
        "an IAM role",
        "arn:aws:iam::111122223333:role/astro-xcom",
    )


def iam_policy_name(value: str) -> str:
    """Name of a role's inline policy: at most 128 characters."""
    if not re.fullmatch(r"[\w+=,.@-]{1,128}", value, re.ASCII):
        raise SettingError("must be 1-128 letters, digits or _ + = , . @ -", got=value)
    return value


def existing_iam_role(value: str) -> str:
    """A role that exists: its ARN, or its name in the deployment's own account."""
    if value.startswith("arn:"):
        return iam_role_arn(value)
    if not re.fullmatch(r"[\w+=,.@-]{1,64}", value, re.ASCII):
        raise SettingError(
            "must be 1-64 letters, digits or _ + = , . @ -, or an ARN: give the ARN of a role with a path", got=value
        )
    return value


def kms_key_arn(value: str) -> str:
    """The ARN of a KMS key. Aliases are refused: IAM grants on them have no effect."""
    return _arn(
        value,
        r"kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+",
        "a KMS key, not of an alias",
        "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000",
    )


def eks_cluster(value: str) -> str:
    """The name of an EKS cluster."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", value):
        raise SettingError("must be an EKS cluster's name: 1-100 letters, digits, hyphens or underscores", got=value)
    return value


# ---- tags


def tags(values: Mapping[str, str]) -> Mapping[str, str]:
    """Tags that IAM, KMS and S3 all take. IAM folds the case of keys."""
    if len(values) > limits.AWS_TAGS.most:
        raise SettingError(f"must be at most {limits.AWS_TAGS.most} tags", got=len(values))
    for key, value in values.items():
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise SettingError("a tag's key is 1-128 characters, its value at most 256", got={key: value})
        if key.lower().startswith("aws:") or value.lower().startswith("aws:"):
            raise SettingError("a tag, key or value, does not start with aws:, which is AWS's own", got={key: value})
        wrong = sorted({letter for letter in key + value if not _of_a_tag(letter)})
        if wrong:
            raise SettingError(
                f"a tag has letters, digits, blanks and _ . : / = + - @ of any script; IAM refuses {' '.join(wrong)}",
                got={key: value},
            )
    if len({key.lower() for key in values}) < len(values):
        raise SettingError("must differ by more than upper and lower case: IAM folds it", got=list(values))
    return values


def _of_a_tag(letter: str) -> bool:
    """Unicode's letters, separators and numbers, and a few more."""
    return letter in "_.:/=+-@" or unicodedata.category(letter)[0] in "LZN"


# ---- what belongs together


def one_account(arns: Mapping[str, str], *, account: str | None = None) -> Iterable[SettingError]:
    """A role, what it trusts and what bounds it are of one account: the given one, or that of the first."""
    for field, value in arns.items():
        found = places.arn(value).account
        if found == "aws":  # a policy of AWS's own, which every account has
            continue
        account = account or found
        if found != account:
            what = (
                f"register the cluster's issuer as an OIDC provider in {account}"
                if ":oidc-provider/" in value
                else f"the ARN of one in {account}"
            )
            yield SettingError(f"must be of the role's account, {account}", got=value, hint=what, field=field)


def one_partition(arns: Mapping[str, str], *, partition: str | None = None) -> Iterable[SettingError]:
    """Nothing of one partition can name a thing of another."""
    for field, value in arns.items():
        found = places.arn(value).partition
        partition = partition or found
        if found != partition:
            yield SettingError(
                f"must be in the partition {partition}: nothing there can use a thing of {found}",
                got=value,
                field=field,
            )


def one_region(arns: Mapping[str, str], *, region: str | None = None) -> Iterable[SettingError]:
    """S3 encrypts with keys of the bucket's own region alone, and does not look at that before the first write."""
    for field, value in arns.items():
        found = places.arn(value).region
        region = region or found
        if found != region:
            yield SettingError(
                f"must be a key in {region}: S3 uses no other for a bucket there, and each write would fail",
                got=value,
                field=field,
            )


# ---- the trust policy


POD_IDENTITY_SERVICE = "pods.eks.amazonaws.com"
POD_IDENTITY_ACTIONS = ("sts:AssumeRole", "sts:TagSession")
POD_IDENTITY_TAGS = ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account")
"""Of the session tags that EKS sends, those that tell one service account of one cluster."""


def usual_cluster_arn(region: str | None, name: str) -> str:
    """The ARN of an EKS cluster of some account, as long as the real one."""
    region = region or "ap-southeast-2"
    return f"arn:{places.partition(region)}:eks:{region}:111122223333:cluster/{name}"


def trust_policy(
    oidc_provider_arns: Sequence[str], subjects: Sequence[str], pod_identity_clusters: Sequence[str] = ()
) -> dict[str, object]:
    """The trust policy for these, as IAM gets it."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            *_pod_identity_trust(pod_identity_clusters, subjects),
            *(
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Principal": {"Federated": arn},
                    "Condition": {
                        "StringEquals": {
                            f"{arn.partition(':oidc-provider/')[2]}:sub": subjects[0]
                            if len(subjects) == 1
                            else subjects,
                            f"{arn.partition(':oidc-provider/')[2]}:aud": "sts.amazonaws.com",
                        }
                    },
                }
                for arn in oidc_provider_arns
            ),
        ],
    }


def _pod_identity_trust(clusters: Sequence[str], subjects: Sequence[str]) -> Iterator[dict[str, object]]:
    """A statement for each namespace."""
    accounts: dict[str, list[str]] = {}
    for subject in subjects:
        accounts.setdefault(subject.split(":")[-2], []).append(subject.split(":")[-1])
    for namespace, names in accounts.items() if clusters else ():
        values = [clusters, [namespace], names]
        tags = {
            f"aws:RequestTag/{tag}": of[0] if len(of) == 1 else list(of)
            for tag, of in zip(POD_IDENTITY_TAGS, values, strict=True)
        }
        yield {
            "Effect": "Allow",
            "Action": list(POD_IDENTITY_ACTIONS),
            "Principal": {"Service": POD_IDENTITY_SERVICE},
            "Condition": {"StringEquals": tags},
        }


def trust_policy_size(
    oidc_provider_arns: Sequence[str], subjects: Sequence[str], pod_identity_clusters: Sequence[str] = ()
) -> int:
    """How many characters IAM counts in a role's trust policy: all but the blanks."""
    return len(json.dumps(trust_policy(oidc_provider_arns, subjects, pod_identity_clusters), separators=(",", ":")))


def check_trust_policy_size(
    oidc_provider_arns: Sequence[str], subjects: Sequence[str], pod_identity_clusters: Sequence[str] = ()
) -> int:
    """Its size, if IAM takes it at all."""
    size = trust_policy_size(oidc_provider_arns, subjects, pod_identity_clusters)
    clusters = max(len(oidc_provider_arns), len(pod_identity_clusters))
    if size > limits.RAISED_TRUST_POLICY.most:
        raise SettingError(
            f"the trust policy would have {size} characters; IAM allows {limits.RAISED_TRUST_POLICY.most} at most",
            got=f"{len(subjects)} service accounts of {clusters} clusters",
            hint="a role for each cluster, workers that share a service account, or a role for some (identity.workers)",
        )
    return size


# ---- Terraform's state


def state_key(value: str) -> str:
    """The object that Terraform keeps its state in, as its s3 backend takes it."""
    if not value or value.startswith("/") or value.endswith("/"):
        inner = value.strip("/")
        raise SettingError(
            "must not be empty, nor start or end with '/'", got=value, hint=f'"{inner}"' if inner else None
        )
    return value


# ---- permissions beside XComs

BESIDE = "beside-xcoms"
"""Name of the inline policy with what agents may do beside XComs."""
ADMINISTRATORS = ("AdministratorAccess", "IAMFullAccess", "PowerUserAccess")
USUAL_ATTACHED, MOST_ATTACHED = 10, 25  # IAM's quota, and what it can be raised to
LONGEST_INLINE_POLICY = 10240
ALL_SERVICES = "must name a service: a role of agents does not get every action of every service"


def attached_policy_arn(value: str) -> str:
    """The ARN of a managed policy that agents may have."""
    if iam_policy_arn(value).partition(":policy/")[2] in ADMINISTRATORS and ":iam::aws:" in value:
        raise SettingError(
            "is a policy of administrators: agents could open everything of the account",
            got=value,
            hint="a policy that lists what they need",
        )
    return value


def attached_policies(arns: Sequence[str]) -> None:
    """The managed policies of a role: each once, and no more than IAM takes."""
    for arn in arns:
        if arns.count(arn) > 1:
            raise SettingError("must name each policy once", got=arn)
    if len(arns) > MOST_ATTACHED:
        raise SettingError(f"a role has at most {MOST_ATTACHED} managed policies", got=len(arns))


def statement_ids(sids: Iterable[str | None]) -> None:
    """The ids of a policy's statements: each once."""
    given = [sid for sid in sids if sid is not None]
    for sid in given:
        if given.count(sid) > 1:
            raise SettingError("each sid must be there once", got=sid)


def policy_key(arn: str) -> str:
    """A managed policy's own part of an address: its account and its name with the path."""
    account, name = arn.split(":", 5)[4:]
    return f"{account}.{name.removeprefix('policy/').replace('/', '.')}"


def iam_action(value: str) -> str:
    """An action that a policy allows: of one service, stars in its name allowed."""
    if value in ("*", "*:*"):
        raise SettingError(ALL_SERVICES, got=value, hint='"secretsmanager:GetSecretValue"')
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*:[A-Za-z0-9*?]+", value):
        raise SettingError("must be a service and an action of it", got=value, hint='"secretsmanager:GetSecretValue"')
    return value


def iam_resource(value: str) -> str:
    """What a policy allows actions on: an ARN, in which stars are allowed, or a star alone."""
    if value == "*" or re.fullmatch(
        r"arn:(aws(-[a-z]+)*|\*):[a-z0-9-]+:[a-z0-9*-]*:([0-9]{12}|aws|\*)?:[!-~]+", value, re.ASCII
    ):
        return value
    raise SettingError(
        'must be an ARN with the name of a service, or "*"',
        got=value,
        hint='"arn:aws:secretsmanager:us-east-1:111122223333:secret:airflow/*"',
    )


def statement_id(value: str) -> str:
    """The Sid of a statement."""
    if not re.fullmatch(r"[A-Za-z0-9]{1,64}", value):
        raise SettingError(
            "must be 1-64 letters and digits",
            got=value,
            hint=suggestion(statement_id, value, re.sub(r"[^A-Za-z0-9]", "", value), "Secrets"),
        )
    return value


def condition_operator(value: str) -> str:
    """How a condition compares."""
    if not re.fullmatch(
        r"(ForAllValues:|ForAnyValue:)?(String|Numeric|Date|Bool|Binary|IpAddress|NotIpAddress|Arn|Null)[A-Za-z]*",
        value,
    ):
        raise SettingError("must be a condition operator of IAM", got=value, hint='"StringEquals"')
    return value


def condition_key(value: str) -> str:
    """What a condition compares."""
    if not re.fullmatch(r"[a-z0-9-]+:[!-~]+", value):
        raise SettingError("must be a condition key of IAM", got=value, hint='"aws:ResourceTag/team"')
    return value


def not_everything(actions: Sequence[str], resources: Sequence[str]) -> None:
    """Refuse every action of a service on everything that is of it."""
    whole = next((action for action in actions if action.partition(":")[2].strip("*") == ""), None)
    if whole and "*" in resources:
        raise SettingError(
            'allows every action of a service on "*": name the actions, or the resources',
            got=whole,
            hint=f'"{whole.partition(":")[0]}:Get*"',
        )


def inline_policy_size(size: int) -> None:
    """What the statements of a role may take together, blanks not counted."""
    if size > LONGEST_INLINE_POLICY:
        raise SettingError(
            f"the statements would have about {size} characters; IAM allows {LONGEST_INLINE_POLICY} for all of a role",
            hint="a managed policy, in policy_arns",
        )
