"""A deployment on Azure."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from astro_xcom import vendor_values
from astro_xcom.errors import SettingError, attempt
from astro_xcom.rules import azure as rules
from astro_xcom.rules import common, places
from astro_xcom.rules.common import apart, roles_once
from astro_xcom.settings.backend import AzurermState, Backend
from astro_xcom.settings.base import Flag, Settings, Tags, together
from astro_xcom.settings.claims import Claim, Identity, grant
from astro_xcom.settings.deployment import Cluster, Deployment, Storage
from astro_xcom.settings.permissions import AzureRole
from astro_xcom.settings.workers import default_names_fit
from astro_xcom.workers import Worker, default_name, setting, with_others

CLIENT_ID = "azure.workload.identity/client-id"

# Settings that apply only to a new account.
OF_A_MADE_ACCOUNT = {
    "replication",
    "network",
    "public_network_access",
    "private_endpoint",
    "access_log_storage_account_id",
    "customer_managed_key",
}

Guid = Annotated[str, AfterValidator(rules.guid)]
ResourceGroupName = Annotated[str, AfterValidator(rules.existing_resource_group)]


class AzureResourceGroup(Settings):
    """The resource group for everything created here: a new or an existing group."""

    existing: Flag = False
    """true: use an existing group; it is not modified."""
    name: str
    """Name of the group, unique in the subscription."""

    @field_validator("name")
    @classmethod
    def _name(cls, name: str, info: ValidationInfo) -> str:
        return (rules.existing_resource_group if info.data.get("existing") else rules.resource_group)(name)


class AksCluster(Cluster):
    """An AKS cluster. Terraform looks up a cluster that is given by name, but not one given by its issuer.

    Terraform looks in the deployment's subscription. For a cluster in another subscription, give the issuer.
    """

    name: Annotated[str, AfterValidator(rules.aks_cluster)] | None = None
    """Looks up the OIDC issuer and the endpoint, with the credentials of the plan."""
    resource_group: ResourceGroupName | None = None
    """Resource group of the cluster `name`."""
    issuer: Annotated[str, AfterValidator(rules.issuer)] | None = None
    """URL of the OIDC issuer to trust; it must match exactly. Default: the issuer of the cluster `name`."""
    authentication: Literal["certificate", "exec"] = "certificate"
    """certificate: the certificate from the cluster's kube_config, kept in the state; exec: Terraform's machine runs
    `kubelogin get-token`, for clusters without local accounts."""
    login: Literal["azurecli", "spn", "msi", "workloadidentity"] = "azurecli"
    """How kubelogin signs in."""

    @property
    def said(self) -> str:
        """How the settings name it."""
        return self.issuer or self.name or ""

    @together
    def _can_be_trusted(self) -> Iterator[str | SettingError]:
        if self.name is None and self.issuer is None:
            yield SettingError("needs a name (then its OIDC issuer is looked up) or an issuer")
        elif (self.name is None) != (self.resource_group is None):
            missing = "name" if self.name is None else "resource_group"
            yield SettingError("is required: a cluster is looked up by its name and resource_group", field=missing)


class AzureNetwork(Settings):
    """The networks that reach the account; all others are shut out."""

    subnets: tuple[Annotated[str, AfterValidator(rules.subnet_id)], ...] = ()
    """Resource ids of subnets that reach the account. They need the service endpoint Microsoft.Storage."""
    ip_rules: tuple[Annotated[str, AfterValidator(rules.ip_rule)], ...] = ()
    """Public IPv4 addresses and ranges that reach the account."""
    bypass: tuple[Literal["AzureServices", "Logging", "Metrics"], ...] = ("AzureServices",)
    """Azure services that reach the account regardless of `subnets` and `ip_rules`."""

    @together
    def _somebody_comes_in(self) -> Iterator[str | SettingError]:
        if not self.subnets and not self.ip_rules:
            yield SettingError(
                "needs the agents' subnets or ip_rules: without them the agents cannot reach the account"
            )
        yield from attempt(rules.ip_rules, self.ip_rules, field="ip_rules")


class AzurePrivateEndpoint(Settings):
    """A private address of the account's blob storage, in a subnet."""

    subnet: Annotated[str, AfterValidator(rules.subnet_id)]
    """Resource id of the subnet, in the deployment's location."""
    private_dns_zone: Annotated[str, AfterValidator(rules.blob_private_dns_zone_id)] | None = None
    """Resource id of the zone privatelink.blob..., in which the agents' network looks the address up.

    Default: none; somebody else, perhaps a policy, must add the address to the zone.
    """


