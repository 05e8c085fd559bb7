"""One deployment on AWS: storage, identity and agents in one Terraform stack."""

from cdktf import Fn, ITerraformDependable
from cdktf_cdktf_provider_aws.data_aws_eks_cluster import DataAwsEksCluster
from cdktf_cdktf_provider_aws.data_aws_eks_cluster_auth import DataAwsEksClusterAuth
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags
from cdktf_cdktf_provider_helm.provider import HelmProviderKubernetes, HelmProviderKubernetesExec
from constructs import Construct

from astro_xcom.agent.cluster import from_kubeconfig
from astro_xcom.aws.bucket import XComBucket, XComBucketRef
from astro_xcom.aws.eks import EksOidcProvider, EksPodIdentityCluster
from astro_xcom.aws.irsa import IrsaRole, IrsaRoleRef
from astro_xcom.aws.permissions import PolicyStatement
from astro_xcom.aws.pod_identity import PodIdentityAssociations
from astro_xcom.construct_ids import id_of
from astro_xcom.rules.common import apart
from astro_xcom.settings import AwsDeployment, EksCluster
from astro_xcom.stack import XComStack
from astro_xcom.terraform_text import escape_templates
from astro_xcom.workers import Worker, construct_id


class AwsXComStack(XComStack):
    """Everything that one deployment on AWS needs: bucket, role, trust, agents, provider, backend and outputs.

    Outputs: `bucket`, `role_arn`, `xcom_path`, `annotations`, `trusted_subjects` and `agent_values`; `access_policy`
    if the role is an existing one; `state_store_path` if there is a state store; `worker_identities` if workers have
    roles of their own.
    """

    def __init__(self, scope: Construct, id_: str, deployment: AwsDeployment) -> None:
        super().__init__(scope, id_, deployment)
        self.require("aws")
        AwsProvider(
            self,
            "aws",
            region=deployment.region,
            allowed_account_ids=[deployment.account_id] if deployment.account_id else None,
            default_tags=[AwsProviderDefaultTags(tags=escape_templates(deployment.tags))] if deployment.tags else None,
        )
        self.oidc_providers: list[EksOidcProvider] = []
        """Of every cluster that is trusted by IRSA, unless the role exists already."""
        self.pod_identity_clusters = self._pod_identity_clusters(deployment)
        """Every cluster that is trusted by EKS Pod Identity."""
        self.storage = self._storage(deployment)
        self.identities = self._identities(deployment)
        """Those of workers that have their own, and with None that of all others."""
        self.identity = self.identities[None]
        access = {
            worker: self.storage.grant_read_write(role, policy_name=deployment.roles()[worker].policy_name).json
            for worker, role in self.identities.items()
        }
        associations = self._associations()
        self.output("bucket", self.storage.name, "The bucket that holds the XComs")
        self.output("role_arn", self.identity.arn, "The role the agents assume")
        if not self.identity.managed:
            self.output("access_policy", access[None], "Attach this policy to the existing role")
        workers = {worker: role for worker, role in self.identities.items() if worker is not None}
        pods = {worker: role.pod_identity for worker, role in workers.items()}
        self.worker_identities(
            {
                worker: {"role_arn": role.arn, **({} if role.managed else {"access_policy": access[worker]})}
                for worker, role in workers.items()
            },
            pods,
        )
        self.add_agents(
            location=self.storage.location,
            pod_identity=self.identity.pod_identity,
            workers=pods,
            dependencies=[
                *self.storage.dependencies,
                *(each for role in self.identities.values() for each in role.dependencies),
                *associations,
            ],
            kubernetes=lambda: self._kubernetes(deployment.cluster, deployment.region),
        )

    def _storage(self, deployment: AwsDeployment) -> XComBucketRef:
        storage, state_store = deployment.storage, deployment.state_store
        if storage.existing:
            return XComBucket.from_name(
                self,
                "storage",
                storage.bucket,
                account_id=storage.account_id,
                path=storage.path,
                state_store_path=state_store.path if state_store else None,
                connection_id=deployment.xcom.connection_id,
                kms_key_arn=storage.kms_key_arn,
                former_kms_key_arns=storage.former_kms_key_arns,
            )
        return XComBucket(
            self,
            "storage",
            name=storage.bucket,
            path=storage.path,
            state_store_path=state_store.path if state_store else None,
            connection_id=deployment.xcom.connection_id,
            retention_days=deployment.xcom.retention_days,
            sse_kms=storage.encryption == "SSE-KMS",
            kms_key_arn=storage.kms_key_arn,
            former_kms_key_arns=storage.former_kms_key_arns,
            former_paths=[*storage.former_paths, *storage.shared_paths],
            access_log_bucket=storage.access_log_bucket,
            eventbridge_notifications=storage.eventbridge_notifications,
            protect_from_destroy=storage.protect_from_destroy,
            force_destroy=storage.force_destroy,
        )

    def _identities(self, deployment: AwsDeployment) -> dict[Worker, IrsaRoleRef]:
        if deployment.makes_roles and deployment.identity.web_identity:
            keys = apart((self._key(cluster), cluster.said) for cluster in deployment.clusters)
            self.oidc_providers = [
                self._oidc_provider(f"oidc-{key}", cluster)
                for key, cluster in zip(keys, deployment.clusters, strict=True)
            ]
        return {worker: self._identity(deployment, worker) for worker in deployment.roles()}

    def _identity(self, deployment: AwsDeployment, worker: Worker) -> IrsaRoleRef:
        role, id_ = deployment.roles()[worker], construct_id(worker)
        annotate = deployment.identity.mechanism != "pod_identity"
        if role.existing_role:
            existing = IrsaRole.from_arn if role.existing_role.startswith("arn:") else IrsaRole.from_name
            return existing(self, id_, role.existing_role, annotate=annotate)
        return IrsaRole(
            self,
            id_,
            name=deployment.role_name(id_of(self), worker),
            subjects=self.trusted[worker],
            oidc_providers=self.oidc_providers,
            pod_identity_clusters=self.pod_identity_clusters,
            annotate=annotate,
            path=role.path,
            permissions_boundary=role.permissions_boundary,
            max_session_duration=role.max_session_duration_seconds,
            policy_arns=role.policy_arns,
            policy_statements=[
                PolicyStatement(
                    sid=each.sid,
                    actions=each.actions,
                    resources=escape_templates(each.resources),
                    conditions=escape_templates(each.conditions),
                )
                for each in role.policy_statements
            ],
        )

    def _pod_identity_clusters(self, deployment: AwsDeployment) -> list[EksPodIdentityCluster]:
        if not deployment.identity.pod_identity:
            return []
        regions = [(cluster, cluster.region or deployment.region) for cluster in deployment.clusters]
        return [
            # The settings ask for the name.
            EksPodIdentityCluster(self, f"eks-{region}.{cluster.name}", name=str(cluster.name), region=region)
            for cluster, region in regions
        ]

    def _associations(self) -> list[ITerraformDependable]:
        if not self.pod_identity_clusters:
            return []
        own = {subject for worker, subjects in self.trusted.items() if worker is not None for subject in subjects}
        associations = PodIdentityAssociations(
            self,
            "pod-identity",
            role_arn=_reference(self.identity),
            clusters=self.pod_identity_clusters,
            # A former one that has a role of its own now is only still trusted.
            subjects=[subject for subject in self.trusted[None] if subject not in own],
        )
        for worker, role in self.identities.items():
            if worker is not None:
                needed = [*role.dependencies, *role.grants]
                associations.associate(_reference(role), self.trusted[worker], depends_on=needed)
        return associations.dependencies

    def _key(self, cluster: EksCluster) -> str:
        if cluster.oidc_provider_arn:
            return cluster.oidc_provider_arn.partition(":oidc-provider/")[2].replace("/", ".")
        return f"{cluster.region}.{cluster.name}" if cluster.region else f"{cluster.name}"

    def _oidc_provider(self, id_: str, cluster: EksCluster) -> EksOidcProvider:
        if cluster.oidc_provider_arn:
            return EksOidcProvider(self, id_, arn=cluster.oidc_provider_arn)
        return EksOidcProvider(self, id_, cluster_name=cluster.name, region=cluster.region)

    def _kubernetes(self, cluster: EksCluster, region: str) -> HelmProviderKubernetes:
        if cluster.kubeconfig:
            return from_kubeconfig(cluster.kubeconfig)
        name = str(cluster.name)  # the settings ask for one of the two
        eks = self.oidc_providers[0].cluster if self.oidc_providers else None
        eks = eks or DataAwsEksCluster(self, "cluster", name=name, region=cluster.region)
        token = cluster.authentication == "token"
        return HelmProviderKubernetes(
            host=eks.endpoint,
            cluster_ca_certificate=Fn.base64decode(eks.certificate_authority.get(0).data),
            token=DataAwsEksClusterAuth(self, "cluster-auth", name=name, region=cluster.region).token
            if token
            else None,
            exec=None
            if token
            else HelmProviderKubernetesExec(
                api_version="client.authentication.k8s.io/v1beta1",
                command="aws",
                args=["eks", "get-token", "--cluster-name", name, "--region", cluster.region or region],
            ),
        )


def _reference(role: IrsaRoleRef) -> str:
    """Its ARN; of one that is created here as a reference, so that associations wait for it."""
    return role.resource.arn if isinstance(role, IrsaRole) else role.arn
