"""EKS Pod Identity: which service accounts of which clusters get a role, and what the role has to trust for that."""

from collections.abc import Sequence
from itertools import groupby

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from cdktf_cdktf_provider_aws.eks_pod_identity_association import EksPodIdentityAssociation
from constructs import Construct

from astro_xcom.aws.eks import EksPodIdentityCluster
from astro_xcom.construct_ids import id_of
from astro_xcom.errors import SettingError
from astro_xcom.lifecycle import NEW_FIRST
from astro_xcom.rules.aws import POD_IDENTITY_ACTIONS, POD_IDENTITY_SERVICE, POD_IDENTITY_TAGS
from astro_xcom.tokens import namespace_and_name


class PodIdentityAssociations(Construct):
    """One association for each service account and cluster: its pods get the role's credentials, without an annotation.

    ```python
    cluster = EksPodIdentityCluster(stack, "cluster", name="data-prod")
    agents = ["system:serviceaccount:astro:prod-worker-default-worker"]
    role = IrsaRole(stack, "agents", name="astro-agents", pod_identity_clusters=[cluster], subjects=agents)
    PodIdentityAssociations(stack, "associations", role_arn=role.arn, clusters=[cluster], subjects=agents)
    ```

    EKS accepts one association for a service account, and only a role of the cluster's own account. A pod gets the
    credentials when it starts.

    - `role_arn`: the role that the pods get.
    - `clusters`: the clusters of the service accounts.
    - `subjects`: the service accounts, as `system:serviceaccount:<namespace>:<name>`.

    Raises SettingError for subjects that are unknown during synthesis: they are part of addresses.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        role_arn: str,
        clusters: Sequence[EksPodIdentityCluster],
        subjects: Sequence[str],
    ) -> None:
        if not clusters or not subjects:
            raise SettingError("needs at least one cluster and one subject, else no pod would get the role")
        accounts = [namespace_and_name(subject) for subject in subjects]
        super().__init__(scope, id_)
        self.clusters = tuple(clusters)
        self.resources: list[EksPodIdentityAssociation] = []
        self.dependencies: list[ITerraformDependable] = []
        """What has to exist before an agent starts."""
        self._associate(role_arn, accounts, None)

    def associate(
        self, role_arn: str, subjects: Sequence[str], *, depends_on: Sequence[ITerraformDependable] = ()
    ) -> None:
        """Give service accounts that have none here another role, once it can do what they need (`depends_on`).

        A service account that goes from one role to another keeps its association: EKS changes it in place.
        """
        self._associate(role_arn, [namespace_and_name(subject) for subject in subjects], [*depends_on] or None)

    def _associate(
        self, role_arn: str, accounts: Sequence[tuple[str, str]], depends_on: list[ITerraformDependable] | None
    ) -> None:
        made = [
            EksPodIdentityAssociation(
                self,
                f"{id_of(cluster)}_{namespace}_{name}",
                cluster_name=cluster.name,
                region=cluster.region,
                namespace=namespace,
                service_account=name,
                role_arn=role_arn,
                depends_on=depends_on,
                lifecycle=NEW_FIRST,
            )
            for cluster in self.clusters
            for namespace, name in accounts
        ]
        self.resources += made
        self.dependencies += made


def trust(
    clusters: Sequence[EksPodIdentityCluster], subjects: Sequence[str]
) -> list[DataAwsIamPolicyDocumentStatement]:
    """A statement for each namespace: exactly these service accounts of these clusters, by the tags of the session."""

    def equals(tag: str, values: Sequence[str]) -> DataAwsIamPolicyDocumentStatementCondition:
        return DataAwsIamPolicyDocumentStatementCondition(
            test="StringEquals", variable=f"aws:RequestTag/{tag}", values=[*values]
        )

    accounts = sorted((namespace_and_name(subject) for subject in subjects), key=lambda account: account[0])
    cluster_arn, in_namespace, service_account = POD_IDENTITY_TAGS
    return [
        DataAwsIamPolicyDocumentStatement(
            effect="Allow",
            actions=[*POD_IDENTITY_ACTIONS],
            principals=[
                DataAwsIamPolicyDocumentStatementPrincipals(type="Service", identifiers=[POD_IDENTITY_SERVICE])
            ],
            condition=[
                equals(cluster_arn, [cluster.arn for cluster in clusters]),
                equals(in_namespace, [namespace]),
                equals(service_account, [name for _, name in of]),
            ],
        )
        for namespace, of in groupby(accounts, key=lambda account: account[0])
    ]
