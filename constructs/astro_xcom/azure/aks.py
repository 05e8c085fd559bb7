"""AKS clusters: whose tokens to trust."""

from cdktf import Postcondition, TerraformResourceLifecycle
from cdktf_cdktf_provider_azurerm.data_azurerm_kubernetes_cluster import DataAzurermKubernetesCluster
from constructs import Construct

from astro_xcom.errors import SettingError
from astro_xcom.rules import azure as rules
from astro_xcom.tokens import check_if_known

NO_ISSUER = "The cluster has no OIDC issuer: az aks update --enable-oidc-issuer --enable-workload-identity"


class AksOidcIssuer(Construct):
    """The OIDC issuer of a cluster, which a federated credential trusts. Creates no resource.

    ```python
    issuer = AksOidcIssuer(stack, "cluster", cluster_name="data-prod", resource_group="aks-data")
    ```

    - `cluster_name`, `resource_group`: look the issuer up by the cluster's name and resource group.
    - `issuer`: the issuer's URL, instead of a look-up. It must match exactly.
    - `key`: a short stable name of the cluster, which is part of the credentials' names. Default: the id of this
      construct.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        cluster_name: str | None = None,
        resource_group: str | None = None,
        issuer: str | None = None,
        key: str | None = None,
    ) -> None:
        check_if_known(rules.aks_cluster, cluster_name)
        check_if_known(rules.existing_resource_group, resource_group)
        check_if_known(rules.issuer, issuer)
        if (cluster_name is None) == (issuer is None) or (cluster_name is None) != (resource_group is None):
            raise SettingError("give either cluster_name with its resource_group, or issuer")
        super().__init__(scope, id_)
        self.key = id_ if key is None else key
        self.cluster: DataAzurermKubernetesCluster | None = None
        """The cluster's data source, when it is looked up by name."""
        if issuer is not None:
            self.issuer: str = issuer
        else:
            self.cluster = DataAzurermKubernetesCluster(
                self,
                "cluster",
                name=cluster_name,
                resource_group_name=resource_group,
                lifecycle=TerraformResourceLifecycle(
                    postcondition=[Postcondition(condition="${self.oidc_issuer_enabled}", error_message=NO_ISSUER)]
                ),
            )
            self.issuer = self.cluster.oidc_issuer_url