class CustomerManagedKey(Settings):
    """An existing key that encrypts the account. Its vault needs purge protection and Azure RBAC."""

    key_id: Annotated[str, AfterValidator(rules.key_id)]
    """URL of the key, without a version."""
    vault_id: Annotated[str, AfterValidator(rules.key_vault_id)]
    """Resource id of the vault. Before the account is created, an identity of the account is granted the key there."""

    @together
    def _one_vault(self) -> Iterator[str | SettingError]:
        yield from attempt(rules.key_fits_vault, self.key_id, self.vault_id, field="key_id")


class AzureStorage(Storage):
    """The blob container and its storage account, new or existing."""

    existing: Literal["account", "container"] | None = None
    """account: use an existing account and create the container in it; container: use an existing account and an
    existing container. Existing storage is not modified: its owner must delete old blobs under the path."""
    account: str | None = None
    """Name of the account, unique in the world. Default: derived from the deployment's name and the subscription."""
    container: str = "xcom"
    """Name of the new or existing container in the account."""
    resource_group: ResourceGroupName | None = None
    """Resource group of an existing account. Default: the deployment's group."""
    replication: Annotated[
        str, AfterValidator(rules.replication), Field(json_schema_extra={"enum": list(rules.REPLICATIONS)})
    ] = "LRS"
    network: AzureNetwork | None = None
    """The networks that reach the account. Default: any network; callers still need the role and a token."""
    public_network_access: Flag = True
    """false: only private endpoints reach the account, whatever `network` says."""
    private_endpoint: AzurePrivateEndpoint | None = None
    """Create a private address for the blobs. Default: none."""
    access_log_storage_account_id: Annotated[str, AfterValidator(rules.storage_account_id)] | None = None
    """Resource id of an existing account in the same region that receives the logs StorageRead, StorageWrite and
    StorageDelete of the blobs. Default: no access logs."""
    customer_managed_key: CustomerManagedKey | None = None
    """An existing key that encrypts the account. Default: Microsoft's keys."""
    role_scope: Literal["container", "account"] = "container"
    """On which of the two the agents' identity gets Storage Blob Data Contributor."""

    @field_validator("account")
    @classmethod
    def _account(cls, account: str | None, info: ValidationInfo) -> str | None:
        rule = rules.existing_storage_account if info.data.get("existing") else rules.storage_account
        return None if account is None else rule(account)

    @field_validator("container")
    @classmethod
    def _container(cls, container: str, info: ValidationInfo) -> str:
        there = info.data.get("existing") == "container"
        return (rules.existing_container if there else rules.container)(container)

    @together
    def _fits(self) -> Iterator[str | SettingError]:
        if self.existing is None and self.resource_group is not None:
            yield SettingError(
                "only for an existing account; a new account is created in the deployment's group",
                got=self.resource_group,
                field="resource_group",
            )
        if self.existing is not None:
            if self.account is None:
                yield SettingError("is required for an existing account", field="account")
            unused = sorted(OF_A_MADE_ACCOUNT & self.model_fields_set)
            if unused:
                yield SettingError(
                    f"these apply only to a new account: remove {', '.join(unused)}",
                    got=self.existing,
                    field="existing",
                )

    @together
    def _logs_fit(self) -> Iterator[str | SettingError]:
        if self.account and (self.access_log_storage_account_id or "").endswith(f"/{self.account}"):
            yield SettingError(
                "must be another account: Azure keeps no log of an account in itself",
                got=self.access_log_storage_account_id,
                field="access_log_storage_account_id",
            )


