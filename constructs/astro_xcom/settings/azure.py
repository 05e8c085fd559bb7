"""A deployment on Azure."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from astro_xcom import chart_values
from astro_xcom.names import azure as rules
from astro_xcom.refusal import Refused, at
from astro_xcom.settings.base import Flag, Settings, Tags
from astro_xcom.settings.deployment import Cluster, Deployment, Storage
from astro_xcom.settings.state import AzurermState, Backend

MOST_TAGS = 50

# What an existing account has already.
OF_A_MADE_ACCOUNT = {
    "replication",
    "network",
    "public_network_access",
    "private_endpoint",
    "access_log_storage_account_id",
    "customer_managed_key",
}

Guid = Annotated[str, AfterValidator(rules.guid)]
ResourceGroupName = Annotated[str, AfterValidator(rules.resource_group)]


class AzureResourceGroup(Settings):
    """The group of what is made here, made itself or existing."""

    name: ResourceGroupName
    existing: Flag = False
    """true: the group is there already, and is left as it is."""


class AksCluster(Cluster):
    """An AKS cluster: by name, and everything is looked up; or by its issuer, and nothing is.

    Looked up in the deployment's subscription; give the issuer of a cluster in another one.
    """

    name: Annotated[str, AfterValidator(rules.aks_cluster)] | None = None
    """Looks up the OIDC issuer and the endpoint, with the credentials of the plan."""
    resource_group: ResourceGroupName | None = None
    """Group of the cluster `name`."""
    issuer: Annotated[str, AfterValidator(rules.issuer)] | None = None
    """The OIDC issuer to trust, to the letter. Default: the one of the cluster `name`."""
    authentication: Literal["certificate", "exec"] = "certificate"
    """certificate: the one in the cluster's kube_config, kept in the state; exec: `kubelogin get-token` on the machine
    that runs Terraform, for clusters without local accounts."""
    login: Literal["azurecli", "spn", "msi", "workloadidentity"] = "azurecli"
    """How kubelogin signs in."""

    @property
    def key(self) -> str:
        """A short stable name, part of what is made for the cluster."""
        return rules.issuer_key(self.issuer) if self.issuer else f"{self.resource_group}-{self.name}"

    @model_validator(mode="after")
    def _can_be_trusted(self) -> Self:
        if self.name is None and self.issuer is None:
            raise Refused("needs a name (then its OIDC issuer is looked up) or an issuer")
        if (self.name is None) != (self.resource_group is None):
            missing = "name" if self.name is None else "resource_group"
            raise Refused("is required: a cluster is looked up by its name and resource_group", field=missing)
        return self


class AzureNetwork(Settings):
    """Who reaches the account: these, and nobody else."""

    subnets: tuple[Annotated[str, AfterValidator(rules.subnet_id)], ...] = ()
    """Subnets (with the service endpoint Microsoft.Storage), by resource id."""
    ip_rules: tuple[Annotated[str, AfterValidator(rules.ip_rule)], ...] = ()
    """Public IPv4 addresses and ranges."""
    bypass: tuple[Literal["AzureServices", "Logging", "Metrics"], ...] = ("AzureServices",)
    """Services of Azure that come in all the same."""

    @model_validator(mode="after")
    def _somebody_comes_in(self) -> Self:
        if not self.subnets and not self.ip_rules:
            raise Refused("needs subnets or ip_rules, those of the agents: nothing else would reach the account")
        return self


class AzurePrivateEndpoint(Settings):
    """A private address of the account's blob storage, in a subnet."""

    subnet: Annotated[str, AfterValidator(rules.subnet_id)]
    """By resource id, in the deployment's location."""
    private_dns_zone: Annotated[str, AfterValidator(rules.blob_private_dns_zone_id)] | None = None
    """The zone privatelink.blob..., by resource id, in which the agents' network looks the address up.

    Default: somebody else, a policy perhaps, adds the address to it.
    """


class CustomerManagedKey(Settings):
    """An existing key that encrypts the account. Its vault needs purge protection and Azure RBAC."""

    key_id: Annotated[str, AfterValidator(rules.key_id)]
    """The key's URL without a version."""
    vault_id: Annotated[str, AfterValidator(rules.key_vault_id)]
    """The vault's resource id: an identity of the account is granted the key there, before the account is made."""

    @model_validator(mode="after")
    def _one_vault(self) -> Self:
        with at("key_id"):
            rules.key_fits_vault(self.key_id, self.vault_id)
        return self


