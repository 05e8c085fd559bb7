"""Google Cloud: the login, the clusters and their workload identity pools."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from astro_xcom.doctor.cloud import Cloud
from astro_xcom.doctor.commands import Commands, Failed, Unanswered, at, entries, printable
from astro_xcom.doctor.model import Check, missing, ok, unknown
from astro_xcom.doctor.named import Named, Wrong, look
from astro_xcom.settings import GcpDeployment, GkeCluster

NOT_FOUND = ("NOT_FOUND", "code=404", "Not found", "not found: 404")
DOMAIN = ".iam.gserviceaccount.com"


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
        for thing in self._things():
            yield look(thing, self.commands)

    def _things(self) -> Iterator[Named]:
        storage, project = self.deployment.storage, f"--project={self.deployment.project}"
        if storage.existing:
            yield _bucket("bucket", storage.bucket, project)
        if storage.access_log_bucket:
            yield _bucket("log bucket", storage.access_log_bucket, project)
        for key in filter(None, (storage.kms_key_name, *storage.former_kms_key_names)):
            yield _key(key)
        emails = (each.existing_service_account for each in self.deployment.identities().values())
        for email in dict.fromkeys(filter(None, emails)):
            name, _, domain = email.partition("@")
            own = f"--project={domain.removesuffix(DOMAIN)}"
            yield Named(
                check="Google service account",
                of=email,
                ask=("gcloud", "iam", "service-accounts", "describe", email, "--format=json"),
                absent=NOT_FOUND,
                where="there",
                create=shlex.join(["gcloud", "iam", "service-accounts", "create", name, own])
                if domain.endswith(DOMAIN)
                else "identity.existing_service_account: one that is there",
                judge=partial(_switched_off, email=email),
            )

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


def _bucket(check: str, name: str, project: str) -> Named:
    create = ["gcloud", "storage", "buckets", "create", f"gs://{name}", project, "--uniform-bucket-level-access"]
    return Named(
        check=check,
        of=name,
        ask=("gcloud", "storage", "buckets", "describe", f"gs://{name}", "--format=json"),
        absent=NOT_FOUND,
        where="there",
        create=f"{shlex.join(create)} --location=...",
    )


def _key(name: str) -> Named:
    _, project, _, location, _, ring, _, key = name.split("/")
    own = [f"--keyring={ring}", f"--location={location}", f"--project={project}"]

    def judge(found: object) -> Wrong | None:
        state = at(found, "primary", "state")
        if state in (None, "ENABLED"):
            return None
        version = str(at(found, "primary", "name")).rpartition("/")[2]
        mend = ["gcloud", "kms", "keys", "versions", "enable", printable(version), f"--key={key}", *own]
        return f"has a primary version that is {state}: nothing can be written with it", shlex.join(mend)

    return Named(
        check="key",
        of=key,
        ask=("gcloud", "kms", "keys", "describe", name, "--format=json"),
        absent=NOT_FOUND,
        where=f"in the key ring {ring} of {location}",
        create=shlex.join(["gcloud", "kms", "keys", "create", key, *own, "--purpose=encryption"]),
        judge=judge,
    )


def _switched_off(found: object, email: str) -> Wrong | None:
    mend = shlex.join(["gcloud", "iam", "service-accounts", "enable", email])
    return ("is switched off", mend) if at(found, "disabled") is True else None
