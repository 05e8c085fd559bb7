"""What deployments of every cloud have in common."""

import difflib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, WithJsonSchema

from astro_xcom import kubernetes, user_values
from astro_xcom.environment import doubtful
from astro_xcom.errors import SettingError, attempt
from astro_xcom.likely_mistakes import likely_mistakes
from astro_xcom.rules import common
from astro_xcom.settings.agent import AgentSettings, Kubeconfig
from astro_xcom.settings.backend import Backend, LocalState, State
from astro_xcom.settings.base import Flag, ObjectPath, Settings, together
from astro_xcom.settings.claims import Claim, Identity
from astro_xcom.settings.terraform import TerraformSettings
from astro_xcom.settings.xcom import STATE_STORE_CHART, StateStoreSettings, XComSettings, check_state_store
from astro_xcom.workers import Worker, setting
from astro_xcom.xcom import XCOM_VARIABLES, Cloud

SHORT_RETENTION_DAYS = 14
SMALL = 1000
"""Bytes. What most branches and short circuits decided fits in, so that Airflow's scheduler can read it."""

PROVIDERS = {
    "aws": "airflow.providers.amazon.",
    "azure": "airflow.providers.microsoft.azure.",
    "gcp": "airflow.providers.google.",
}
"""What asks a cloud starts so."""


def _import(value: Any) -> Any:
    if value is not True and (not isinstance(value, str) or not value.strip() or not value.isprintable()):
        raise SettingError("must be true, or the id as text", got=value, hint=None if value else "to remove the line")
    return value


class Cluster(Settings):
    """A Kubernetes cluster, given by name. Terraform looks up what the settings do not give."""

    name: str | None = None
    kubeconfig: Kubeconfig | None = None
    """How to reach the cluster. Default: the endpoint of the cluster `name`."""

    @property
    def said(self) -> str:
        """How the settings name it."""
        return self.name or ""

    def reached(self) -> list[Identity]:
        """What the cluster is to a kubeconfig."""
        if self.kubeconfig is None:
            return []
        return [Identity("kubeconfig", (posixpath.normpath(self.kubeconfig.path), self.kubeconfig.context or ""))]


class Storage(Settings):
    """Where XComs are stored: new or existing storage."""

    path: ObjectPath = "xcom"
    """Folder in the bucket or container. Treat it as permanent: after a change, agents read old values as their
    paths."""
    former_paths: tuple[ObjectPath, ...] = ()
    """Folders that held XComs before `path` changed. Objects there expire as XComs do; then you can remove the line.

    Nothing reads these folders. Not for existing storage, where the owner decides what expires.
    """
    shared_paths: tuple[ObjectPath, ...] = ()
    """Folders of other deployments that use this storage as existing storage. Objects there expire as the XComs here
    do.

    Their agents get access from their own deployments. Not for existing storage.
    """
    protect_from_destroy: Flag = True
    """false: `destroy` may delete the storage, every XCom in it, and a key created for it.

    A bucket that holds objects is deleted only with force_destroy.
    """


def check_force_destroy(storage: Storage, force_destroy: bool, existing: bool) -> None:
    """Refuse to empty a bucket that is not created here, or that is protected."""
    if force_destroy and (existing or storage.protect_from_destroy):
        raise SettingError(
            "only for a bucket created here, together with protect_from_destroy: false",
            got=True,
            hint=None if existing else "protect_from_destroy: false beside it, if every XCom may be deleted",
            field="force_destroy",
        )