class AzureStorage(Storage):
    """The blob container and its storage account, made or existing."""

    account: Annotated[str, AfterValidator(rules.storage_account)] | None = None
    """Unique in the world. Default: made from the names of deployment and subscription."""
    container: Annotated[str, AfterValidator(rules.container)] = "xcom"
    existing: Literal["account", "container"] | None = None
    """account: the account is there already, and the container is made in it; container: both are there. What is there
    is not changed: its owner deletes old blobs under the path."""
    resource_group: ResourceGroupName | None = None
    """Group of an existing account. Default: the deployment's."""
    replication: Annotated[
        str, AfterValidator(rules.replication), Field(json_schema_extra={"enum": list(rules.REPLICATIONS)})
    ] = "LRS"
    network: AzureNetwork | None = None
    """Default: any network; who has the role still needs a token."""
    public_network_access: Flag = True
    """false: only private endpoints reach the account, `network` or not."""
    private_endpoint: AzurePrivateEndpoint | None = None
    """A private address to make for the blobs. Default: none."""
    access_log_storage_account_id: Annotated[str, AfterValidator(rules.storage_account_id)] | None = None
    """An existing account of the same region, by resource id, that gets the logs StorageRead, StorageWrite and
    StorageDelete of the blobs. Default: no access logs."""
    customer_managed_key: CustomerManagedKey | None = None
    """Default: keys of Microsoft's."""
    role_scope: Literal["container", "account"] = "container"
    """Where the agents' identity gets Storage Blob Data Contributor."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.existing is None and self.resource_group is not None:
            raise Refused(
                "only for an existing account; one made here is in the deployment's",
                got=self.resource_group,
                field="resource_group",
            )
        if self.existing is not None:
            if self.account is None:
                raise Refused("is required for an existing account", field="account")
            unused = sorted(OF_A_MADE_ACCOUNT & self.model_fields_set)
            if unused:
                raise Refused(
                    f"the account is used as it is: remove {', '.join(unused)}", got=self.existing, field="existing"
                )
        if self.account and (self.access_log_storage_account_id or "").endswith(f"/{self.account}"):
            raise Refused(
                "must be another account: Azure keeps no log of an account in itself",
                got=self.access_log_storage_account_id,
                field="access_log_storage_account_id",
            )
        return self


class AzureIdentity(Settings):
    """The user-assigned identity, made or existing."""

    name: Annotated[str, AfterValidator(rules.identity)] | None = None
    """Default: `<deployment>-xcom`."""
    existing: Flag = False
    """true: the identity is there already; it gets federated credentials and the role."""
    resource_group: ResourceGroupName | None = None
    """Group of an existing identity. Default: the deployment's."""
    federate: Flag = True
    """false: an existing identity is used as it is. Its owner federates the output `trusted_subjects` and assigns the
    output `access`."""
    audience: Annotated[str, AfterValidator(rules.audience)] | None = None
    """Audience of the exchanged tokens. Default: `api://AzureADTokenExchange`, which the workload identity webhook asks
    for in every environment."""

    @model_validator(mode="after")
    def _made_or_existing(self) -> Self:
        if self.existing and self.name is None:
            raise Refused("is required for an existing identity", field="name")
        if not self.existing and self.resource_group is not None:
            raise Refused(
                "only for an existing identity; one made here is in the deployment's",
                got=self.resource_group,
                field="resource_group",
            )
        if not self.existing and not self.federate:
            raise Refused("only for an existing identity", got=False, hint="true", field="federate")
        return self


