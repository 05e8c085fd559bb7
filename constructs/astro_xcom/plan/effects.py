"""What a plan does to values and to agents, each with the setting that avoids it. Pure."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any, Literal

import yaml

from astro_xcom.plan.document import Body, Change, Plan
from astro_xcom.refusal import Refused
from astro_xcom.report.model import Model
from astro_xcom.report.terraform import block
from astro_xcom.service_accounts import service_accounts
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment

Kind = Literal["STOP", "QUIET", "SOON", "fine"]
KINDS: dict[Kind, str] = {
    "STOP": "something is lost for good",
    "QUIET": "agents are cut off for a while",
    "SOON": "values expire earlier, or costs start",
    "fine": "nothing is lost, and no agent is cut off",
}
"""The worst first."""
DRAIN_SECONDS = 600
"""The chart's grace period: how long a pod that is replaced may finish its tasks."""

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
TRUST = ("azurerm_federated_identity_credential", "google_service_account_iam_member")
GRANTS = ("aws_iam_role_policy", "azurerm_role_assignment", "google_storage_bucket_iam_member")
COSTS = {
    "aws_kms_key": "a KMS key",
    "google_kms_crypto_key": "a key of Cloud KMS",
    "azurerm_private_endpoint": "a private endpoint",
    "azurerm_monitor_diagnostic_setting": "access logs",
    "aws_s3_bucket_logging": "access logs",
    "aws_s3_bucket_notification": "events of every object",
}
LOGS = ("azurerm_monitor_diagnostic_setting", "aws_s3_bucket_logging", "aws_s3_bucket_notification")
ENCRYPTS = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


class Effect(Model):
    """One thing that the coming apply does."""

    kind: Kind
    code: str
    """A stable name, to allow a STOP by."""
    what: str
    instead: str | None = None
    """How to avoid it."""
    paste: str | None = None
    """Lines for the deployment that avoid it."""


class Forecast(Model):
    """What the coming apply does to one deployment."""

    kind: Kind
    """The worst of its effects."""
    effects: tuple[Effect, ...]


def forecast(deployment: Deployment, plan: Plan) -> Forecast:
    """The effects of a plan of this deployment, the worst first. Raises Refused for the plan of something else."""
    if plan.outputs and "xcom_path" not in plan.outputs:
        raise Refused("is not the plan of this deployment: it has no output xcom_path")
    found = {effect.code + effect.what: effect for rule in RULES for effect in rule(deployment, plan)}
    effects = sorted(found.values(), key=lambda effect: [*KINDS].index(effect.kind))
    return Forecast(kind=effects[0].kind if effects else "fine", effects=tuple(effects))


