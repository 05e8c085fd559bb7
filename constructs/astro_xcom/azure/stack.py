"""One deployment on Azure: storage, identity and agents in one Terraform stack."""

from typing import Any

from cdktf import Fn, ITerraformDependable
from cdktf_cdktf_provider_azurerm.data_azurerm_kubernetes_cluster import DataAzurermKubernetesCluster
from cdktf_cdktf_provider_azurerm.provider import (
    AzurermProvider,
    AzurermProviderFeatures,
    AzurermProviderFeaturesStorage,
)
from cdktf_cdktf_provider_azurerm.resource_group import ResourceGroup
from cdktf_cdktf_provider_helm.provider import HelmProviderKubernetes, HelmProviderKubernetesExec
from constructs import Construct

from astro_xcom.agent.cluster import from_kubeconfig
from astro_xcom.azure.account import XComAccount, XComAccountRef
from astro_xcom.azure.aks import AksOidcIssuer
from astro_xcom.azure.container import ROLE, XComContainer, XComContainerRef
from astro_xcom.azure.federation import AUDIENCE, FederatedIdentity, FederatedIdentityRef
from astro_xcom.construct_ids import id_of
from astro_xcom.lifecycle import protected
from astro_xcom.permissions import RoleOn
from astro_xcom.settings import AksCluster, AzureDeployment
from astro_xcom.stack import XComStack
from astro_xcom.terraform_text import escape_templates
from astro_xcom.workers import Worker, construct_id
from astro_xcom.xcom import recovery_days

# Environment -> the host of its accounts, where the client has to be told.
HOSTS = {"public": None, "usgovernment": "blob.core.usgovcloudapi.net", "china": "blob.core.chinacloudapi.cn"}
# What kubelogin calls them.
KUBELOGIN = {
    "public": (),
    "usgovernment": ("--environment", "AzureUSGovernmentCloud"),
    "china": ("--environment", "AzureChinaCloud"),
}
AKS_SERVER_ID = "6dae42f8-4368-4678-94ff-3960e28e3630"  # what kubelogin asks a token for; the same for every cluster