class AzureDeployment(Deployment):
    """XComs in a blob container, for agents on AKS that use a managed identity (workload identity).

    The subscription must have Microsoft.Storage and Microsoft.ManagedIdentity registered.
    """

    cloud: Literal["azure"] = "azure"
    subscription_id: Guid
    tenant_id: Guid | None = None
    """Tenant of subscription and identity. Default: looked up."""
    environment: Literal["public", "usgovernment", "china"] = "public"
    """Which Azure cloud the subscription is in."""
    location: Annotated[str, AfterValidator(rules.location)]
    resource_group: AzureResourceGroup
    tags: Tags = Field(default_factory=dict)
    """Tags of resource group, account and identity."""
    cluster: AksCluster
    """Where the agents run."""
    trusted_clusters: tuple[AksCluster, ...] = ()
    """More clusters whose agents, of the same names, share the storage: a standby, for example."""
    storage: AzureStorage = Field(default_factory=AzureStorage)
    identity: AzureIdentity = Field(default_factory=AzureIdentity)

    @property
    def connection_id(self) -> str:
        """The Airflow connection, written into the XCom path and defined by an environment variable."""
        return rules.DEFAULT_CONNECTION_ID if self.xcom.connection_id is None else self.xcom.connection_id

    @property
    def clusters(self) -> tuple[AksCluster, ...]:
        """Every cluster whose service accounts are trusted."""
        return (self.cluster, *self.trusted_clusters)

    def account(self, name: str) -> str:
        """The storage account of the deployment of this name."""
        return self.storage.account or rules.derived_storage_account(f"{name}-xcom {self.subscription_id.lower()}")

    def writable(self, name: str, backend: Backend, state: str) -> str | None:
        """Where the agents of this deployment, `name`, may write and delete, if this backend keeps a state there."""
        if not isinstance(backend, AzurermState) or backend.storage_account_name != self.account(name):
            return None
        if self.storage.role_scope == "account":
            return f"account {self.account(name)}"
        if backend.container_name != self.storage.container:
            return None
        return f"container {backend.container_name} of {self.account(name)}"

    def warnings(self) -> list[str]:
        """What is allowed and likely to surprise, as `setting: what happens`."""
        found = super().warnings()
        if not self.storage.public_network_access and self.storage.private_endpoint is None:
            found.append(
                "storage.public_network_access: without a private endpoint, and none is made here, nobody reaches the "
                "account"
            )
        if not self.storage.public_network_access and self.storage.network is not None:
            found.append("storage.network: has no effect while public_network_access is false")
        for cluster in self.clusters:
            if cluster.issuer and ".oic." in cluster.issuer and not cluster.issuer.endswith("/"):
                found.append(f"cluster: the issuer {cluster.issuer} has no closing '/': the issuers of AKS have one")
        return found

    @field_validator("tags")
    @classmethod
    def _tags(cls, tags: Tags) -> Tags:
        if len(tags) > MOST_TAGS:
            raise Refused(f"must be at most {MOST_TAGS} tags", got=len(tags))
        for key, value in tags.items():
            if not 1 <= len(key) <= 128 or set(key) & set("<>%&\\?/") or len(value) > 256:
                raise Refused(
                    "a tag's key is 1-128 characters without < > % & \\ ? /, its value at most 256", got={key: value}
                )
        if len({key.lower() for key in tags}) < len(tags):
            raise Refused("must differ by more than upper and lower case", got=list(tags))
        return tags

    @field_validator("trusted_clusters")
    @classmethod
    def _clusters_differ(cls, clusters: tuple[AksCluster, ...], info: ValidationInfo) -> tuple[AksCluster, ...]:
        seen = {info.data["cluster"].key.lower()} if "cluster" in info.data else set()
        for cluster in clusters:
            if cluster.key.lower() in seen:
                raise Refused("each cluster is trusted once", got=cluster.issuer or cluster.name)
            seen.add(cluster.key.lower())
        return clusters

    def made(self) -> list[tuple[str, str]]:
        """(setting, name) of what this deployment makes and no other may make too."""
        account = self.storage.account if self.storage.existing is None else None
        group = None if self.resource_group.existing else f"{self.resource_group.name} of {self.subscription_id}"
        own = [("storage.account", account), ("resource_group.name", group)]
        return [*super().made(), *((setting, name) for setting, name in own if name)]

    @model_validator(mode="after")
    def _what_exists_is_elsewhere(self) -> Self:
        if self.resource_group.existing:
            return self
        made = self.resource_group.name
        groups = {
            "cluster.resource_group": self.cluster.resource_group,
            **{f"trusted_clusters[{n}].resource_group": c.resource_group for n, c in enumerate(self.trusted_clusters)},
        }
        if self.storage.existing:
            groups["storage.resource_group"] = self.storage.resource_group or made
        if self.identity.existing:
            groups["identity.resource_group"] = self.identity.resource_group or made
        for field, group in groups.items():
            if group is not None and group.lower() == made.lower():
                raise Refused(
                    "is the group that this deployment makes, and nothing exists in it yet",
                    got=group,
                    hint="its own group, or resource_group.existing: true",
                    field=field,
                )
        return self

    @model_validator(mode="after")
    def _connection_can_be_defined(self) -> Self:
        with at("xcom.connection_id"):
            rules.connection_id(self.connection_id)
        variable = rules.connection_variable(self.connection_id)
        for source in self.agent.sources():
            chart_values.check_variables(source, {variable: "storage and identity"})
        return self

    @model_validator(mode="after")
    def _credentials_fit(self) -> Self:
        if not self.identity.federate:
            return self
        with at("identity"):
            rules.credential_count(len(self.agent.subjects()), len(self.clusters))
        return self
