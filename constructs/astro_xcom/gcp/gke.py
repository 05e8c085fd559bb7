"""GKE clusters: whom to trust, and how Helm reaches them."""

from cdktf import Fn, Postcondition, TerraformResourceLifecycle
from cdktf_cdktf_provider_google.data_google_container_cluster import DataGoogleContainerCluster
from cdktf_cdktf_provider_google.data_google_project import DataGoogleProject
from constructs import Construct

from astro_xcom.errors import SettingError
from astro_xcom.rules import gcp as rules
from astro_xcom.tokens import check_if_known, is_known


class GkeWorkloadPool(Construct):
    """The workload identity pool of a cluster, which a service account's members name. Creates no resource.

    ```python
    pool = GkeWorkloadPool(stack, "cluster", cluster_name="data-prod", location="us-central1", project="acme-data")
    ```

    The pool is `<project>.svc.id.goog` by default, not the pool that the cluster reports: the clusters of a project
    share
    one pool, and each member may be created only once.

    - `cluster_name`: look the cluster up. The plan then refuses a cluster without the pool, where pods get no
      credentials.
    - `location`, `project`: of the cluster.
    - `pool`: the pool, instead of a look-up.
    - `project_number`: the number of the pool's project, for principals. Default: looked up.
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
        project_number: str | None = None,
    ) -> None:
        check_if_known(rules.gke_cluster, cluster_name)
        check_if_known(rules.gke_location, location)
        check_if_known(rules.project_id, project)
        check_if_known(rules.workload_pool, pool)
        check_if_known(rules.project_number, project_number)
        if cluster_name is None and pool is None:
            raise SettingError("give either cluster_name with location and project, or pool")
        if cluster_name is not None and (location is None or project is None):
            raise SettingError("a cluster_name needs its location and project")
        super().__init__(scope, id_)
        self.name = pool if pool is not None else f"{project}{rules.POOL}"
        self._project_number = project_number
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

    @property
    def project_number(self) -> str:
        """The number of the pool's project. Looks it up once, unless it was given."""
        if self._project_number is None:
            project = (
                self.name.removesuffix(rules.POOL) if is_known(self.name) else Fn.trimsuffix(self.name, rules.POOL)
            )
            self._project_number = DataGoogleProject(self, "project", project_id=project).number
        return self._project_number

    def principal(self, namespace: str, name: str) -> str:
        """A Kubernetes service account of the pool, as IAM names it."""
        pool = f"projects/{self.project_number}/locations/global/workloadIdentityPools/{self.name}"
        return f"principal://iam.googleapis.com/{pool}/subject/ns/{namespace}/sa/{name}"
