"""What the agents' identity needs in addition to XComs, and whether this deployment grants it.

No side effects, no cdktf import.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal
from urllib.parse import urlsplit

from astro_xcom.report.agents import environment
from astro_xcom.report.model import ONLY_IF, CloudFacts, Need, Permission
from astro_xcom.report.terraform import Body
from astro_xcom.rules import azure, gcp

KWARGS = "AIRFLOW__SECRETS__BACKEND_KWARGS"
LOGGING, LOG_FOLDER = "AIRFLOW__LOGGING__REMOTE_LOGGING", "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"
LOG_CONTAINER = "AIRFLOW__AZURE_REMOTE_LOGGING__REMOTE_WASB_LOG_CONTAINER"
SETTINGS = {"aws": "identity.policy_statements", "azure": "identity.roles", "gcp": "identity.roles"}
POLICY = "what the policy "
"""Starts what a managed policy allows, which only AWS knows."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A secrets backend of a cloud: what reads from it."""

    cloud: str
    prefixes: Mapping[str, str]
    """Argument -> what Airflow takes when it is left out."""
    allowed: str
    """The IAM action, or the narrowest role."""
    enough: frozenset[str] = frozenset()
    """Wider roles that allow it too."""
    arn: str = ""
    """Service and resource of an ARN, with the prefix in braces."""


