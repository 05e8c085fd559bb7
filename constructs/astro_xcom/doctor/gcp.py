"""Google Cloud: the login, the clusters and their workload identity pools."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from astro_xcom.doctor.cloud import Cloud
from astro_xcom.doctor.commands import Commands, Failed, Unanswered, at, entries, printable
from astro_xcom.doctor.model import Check, missing, ok, unknown
from astro_xcom.settings import GcpDeployment, GkeCluster

NOT_FOUND = ("NOT_FOUND", "code=404", "Not found")


@dataclass
class Gcp(Cloud):
    """What the command gcloud says."""

    deployment: GcpDeployment
    commands: Commands
    endpoints: set[str] = field(default_factory=set)

    def connect(self) -> str:
        """The line that gives kubectl a context of the cluster."""
        named = self._named(self.deployment.cluster)
        return shlex.join(["gcloud", "container", "clusters", "get-credentials", *named])

    def checks(self) -> Iterator[Check]:
        """The login first: without it nothing else is known."""
        yield self._login()
        for number, cluster in enumerate((self.deployment.cluster, *self.deployment.trusted_clusters)):
            pool = cluster.pool(self.deployment.project)
            if cluster.name is None:
                yield unknown("workload pool", pool, "the settings name no cluster that could have it")
            else:
                yield from self._cluster(cluster, pool, own=not number)

    def _login(self) -> Check:
        login = "gcloud auth login && gcloud auth application-default login"
        try:
            accounts = self.commands.json("gcloud", "auth", "list", "--filter=status:ACTIVE", "--format=json")
        except Failed as error:
            return missing("login", None, str(error), login)
        except Unanswered as error:
            return unknown("login", None, str(error))
        account = at(accounts, 0, "account")
        if not isinstance(account, str):
            return missing("login", None, "gcloud has no active account", login)
        return ok("login", None, f"gcloud is signed in as {printable(account)}")

    def _cluster(self, cluster: GkeCluster, pool: str, *, own: bool) -> Iterator[Check]:
        named = self._named(cluster)
        try:
            found = self.commands.json("gcloud", "container", "clusters", "describe", *named, "--format=json")
        except Unanswered as error:
            if isinstance(error, Failed) and any(words in error.said for words in NOT_FOUND):
                project = f"--project={cluster.project or self.deployment.project}"
                there = shlex.join(["gcloud", "container", "clusters", "list", project])
                yield missing("cluster", cluster.name, f"is not in {cluster.location}", there)
            else:
                yield unknown("cluster", cluster.name, str(error))
            yield unknown("workload pool", pool, f"the cluster {cluster.name} is not known")
            return
        yield ok("cluster", cluster.name, f"is {printable(str(at(found, 'status'))).lower()}")
        if own:
            hosts = {
                at(found, "endpoint"),
                at(found, "privateClusterConfig", "privateEndpoint"),
                at(found, "controlPlaneEndpointsConfig", "dnsEndpointConfig", "endpoint"),
            }
            self.endpoints |= {host for host in hosts if isinstance(host, str) and host}
        yield self._pool(cluster, pool, found)

    def _pool(self, cluster: GkeCluster, pool: str, found: object) -> Check:
        has = at(found, "workloadIdentityConfig", "workloadPool")
        if has != pool:
            rule = f"the cluster {cluster.name} has {printable(str(has))}" if has else f"{cluster.name} has no pool"
            create = ["gcloud", "container", "clusters", "update", *self._named(cluster), f"--workload-pool={pool}"]
            return missing("workload pool", pool, rule, shlex.join(create))
        # Autopilot's nodes always have it, and cannot be told.
        without = [
            str(at(nodes, "name"))
            for nodes in entries(found, "nodePools")
            if at(nodes, "config", "workloadMetadataConfig", "mode") != "GKE_METADATA"
        ]
        if without and at(found, "autopilot", "enabled") is not True:
            update = ["gcloud", "container", "node-pools", "update", f"--cluster={cluster.name}"]
            line = [*update, *self._named(cluster)[1:], "--workload-metadata=GKE_METADATA", "--", without[0]]
            rule = f"the nodes of {printable(', '.join(without))} do not give it to pods"
            return missing("workload pool", pool, rule, printable(shlex.join(line)))
        return ok("workload pool", pool, f"is that of {cluster.name}")

    def _named(self, cluster: GkeCluster) -> list[str]:
        project = cluster.project or self.deployment.project
        return [f"{cluster.name}", f"--location={cluster.location}", f"--project={project}"]
