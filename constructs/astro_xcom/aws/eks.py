"""EKS clusters: whom to trust, and how Helm reaches them."""

from cdktf import Fn
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_eks_cluster import DataAwsEksCluster
from cdktf_cdktf_provider_aws.data_aws_iam_openid_connect_provider import DataAwsIamOpenidConnectProvider
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.data_aws_region import DataAwsRegion
from constructs import Construct

from astro_xcom.errors import SettingError
from astro_xcom.rules import aws as rules
from astro_xcom.tokens import check_if_known, is_known

MARK = ":oidc-provider/"


class EksOidcProvider(Construct):
    """The IAM OIDC provider of a cluster, which a role's trust policy names. Creates no resource.

    ```python
    provider = EksOidcProvider(stack, "cluster", cluster_name="data-prod")
    ```

    - `cluster_name`: look the provider up by the cluster's name. The cluster's owner creates the provider.
    - `region`: the cluster's region. Default: the region of the AWS provider.
    - `arn`: the provider's ARN, instead of a look-up.
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
        check_if_known(rules.eks_cluster, cluster_name)
        check_if_known(rules.oidc_provider_arn, arn)
        if (cluster_name is None) == (arn is None):
            raise SettingError("give either cluster_name or arn")
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
    """A cluster whose service accounts get a role by EKS Pod Identity. Creates no resource and looks nothing up.

    ```python
    cluster = EksPodIdentityCluster(stack, "cluster", name="data-prod")
    ```

    The cluster must be in the account of the AWS provider, with the add-on eks-pod-identity-agent (built into EKS Auto
    Mode).

    - `name`: the cluster's name.
    - `region`: the cluster's region. Default: the region of the AWS provider.
    """

    def __init__(self, scope: Construct, id_: str, *, name: str, region: str | None = None) -> None:
        check_if_known(rules.eks_cluster, name)
        check_if_known(rules.aws_region, region)
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