# What each asks its cloud for: one call a lookup, read in the providers' sources.
BACKENDS = {
    "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend": Backend(
        cloud="aws",
        prefixes={
            "connections_prefix": "airflow/connections",
            "variables_prefix": "airflow/variables",
            "config_prefix": "airflow/config",
        },
        allowed="secretsmanager:GetSecretValue",
        arn="secretsmanager:{place}:secret:{prefix}/*",
    ),
    "airflow.providers.amazon.aws.secrets.systems_manager.SystemsManagerParameterStoreBackend": Backend(
        cloud="aws",
        prefixes={
            "connections_prefix": "/airflow/connections",
            "variables_prefix": "/airflow/variables",
            "config_prefix": "/airflow/config",
        },
        allowed="ssm:GetParameter",
        arn="ssm:{place}:parameter{prefix}/*",
    ),
    "airflow.providers.microsoft.azure.secrets.key_vault.AzureKeyVaultBackend": Backend(
        cloud="azure",
        prefixes={},
        allowed="Key Vault Secrets User",
        enough=frozenset({"Key Vault Secrets Officer", "Key Vault Administrator"}),
    ),
    "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend": Backend(
        cloud="gcp",
        prefixes={
            "connections_prefix": "airflow-connections",
            "variables_prefix": "airflow-variables",
            "config_prefix": "airflow-config",
        },
        allowed="roles/secretmanager.secretAccessor",
    ),
}
WITHOUT_A_CLOUD = (
    "airflow.providers.hashicorp.secrets.vault.VaultBackend",
    "airflow.secrets.environment_variables.EnvironmentVariablesBackend",
    "airflow.secrets.local_filesystem.LocalFilesystemBackend",
)
OURS = {azure.STORAGE_ROLE, *gcp.STORAGE_ROLES.values()}
"""What agents get for the XComs opens nothing else."""
Extent = Literal["all", "part"] | None
What = Literal["secrets backend", "remote logs"]
Granted = Literal["here", "here in part", "not here", "not known here", "not needed"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is of a need."""

    least: tuple[Permission, ...]
    by: tuple[str, ...]
    """What grants it here."""
    perhaps: tuple[str, ...]
    """What might: only the cloud knows."""
    whole: bool
    """Whether nothing is missing."""


def needs(cloud: str, values: Body, facts: CloudFacts) -> Iterator[Need]:
    """What the secrets backend and remote logs need."""
    variables = {name: value for of in environment(values).values() for name, value in of.items()}
    if backend := values.get("secretBackend"):
        yield _secrets(cloud, backend, variables, facts)
    if variables.get(LOGGING, "").strip().lower() in ("t", "true", "1") and variables.get(LOG_FOLDER):
        yield _logs(cloud, variables, facts)


def sentence(need: Need, cloud: str, facts: CloudFacts) -> str | None:
    """What somebody must do, if this deployment does not grant it."""
    if need.granted not in ("not here", "here in part", "not known here") or not need.permissions:
        return None
    least = "; ".join(f"{', '.join(each.allowed)} on {', '.join(each.on)}" for each in need.permissions)
    identity = " ".join(next(iter(facts.identity.items()), ("identity", "")))
    who = (
        f"Grant it to the {identity} with {SETTINGS[cloud]}, or ask the owner to grant it."
        if facts.permissions_made
        else f"The owner of the {identity} must grant it."
    )
    doubt = {
        "not here": "",
        "here in part": f" This deployment grants only a part of it: {', '.join(need.by)}.",
        "not known here": f" This report cannot tell whether this covers it: {', '.join(need.by)}.",
    }[need.granted]
    return f"The {need.what} {need.named} needs at least {least}. {who}{doubt}"


def _secrets(cloud: str, name: str, variables: Mapping[str, str], facts: CloudFacts) -> Need:
    if name in WITHOUT_A_CLOUD:
        return Need(what="secrets backend", named=name, permissions=(), granted="not needed")
    backend = BACKENDS.get(name)
    if backend is None or backend.cloud != cloud:
        return Need(what="secrets backend", named=name, permissions=(), granted="not known here")
    arguments = _arguments(variables)
    prefixes = [
        prefix for key, default in backend.prefixes.items() if isinstance(prefix := arguments.get(key, default), str)
    ]
    if cloud == "aws":
        place = f"{facts.place['region']}:{_account(facts)}"
        on = [f"arn:{_partition(facts)}:{backend.arn.format(place=place, prefix=prefix)}" for prefix in prefixes]
        return _need("secrets backend", name, _on_aws({backend.allowed: on}, facts))
    if cloud == "azure":
        vault = (urlsplit(str(arguments.get("vault_url", ""))).hostname or "").partition(".")[0]
        least = Permission(
            allowed=(backend.allowed,), on=(f"the key vault {vault}" if vault else "the key vault of the backend",)
        )
        found = _by_role(least, backend.enough, lambda scope: _of_vault(scope, vault), facts)
        return _need("secrets backend", name, found)
    project = f"projects/{arguments.get('project_id') or facts.place['project']}"
    least = Permission(
        allowed=(backend.allowed,), on=tuple(f"the secrets {prefix}-* of {project}" for prefix in prefixes)
    )

    def of_project(scope: str) -> Extent:
        return "all" if scope == project else "part" if scope.startswith(f"{project}/secrets/") else None

    return _need("secrets backend", name, _by_role(least, backend.enough, of_project, facts))


def _of_vault(scope: str, vault: str) -> Extent:
    """All of a vault, also by its group or subscription; or some of its secrets."""
    match = re.fullmatch(
        r"/subscriptions/[^/]+(?:/resourceGroups/[^/]+)?(?:/providers/.*/vaults/([^/]+)(/.*)?)?", scope
    )
    if not match or (vault and match[1] and match[1].lower() != vault.lower()):
        return None
    return "part" if match[2] else "all"


def _logs(cloud: str, variables: Mapping[str, str], facts: CloudFacts) -> Need:
    folder = variables[LOG_FOLDER]
    url = urlsplit(folder)
    bucket, path = url.netloc.rpartition("@")[2], url.path.strip("/")
    if cloud == "aws" and url.scheme == "s3":
        arn = f"arn:{_partition(facts)}:s3:::{bucket}"
        objects = [f"{arn}/{path}/*" if path else f"{arn}/*"]
        wanted = {"s3:GetObject": objects, "s3:PutObject": objects, "s3:ListBucket": [arn]}
        return _need("remote logs", folder, _on_aws(wanted, facts))
    if cloud == "gcp" and url.scheme == "gs":
        least = Permission(allowed=("roles/storage.objectUser",), on=(f"projects/_/buckets/{bucket}",))
        found = _by_role(
            least, {"roles/storage.objectAdmin"}, lambda scope: "all" if scope in (bucket, least.on[0]) else None, facts
        )
        return _need("remote logs", folder, found)
    if cloud == "azure" and url.scheme.startswith("wasb"):
        container = variables.get(LOG_CONTAINER, "airflow-logs")
        least = Permission(allowed=("Storage Blob Data Contributor",), on=(f"the container {container}",))
        found = _by_role(least, {"Storage Blob Data Owner"}, lambda scope: _of_container(scope, container), facts)
        return _need("remote logs", folder, found)
    return Need(what="remote logs", named=folder, permissions=(), granted="not known here")


def _of_container(scope: str, container: str) -> Extent:
    """All of a container, also by its account, group or subscription."""
    account = r"/providers/Microsoft\.Storage/storageAccounts/[^/]+"
    inside = rf"({account}(/blobServices/default/containers/{re.escape(container)})?)?"
    match = re.fullmatch(rf"/subscriptions/[^/]+(/resourceGroups/[^/]+)?{inside}", scope, re.IGNORECASE)
    return "all" if match else None


def _need(what: What, named: str, found: Found) -> Need:
    granted: Granted = "not here"
    if found.by:
        granted = "here" if found.whole else "here in part"
    elif found.perhaps:
        granted = "not known here"
    return Need(what=what, named=named, permissions=found.least, granted=granted, by=found.by or found.perhaps)


def _on_aws(wanted: Mapping[str, list[str]], facts: CloudFacts) -> Found:
    """Action -> ARNs: what statements of this deployment allow of it."""
    by: list[str] = []
    whole = True
    given = facts.permissions if facts.permissions_made else ()
    for action, arns in wanted.items():
        of_action = [
            on
            for each in given
            if any(fnmatchcase(action.lower(), pattern.lower()) for pattern in each.allowed)
            for on in each.on
        ]
        for arn in arns:
            covering = [on for on in of_action if _covers(on, arn)]
            narrower = [on for on in of_action if _covers(arn, on)]
            by += [f"{action} on {on}" for on in covering or narrower]
            whole = whole and bool(covering)
    return Found(
        least=tuple(Permission(allowed=(action,), on=tuple(arns)) for action, arns in wanted.items()),
        by=tuple(dict.fromkeys(by)),
        perhaps=tuple(text for each in given for text in each.allowed if text.startswith(POLICY)),
        whole=whole,
    )


def _covers(pattern: str, arn: str) -> bool:
    """Whether all that the second stands for is in the first; account and region may be unknown in either."""
    pattern, arn = (text.partition(ONLY_IF)[0] for text in (pattern, arn))
    if pattern == "*":
        return True
    ours, theirs = pattern.split(":", 5), arn.split(":", 5)
    return len(ours) == len(theirs) == 6 and ours[2] == theirs[2] and fnmatchcase(theirs[5], ours[5])


def _by_role(least: Permission, wider: Collection[str], extent: Callable[[str], Extent], facts: CloudFacts) -> Found:
    """What roles of this deployment allow of it."""
    given = facts.permissions if facts.permissions_made else ()
    roles = [(role, on) for each in given for role in each.allowed for on in each.on]
    enough = {least.allowed[0], *wider}
    found = {f"{role} on {on}": extent(on.partition(" ")[0]) for role, on in roles if role in enough}
    return Found(
        least=(least,),
        by=tuple(text for text, of in found.items() if of),
        perhaps=tuple(f"the role {role} on {on}" for role, on in roles if role not in enough and role not in OURS),
        whole="all" in found.values(),
    )


def _arguments(variables: Mapping[str, str]) -> dict[str, Any]:
    """Those of the backend, if they stand in the values."""
    try:
        found = json.loads(variables.get(KWARGS, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _account(facts: CloudFacts) -> str:
    account = facts.place["account"]
    return account if account.isdigit() else "*"


def _partition(facts: CloudFacts) -> str:
    region = facts.place["region"]
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