class AzureXComStack(XComStack):
    """Everything that one deployment on Azure needs: container, identity, trust, agents, provider, backend and outputs.

    Outputs: `account`, `container`, `client_id`, `principal_id`, `tenant_id`, `xcom_path`, `annotations`, `labels`,
    `trusted_subjects` and `agent_values`; `access` if the owner of existing resources assigns the role on the storage;
    `state_store_path` if there is a state store; `worker_identities` if workers have identities of their own. Then the
    annotations of the service accounts name the identity, and the agents' connection does not.
    """

    def __init__(self, scope: Construct, id_: str, deployment: AzureDeployment) -> None:
        super().__init__(scope, id_, deployment)
        self.require("azurerm")
        AzurermProvider(
            self,
            "azurerm",
            subscription_id=deployment.subscription_id,
            tenant_id=deployment.tenant_id,
            environment=None if deployment.environment == "public" else deployment.environment,
            # Without account keys nothing else works, and a network rule may keep this machine out of the account.
            storage_use_azuread=True,
            features=[
                AzurermProviderFeatures(storage=[AzurermProviderFeaturesStorage(data_plane_available=False)]),
            ],
            resource_provider_registrations="none",  # as in azurerm 5: registering needs rights on the subscription
        )
        self.tags = escape_templates(deployment.tags) or None
        self.resource_group: ResourceGroup | None = None
        """The group, if it is created here."""
        if not deployment.resource_group.existing:
            self.resource_group = ResourceGroup(
                self,
                "resource-group",
                name=deployment.resource_group.name,
                location=deployment.location,
                tags=self.tags,
                lifecycle=protected(deployment.storage.protect_from_destroy),
            )
        self.group: str = self.resource_group.name if self.resource_group else deployment.resource_group.name
        self.oidc_issuers: list[AksOidcIssuer] = []
        """The issuers of all trusted clusters, if credentials are created."""
        self.identities = self._identities(deployment)
        """Worker -> its own identity; None -> the identity of all others."""
        self.identity = self.identities[None]
        for worker, own in deployment.identities().items():
            self.identities[worker].assign_roles([RoleOn(role=each.role, scope=each.scope) for each in own.roles])
        self.account = self._account(deployment)
        self.storage = self._storage(deployment)
        for each in self.identities.values():
            self.storage.grant_read_write(each)
        self.output("account", self.account.name, "The storage account of the container")
        self.output("container", self.storage.name, "The container that holds the XComs")
        self.output("client_id", self.identity.client_id, "The identity the agents use, in their tokens")
        self.output("principal_id", self.identity.principal_id, "The identity the agents use, in role assignments")
        self.output("tenant_id", self.identity.tenant_id, "The identity's tenant")
        if not self.identity.grantable:
            self.output("access", self._access(self.identity), "Assign this role to the existing identity")
        workers = {worker: identity for worker, identity in self.identities.items() if worker is not None}
        pods = {worker: identity.pod_identity for worker, identity in workers.items()}
        self.worker_identities({worker: self._told(identity) for worker, identity in workers.items()}, pods)
        made: list[ITerraformDependable] = [self.resource_group] if self.resource_group else []
        self.add_agents(
            location=self.storage.location,
            pod_identity=self.identity.pod_identity,
            workers=pods,
            dependencies=[
                *made,
                *self.storage.dependencies,
                *(needed for each in self.identities.values() for needed in each.dependencies),
            ],
            kubernetes=lambda: self._kubernetes(deployment.cluster, deployment.environment),
        )

    def _access(self, identity: FederatedIdentityRef) -> dict[str, str]:
        return {"principal_id": identity.principal_id, "role": ROLE, "scope": self.storage.role_scope}

    def _told(self, identity: FederatedIdentityRef) -> dict[str, Any]:
        told = {"name": identity.name, "client_id": identity.client_id, "principal_id": identity.principal_id}
        return told if identity.grantable else {**told, "access": self._access(identity)}

    def _account(self, deployment: AzureDeployment) -> XComAccountRef:
        storage = deployment.storage
        subscription = f"/subscriptions/{deployment.subscription_id}"
        if storage.existing:
            group = storage.resource_group or deployment.resource_group.name
            account_id = (
                f"{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{storage.account}"
            )
            return XComAccount.from_id(self, "storage-account", account_id)
        network, endpoint, key = storage.network, storage.private_endpoint, storage.customer_managed_key
        return XComAccount(
            self,
            "storage-account",
            name=deployment.account(id_of(self)),
            resource_group=self.group,
            location=deployment.location,
            replication=storage.replication,
            recovery_days=recovery_days(deployment.xcom.retention_days),
            subnets=network.subnets if network else (),
            ip_rules=network.ip_rules if network else (),
            bypass=network.bypass if network else (),
            public_network_access=storage.public_network_access,
            private_endpoint_subnet=endpoint.subnet if endpoint else None,
            private_dns_zone=endpoint.private_dns_zone if endpoint else None,
            access_log_storage_account_id=storage.access_log_storage_account_id,
            customer_managed_key_id=key.key_id if key else None,
            key_vault_id=key.vault_id if key else None,
            tags=self.tags,
            protect_from_destroy=storage.protect_from_destroy,
        )

    def _storage(self, deployment: AzureDeployment) -> XComContainerRef:
        storage, state_store = deployment.storage, deployment.state_store
        suffix = HOSTS[deployment.environment]
        account_host = f"{self.account.name}.{suffix}" if suffix else None
        # One connection for all pods. It beats what the webhook says of a pod's own identity.
        identity = None if deployment.workers else self.identity
        if storage.existing == "container":
            return XComContainer.from_name(
                self,
                "storage",
                storage.container,
                account=self.account,
                path=storage.path,
                state_store_path=state_store.path if state_store else None,
                connection_id=deployment.connection_id,
                identity=identity,
                account_host=account_host,
                role_scope=storage.role_scope,
            )
        return XComContainer(
            self,
            "storage",
            name=storage.container,
            account=self.account,
            path=storage.path,
            state_store_path=state_store.path if state_store else None,
            connection_id=deployment.connection_id,
            identity=identity,
            account_host=account_host,
            role_scope=storage.role_scope,
            former_paths=[*storage.former_paths, *storage.shared_paths],
            retention_days=deployment.xcom.retention_days,
            protect_from_destroy=storage.protect_from_destroy,
        )

    def _identities(self, deployment: AzureDeployment) -> dict[Worker, FederatedIdentityRef]:
        if any(own.federate for own in deployment.identities().values()):
            self.oidc_issuers = [
                self._oidc_issuer(key, cluster)
                for key, cluster in zip(deployment.cluster_keys(), deployment.clusters, strict=True)
            ]
        return {worker: self._identity(deployment, worker) for worker in deployment.identities()}

    def _identity(self, deployment: AzureDeployment, worker: Worker) -> FederatedIdentityRef:
        identity, id_ = deployment.identities()[worker], construct_id(worker)
        name = deployment.identity_name(id_of(self), worker)
        group = deployment.identity_group(worker) if identity.existing else self.group
        if not identity.federate:
            return FederatedIdentity.from_name(
                self,
                id_,
                name,
                resource_group=group,
                tenant_id=deployment.tenant_id,
                grantable=identity.granted,
            )
        return FederatedIdentity(
            self,
            id_,
            name=name,
            resource_group=group,
            location=None if identity.existing else deployment.location,
            tenant_id=deployment.tenant_id,
            issuers=self.oidc_issuers,
            subjects=self.trusted[worker],
            audience=escape_templates(identity.audience or deployment.identity.audience or AUDIENCE),
            tags=self.tags,
            grantable=identity.granted,
            credential_names=deployment.credential_names(worker),
        )

    def _oidc_issuer(self, key: str, cluster: AksCluster) -> AksOidcIssuer:
        id_ = f"oidc-{key}"
        if cluster.issuer:
            return AksOidcIssuer(self, id_, issuer=cluster.issuer, key=key)
        return AksOidcIssuer(self, id_, cluster_name=cluster.name, resource_group=cluster.resource_group, key=key)

    def _kubernetes(self, cluster: AksCluster, environment: str) -> HelmProviderKubernetes:
        if cluster.kubeconfig:
            return from_kubeconfig(cluster.kubeconfig)
        # The settings ask for name and resource_group, or for a kubeconfig.
        aks = self.oidc_issuers[0].cluster if self.oidc_issuers else None
        aks = aks or DataAzurermKubernetesCluster(
            self, "cluster", name=str(cluster.name), resource_group_name=str(cluster.resource_group)
        )
        config = aks.kube_config.get(0)
        certificate = cluster.authentication == "certificate"
        return HelmProviderKubernetes(
            host=config.host,
            cluster_ca_certificate=Fn.base64decode(config.cluster_ca_certificate),
            client_certificate=Fn.base64decode(config.client_certificate) if certificate else None,
            client_key=Fn.base64decode(config.client_key) if certificate else None,
            exec=None
            if certificate
            else HelmProviderKubernetesExec(
                api_version="client.authentication.k8s.io/v1beta1",
                command="kubelogin",
                args=["get-token", "--login", cluster.login, "--server-id", AKS_SERVER_ID, *KUBELOGIN[environment]],
            ),
        )
