"""The IAM role that agents assume with their Kubernetes service accounts (IRSA, or EKS Pod Identity)."""

from collections.abc import Sequence

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from astro_xcom.aws.eks import EksOidcProvider, EksPodIdentityCluster
from astro_xcom.aws.permissions import PolicyStatement, attach, check_permissions
from astro_xcom.aws.pod_identity import trust as pod_identity_trust
from astro_xcom.errors import SettingError
from astro_xcom.lifecycle import NEW_FIRST
from astro_xcom.rules import aws as rules
from astro_xcom.rules import places
from astro_xcom.rules.common import apart
from astro_xcom.tokens import check_if_known, is_known
from astro_xcom.xcom import PodIdentity

AUDIENCE = "sts.amazonaws.com"
ANNOTATION = "eks.amazonaws.com/role-arn"
USUAL_PROVIDER = places.oidc_provider_arn("us-east-1")  # as long as that of a cluster that is looked up


class IrsaRoleRef(Construct):
    """A new or existing role that the agents assume.

    - `name`: the role's name.
    - `path`: the role's IAM path.
    - `arn`: the role's ARN. Default: derived from name, path and the account of the AWS provider.
    - `annotate`: give the agents' service accounts the annotation of IRSA.
    """

    managed = False
    """Whether its policies are ours to write."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        path: str = "/",
        arn: str | None = None,
        annotate: bool = True,
    ) -> None:
        super().__init__(scope, id_)
        self.name = name
        self.annotate = annotate
        if arn is None:
            # Built from parts that a plan knows, so that the agents' values can be read in the plan.
            partition = DataAwsPartition(self, "partition")
            caller = DataAwsCallerIdentity(self, "caller")
            arn = f"arn:{partition.partition}:iam::{caller.account_id}:role{path}{name}"
        self.arn = arn
        self.dependencies: list[ITerraformDependable] = []
        """What has to exist before an agent starts."""
        self.grants: list[IamRolePolicy] = []
        """What lets it use storage."""
        self._policies: list[tuple[str, str]] = []

    def policy_name(self, name: str, whole: str) -> str:
        """A name for an inline policy. A second policy of the same name would replace the first."""
        self._policies.append((name, whole))
        return apart(self._policies)[-1]

    @property
    def pod_identity(self) -> PodIdentity:
        """What the agents' service accounts carry: the annotation of IRSA, unless `annotate` is off.

        With the annotation, pods use IRSA even if EKS Pod Identity is set up too: AWS's client tries IRSA first.
        """
        return PodIdentity(annotations={ANNOTATION: self.arn} if self.annotate else {}, holder=self.arn)


class IrsaRole(IrsaRoleRef):
    """A role that only the given service accounts of the given clusters can assume.

    ```python
    role = IrsaRole(
        stack,
        "agents",
        name="astro-agents",
        oidc_providers=[EksOidcProvider(stack, "cluster", cluster_name="data-prod")],
        subjects=["system:serviceaccount:astro:prod-worker-default-worker"],
    )
    ```

    The trust compares `sub` and `aud`, or the session's tags, by StringEquals, without wildcards.

    - `name`, `path`: the role's name and IAM path. A change of either replaces the role.
    - `subjects`: the service accounts to trust, as `system:serviceaccount:<namespace>:<name>`.
    - `oidc_providers`: the clusters that are trusted by IRSA.
    - `pod_identity_clusters`: the clusters that are trusted by EKS Pod Identity. They also need
      PodIdentityAssociations.
    - `annotate`: whether pods use IRSA. Default: on if there are `oidc_providers`.
    - `permissions_boundary`: the ARN of a policy that bounds the role. Default: none.
    - `max_session_duration`: how long credentials last, in seconds.
    - `description`: the role's description.
    - `policy_arns`: managed policies that the role gets in addition to its access to XComs.
    - `policy_statements`: statements of a second inline policy, in addition to its access to XComs.

    Raises SettingError for names that IAM refuses, for ARNs of two accounts and for a trust policy over its size limit.
    """

    managed = True

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        subjects: Sequence[str],
        oidc_providers: Sequence[EksOidcProvider] = (),
        pod_identity_clusters: Sequence[EksPodIdentityCluster] = (),
        annotate: bool | None = None,
        path: str = "/",
        permissions_boundary: str | None = None,
        max_session_duration: int = 3600,
        description: str = "XComs of Astro Remote Execution Agents",
        policy_arns: Sequence[str] = (),
        policy_statements: Sequence[PolicyStatement] = (),
    ) -> None:
        check_if_known(rules.iam_role, name)
        check_if_known(rules.iam_path, path)
        check_if_known(rules.iam_policy_arn, permissions_boundary)
        if not (oidc_providers or pod_identity_clusters) or not subjects:
            raise SettingError(
                "a role needs at least one OIDC provider, or one cluster with EKS Pod Identity, and at least one "
                "subject, else nobody could assume it"
            )
        annotate = bool(oidc_providers) if annotate is None else annotate
        if annotate and not oidc_providers:
            raise SettingError("annotate needs oidc_providers: pods with the annotation ask for web identity alone")
        for subject in subjects:
            if is_known(subject) and ("*" in subject or "?" in subject):
                raise SettingError("must name one service account: StringEquals takes a star literally", got=subject)
        _check_providers(oidc_providers, pod_identity_clusters, permissions_boundary, subjects)
        check_permissions(policy_arns, policy_statements)
        super().__init__(scope, id_, name=name, path=path, annotate=annotate)
        self.subjects = tuple(subjects)
        statements = [_trust(provider, subjects) for provider in oidc_providers]
        if pod_identity_clusters:
            statements += pod_identity_trust(pod_identity_clusters, subjects)
        self.trust_policy = DataAwsIamPolicyDocument(self, "trust", statement=statements)
        self.resource = IamRole(
            self,
            "role",
            name=name,
            path=path,
            description=description,
            assume_role_policy=self.trust_policy.json,
            permissions_boundary=permissions_boundary,
            max_session_duration=max_session_duration,
            lifecycle=NEW_FIRST,
        )
        self.name = self.resource.name  # a reference, so whoever uses it waits for the role
        self.dependencies.append(self.resource)
        self.permissions = attach(self, name=self.name, policy_arns=policy_arns, statements=policy_statements)
        """What lets it do more than XComs."""
        self.dependencies += self.permissions

    @staticmethod
    def from_name(scope: Construct, id_: str, name: str, *, path: str = "/", annotate: bool = True) -> IrsaRoleRef:
        """Use an existing role of this account, with its trust and policies. Creates no resource.

        `path` is the role's IAM path; `annotate` gives the agents' service accounts the annotation of IRSA.
        """
        check_if_known(rules.iam_role, name)
        return IrsaRoleRef(scope, id_, name=name, path=path, annotate=annotate)

    @staticmethod
    def from_arn(scope: Construct, id_: str, arn: str, *, annotate: bool = True) -> IrsaRoleRef:
        """Use an existing role of any account, with its trust and policies. Creates no resource.

        `annotate` gives the agents' service accounts the annotation of IRSA.
        """
        check_if_known(rules.iam_role_arn, arn)
        name = arn.rpartition("/")[2] if is_known(arn) else arn
        return IrsaRoleRef(scope, id_, name=name, arn=arn, annotate=annotate)


def _trust(provider: EksOidcProvider, subjects: Sequence[str]) -> DataAwsIamPolicyDocumentStatement:
    def equals(claim: str, values: Sequence[str]) -> DataAwsIamPolicyDocumentStatementCondition:
        return DataAwsIamPolicyDocumentStatementCondition(
            test="StringEquals", variable=f"{provider.host}:{claim}", values=list(values)
        )

    return DataAwsIamPolicyDocumentStatement(
        effect="Allow",
        actions=["sts:AssumeRoleWithWebIdentity"],
        principals=[DataAwsIamPolicyDocumentStatementPrincipals(type="Federated", identifiers=[provider.arn])],
        condition=[equals("aud", [AUDIENCE]), equals("sub", subjects)],
    )


def _check_providers(
    providers: Sequence[EksOidcProvider],
    clusters: Sequence[EksPodIdentityCluster],
    boundary: str | None,
    subjects: Sequence[str],
) -> None:
    """What is known of the ARNs is of one account, and the trust policy is short enough."""
    arns = {f"oidc_providers[{position}]": provider.arn for position, provider in enumerate(providers)}
    given = {**arns, **({"permissions_boundary": boundary} if boundary is not None else {})}
    known = {argument: arn for argument, arn in given.items() if is_known(arn)}
    for refused in (*rules.one_partition(known), *rules.one_account(known)):
        raise refused
    rules.check_trust_policy_size(
        [known.get(argument, USUAL_PROVIDER) for argument in arns],
        [subject for subject in subjects if is_known(subject)],
        [rules.usual_cluster_arn(cluster.region, cluster.name) for cluster in clusters],
    )