def _storage(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    for change in plan.of(*HOLDS):
        if change.destroys:
            yield Effect(
                kind="STOP",
                code="storage-destroyed",
                what=f"The {HOLDS[change.type]} {change.name} is deleted, with every XCom in it.",
                instead="Keep its name, place and settings. storage.protect_from_destroy: true refuses such a plan.",
            )
    for change in plan.of(*KEYS):
        if change.destroys:
            yield Effect(
                kind="STOP",
                code="key-destroyed",
                what=f"The {KEYS[change.type]} {change.name} is deleted: what it encrypted cannot be read any more.",
                instead="storage.protect_from_destroy: true leaves it where it is.",
            )


def _place(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """What stays where it was although the settings name another place."""
    for change in plan.of(*HOLDS, *KEYS, *IDENTITIES):
        if not change.stays:
            continue
        for setting, said, found in _places(deployment, change):
            if said and found and said.lower() != found.lower():
                yield Effect(
                    kind="STOP",
                    code="other-place",
                    what=f"{setting} is {said}, and {change.name} stays in {found}: nothing moves there, and agents "
                    "get settings of a place where their values are not.",
                    instead=f"Set {setting} back to {found}, or make a deployment of another name for {said}.",
                )


def _places(deployment: Deployment, change: Change) -> Iterator[tuple[str, str | None, str | None]]:
    before = change.before
    if isinstance(deployment, AwsDeployment):
        yield "region", deployment.region, before.get("region")
        account = str(before.get("arn", "")).split(":")[4:5]
        yield "account_id", deployment.account_id, account[0] if account else None
    elif isinstance(deployment, AzureDeployment):
        parts = str(before.get("id", "")).split("/")
        yield "subscription_id", deployment.subscription_id, parts[2] if parts[1:2] == ["subscriptions"] else None
    elif isinstance(deployment, GcpDeployment):
        yield "project", deployment.project, before.get("project")


def _paths(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    old, new = plan.outputs.get("xcom_path", (None, None))
    if old and new and old != new:
        paste = None
        bucket, _, path = old.partition("://")[2].rpartition("@")[2].partition("/")
        same = new.partition("://")[2].rpartition("@")[2].partition("/")[0] == bucket
        storage = deployment.storage
        if same and path not in (storage.path, *storage.former_paths) and not deployment.adopted:
            paste = _lines("storage", "former_paths", [*storage.former_paths, path])
        yield Effect(
            kind="STOP",
            code="path-changed",
            what=f"XComs go to {new} instead of {old}: every value written so far is read as its path, a text, "
            "without an error.",
            instead="Keep the path; or apply while no run needs an earlier value."
            + (" These lines let the old ones expire:" if paste else ""),
            paste=paste,
        )
    old, new = plan.outputs.get("account", (None, None))  # Azure's paths do not name it
    if old and new and old != new:
        yield Effect(
            kind="STOP",
            code="account-changed",
            what=f"XComs go to the account {new} instead of {old}: values written so far are not found any more.",
            instead="Keep the account; or apply while no run needs an earlier value.",
        )
    old, new = plan.outputs.get("state_store_path", (None, None))
    if old and old != new and plan.outputs.get("xcom_path", (None, None))[1]:
        yield Effect(
            kind="STOP",
            code="state-store-changed",
            what=f"The state store moves from {old} to {new or 'nowhere'}: tasks do not find what they kept there.",
            instead="Keep state_store as it was.",
        )


def _keys_of_aws(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    if not isinstance(deployment, AwsDeployment):
        return
    storage = deployment.storage
    policies = [change.before.get("policy") for change in plan.of("aws_iam_role_policy")]
    before = {key: writes for policy in [*policies, plan.outputs.get("access_policy", (None,))[0]] if policy
              for key, writes in _decrypts(policy)}  # fmt: skip
    after = {storage.kms_key_arn, *storage.former_kms_key_arns}
    after |= {change.before.get("arn") for change in plan.of("aws_kms_key") if change.stays}
    for key, writes in before.items():
        if key not in after and plan.outputs.get("xcom_path", (None, None))[1]:
            yield _unreadable(deployment, plan, key, "former_kms_key_arns", storage.former_kms_key_arns, writes=writes)


def _decrypts(policy: str) -> Iterator[tuple[str, bool]]:
    """(key, whether it also encrypts) of each key that a policy lets decrypt with."""
    for statement in json.loads(policy).get("Statement", []):
        actions, keys = (_list(statement.get(each)) for each in ("Action", "Resource"))
        if "kms:Decrypt" in actions:
            yield from ((key, "kms:GenerateDataKey" in actions) for key in keys)


def _keys_of_gcp(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
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
            what=f"What the former key {key} encrypted cannot be read any more, as far as it has not expired.",
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
        paste=_lines("storage", setting, [*former, key]),
    )


def _trust(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    after = plan.outputs.get("trusted_subjects", (None, None))[1]
    if not after:
        return
    dropped = [subject for subject in _running(plan) if subject not in after]
    if dropped:
        accounts = [subject.removeprefix("system:serviceaccount:").replace(":", "/") for subject in dropped]
        first = isinstance(deployment, AwsDeployment) or not any(
            change.destroys for change in plan.of(*TRUST) if change.actions[0] == "create"
        )
        wait = deployment.agent.timeout_seconds + DRAIN_SECONDS if first else DRAIN_SECONDS
        when = "before Helm replaces them" if first else "while Helm's old pods still finish their tasks"
        yield Effect(
            kind="QUIET",
            code="trust-dropped",
            what=f"Pods that run as {', '.join(accounts)} lose access {when}, for up to {wait} seconds.",
            instead="These lines keep them trusted; remove them with the next apply, once those pods are gone:",
            paste=_lines(
                "agent",
                "former_service_accounts",
                dict.fromkeys((*deployment.agent.former_service_accounts, *accounts)),
            ),
        )
    for through in _clusters_dropped(plan, after):
        yield Effect(
            kind="QUIET",
            code="cluster-dropped",
            what=f"Agents are no longer trusted through {through}, from this apply on.",
            instead="Stop those agents first, or keep their cluster in trusted_clusters.",
        )


def _running(plan: Plan) -> Iterator[str]:
    """The subjects of the pods that run now: those of the release, else of the values that somebody installs."""
    releases = [change.before["values"][0] for change in plan.of("helm_release") if change.before.get("values")]
    for text in releases or filter(None, [plan.outputs.get("agent_values", (None,))[0]]):
        values = yaml.safe_load(text)
        found = service_accounts(values, prefix=values["resourceNamePrefix"], namespace=values["namespace"])
        yield from dict.fromkeys(account.subject for account in found)


def _clusters_dropped(plan: Plan, subjects: list[str]) -> Iterator[str]:
    for role in plan.of("aws_iam_role"):
        old, new = (each.get("assume_role_policy") for each in (role.before, role.after))
        if old and new and not role.destroys:
            yield from sorted(_federated(old) - _federated(new))
    changes = list(plan.of(*TRUST))
    created = [_through(each.after) for each in changes if "create" in each.actions]
    kept = [_through(each.before) for each in changes if not each.destroys and each.before]
    for change in changes:
        issuer, subject = _through(change.before)
        if not change.destroys or subject not in subjects:
            continue
        if not any(subject == other and there in (issuer, None) for there, other in [*created, *kept]):
            yield f"{issuer} ({subject})"


def _federated(policy: str) -> set[str]:
    return {
        each
        for statement in json.loads(policy)["Statement"]
        for each in _list(block(statement.get("Principal")).get("Federated"))
    }


def _through(values: Body) -> tuple[str | None, str | None]:
    """(issuer or pool, subject) of a credential or a member."""
    if "member" in values:
        pool, _, account = str(values["member"]).removeprefix("serviceAccount:").removesuffix("]").partition("[")
        return pool, "system:serviceaccount:" + account.replace("/", ":")
    return values.get("issuer"), values.get("subject")


def _identity(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    for change in plan.of(*IDENTITIES):
        if change.destroys and "-key" not in change.address:
            yield Effect(
                kind="QUIET" if change.replaces else "STOP",
                code="identity-replaced" if change.replaces else "identity-destroyed",
                what=f"The {IDENTITIES[change.type]} {change.name} is "
                + (
                    f"replaced: pods that still have the old one are refused, for up to {DRAIN_SECONDS} seconds after "
                    "Helm is done. What others granted to it is lost."
                    if change.replaces
                    else "deleted, with what others granted to it."
                ),
                instead="Keep its name; or apply while no task runs.",
            )
    for change in plan.of(*GRANTS):
        if change.destroys and "_key-grant" not in change.address:
            first = change.actions[0] == "delete"
            if first or not change.replaces:
                yield Effect(
                    kind="QUIET",
                    code="grant-replaced" if change.replaces else "grant-dropped",
                    what="The grant on the storage is deleted "
                    + ("before its successor is created: agents are refused for about a minute." if change.replaces
                       else "and not created again: whom it was for is refused from this apply on."),
                    instead="Apply while no task runs.",
                )  # fmt: skip
    old, new = plan.outputs.get("annotations", (None, None))
    theirs = not any(
        "create" in each.actions or each.stays for each in plan.of(*IDENTITIES) if "-key" not in each.address
    )
    if old and new and old != new and theirs:
        yield Effect(
            kind="QUIET",
            code="other-identity",
            what="Agents act as an identity that this deployment does not create: they are refused until its owner "
            "trusts and grants it what `astro-xcom check` lists.",
            instead="Let the owner do that before the apply.",
        )
    for change in plan.of("google_service_account_iam_member"):
        if change.replaces and change.actions[0] == "delete":
            yield Effect(
                kind="QUIET",
                code="member-replaced",
                what="Members of the service account are deleted before their successors are created: agents are "
                "refused for about a minute.",
                instead="Apply while no task runs.",
            )


def _release(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    for change in plan.of("helm_release"):
        if change.address in plan.gone and change.actions != ("forget",):
            continue
        if change.replaces:
            yield Effect(
                kind="QUIET",
                code="release-replaced",
                what=f"The release {change.name} is uninstalled and then installed anew: there are no agents for up to "
                f"{deployment.agent.timeout_seconds} seconds, and tasks that run are lost.",
                instead="Keep agent.release_name and agent.namespace; or apply while no task runs.",
            )
        elif change.destroys:
            yield Effect(
                kind="STOP",
                code="release-removed",
                what=f"The release {change.name} is uninstalled: there are no agents, and tasks that run are lost.",
                instead="storage.protect_from_destroy: true leaves it to whoever installs it from now on.",
            )
        elif "forget" in change.actions:
            yield Effect(
                kind="fine",
                code="release-handed-over",
                what=f"The release {change.name} runs on, and Terraform no longer knows it. Whoever installs the chart "
                "uses the output agent_values.",
            )
        elif "update" in change.actions:
            yield Effect(
                kind="fine",
                code="release-upgraded",
                what=f"The release {change.name} is upgraded: pods that changed are replaced, and a task that outlasts "
                f"their grace period ({DRAIN_SECONDS} seconds by the chart's default) is lost.",
            )
    for address in sorted(plan.gone):
        if address.startswith("helm_release."):
            yield Effect(
                kind="STOP",
                code="release-not-found",
                what="Terraform did not find the release in the cluster: it was uninstalled, or the cluster is out of "
                "reach (an expired login, a VPN). Then the apply fails or leaves agents that no state knows.",
                instead="Log in to the cluster and plan again. If the release is really gone, allow this.",
            )


def _expiry(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    for change in plan.of(*EXPIRY):
        if change.actions != ("update",):
            continue
        old, new = (EXPIRY[change.type](each) for each in (change.before, change.after))
        if old and new and new < old:
            yield Effect(
                kind="SOON",
                code="expires-earlier",
                what=f"Values expire after {new} days instead of {old}: those that are older now are deleted within "
                "about two days. Whoever reads one later gets its path.",
                instead=f"xcom.retention_days: {old}",
            )
    for change in plan.of("google_storage_bucket"):
        old, new = (_soft_delete(each) for each in (change.before, change.after))
        if change.actions == ("update",) and old != new:
            yield Effect(
                kind="SOON",
                code="soft-delete-changed",
                what=f"What is deleted can be restored for {new} days more instead of {old}"
                + ("; every expired value is paid for that much longer." if new > old else "."),
            )


def _soft_delete(values: Body) -> int:
    return int(block(values.get("soft_delete_policy")).get("retention_duration_seconds") or 0) // 86400


def _days_of_s3(values: Body) -> int | None:
    days = [block(rule.get("expiration")).get("days") for rule in values.get("rule") or ()]
    return next((day for day in days if day), None)


def _days_of_azure(values: Body) -> int | None:
    bases = (block(block(rule.get("actions")).get("base_blob")) for rule in values.get("rule") or ())
    found = (base.get("delete_after_days_since_modification_greater_than") for base in bases)
    return next((day for day in found if day and day > 0), None)


def _days_of_gcp(values: Body) -> int | None:
    rules = values.get("lifecycle_rule") or ()
    conditions = (block(rule.get("condition")) for rule in rules if block(rule.get("action")).get("type") == "Delete")
    return next((each["age"] for each in conditions if each.get("age")), None)


EXPIRY: dict[str, Callable[[Body], int | None]] = {
    "aws_s3_bucket_lifecycle_configuration": _days_of_s3,
    "azurerm_storage_management_policy": _days_of_azure,
    "google_storage_bucket": _days_of_gcp,
}


def _network(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    for account in plan.of("azurerm_storage_account"):
        old, new = account.before, account.after
        if account.actions != ("update",) or not (_closes(old, new)):
            continue
        if any("create" in each.actions for each in plan.of("azurerm_private_endpoint")):
            yield Effect(
                kind="QUIET",
                code="closed-before-endpoint",
                what="The account closes before its private endpoint is there: agents are refused for some minutes.",
                instead="Apply twice: first storage.private_endpoint alone, then what closes the account.",
            )
        else:
            yield Effect(
                kind="QUIET",
                code="network-closed",
                what="The account refuses networks that reach it now: agents there fail from this apply on.",
                instead="Make sure that every agent is in a subnet, an address range or a private network that may.",
            )
    for endpoint in plan.of("azurerm_private_endpoint"):
        if endpoint.destroys:
            yield Effect(
                kind="QUIET",
                code="endpoint-dropped",
                what="The private endpoint is deleted: agents that reach the account through it are refused until they "
                "look up its public address, if that lets them in.",
                instead="Keep storage.private_endpoint; or apply while no task runs.",
            )


def _closes(old: Body, new: Body) -> bool:
    if old.get("public_network_access_enabled") is not False and new.get("public_network_access_enabled") is False:
        return True
    was, will = (block(each.get("network_rules")) for each in (old, new))
    if was.get("default_action") != "Deny":
        return bool(will.get("default_action") == "Deny")
    return will.get("default_action") == "Deny" and any(
        set(was.get(key) or ()) - set(will.get(key) or ()) for key in ("ip_rules", "virtual_network_subnet_ids")
    )


def _costs(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    for change in plan.of(*COSTS):
        if change.actions == ("create",):
            yield Effect(kind="SOON", code="costs", what=f"The apply creates {COSTS[change.type]}, which costs money.")
        elif change.actions == ("delete",) and change.type in LOGS:
            yield Effect(kind="fine", code="logs-dropped", what=f"There will be no {COSTS[change.type]} any more.")
    for change in plan.of("google_storage_bucket"):
        if change.before and not change.before.get("logging") and change.after.get("logging"):
            yield Effect(kind="SOON", code="costs", what="The apply switches access logs on, which cost money.")
    for change in plan.of("azurerm_storage_account"):
        old, new = (each.get("account_replication_type") for each in (change.before, change.after))
        if change.actions == ("update",) and old and new and old != new:
            what = f"The replication changes from {old} to {new}, and the price with it."
            yield Effect(kind="SOON", code="costs", what=what)


def _open(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    for change in plan.of(*HOLDS):
        if change.stays and not deployment.storage.protect_from_destroy:
            emptied = ", and the objects in it with it" if change.after.get("force_destroy") else ""
            yield Effect(
                kind="SOON",
                code="not-protected",
                what=f"The {HOLDS[change.type]} {change.name} is not protected: a later edit may delete it{emptied}.",
                instead="Remove storage.protect_from_destroy: false.",
            )


def _others(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """What is deleted and nothing here knows: never called fine."""
    known = {*HOLDS, *KEYS, *IDENTITIES, *TRUST, *GRANTS, *LOGS, *PARTS, "helm_release", "azurerm_private_endpoint"}
    for change in plan.changes:
        if change.destroys and change.type not in known:
            yield Effect(kind="QUIET", code="destroyed", what=f"{change.address} is deleted.")


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

RULES: tuple[Callable[[Deployment, Plan], Iterator[Effect]], ...] = (
    _storage, _place, _paths, _keys_of_aws, _keys_of_gcp, _release, _trust, _identity, _network, _expiry, _costs,
    _open, _others,
)  # fmt: skip


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _lines(section: str, setting: str, values: Iterable[str]) -> str:
    """A setting as lines of deployments.yaml."""
    return f"{section}:\n  {setting}:\n" + "".join(f"    - {json.dumps(value)}\n" for value in values)
