"""GKE clusters: whom to trust, and how Helm reaches them."""

from cdktf import Postcondition, TerraformResourceLifecycle
from cdktf_cdktf_provider_google.data_google_container_cluster import DataGoogleContainerCluster
from constructs import Construct

from astro_xcom.names import gcp as rules
from astro_xcom.refusal import Refused
from astro_xcom.tokens import check


class GkeWorkloadPool(Construct):
    """The workload identity pool of a cluster: what a service account's members name. Makes no resource.

    Give `pool`, or `cluster_name` with its location and project to have the cluster looked up: the plan then refuses a
    cluster without that pool, on which no pod could get credentials. The pool is `<project>.svc.id.goog` by default,
    not what the cluster says, because the clusters of a project share one and each member may be made only once.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        cluster_name: str | None = None,
        location: str | None = None,
        project: str | None = None,
        pool: str | None = None,
    ) -> None:
        check(rules.gke_cluster, cluster_name)
        check(rules.gke_location, location)
        check(rules.project_id, project)
        check(rules.workload_pool, pool)
        if cluster_name is None and pool is None:
            raise Refused("give either cluster_name with location and project, or pool")
        if cluster_name is not None and (location is None or project is None):
            raise Refused("a cluster_name needs its location and project")
        super().__init__(scope, id_)
        self.name = pool if pool is not None else f"{project}{rules.POOL}"
        self.cluster: DataGoogleContainerCluster | None = None
        """The cluster's data source, when it is looked up by name."""
        if cluster_name is not None:
            self.cluster = DataGoogleContainerCluster(
                self,
                "cluster",
                name=cluster_name,
                location=location,
                project=project,
                lifecycle=TerraformResourceLifecycle(
                    postcondition=[
                        Postcondition(
                            condition='${try(self.workload_identity_config[0].workload_pool, "") == "'
                            + self.name
                            + '"}',
                            error_message=f"The GKE cluster {cluster_name} in {location} of project {project} does not "
                            f"have the workload identity pool {self.name}, so its pods cannot get Google Cloud "
                            "credentials. Enable Workload Identity Federation for GKE on the cluster and on its node "
                            "pools, or name another cluster.",
                        )
                    ]
                ),
            )
