"""The facts of an Azure stack."""

from typing import Any

from astro_xcom.azure.federation import AUDIENCE
from astro_xcom.report.model import CloudFacts, IdentityFacts, Lifecycle, Permission, Trust
from astro_xcom.report.terraform import Body, Computed, Stack, block
from astro_xcom.rules.azure import STORAGE_ROLE
from astro_xcom.workers import Worker

OUTPUTS = ("account", "container", "client_id", "principal_id", "tenant_id")
ALWAYS = (
    "A pod without the label azure.workload.identity/use gets no token: the annotation alone does nothing.",
    "A new credential or role takes minutes until it works, and Azure remembers a refusal: start no runs right away.",
    "The role lets agents create a missing container: a deleted container comes back empty.",
)


def computed(body: Body) -> Computed:
    """What a plan knows already: resource ids, which are made of names."""
    subscription = f"/subscriptions/{body['provider']['azurerm'][0]['subscription_id']}"
    return {
        "azurerm_storage_account.id": lambda account: (
            f"{subscription}/resourceGroups/{account['resource_group_name']}/providers/Microsoft.Storage/"
            f"storageAccounts/{account['name']}"
        ),
        "azurerm_user_assigned_identity.id": lambda identity: (
            f"{subscription}/resourceGroups/{identity['resource_group_name']}/providers/Microsoft.ManagedIdentity/"
            f"userAssignedIdentities/{identity['name']}"
        ),
        "azurerm_storage_container.id": lambda container: (
            f"{container['storage_account_id']}/blobServices/default/containers/{container['name']}"
        ),
    }


def facts(stack: Stack) -> CloudFacts:
    """Identity, federated credentials, role and container."""
    provider, outputs = stack.providers.get("azurerm", {}), stack.outputs
    environment = provider.get("environment", "public")
    identities = {worker: _identity(stack, worker) for worker in (None, *stack.workers)}
    account_made = bool(stack.one("azurerm_storage_account"))
    for_others = []
    for worker, identity in identities.items():
        output = "" if worker is None else f"worker_identities.{worker}."
        if not identity.permissions_made:
            for_others.append(
                f"The owner of the container {outputs['container']} must assign the output {output}access to the "
                "identity, unless another deployment of the same identity does."
            )
        if not identity.trust:
            of = "" if worker is None else f" of the worker {worker}"
            for_others.append(
                f"The owner of the identity{of} must create a federated credential for each subject in the output "
                f"{output}trusted_subjects and for each cluster, with the exact OIDC issuer of the cluster and the "
                f"audience {AUDIENCE}."
            )
    if not account_made:
        for_others.append(
            f"The owner of the account {outputs['account']} must keep it private and set when blobs are deleted."
        )
    account = stack.one("azurerm_storage_account")
    if key := block(account.get("customer_managed_key")):
        for_others.append(
            f"The owner of the vault of the key {key['key_vault_key_id']} must switch purge protection and Azure RBAC "
            "on, and let the identity that runs the apply assign a role on the key."
        )
    for subnet in block(account.get("network_rules")).get("virtual_network_subnet_ids") or ():
        for_others.append(f"The owner of the subnet {subnet} must give it the service endpoint Microsoft.Storage.")
    if endpoint := stack.one("azurerm_private_endpoint"):
        zone = block(endpoint.get("private_dns_zone_group"))
        for_others.append(
            f"The owner of the zone {zone['private_dns_zone_ids'][0]} must link it to the agents' network."
            if zone
            else f"The owner of the agents' DNS must let the account {outputs['account']} resolve to the private "
            f"endpoint {endpoint['name']}."
        )
    return CloudFacts(
        place={
            "subscription": provider.get("subscription_id", ""),
            "tenant": outputs["tenant_id"],
            "environment": environment,
            **_location(stack),
        },
        storage={"account": outputs["account"], "container": outputs["container"]},
        storage_made=bool(stack.one("azurerm_storage_container")),
        **dict(identities.pop(None)),
        workers=identities,
        lifecycle=_lifecycle(stack) if account_made else None,
        clusters=tuple(
            f"{cluster['name']} in the resource group {cluster['resource_group_name']}"
            for cluster in stack.data.get("azurerm_kubernetes_cluster", [])
        ),
        for_others=tuple(for_others),
        always=ALWAYS,
    )


def _identity(stack: Stack, worker: Worker) -> IdentityFacts:
    """The identity of a worker, or that of all others: each of them by its name, that of the others as what is left."""
    outputs = stack.outputs if worker is None else stack.workers[worker]
    own = {key: each["name"] for key, each in stack.workers.items()}

    def of_it(name: str) -> bool:
        return name not in own.values() if worker is None else name == own[worker]

    access, made = outputs.get("access"), [each["name"] for each in stack.all("azurerm_user_assigned_identity")]
    grants = sorted(
        (each for each in stack.all("azurerm_role_assignment") if each["principal_id"] == outputs["principal_id"]),
        key=lambda grant: grant["role_definition_name"] != STORAGE_ROLE,  # that of the XComs first
    )
    roles = [(access["role"], access["scope"])] if access else []
    roles += [(grant["role_definition_name"], grant["scope"]) for grant in grants]
    return IdentityFacts(
        identity={"client id": outputs["client_id"], "principal id": outputs["principal_id"]},
        identity_made=any(of_it(name) for name in made if name != f"{stack.outputs['account']}-key"),
        trust=tuple(
            Trust(
                subject=each["subject"],
                through={"issuer": each["issuer"], "audience": " ".join(each["audience"])},
            )
            for each in stack.all("azurerm_federated_identity_credential")
            if of_it((each.get("parent_id") or each.get("user_assigned_identity_id", "")).rpartition("/")[2])
        ),
        permissions=tuple(Permission(allowed=(role,), on=(scope,)) for role, scope in roles),
        permissions_made=not access,
    )


def _location(stack: Stack) -> dict[str, str]:
    made = stack.one("azurerm_storage_account") or stack.one("azurerm_user_assigned_identity")
    return {"location": made["location"], "resource group": made["resource_group_name"]} if made else {}


def _lifecycle(stack: Stack) -> Lifecycle:
    found: dict[str, Any] = {}
    for rule in stack.one("azurerm_storage_management_policy").get("rule", []):
        if not rule.get("enabled", True):
            continue
        actions = block(rule["actions"])
        expire = block(actions.get("base_blob")).get("delete_after_days_since_modification_greater_than")
        version = block(actions.get("version")).get("delete_after_days_since_creation")
        if expire is not None and "expire_days" not in found:
            found |= {"expire_days": expire, "below": block(rule["filters"])["prefix_match"][0]}
        if version is not None:
            found["noncurrent_days"] = version
    properties = block(stack.one("azurerm_storage_account").get("blob_properties"))
    return Lifecycle(**found, soft_delete_days=block(properties.get("delete_retention_policy")).get("days"))
