"""One deployment on Google Cloud: storage, identity and agents in one Terraform stack."""

from typing import Any, cast

from cdktf import Fn
from cdktf_cdktf_provider_google.data_google_client_config import DataGoogleClientConfig
from cdktf_cdktf_provider_google.data_google_container_cluster import DataGoogleContainerCluster
from cdktf_cdktf_provider_google.provider import GoogleProvider
from cdktf_cdktf_provider_helm.provider import HelmProviderKubernetes, HelmProviderKubernetesExec
from constructs import Construct

from astro_xcom.agent.cluster import from_kubeconfig
from astro_xcom.construct_ids import id_of
from astro_xcom.gcp.bucket import XComBucket, XComBucketRef
from astro_xcom.gcp.gke import GkeWorkloadPool
from astro_xcom.gcp.workload_identity import (
    DirectPrincipals,
    Principals,
    WorkloadIdentity,
    WorkloadIdentityRef,
    members,
)
from astro_xcom.permissions import RoleOn
from astro_xcom.rules.common import apart
from astro_xcom.settings import GcpDeployment, GkeCluster
from astro_xcom.stack import XComStack
from astro_xcom.terraform_text import escape_templates
from astro_xcom.workers import Worker, construct_id


class GcpXComStack(XComStack):
    """Everything that one deployment on Google Cloud needs: bucket, identity, agents, provider, backend and outputs.

    Outputs: `bucket`, `service_account_email`, `workload_identity_members`, `xcom_path`, `annotations`,
    `trusted_subjects` and `agent_values`; `state_store_path` if there is a state store; `worker_identities` if workers
    have service accounts of their own. With direct grants there is no `service_account_email`.
    """

    def __init__(self, scope: Construct, id_: str, deployment: GcpDeployment) -> None:
        super().__init__(scope, id_, deployment)
        self.require("google")
        provider = GoogleProvider(self, "google", project=deployment.project)
        if deployment.labels:
            # As an argument CDKTF would write the key cost-center as cost_center.
            provider.add_override("default_labels", escape_templates(deployment.labels))
        self.pools = self._pools(deployment)
        self.storage = self._storage(deployment)
        self.identities = self._identities(deployment)
        """Those of workers that have their own service account, and with None that of all others."""
        self.identity = self.identities[None]
        for worker, own in deployment.identities().items():
            roles = [RoleOn(role=each.role, scope=each.scope) for each in own.roles]
            if isinstance(self.identity, DirectPrincipals):
                self.identity.grant_roles(roles, principals=self.identity.of(self.trusted[worker]))
            else:
                self.identities[worker].grant_roles(roles)
        for worker, identity in self.identities.items():
            if deployment.identities()[worker].grant_storage:
                self.storage.grant_read_write(identity)
        self.output("bucket", self.storage.name, "The bucket that holds the XComs")
        if isinstance(self.identity, WorkloadIdentityRef):
            self.output("service_account_email", self.identity.email, "The service account the agents use")
            self.output(
                "workload_identity_members",
                list(members(self.pools, self.trusted[None]).values()),
                "The members of the service account with roles/iam.workloadIdentityUser",
            )
        elif isinstance(self.identity, DirectPrincipals):
            self.output(
                "workload_identity_members",
                list(self.identity.of(self.trusted[None]).values()),
                "The members that roles are granted to: the agents' Kubernetes service accounts",
            )
        pods = {worker: each.pod_identity for worker, each in self.identities.items() if worker is not None}
        self.worker_identities({worker: self._told(worker) for worker in deployment.workers}, pods)
        self.add_agents(
            location=self.storage.location,
            pod_identity=self.identity.pod_identity,
            workers=pods,
            dependencies=[
                *self.storage.dependencies,
                *(needed for each in self.identities.values() for needed in each.dependencies),
            ],
            kubernetes=lambda: self._kubernetes(deployment.cluster),
        )

    def _told(self, worker: str) -> dict[str, Any]:
        if isinstance(self.identity, DirectPrincipals):
            return {"workload_identity_members": list(self.identity.of(self.trusted[worker]).values())}
        email = cast(WorkloadIdentityRef, self.identities[worker]).email
        found = members(self.pools, self.trusted[worker])
        return {"service_account_email": email, "workload_identity_members": list(found.values())}

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

    def _identities(self, deployment: GcpDeployment) -> dict[Worker, Principals]:
        if deployment.identity.mechanism == "direct":
            # One for all: the members of the bucket are the same, whoever has roles of its own.
            subjects = list(dict.fromkeys(subject for each in self.trusted.values() for subject in each))
            return {None: DirectPrincipals(self, construct_id(None), pools=self.pools, subjects=subjects)}
        return {worker: self._identity(deployment, worker) for worker in deployment.identities()}

    def _identity(self, deployment: GcpDeployment, worker: Worker) -> Principals:
        identity, id_ = deployment.identities()[worker], construct_id(worker)
        existing = identity.existing_service_account
        if existing and not identity.federate:
            return WorkloadIdentity.from_email(self, id_, existing)
        return WorkloadIdentity(
            self,
            id_,
            pools=self.pools,
            subjects=self.trusted[worker],
            account_id=None if existing else deployment.account_id(id_of(self), worker),
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
