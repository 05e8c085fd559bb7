"""One deployment on Google Cloud: storage, identity and agents in one Terraform stack."""

from typing import cast

from cdktf import Fn
from cdktf_cdktf_provider_google.data_google_client_config import DataGoogleClientConfig
from cdktf_cdktf_provider_google.data_google_container_cluster import DataGoogleContainerCluster
from cdktf_cdktf_provider_google.provider import GoogleProvider
from cdktf_cdktf_provider_helm.provider import HelmProviderKubernetes, HelmProviderKubernetesExec
from constructs import Construct

from astro_xcom.agent.cluster import from_kubeconfig
from astro_xcom.gcp.bucket import XComBucket, XComBucketRef
from astro_xcom.gcp.gke import GkeWorkloadPool
from astro_xcom.gcp.workload_identity import (
    DirectPrincipals,
    Principals,
    WorkloadIdentity,
    WorkloadIdentityRef,
    members,
)
from astro_xcom.names import apart
from astro_xcom.permissions import RoleOn
from astro_xcom.settings import GcpDeployment, GkeCluster
from astro_xcom.stack import XComStack
from astro_xcom.terraform_text import literal


class GcpXComStack(XComStack):
    """Everything that one deployment on Google Cloud needs: bucket, identity, agents, provider, backend and outputs.

    Outputs: `bucket`, `service_account_email`, `workload_identity_members`, `xcom_path`, `annotations`,
    `trusted_subjects`
    and `agent_values`; `state_store_path` if there is a state store. With direct grants there is no
    `service_account_email`.
    """

    def __init__(self, scope: Construct, id_: str, deployment: GcpDeployment) -> None:
        super().__init__(scope, id_, deployment)
        self.require("google")
        provider = GoogleProvider(self, "google", project=deployment.project)
        if deployment.labels:
            # As an argument CDKTF would write the key cost-center as cost_center.
            provider.add_override("default_labels", literal(deployment.labels))
        self.pools = self._pools(deployment)
        self.storage = self._storage(deployment)
        self.identity = self._identity(deployment)
        self.identity.grant_roles([RoleOn(role=each.role, scope=each.scope) for each in deployment.identity.roles])
        if deployment.identity.grant_storage:
            self.storage.grant_read_write(self.identity)
        self.output("bucket", self.storage.name, "The bucket that holds the XComs")
        if isinstance(self.identity, WorkloadIdentityRef):
            self.output("service_account_email", self.identity.email, "The service account the agents use")
            self.output(
                "workload_identity_members",
                list(members(self.pools, self.subjects).values()),
                "The members of the service account with roles/iam.workloadIdentityUser",
            )
        else:
            self.output(
                "workload_identity_members",
                list(self.identity.principals.values()),
                "The members that roles are granted to: the agents' Kubernetes service accounts",
            )
        self.add_agents(
            location=self.storage.location,
            pod_identity=self.identity.pod_identity,
            dependencies=[*self.storage.dependencies, *self.identity.dependencies],
            kubernetes=lambda: self._kubernetes(deployment.cluster),
        )

    def _storage(self, deployment: GcpDeployment) -> XComBucketRef:
        storage, state_store = deployment.storage, deployment.state_store
        if storage.existing:
            return XComBucket.from_name(
                self,
                "storage",
                storage.bucket,
                path=storage.path,
                state_store_path=state_store.path if state_store else None,
                connection_id=deployment.xcom.connection_id,
            )
        return XComBucket(
            self,
            "storage",
            name=storage.bucket,
            location=str(storage.location),  # the settings ask for it
            project=deployment.project,
            path=storage.path,
            state_store_path=state_store.path if state_store else None,
            connection_id=deployment.xcom.connection_id,
            retention_days=deployment.xcom.retention_days,
            dual_region=storage.dual_region,
            customer_managed_key=storage.encryption == "customer-managed",
            kms_key_name=storage.kms_key_name,
            key_rotation_days=storage.key_rotation_days if storage.makes_key else None,
            grant_kms_key=storage.grant_kms_key,
            former_kms_key_names=storage.former_kms_key_names,
            former_paths=[*storage.former_paths, *storage.shared_paths],
            soft_delete_days=storage.soft_delete_days,
            access_log_bucket=storage.access_log_bucket,
            protect_from_destroy=storage.protect_from_destroy,
            force_destroy=storage.force_destroy,
        )

    def _identity(self, deployment: GcpDeployment) -> Principals:
        identity = deployment.identity
        if identity.mechanism == "direct":
            return DirectPrincipals(self, "identity", pools=self.pools, subjects=self.subjects)
        existing = identity.existing_service_account
        if existing and not identity.federate:
            return WorkloadIdentity.from_email(self, "identity", existing)
        return WorkloadIdentity(
            self,
            "identity",
            pools=self.pools,
            subjects=self.subjects,
            account_id=None if existing else identity.account_id(self.node.id),
            project=None if existing else deployment.project,
            email=existing,
        )

    def _pools(self, deployment: GcpDeployment) -> list[GkeWorkloadPool]:
        parts = [
            (cluster.project or deployment.project, str(cluster.location), cluster.name)
            if cluster.name
            else (str(cluster.workload_pool),)
            for cluster in deployment.clusters
        ]
        keys = apart(("-".join(each), "/".join(each)) for each in parts)
        return [
            self._pool(f"pool-{key}", cluster, deployment.project)
            for key, cluster in zip(keys, deployment.clusters, strict=True)
        ]

    def _pool(self, id_: str, cluster: GkeCluster, project: str) -> GkeWorkloadPool:
        if cluster.name is None:
            return GkeWorkloadPool(self, id_, pool=cluster.workload_pool, project_number=cluster.project_number)
        return GkeWorkloadPool(
            self,
            id_,
            cluster_name=cluster.name,
            location=cluster.location,
            project=cluster.project or project,
            pool=cluster.workload_pool,
            project_number=cluster.project_number,
        )

    def _kubernetes(self, cluster: GkeCluster) -> HelmProviderKubernetes:
        if cluster.kubeconfig:
            return from_kubeconfig(cluster.kubeconfig)
        gke = cast(DataGoogleContainerCluster, self.pools[0].cluster)  # the settings ask for one of the two
        token = cluster.authentication == "token"
        return HelmProviderKubernetes(
            host=f"https://{gke.endpoint}",
            cluster_ca_certificate=Fn.base64decode(gke.master_auth.get(0).cluster_ca_certificate),
            token=DataGoogleClientConfig(self, "client-config").access_token if token else None,
            exec=None
            if token
            else HelmProviderKubernetesExec(
                api_version="client.authentication.k8s.io/v1beta1",
                command="gke-gcloud-auth-plugin",
                args=["--use_application_default_credentials"],
            ),
        )
