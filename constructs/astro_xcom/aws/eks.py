"""EKS clusters: whom to trust, and how Helm reaches them."""

from cdktf import Fn
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_eks_cluster import DataAwsEksCluster
from cdktf_cdktf_provider_aws.data_aws_iam_openid_connect_provider import DataAwsIamOpenidConnectProvider
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.data_aws_region import DataAwsRegion
from constructs import Construct

from astro_xcom.names import aws as rules
from astro_xcom.refusal import Refused
from astro_xcom.tokens import check, is_known

MARK = ":oidc-provider/"


class EksOidcProvider(Construct):
    """The IAM OIDC provider of a cluster: what a role's trust policy names. Makes no resource.

    Give its ARN, or the cluster's name to look it up (one provider per cluster, made by the cluster's owner). `region`
    is the cluster's; by default that of the AWS provider.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        cluster_name: str | None = None,
        region: str | None = None,
        arn: str | None = None,
    ) -> None:
        check(rules.eks_cluster, cluster_name)
        check(rules.oidc_provider_arn, arn)
        if (cluster_name is None) == (arn is None):
            raise Refused("give either cluster_name or arn")
        super().__init__(scope, id_)
        self.cluster: DataAwsEksCluster | None = None
        """The cluster's data source, when it is looked up by name."""
        if cluster_name is not None:
            self.cluster = DataAwsEksCluster(self, "cluster", name=cluster_name, region=region)
            issuer = self.cluster.identity.get(0).oidc.get(0).issuer
            self.arn: str = DataAwsIamOpenidConnectProvider(self, "provider", url=issuer).arn
            host: str = Fn.trimprefix(issuer, "https://")
        elif arn is not None:
            self.arn = arn
            host = arn.partition(MARK)[2] if is_known(arn) else Fn.element(Fn.split(MARK, arn), 1)
        self.host = host
        """The issuer without https://, which starts the condition keys of a trust policy."""


class EksPodIdentityCluster(Construct):
    """A cluster whose service accounts get a role by EKS Pod Identity. Makes no resource, and does not look it up.

    It is in the account of the AWS provider, and has the add-on eks-pod-identity-agent, which EKS Auto Mode has built
    in. `region` is the cluster's; by default that of the AWS provider.
    """

    def __init__(self, scope: Construct, id_: str, *, name: str, region: str | None = None) -> None:
        check(rules.eks_cluster, name)
        check(rules.aws_region, region)
        super().__init__(scope, id_)
        self.name = name
        self.region = region
        partition, account = (
            DataAwsPartition(self, "partition").partition,
            DataAwsCallerIdentity(self, "caller").account_id,
        )
        where = DataAwsRegion(self, "region").region if region is None else region
        self.arn = f"arn:{partition}:eks:{where}:{account}:cluster/{name}"
        """What a role's trust policy names. Built from parts that a plan knows."""