class Deployment(Settings):
    """Agents with an XCom backend: one stack. Each cloud has its own cluster and storage settings."""

    cluster: Cluster
    """Where the agents run."""
    storage: Storage
    agent: AgentSettings
    xcom: XComSettings = Field(default_factory=XComSettings)
    state_store: StateStoreSettings | None = None
    """A store for task and asset state, for agents on Astro Runtime 3.3+. Default: none."""
    state: State | None = None
    """Where Terraform keeps its state. Default: in a local file."""
    imports: dict[
        str, Annotated[bool | str, BeforeValidator(_import), WithJsonSchema({"type": ["boolean", "string"]})]
    ] = Field(default_factory=dict)
    """Existing resources that become part of the stack, by name (`bucket`, `role`, `release`) or Terraform address. The
    value is `true`, or the resource's id if no setting gives it. `astro-xcom imports` lists the names. The resources
    that an imported resource refers to are imported too. Terraform ignores an import of a resource that is already in
    its state: remove the lines after the apply."""
    terraform: TerraformSettings = Field(default_factory=TerraformSettings)

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """Every cluster whose service accounts are trusted."""
        return (self.cluster,)

    @property
    def workers(self) -> Mapping[str, Settings]:
        """The workers with an identity of their own, and what is said of it."""
        return {}

    def trusted(self) -> dict[Worker, tuple[str, ...]]:
        """The subjects that are trusted with each identity, that of all others first."""
        return self.agent.subjects_of(self.workers)

    def cluster_is(self, cluster: Cluster) -> list[Identity]:
        """What a cluster is to its cloud: everything that is said of it."""
        return []

    def _said(self, cluster: Cluster) -> str:
        return cluster.said

    def storage_is(self, name: str) -> Identity:
        """The bucket or container of the deployment `name`."""
        raise NotImplementedError

    def claims(self, name: str) -> Iterator[Claim]:
        """What the deployment `name` creates and grants, default names included. No other deployment may do so too."""
        agent = self.agent
        if not agent.release:
            return
        created = [account.name for account in agent.service_accounts() if account.create]
        own = [
            ("agent.release_name", "release", agent.release_name, None),
            ("agent.resource_name_prefix", "prefix", agent.resource_name_prefix, None),
            *(("agent.values", "Kubernetes account", each, "agent.resource_name_prefix") for each in created),
        ]
        for cluster in [*self.cluster_is(self.cluster), *self.cluster.reached()]:
            for place, kind, called, within in own:
                yield Claim(
                    what=Identity(kind, (agent.namespace, called, cluster.kind, *cluster.name), cluster.scope),
                    setting=place,
                    shown=f"{called} in {agent.namespace} of {' '.join(part for part in cluster.name if part)}",
                    elsewhere="account_id in both if their clusters are of two accounts"
                    if cluster.scope is None
                    else "",
                    within=within,
                )

    def writable(self, name: str, backend: Backend, state: str) -> str | None:
        """Where the agents of this deployment, `name`, may write and delete, if this backend keeps a state there."""
        return None

    def variables(self) -> dict[str, str]:
        """Variables that only this deployment sets -> the settings they come from."""
        return {}

    @property
    def of_cloud(self) -> Cloud:
        """Where its storage is."""
        return cast(Cloud, type(self).model_fields["cloud"].default)

    @property
    def adopted(self) -> bool:
        """Whether the storage's owner, not this deployment, says when values expire."""
        return bool(getattr(self.storage, "existing", False))

    def backend(self) -> Backend:
        """Where Terraform keeps its state."""
        return self.state.backend() if self.state else LocalState()

    @together
    def _cluster_can_be_reached(self) -> Iterator[str | SettingError]:
        if self.agent.release and not (self.cluster.name or self.cluster.kubeconfig):
            yield SettingError(
                "needs a name or a kubeconfig to install the release",
                hint="name: data-prod, or agent.release: false to install the chart yourself",
                field="cluster",
            )

    def contradictions(self) -> Iterator[SettingError]:
        """Settings that are right each alone, and not together."""
        former, shared = self.storage.former_paths, self.storage.shared_paths
        state = self.state_store.path if self.state_store else None
        for field, paths in (("former_paths", former), ("shared_paths", shared)):
            place = f"storage.{field}"
            if paths and self.adopted:
                yield SettingError("is not used for existing storage: its owner says what expires", field=place)
                continue
            try:
                common.former_paths(paths, self.storage.path, state)
            except SettingError as error:
                yield SettingError(error.rule, got=error.got, field=place)
        twice = sorted({path for path in (*former, *shared) if (*former, *shared).count(path) > 1})
        if twice:
            yield SettingError(
                "names a folder twice", got=twice[0], field=f"storage.{'shared' if shared else 'former'}_paths"
            )
        yield from self._clusters_differ()
        yield from self._workers_fit()

    def _workers_fit(self) -> Iterator[SettingError]:
        """Each identity of a worker is of a worker that is there, and of its service account alone."""
        accounts = self.agent.service_accounts()
        there = list(dict.fromkeys(account.of for account in accounts if account.of))
        for worker in self.workers:
            near = difflib.get_close_matches(worker, there, n=1)
            own = next((account.name for account in accounts if account.of == worker), None)
            names = [account.of or account.component for account in accounts if account.name == own]
            others = [name for name in names if name != worker]
            if own is None:
                yield SettingError(
                    f"is no worker of the agent's values, which have {', '.join(there) or 'none'}: remove it here too, "
                    "or keep it there",
                    got=worker,
                    hint=near[0] if near else None,
                    field=setting(worker),
                )
            elif others:
                yield SettingError(
                    f"shares the service account {own} with {' and '.join(others)}: a service account has one identity",
                    got=worker,
                    hint="workers[].serviceAccount.name, an account of its own",
                    field=setting(worker),
                )

    def _clusters_differ(self) -> Iterator[SettingError]:
        seen: list[Identity] = []
        for position, cluster in enumerate(self.clusters):
            found = self.cluster_is(cluster)
            if position and any(one.may_be(other) for one in found for other in seen):
                yield SettingError("each cluster is trusted once", got=self._said(cluster), field="trusted_clusters")
            seen += found

    @together
    def _nothing_contradicts(self) -> Iterator[str | SettingError]:
        yield from self.contradictions()

    @together
    def _values_name_the_backend_of_the_settings(self) -> Iterator[str | SettingError]:
        for source in self.agent.sources():
            owned = {"xcomBackend": ("xcom.backend", self.xcom.backend)}
            yield from attempt(user_values.check_owned, source, owned, field="agent")

    @together
    def _environment_is_left_alone(self) -> Iterator[str | SettingError]:
        own, sources = self.variables(), self.agent.sources()
        yield from attempt(user_values.check_environment, sources, [self.of_cloud], own)

    @together
    def _state_store_fits(self) -> Iterator[str | SettingError]:
        yield from attempt(check_state_store, self.storage.path, self.state_store, self.agent.chart_version)

    def far_clusters(self, field: str, regions: Iterable[str | None], storage: str) -> Iterator[str]:
        """A warning for each cluster, by its region, that is in another region than the storage."""
        for position, region in enumerate(regions):
            if region is not None and region != storage:
                where = "cluster" if position == 0 else f"trusted_clusters[{position - 1}]"
                yield (
                    f"{where}.{field}: is in {region}, and the storage is in {storage}: each value crosses regions, "
                    "which is slower and is charged"
                )

    def warnings(self) -> list[str]:
        """What is allowed and likely to surprise, as `setting: what happens`."""
        found = []
        if self.adopted:
            found.append("storage.existing: values expire only by the storage's own lifecycle, which its owner sets")
            if not self.storage.protect_from_destroy:
                found.append(
                    "storage.protect_from_destroy: does not protect existing resources; while it is false, what this "
                    "deployment created before and no longer creates is destroyed, the storage too, with every XCom"
                )
        elif not self.storage.protect_from_destroy:
            found.append("storage.protect_from_destroy: while it is false, a destroy or an edit may delete every XCom")
        if (self.agent.chart_repository() or "").startswith("http://"):
            found.append("agent.repository: plain http: an attacker on the network may give the agents another chart")
        if self.agent.former_service_accounts:
            found.append(
                "agent.former_service_accounts: remove the line once no pod runs as "
                f"{', '.join(self.agent.former_service_accounts)}: until then each may read, write and delete XComs"
            )
        found += self._asked_without_identity()
        if self.xcom.retention_days < SHORT_RETENTION_DAYS:
            found.append(
                f"xcom.retention_days: {self.xcom.retention_days} is short: a task that reads a value after it expired "
                "(a retry, a manual re-run) gets its path instead, without an error"
            )
        if self.xcom.threshold > SMALL:
            found.append(
                f"xcom.threshold: values below {self.xcom.threshold} bytes stay in Astro's database; remote execution "
                f"is documented for 0, and {SMALL} is enough for most branches"
            )
        if self.state_store is None and common.version_key(self.agent.chart_version) >= STATE_STORE_CHART:
            found.append(
                f"state_store: chart {self.agent.chart_version} switches a state store on, and agents on Astro Runtime "
                "3.3 and later have no place for it until this is set, for example to {path: state}"
            )
        given = self.agent.user_values()
        found += [f"agent: {line}" for line in self._about_values(given)]
        if self.agent.release:
            found += [f"agent: {mistake}" for mistake in likely_mistakes(given)]
        return found

    def _asked_without_identity(self) -> Iterator[str]:
        """What the DAG processor would ask the cloud for, if it had an identity."""
        values = self.agent.user_values() if "dagProcessor" in self.agent.untrusted else {}
        for key in ("secretBackend", "dagBundleConfigList"):
            if PROVIDERS[self.of_cloud] in str(values.get(key)):
                yield (
                    f"agent.untrusted: {key} asks the cloud, which refuses the DAG processor without an identity: DAGs "
                    "that need it are not read"
                )

    def _about_values(self, values: Mapping[str, Any]) -> Iterator[str]:
        yield from doubtful(values, self.of_cloud)
        own = f"AIRFLOW_CONN_{self.xcom.connection_id.upper()}" if self.xcom.connection_id else None
        for where, name, entry in kubernetes.variables(values):
            if name == own:
                yield f"{where}: is the XCom path's connection: agents use it instead of the pods' identity"
            if name != f"{XCOM_VARIABLES}PATH" and self._among_xcoms(str(entry.get("value"))):
                yield f"{where}: is in the XComs' folder: objects there expire with them, and agents may delete them"
        for where in kubernetes.env_from(values):
            yield (
                f"{where}: its variables cannot be read here; it must not contain variables that this project sets or "
                "cloud credentials"
            )
        for account in self.agent.service_accounts():
            if account.name == "default" and account.component not in self.agent.untrusted:
                yield (
                    f"{account.component}: runs as the service account default, and so does every pod that names no "
                    "service account: all these pods may read, write and delete XComs"
                )

    def _among_xcoms(self, text: str) -> bool:
        """Whether a text names a folder in that of the XComs."""
        storage = re.escape(str(getattr(self.storage, "bucket", None) or getattr(self.storage, "container", "")))
        folder = "".join(f"/{re.escape(part)}" for part in self.storage.path.split("/") if part)
        return re.search(rf"://([^@/]*@)?{storage}(@[^/]*)?{folder}(/|$)", text) is not None


def check_state_place(name: str, backend: Backend, keeper: str, agents: Deployment) -> None:
    """Refuse to keep the Terraform state of the deployment `name` where the agents of `keeper` may delete it."""
    state = backend.own_name(name)
    place = agents.writable(keeper, backend, state)
    if place is not None:
        raise SettingError(
            f"must not be in {place}, where the agents of {keeper} may delete it, and XComs expire",
            got=state,
            hint="a bucket or container that only Terraform uses",
            field=f"{backend.block}.{backend.own}",
        )