class AzureUserIdentity(Settings):
    """A user-assigned identity, new or existing."""

    existing: Flag = False
    """true: use an existing identity; it gets federated credentials and the role."""
    name: str | None = None
    """Name of the identity. Default: `<deployment>-xcom`; of a worker `<deployment>-xcom-<worker>`."""
    resource_group: ResourceGroupName | None = None
    """Resource group of an existing identity. Default: the deployment's group."""
    federate: Flag = True
    """false: add no federated credentials to an existing identity. Its owner federates the output
    `trusted_subjects`."""
    grant_storage: Flag | None = None
    """Whether this deployment assigns the identity its role on the storage. Default: the value of `federate`.

    false: the owner, or another deployment of the same identity and container, assigns the output `access`. Only with
    an existing identity or existing storage.
    """
    credential_names: dict[
        Annotated[str, AfterValidator(common.service_account)],
        Annotated[str, AfterValidator(rules.federated_credential)],
    ] = Field(default_factory=dict)
    """Service account (`namespace/name`) -> name of its federated credential for `cluster`. Keep the existing names of
    credentials that you import. Default: derived from the names of cluster, namespace and service account."""
    audience: Annotated[str, AfterValidator(rules.audience)] | None = None
    """Audience of the exchanged tokens. Default: `api://AzureADTokenExchange`, which the workload identity webhook
    requests in every environment."""
    roles: tuple[AzureRole, ...] = ()
    """Roles that the identity gets in addition to its role on the XComs: for the secrets backend, remote logs or
    tasks."""

    @field_validator("roles")
    @classmethod
    def _each_role_once(cls, roles: tuple[AzureRole, ...]) -> tuple[AzureRole, ...]:
        roles_once([(each.role, each.scope) for each in roles])
        return roles

    @field_validator("name")
    @classmethod
    def _name(cls, name: str | None, info: ValidationInfo) -> str | None:
        rule = rules.existing_identity if info.data.get("existing") else rules.identity
        return None if name is None else rule(name)

    @together
    def _made_or_existing(self) -> Iterator[str | SettingError]:
        if self.existing and self.name is None:
            yield SettingError("is required for an existing identity", field="name")
        if not self.existing and self.resource_group is not None:
            yield SettingError(
                "only for an existing identity; a new identity is created in the deployment's group",
                got=self.resource_group,
                field="resource_group",
            )
        if self.audience is not None and not self.federate:
            yield SettingError("is not used with federate: false: remove it", got=self.audience, field="audience")
        if not self.existing and not self.federate:
            yield SettingError("only for an existing identity", got=False, hint="true", field="federate")
        if self.roles and not self.granted:
            given = ", ".join(f"{each.role} on {each.scope}" for each in self.roles)
            yield SettingError(
                f"the identity gets no roles here: remove them; its owner must assign {given}", field="roles"
            )

    @property
    def granted(self) -> bool:
        """Whether the role on the storage is assigned here."""
        return self.federate if self.grant_storage is None else self.grant_storage


class AzureIdentity(AzureUserIdentity):
    """The user-assigned identity, made or existing."""

    workers: dict[str, AzureUserIdentity] = Field(default_factory=dict)
    """Worker of the agent's values -> an identity of its own in place of this one: the same access to XComs, its own
    roles, and 20 federated credentials of its own. Its keys are the others of `identity`."""


