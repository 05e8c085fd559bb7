"""Azure: the login, the resource providers, the clusters and the credentials of an existing identity."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from astro_xcom.doctor.cloud import Cloud
from astro_xcom.doctor.commands import Commands, Failed, Unanswered, at, printable
from astro_xcom.doctor.model import Check, missing, ok, unknown
from astro_xcom.doctor.named import Named, Wrong, look
from astro_xcom.rules.azure import MOST_CREDENTIALS, federated_credential_name
from astro_xcom.settings import AksCluster, AzureDeployment
from astro_xcom.settings.azure import CustomerManagedKey
from astro_xcom.workers import Worker

REGISTERED = ("Microsoft.Storage", "Microsoft.ManagedIdentity")
NOT_FOUND = ("ResourceNotFound", "ResourceGroupNotFound", "was not found", "could not be found")


@dataclass
class Azure(Cloud):
    """What the command az says."""

    deployment: AzureDeployment
    commands: Commands
    endpoints: set[str] = field(default_factory=set)
    issuers: dict[str, str] = field(default_factory=dict)
    """Of the clusters by their keys, where they are known."""

    def connect(self) -> str:
        """The line that gives kubectl a context of the cluster."""
        return shlex.join(["az", "aks", "get-credentials", *self._named(self.deployment.cluster)])

    def checks(self) -> Iterator[Check]:
        """The login first: without it nothing else is known."""
        yield self._login()
        for namespace in REGISTERED:
            yield self._registered(namespace)
        for key, cluster in zip(self.deployment.cluster_keys(), self.deployment.clusters, strict=True):
            if cluster.issuer:
                self.issuers[key] = cluster.issuer
            if cluster.name:
                yield from self._cluster(key, cluster, own=cluster is self.deployment.cluster)
        for worker, identity in self.deployment.identities().items():
            if identity.existing:
                yield self._credentials(worker)
        for thing in self._things():
            yield look(thing, self.commands)

    def _things(self) -> Iterator[Named]:
        storage, group = self.deployment.storage, self.deployment.resource_group
        if group.existing:
            own = [f"--name={group.name}", self._subscription]
            place = f"--location={self.deployment.location}"
            yield Named(
                check="resource group",
                of=group.name,
                ask=("az", "group", "show", *own, "--output=json"),
                absent=NOT_FOUND,
                where="in the subscription",
                create=shlex.join(["az", "group", "create", *own, place]),
            )
        if storage.existing:
            yield from self._storage(str(storage.account), storage.resource_group or group.name)
        if of_logs := storage.access_log_storage_account_id:
            yield self._by_id("log account", of_logs, "storage.access_log_storage_account_id")
        if key := storage.customer_managed_key:
            yield self._by_id("key vault", key.vault_id, "storage.customer_managed_key.vault_id")
            yield Named(
                check="key",
                of=key.key_id.rpartition("/")[2],
                ask=("az", "keyvault", "key", "show", f"--id={key.key_id}", "--output=json"),
                absent=("KeyNotFound", *NOT_FOUND),
                where="in its vault",
                create=shlex.join(["az", "keyvault", "key", "create", *_of_vault(key), "--kty=RSA"]),
                judge=lambda found: _switched_off(found, _of_vault(key)),
            )

    def _storage(self, account: str, group: str) -> Iterator[Named]:
        where = [f"--resource-group={group}", self._subscription]
        own = [f"--name={account}", *where]
        place = f"--location={self.deployment.location}"
        yield Named(
            check="storage account",
            of=account,
            ask=("az", "storage", "account", "show", *own, "--output=json"),
            absent=NOT_FOUND,
            where=f"in the group {group}",
            create=shlex.join(["az", "storage", "account", "create", *own, place, "--allow-blob-public-access=false"]),
        )
        if self.deployment.storage.existing == "container":
            container = self.deployment.storage.container
            inside = [f"--name={container}", f"--storage-account={account}", *where]
            yield Named(
                check="container",
                of=container,
                # By the API that makes it, which asks for no right on what is in it.
                ask=("az", "storage", "container-rm", "show", *inside, "--output=json"),
                absent=("ContainerNotFound", "does not exist", *NOT_FOUND),
                where=f"in the account {account}",
                create=shlex.join(["az", "storage", "container-rm", "create", *inside]),
            )

    def _by_id(self, check: str, id_: str, setting: str) -> Named:
        type_ = "/".join(id_.split("/")[6:8])
        return Named(
            check=check,
            of=id_.rpartition("/")[2],
            ask=("az", "resource", "show", f"--ids={id_}", "--output=json"),
            absent=NOT_FOUND,
            where=f"in the group {id_.split('/')[4]}",
            create=f"az resource list --resource-type={type_} --query=[].id, and one of these as {setting}",
        )

    def _login(self) -> Check:
        wanted = self.deployment.tenant_id
        login = shlex.join(["az", "login", *([f"--tenant={wanted}"] if wanted else [])])
        try:
            account = self.commands.json("az", "account", "show", self._subscription, "--output=json")
        except Failed as error:
            return missing("login", None, str(error), login)
        except Unanswered as error:
            return unknown("login", None, str(error))
        tenant = str(at(account, "tenantId"))
        if wanted and tenant.lower() != wanted.lower():
            return missing("login", None, f"the subscription is in tenant {printable(tenant)}, not in {wanted}", login)
        return ok("login", None, f"az reaches the subscription {printable(str(at(account, 'name')))}")

    def _registered(self, namespace: str) -> Check:
        try:
            found = self.commands.json(
                "az", "provider", "show", f"--namespace={namespace}", self._subscription, "--output=json"
            )
        except Unanswered as error:
            return unknown("resource provider", namespace, str(error))
        if at(found, "registrationState") == "Registered":
            return ok("resource provider", namespace, "is registered")
        create = f"az provider register --namespace={namespace} {self._subscription}"
        return missing("resource provider", namespace, "is not registered in the subscription", create)

    def _cluster(self, key: str, cluster: AksCluster, *, own: bool) -> Iterator[Check]:
        try:
            found = self.commands.json("az", "aks", "show", *self._named(cluster), "--output=json")
        except Unanswered as error:
            if isinstance(error, Failed) and any(words in error.said for words in NOT_FOUND):
                where = f"is not in the group {cluster.resource_group} of the subscription"
                yield missing("cluster", cluster.name, where, f"az aks list {self._subscription} --output=table")
            else:
                yield unknown("cluster", cluster.name, str(error))
            if not cluster.issuer:
                yield unknown("OIDC issuer", cluster.name, "the cluster is not known")
            return
        state = printable(str(at(found, "provisioningState")))
        yield ok("cluster", cluster.name, f"is there ({state})")
        if own:
            hosts = {at(found, name) for name in ("fqdn", "privateFqdn", "azurePortalFqdn")}
            self.endpoints |= {host for host in hosts if isinstance(host, str) and host}
        yield self._issuer(key, cluster, found)
        if own and cluster.authentication == "certificate" and at(found, "disableLocalAccounts") is True:
            rule = "has no local accounts, and so no certificate for Helm"
            yield missing("cluster login", cluster.name, rule, "cluster.authentication: exec, and kubelogin")

    def _issuer(self, key: str, cluster: AksCluster, found: object) -> Check:
        issuer = at(found, "oidcIssuerProfile", "issuerUrl")
        enable = ["az", "aks", "update", *self._named(cluster), "--enable-oidc-issuer", "--enable-workload-identity"]
        if at(found, "oidcIssuerProfile", "enabled") is not True or not isinstance(issuer, str):
            return missing("OIDC issuer", cluster.name, "the cluster has none", shlex.join(enable))
        if at(found, "securityProfile", "workloadIdentity", "enabled") is not True:
            rule = "is there, and nothing gives its tokens to pods: workload identity is off"
            return missing("OIDC issuer", cluster.name, rule, shlex.join(enable))
        if cluster.issuer and cluster.issuer != issuer:
            rule = f"is {printable(issuer)}, and the settings say {cluster.issuer}"
            return missing("OIDC issuer", cluster.name, rule, "cluster.issuer: as it is, to the letter")
        self.issuers[key] = issuer
        return ok("OIDC issuer", cluster.name, f"is {printable(issuer)}")

    def _credentials(self, worker: Worker) -> Check:
        """Room in an identity that others may use too."""
        identity = self.deployment.identities()[worker]
        group = self.deployment.identity_group(worker)
        named = [f"--resource-group={group}", self._subscription]
        try:
            found = self.commands.json(
                "az", "identity", "federated-credential", "list", f"--identity-name={identity.name}", *named,
                "--output=json",
            )  # fmt: skip
        except Unanswered as error:
            if isinstance(error, Failed) and any(words in error.said for words in NOT_FOUND):
                create = shlex.join(["az", "identity", "create", f"--name={identity.name}", *named])
                return missing("identity", identity.name, f"is not in the group {group}", create)
            return unknown("identity", identity.name, str(error))
        if not isinstance(found, list):
            return unknown("identity", identity.name, "az answered with no list of credentials")
        if not identity.federate:
            return ok("identity", identity.name, f"is there, with {len(found)} federated credentials")
        there = {str(at(each, "name")): (at(each, "issuer"), at(each, "subject")) for each in found}
        pairs = {
            federated_credential_name(key, *subject.split(":")[2:]): (self.issuers.get(key), subject)
            for key in self.deployment.cluster_keys()
            for subject in self.deployment.trusted()[worker]
        }
        given = self.deployment.credential_names(worker)
        ours = {given.get(name, name): pair for name, pair in pairs.items()}
        taken = [name for name, pair in there.items() if name not in ours and pair in ours.values()]
        if taken:
            names = printable(", ".join(taken))
            rule = f"has a credential of the same issuer and subject with another name, {names}; Azure takes no second"
            return missing("identity", identity.name, rule, "identity.federate: false, or delete that credential")
        after = len({*there, *ours})
        says = f"has {len(there)} federated credentials and will have {after}; an identity holds {MOST_CREDENTIALS}"
        if after > MOST_CREDENTIALS:
            return missing("identity", identity.name, says, "another identity, or workers that share a service account")
        return ok("identity", identity.name, says)

    @property
    def _subscription(self) -> str:
        return f"--subscription={self.deployment.subscription_id}"

    def _named(self, cluster: AksCluster) -> list[str]:
        return [f"--name={cluster.name}", f"--resource-group={cluster.resource_group}", self._subscription]


def _of_vault(key: CustomerManagedKey) -> list[str]:
    return [f"--vault-name={key.vault_id.rpartition('/')[2]}", f"--name={key.key_id.rpartition('/')[2]}"]


def _switched_off(found: object, key: list[str]) -> Wrong | None:
    if at(found, "attributes", "enabled") is not False:
        return None
    mend = shlex.join(["az", "keyvault", "key", "set-attributes", *key, "--enabled=true"])
    return "is switched off: nothing can be read or written with it", mend