class AzureDeployment(Deployment):
    """XComs in a blob container, for agents on AKS that use a managed identity (workload identity).

    The subscription must have Microsoft.Storage and Microsoft.ManagedIdentity registered.
    """

    cloud: Literal["azure"] = "azure"
    subscription_id: Guid
    tenant_id: Guid | None = None
    """Tenant of subscription and identity. Default: looked up."""
    environment: Literal["public", "usgovernment", "china"] = "public"
    """The Azure cloud of the subscription."""
    location: Annotated[str, AfterValidator(rules.location)]
    resource_group: AzureResourceGroup
    tags: Tags = Field(default_factory=dict)
    """Tags of the resource group, the account and the identity."""
    cluster: AksCluster
    """Where the agents run."""
    trusted_clusters: tuple[AksCluster, ...] = ()
    """Further clusters, such as a standby, whose agents have the same names and share the storage."""
    storage: AzureStorage = Field(default_factory=AzureStorage)
    identity: AzureIdentity = Field(default_factory=AzureIdentity)

    @property
    def connection_id(self) -> str:
        """The Airflow connection, written into the XCom path and defined by an environment variable."""
        return rules.DEFAULT_CONNECTION_ID if self.xcom.connection_id is None else self.xcom.connection_id

    def variables(self) -> dict[str, str]:
        """Variables that only this deployment sets -> the settings they come from."""
        return {rules.connection_variable(self.connection_id): "storage and identity"}

    @property
    def clusters(self) -> tuple[AksCluster, ...]:
        """Every cluster whose service accounts are trusted."""
        return (self.cluster, *self.trusted_clusters)

    @property
    def workers(self) -> Mapping[str, AzureUserIdentity]:
        """The workers with an identity of their own."""
        return self.identity.workers

    def identities(self) -> dict[Worker, AzureUserIdentity]:
        """The identity of all others, and that of each worker that has its own."""
        return with_others(self.identity, self.workers)

    def identity_name(self, name: str, worker: Worker = None) -> str:
        """What an identity of the deployment `name` is called."""
        return self.identities()[worker].name or default_name(name, worker)

    def identity_group(self, worker: Worker = None) -> str:
        """The resource group of an identity."""
        own = self.identities()[worker]
        return (own.resource_group or self.resource_group.name) if own.existing else self.resource_group.name

    def credential_names(self, worker: Worker = None) -> dict[str, str]:
        """Names of federated credentials that were given, by the name that each would have."""
        key = self.cluster_keys()[0]
        given = self.identities()[worker].credential_names
        pairs = ((account.partition("/"), name) for account, name in given.items())
        return {rules.federated_credential_name(key, of, own): name for (of, _, own), name in pairs}

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
                "storage.public_network_access: nobody reaches the account without a private endpoint, and this "
                "deployment creates none"
            )
        if not self.storage.public_network_access and self.storage.network is not None:
            found.append("storage.network: has no effect while public_network_access is false")
        for source in self.agent.sources():
            given = {texts.get(CLIENT_ID) for _, texts in vendor_values.marks(source.values)}
            found += [
                f"agent: {CLIENT_ID}: {client} in {source.name} is not used: Terraform looks up the client id of the "
                f"identity {self.identity.name or 'that it creates'}, and `terraform output client_id` shows it"
                for client in sorted(filter(None, given))
            ]
        found += [
            f"{setting(worker)}.roles: {each.role} is on all of the subscription"
            for worker, own in self.identities().items()
            for each in own.roles
            if each.scope.count("/") == 2
        ]
        for cluster in self.clusters:
            if cluster.issuer and ".oic." in cluster.issuer and not cluster.issuer.endswith("/"):
                found.append(f"cluster: the issuer {cluster.issuer} has no closing '/': the issuers of AKS have one")
            tenant = places.issuer_tenant(cluster.issuer or "")
            if self.tenant_id and tenant not in (None, self.tenant_id.lower()):
                found.append(
                    f"cluster: the issuer {cluster.issuer} is of the tenant {tenant}, but tenant_id is "
                    f"{self.tenant_id}: is it the issuer of this cluster?"
                )
        return found

    @field_validator("tags")
    @classmethod
    def _tags(cls, tags: Tags) -> Tags:
        rules.tags(tags)
        return tags

    def cluster_keys(self) -> list[str]:
        """A short stable name for each cluster, part of the names of what is created for it."""
        return apart(
            (rules.issuer_key(each.issuer), each.issuer)
            if each.issuer
            else (f"{each.resource_group}-{each.name}", f"{each.resource_group}/{each.name}")
            for each in self.clusters
        )

    def cluster_is(self, cluster: Cluster) -> list[Identity]:
        """What a cluster is to Azure: subscription, group and name, whose case it folds; or its issuer."""
        aks, found = cast(AksCluster, cluster), []
        if aks.name and aks.resource_group:
            where = (*self._subscription, aks.resource_group.lower(), aks.name.lower())
            found.append(Identity("AKS cluster", where))
        if aks.issuer:
            found.append(Identity("issuer", (aks.issuer.rstrip("/").lower(),)))
        return found

    def storage_is(self, name: str) -> Identity:
        """The container: the account's name is unique in the environment."""
        return Identity("container", (self.environment, self.account(name), self.storage.container))

    @property
    def _subscription(self) -> tuple[str, str]:
        return (self.environment, self.subscription_id.lower())

    def credentials(self, name: str, worker: Worker = None) -> tuple[Identity, list[tuple[str, tuple[str, ...]]]]:
        """An identity of the deployment `name`, and its credentials to create: name, and issuer with subject."""
        found, given = [], self.credential_names(worker)
        subjects = self.trusted()[worker] if self.identities()[worker].federate else ()
        for key, cluster in zip(self.cluster_keys(), self.clusters, strict=True):
            (issuer, *_) = reversed(self.cluster_is(cluster))  # the issuer, where it is given
            for subject in subjects:
                _, _, namespace, account = subject.split(":")
                credential = rules.federated_credential_name(key, namespace, account)
                found.append((given.get(credential, credential), (issuer.kind, *issuer.name, subject)))
        group, own = self.identity_group(worker), self.identity_name(name, worker)
        return Identity("identity", (*self._subscription, group.lower(), own.lower())), found

    def claims(self, name: str) -> Iterator[Claim]:
        """What the deployment `name` creates and grants, default names included. No other deployment may do so too."""
        yield from super().claims(name)
        storage, account = self.storage, self.account(name)
        if not self.resource_group.existing:
            group = self.resource_group.name
            what = Identity("resource group", (*self._subscription, group.lower()))
            hint = "a name of its own, or resource_group.existing: true in one of the two"
            yield Claim(what=what, setting="resource_group.name", shown=group, way_out=hint)
        if storage.existing is None:
            what = Identity("storage account", (self.environment, account))
            yield Claim(what=what, setting="storage.account", shown=account)
        if storage.existing != "container":
            what = self.storage_is(name)
            yield Claim(what=what, setting="storage.container", shown=storage.container, within="storage.account")
        if storage.customer_managed_key:
            where = (*self._subscription, self.resource_group.name.lower(), f"{account}-key")
            key = Identity("identity", where)
            setting = "storage.customer_managed_key"
            yield Claim(what=key, setting=setting, shown=f"{account}-key", way_out="another account's name")
        for worker in self.identities():
            yield from self._claims_of(name, worker)

    def _claims_of(self, name: str, worker: Worker) -> Iterator[Claim]:
        """An identity, its credentials and its roles."""
        own, storage, account, place = self.identities()[worker], self.storage, self.account(name), setting(worker)
        identity, credentials = self.credentials(name, worker)
        shown = self.identity_name(name, worker)
        if not own.existing:
            yield Claim(what=identity, setting=f"{place}.name", shown=shown)
        for credential, token in credentials:
            hint = "identity.federate: false in one of the two, an identity of its own, or another namespace or prefix"
            for kind, key_ in (("credential's name", (credential.lower(),)), ("credential", token)):
                said = f"{token[-1]} for {shown}"
                yield grant(kind, *identity.name, *key_, setting=f"{place}.federate", shown=said, way_out=hint)
        if own.granted:
            scope = (self.environment, account) if storage.role_scope == "account" else self.storage_is(name).name
            hint = "identity.grant_storage: false in one of the two, or an identity of its own"
            said = f"{shown} on {'/'.join(scope[1:])}"
            yield grant("role", *identity.name, *scope, setting=f"{place}.grant_storage", shown=said, way_out=hint)
        for each in own.roles:
            yield grant(
                "role", *identity.name, each.role.lower(), each.scope.lower(),
                setting=f"{place}.roles", shown=f"{each.role} on {each.scope} for {shown}",
                way_out="to name it in one of the two, or an identity of its own",
            )  # fmt: skip

    def contradictions(self) -> Iterator[SettingError]:
        """Settings that are right each alone, and not together."""
        yield from super().contradictions()
        yield from self._other_environments()
        yield from self._not_there_yet()
        trusted = self.trusted()
        for worker, own in self.identities().items():
            place = setting(worker)
            yield from self._roles_are_others(own, place)
            if own.grant_storage is False and not (own.existing or self.storage.existing):
                yield SettingError(
                    "only with an existing identity or existing storage: nobody else knows these to grant it",
                    got=False,
                    hint="true",
                    field=f"{place}.grant_storage",
                )
            yield from self._unknown_credentials(own, place, trusted[worker])

    def _unknown_credentials(
        self, own: AzureUserIdentity, place: str, subjects: tuple[str, ...]
    ) -> Iterator[SettingError]:
        """Names for credentials that are not created here, or that two would have; more than an identity holds."""
        given, field = own.credential_names, f"{place}.credential_names"
        accounts = [subject.split(":", 2)[2].replace(":", "/") for subject in subjects if own.federate]
        for account in given:
            if account not in accounts:
                near = difflib.get_close_matches(account, accounts, n=1)
                rule = "must name service accounts of the agents that get a credential here"
                yield SettingError(rule, got=account, hint=near[0] if near else None, field=field)
        if len({name.lower() for name in given.values()}) < len(given):
            yield SettingError("must differ", got=list(given.values()), field=field)
        if own.federate:
            try:
                rules.credential_count(len(subjects), len(self.clusters))
            except SettingError as error:
                yield SettingError(error.rule, got=error.got, hint=error.hint, field=place)

    def _roles_are_others(self, identity: AzureUserIdentity, place: str) -> Iterator[SettingError]:
        """Azure refuses the same role on the same a second time, and what is of this file is not there yet."""
        own = self.storage
        group = (own.resource_group or self.resource_group.name) if own.existing else self.resource_group.name
        front = f"/subscriptions/{self.subscription_id}/resourceGroups/{group}/providers/Microsoft.Storage"
        of_container = "" if own.role_scope == "account" else f"/blobServices/default/containers/{own.container}"
        scope = f"{front}/storageAccounts/{own.account}{of_container}"
        for position, each in enumerate(identity.roles):
            if (each.role.lower(), each.scope.lower()) == (rules.STORAGE_ROLE.lower(), scope.lower()):
                yield SettingError(
                    "is already the identity's role for the XComs, and Azure refuses it a second time: remove it",
                    got=f"{each.role} on {each.scope}",
                    field=f"{place}.roles[{position}]",
                )

    def _other_environments(self) -> Iterator[SettingError]:
        """Nothing of one environment of Azure is reached from another one."""
        ends = places.ENVIRONMENTS[self.environment]
        endpoint, key = self.storage.private_endpoint, self.storage.customer_managed_key
        zone = (endpoint.private_dns_zone if endpoint else None) or ""
        found = [
            ("location", self.location, places.environment_of_location(self.location), ""),
            ("storage.private_endpoint.private_dns_zone", zone, places.environment_of_host(zone),
             f"the zone privatelink.blob.{ends[0]}"),
            ("storage.customer_managed_key.key_id", key.key_id if key else "",
             places.environment_of_host(key.key_id) if key else None, f"a key of a vault in {ends[1]}"),
            *(
                (f"{field}.issuer", cluster.issuer, places.environment_of_host(cluster.issuer),
                 f"the issuer of a cluster there, in {ends[2]}")
                for field, cluster in self._named_clusters()
                if cluster.issuer
            ),
        ]  # fmt: skip
        for field, got, environment, hint in found:
            if environment not in (None, self.environment):
                yield SettingError(
                    f"is of the environment {environment}, and this deployment's is {self.environment}",
                    got=got,
                    hint=hint or f"environment: {environment}",
                    field=field,
                )

    def _not_there_yet(self) -> Iterator[SettingError]:
        """Existing resources cannot be in a group that this deployment creates."""
        if self.resource_group.existing:
            return
        made = self.resource_group.name
        groups = {f"{field}.resource_group": cluster.resource_group for field, cluster in self._named_clusters()}
        if self.storage.existing:
            groups["storage.resource_group"] = self.storage.resource_group or made
        for worker, own in self.identities().items():
            if own.existing:
                groups[f"{setting(worker)}.resource_group"] = own.resource_group or made
        found = [(field, group) for field, group in groups.items() if group and group.lower() == made.lower()]
        here = (self.subscription_id.lower(), made.lower())
        found += [(field, id_) for field, id_ in self._resource_ids() if places.group_of(id_) == here]
        for field, got in found:
            yield SettingError(
                "is the group that this deployment creates, so nothing exists in it yet"
                if field.endswith("resource_group")
                else f"is in the group {made}, which this deployment creates, so nothing exists in it yet",
                got=got,
                hint="its own group, or resource_group.existing: true",
                field=field,
            )

    def _resource_ids(self) -> Iterator[tuple[str, str]]:
        """(field, id) of what exists already."""
        storage = self.storage
        if storage.network:
            for position, subnet in enumerate(storage.network.subnets):
                yield f"storage.network.subnets[{position}]", subnet
        if storage.private_endpoint:
            yield "storage.private_endpoint.subnet", storage.private_endpoint.subnet
            if storage.private_endpoint.private_dns_zone:
                yield "storage.private_endpoint.private_dns_zone", storage.private_endpoint.private_dns_zone
        if storage.access_log_storage_account_id:
            yield "storage.access_log_storage_account_id", storage.access_log_storage_account_id
        if storage.customer_managed_key:
            yield "storage.customer_managed_key.vault_id", storage.customer_managed_key.vault_id

    def _named_clusters(self) -> Iterator[tuple[str, AksCluster]]:
        yield "cluster", self.cluster
        for position, cluster in enumerate(self.trusted_clusters):
            yield f"trusted_clusters[{position}]", cluster

    @together
    def _connection_can_be_defined(self) -> Iterator[str | SettingError]:
        yield from attempt(rules.connection_id, self.connection_id, field="xcom.connection_id")

    @model_validator(mode="after")
    def _connection_is_that_of_the_settings(self, info: ValidationInfo) -> Self:
        variable = rules.connection_variable(self.connection_id)
        name = (info.context or {}).get("name")
        account = self.account(name) if name else self.storage.account
        for source in self.agent.sources():
            vendor_values.check_connection(source, variable, account)
        return self

    @model_validator(mode="after")
    def _names_by_default_fit(self, info: ValidationInfo) -> Self:
        if name := (info.context or {}).get("name"):
            unnamed = [worker for worker, own in self.identities().items() if own.name is None]
            given = {worker: self.identity_name(name, worker) for worker in unnamed}
            default_names_fit(rules.identity, "name", "an identity's name", given)
        return self
