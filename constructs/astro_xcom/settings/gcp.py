"""A deployment on Google Cloud."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from astro_xcom.errors import SettingError, attempt
from astro_xcom.rules import common
from astro_xcom.rules import gcp as rules
from astro_xcom.settings.backend import Backend, GcsState
from astro_xcom.settings.base import Count, Flag, Settings, Tags, together
from astro_xcom.settings.claims import Claim, Identity, grant
from astro_xcom.settings.deployment import Cluster, Deployment, Storage, check_force_destroy
from astro_xcom.settings.permissions import GcpRole
from astro_xcom.settings.workers import default_names_fit
from astro_xcom.workers import Worker, default_name, setting, with_others

ProjectId = Annotated[str, AfterValidator(rules.project_id)]

# Settings that apply only to a new bucket.
OF_A_MADE_BUCKET = (
    "location",
    "dual_region",
    "encryption",
    "kms_key_name",
    "key_rotation_days",
    "grant_kms_key",
    "former_kms_key_names",
    "soft_delete_days",
    "access_log_bucket",
)


# What there is none of with direct grants.
OF_A_SERVICE_ACCOUNT = ("service_account_id", "existing_service_account")


class GkeCluster(Cluster):
    """A GKE cluster. Terraform looks up and checks a cluster given by name, but not one given by its workload pool."""

    name: Annotated[str, AfterValidator(rules.gke_cluster)] | None = None
    """Looks up the endpoint, with the credentials of the plan, and refuses a cluster without a workload pool."""
    location: Annotated[str, AfterValidator(rules.gke_location)] | None = None
    """Region or zone of the cluster `name`."""
    project: ProjectId | None = None
    """Project of the cluster `name`. Default: the deployment's."""
    workload_pool: Annotated[str, AfterValidator(rules.workload_pool)] | None = None
    """The workload identity pool to trust. Default: the pool of the cluster's project, `<project>.svc.id.goog`."""
    project_number: Annotated[str, AfterValidator(rules.project_number)] | None = None
    """Number of the pool's project, for `identity.mechanism: direct`. Default: Terraform looks it up."""
    authentication: Literal["token", "exec"] = "token"
    """token: the plan's own access token (valid for an hour), kept in the state; exec: Terraform's machine runs
    `gke-gcloud-auth-plugin`."""

    def pool(self, project: str) -> str:
        """The workload identity pool to trust, for a deployment in this project."""
        return self.workload_pool or f"{self.project or project}{rules.POOL}"

    @together
    def _can_be_trusted(self) -> Iterator[str | SettingError]:
        if self.name is None and self.workload_pool is None:
            yield SettingError("needs a name and location (then it is looked up) or a workload_pool")
        if self.name is not None and self.location is None:
            yield SettingError("is required to look up a cluster by name", field="location")
        for field in ("location", "project"):
            if self.name is None and self.workload_pool and getattr(self, field):
                yield SettingError(
                    "is only used with a name; the workload_pool is enough", got=getattr(self, field), field=field
                )


class GcpStorage(Storage):
    """The Cloud Storage bucket, new or existing."""

    bucket: str
    """Name of the bucket, unique in the world. A new bucket is created in `location`."""
    location: str | None = None
    """A region, a multi-region (US, EU, ASIA) or a dual-region (NAM4, EUR4, ...). It cannot be changed later."""
    dual_region: tuple[Annotated[str, AfterValidator(rules.region)], ...] | None = None
    """Two regions of your choice. `location` must then contain both regions: US, EU, ASIA, or a country such as AU."""
    existing: Flag = False
    """true: use an existing bucket; only members are added, and nothing else is modified, including its lifecycle."""
    encryption: Literal["google-managed", "customer-managed"] = "google-managed"
    """google-managed: Google's own keys, free; customer-managed: a Cloud KMS key, which costs money."""
    kms_key_name: Annotated[str, AfterValidator(rules.kms_key_name)] | None = None
    """Key for customer-managed encryption, in the bucket's location. Default: customer-managed creates a key."""
    key_rotation_days: Annotated[Count, Field(ge=1, le=90)] = 90
    """How often a key created here gets a new version. Old versions stay, so that older values remain readable."""
    grant_kms_key: Flag = True
    """false: do not grant `kms_key_name`, because its owner has granted it to the project's storage service agent.
    Destroying this deployment then removes the grant from no other bucket."""
    former_kms_key_names: tuple[Annotated[str, AfterValidator(rules.kms_key_name)], ...] = ()
    """Keys that encrypted earlier values: Cloud Storage may still decrypt with them. Remove a key once the values that
    it encrypted have expired."""
    soft_delete_days: Count = 0
    """How many days deleted versions can still be restored, after the week that versioning gives: 0, or 7-90.

    Every expired value is stored and billed that much longer. Cloud Storage's own default is 7.
    """
    access_log_bucket: Annotated[str, AfterValidator(rules.existing_bucket)] | None = None
    """An existing bucket that receives Cloud Storage's usage logs, named after the bucket.

    The log bucket must let cloud-storage-analytics@google.com create objects. Default: no access logs.
    """
    force_destroy: Flag = False
    """true: `destroy` empties the bucket first. Apply this setting before you destroy."""

    @field_validator("soft_delete_days")
    @classmethod
    def _soft_delete(cls, days: int) -> int:
        return rules.soft_delete_days(days)

    @field_validator("dual_region")
    @classmethod
    def _pair(cls, regions: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if regions is not None:
            rules.dual_region(regions)
        return regions

    @together
    def _bucket_fits(self) -> Iterator[str | SettingError]:
        check = rules.existing_bucket if self.existing else rules.bucket
        yield from attempt(check, self.bucket, field="bucket")

    @together
    def _place_fits(self) -> Iterator[str | SettingError]:
        if self.existing:
            for field in OF_A_MADE_BUCKET:
                if getattr(self, field) != type(self).model_fields[field].default:
                    yield SettingError(
                        "is not used for an existing bucket: remove it", got=getattr(self, field), field=field
                    )
        elif self.location is None:
            yield SettingError("is required to create a bucket", hint='"us-central1", "EU" or "NAM4"', field="location")
        else:
            yield from attempt(rules.bucket_location, self.location, self.dual_region)
            yield from attempt(self._key_fits, self.location)

    @together
    def _logs_fit(self) -> Iterator[str | SettingError]:
        if self.access_log_bucket == self.bucket:
            yield SettingError(
                "must be another bucket: each log would be logged in turn",
                got=self.access_log_bucket,
                field="access_log_bucket",
            )

    @together
    def _may_be_emptied(self) -> Iterator[str | SettingError]:
        yield from attempt(check_force_destroy, self, self.force_destroy, self.existing)

    @property
    def makes_key(self) -> bool:
        """Whether the bucket's key is created here."""
        return self.encryption == "customer-managed" and self.kms_key_name is None

    def _key_fits(self, location: str) -> None:
        if "key_rotation_days" in self.model_fields_set and not self.makes_key:
            raise SettingError(
                "only for a key created here: with encryption customer-managed and no kms_key_name",
                got=self.key_rotation_days,
                field="key_rotation_days",
            )
        if len(set(self.former_kms_key_names)) < len(self.former_kms_key_names):
            raise SettingError("names a key twice", field="former_kms_key_names")
        for former in self.former_kms_key_names:
            rules.key_fits_location(former, location, field="former_kms_key_names")
        if self.kms_key_name and self.kms_key_name in self.former_kms_key_names:
            raise SettingError("is the current key: remove it", got=self.kms_key_name, field="former_kms_key_names")
        if self.kms_key_name is None:
            if not self.grant_kms_key:
                raise SettingError("only with a kms_key_name", got=False, hint="true", field="grant_kms_key")
            return
        if self.encryption != "customer-managed":
            raise SettingError(
                "must be customer-managed to use kms_key_name",
                got=self.encryption,
                hint='"customer-managed"',
                field="encryption",
            )
        rules.key_fits_location(self.kms_key_name, location)


class GcpServiceAccount(Settings):
    """A service account, new or existing."""

    service_account_id: Annotated[str, AfterValidator(rules.service_account_id)] | None = None
    """Id of a new service account. Default: `<deployment>-xcom`; of a worker `<deployment>-xcom-<worker>`."""
    existing_service_account: Annotated[str, AfterValidator(rules.service_account_email)] | None = None
    """E-mail of an existing service account. It gets members; nothing else about it is modified."""
    federate: Flag = True
    """false: add no members to an existing account. Its owner adds the output `workload_identity_members`."""
    grant_storage: Flag = True
    """Whether this deployment grants the account its roles on the bucket.

    false: the bucket's owner, or another deployment of the same account and bucket, grants them. Only with an existing
    account or an existing bucket.
    """
    roles: tuple[GcpRole, ...] = ()
    """Roles that the agents get in addition to their roles on the XComs: for the secrets backend, remote logs or
    tasks."""

    @field_validator("roles")
    @classmethod
    def _each_role_once(cls, roles: tuple[GcpRole, ...]) -> tuple[GcpRole, ...]:
        common.roles_once([(each.role, each.scope) for each in roles])
        return roles

    @together
    def _made_or_existing(self) -> Iterator[str | SettingError]:
        if self.existing_service_account and self.service_account_id:
            yield SettingError(
                "is an existing service account: remove service_account_id",
                got=self.existing_service_account,
                field="existing_service_account",
            )
        if not self.federate and not self.existing_service_account:
            yield SettingError(
                "only with an existing_service_account: agents could not use an account created here",
                got=False,
                hint="true",
                field="federate",
            )


class GcpIdentity(GcpServiceAccount):
    """The service account, made or existing."""

    mechanism: Literal["service_account", "direct"] = "service_account"
    """service_account: pods use a service account, by an annotation; direct: roles are granted to each Kubernetes
    service account itself, with no service account and no annotation."""
    workers: dict[str, GcpServiceAccount] = Field(default_factory=dict)
    """Worker of the agent's values -> a service account of its own in place of this one: the same access to XComs, and
    its own roles. Its keys are those of `identity` but for `mechanism`; with mechanism: direct only `roles`, which its
    Kubernetes service account gets in place of those here."""

    @together
    def _direct_has_no_service_account(self) -> Iterator[str | SettingError]:
        for worker, own in with_others(self, self.workers).items() if self.mechanism == "direct" else ():
            place = "" if worker is None else f"workers.{worker}."
            for field in OF_A_SERVICE_ACCOUNT if worker is None else (*OF_A_SERVICE_ACCOUNT, "grant_storage"):
                if field in own.model_fields_set and getattr(own, field) is not None:
                    yield SettingError(
                        "is not used with mechanism: direct, which has no service account: remove it",
                        got=getattr(own, field),
                        field=f"{place}{field}",
                    )


class GcpDeployment(Deployment):
    """XComs in Cloud Storage, for agents on GKE (Workload Identity Federation for GKE)."""

    cloud: Literal["gcp"] = "gcp"
    project: ProjectId
    """Project of the bucket and the service account."""
    labels: Tags = Field(default_factory=dict)
    """Default labels of every Google Cloud resource."""
    cluster: GkeCluster
    """Where the agents run."""
    trusted_clusters: tuple[GkeCluster, ...] = ()
    """Further clusters whose agents have the same names and share the storage. All clusters of a project have the same
    workload identity pool: if you trust one of them, you trust the same service accounts in all of them."""
    storage: GcpStorage
    identity: GcpIdentity = Field(default_factory=GcpIdentity)

    @property
    def clusters(self) -> tuple[GkeCluster, ...]:
        """Every cluster whose service accounts are trusted."""
        return (self.cluster, *self.trusted_clusters)

    @property
    def workers(self) -> Mapping[str, GcpServiceAccount]:
        """The workers with a service account, or with roles, of their own."""
        return self.identity.workers

    def identities(self) -> dict[Worker, GcpServiceAccount]:
        """The service account of all others, and that of each worker that has its own."""
        return with_others(self.identity, self.workers)

    def account_id(self, name: str, worker: Worker = None) -> str:
        """The id of a service account to make for the deployment `name`."""
        return self.identities()[worker].service_account_id or default_name(name, worker)

    def email(self, name: str, worker: Worker = None) -> str:
        """The e-mail of a service account of the deployment `name`, made or existing."""
        existing = self.identities()[worker].existing_service_account
        return existing or rules.email_of(self.account_id(name, worker), self.project)

    def cluster_is(self, cluster: Cluster) -> list[Identity]:
        """What a cluster is to Google Cloud: project, location and name; where nothing is looked up, its pool."""
        gke = cast(GkeCluster, cluster)
        if gke.name and gke.location:
            return [Identity("GKE cluster", (gke.project or self.project, gke.location, gke.name))]
        return []

    def _said(self, cluster: Cluster) -> str:
        gke = cast(GkeCluster, cluster)
        return " ".join(filter(None, [gke.pool(self.project), gke.location, gke.name]))

    def storage_is(self, name: str) -> Identity:
        """The bucket: its name is unique in the world."""
        return Identity("bucket", (self.storage.bucket,))

    def claims(self, name: str) -> Iterator[Claim]:
        """What the deployment `name` creates and grants, default names included. No other deployment may do so too."""
        yield from super().claims(name)
        storage = self.storage
        if not storage.existing:
            yield Claim(what=self.storage_is(name), setting="storage.bucket", shown=storage.bucket)
        for worker in self.identities():
            yield from self._claims_of(name, worker)
        if storage.kms_key_name and storage.grant_kms_key:
            hint = "storage.grant_kms_key: false in one of the two, or a key of its own"
            key, setting = storage.kms_key_name, "storage.kms_key_name"
            yield grant("key", key, self.project, setting=setting, shown=key, way_out=hint)
        for key in storage.former_kms_key_names:
            hint = "to name the key in one of the two: what is granted is for every bucket of the project"
            setting = "storage.former_kms_key_names"
            yield grant("former key", key, self.project, setting=setting, shown=key, way_out=hint)

    def _claims_of(self, name: str, worker: Worker) -> Iterator[Claim]:
        """An identity, who may use it, and its roles."""
        own, bucket, place = self.identities()[worker], self.storage.bucket, setting(worker)
        email, direct, subjects = self.email(name, worker), self.identity.mechanism == "direct", self.trusted()[worker]
        pools = list(dict.fromkeys(cluster.pool(self.project) for cluster in self.clusters))
        if not own.existing_service_account and not direct:
            what = Identity("service account", (email,))
            yield Claim(what=what, setting=f"{place}.service_account_id", shown=email)
        if own.federate and not direct:
            hint = "identity.federate: false in one of the two, or another namespace or resource_name_prefix"
            for pool in pools:
                for subject in subjects:
                    said = f"{subject} of {pool} for {email}"
                    yield grant(
                        "member", email, pool, subject, setting=f"{place}.federate", shown=said, way_out=hint
                    )  # fmt: skip
        principals = [f"{subject} of {pool}" for pool in pools for subject in subjects]
        granted = self.identity.grant_storage if direct else own.grant_storage
        for holder in principals if direct else [email]:
            if granted:
                hint = "identity.grant_storage: false in one of the two, or a service account of its own"
                said = f"{holder} on {bucket}"
                where = f"{place}.grant_storage"
                yield grant("bucket", holder, bucket, setting=where, shown=said, way_out=hint)
            for each in own.roles:
                hint = "to name it in one of the two, or a service account of its own"
                said = f"{each.role} on {each.scope} for {holder}"
                name_ = (holder, each.role, each.scope)
                yield grant("role", *name_, setting=f"{place}.roles", shown=said, way_out=hint)

    def contradictions(self) -> Iterator[SettingError]:
        """Settings that are right each alone, and not together."""
        yield from super().contradictions()
        for worker, own in self.identities().items():
            if not own.grant_storage and not (own.existing_service_account or self.storage.existing):
                yield SettingError(
                    "only with an existing service account or an existing bucket: nobody else knows these to grant it",
                    got=False,
                    hint="true",
                    field=f"{setting(worker)}.grant_storage",
                )
            on_the_bucket = f"projects/_/buckets/{self.storage.bucket}"
            for position, each in enumerate(own.roles):
                if each.role in rules.STORAGE_ROLES.values() and each.scope == on_the_bucket:
                    yield SettingError(
                        "is a role that agents already get for the XComs: remove it, or destroying one grant removes "
                        "both",
                        got=f"{each.role} on {each.scope}",
                        field=f"{setting(worker)}.roles[{position}]",
                    )
        if self.identity.mechanism == "direct":
            yield from self._principals_once()
        numbers: dict[str, str] = {}
        for position, cluster in enumerate(self.clusters):
            number, pool = cluster.project_number, cluster.pool(self.project)
            field = f"{f'trusted_clusters[{position - 1}]' if position else 'cluster'}.project_number"
            if number and self.identity.mechanism != "direct":
                yield SettingError("only for identity.mechanism: direct: remove it", got=number, field=field)
            elif number and numbers.setdefault(pool, number) != number:
                yield SettingError(f"must be the same for each cluster of {pool}", got=number, field=field)

    def _principals_once(self) -> Iterator[SettingError]:
        """A principal keeps its grants when it becomes a worker's own: it is no former one."""
        trusted = self.trusted()
        own = {subject: worker for worker, of in trusted.items() if worker is not None for subject in of}
        for subject in trusted[None]:
            if subject in own:
                yield SettingError(
                    "is not needed with identity.mechanism: direct, where the service account of a worker keeps its "
                    f"grants ({setting(own[subject])}): remove it",
                    got=subject.removeprefix("system:serviceaccount:").replace(":", "/"),
                    field="agent.former_service_accounts",
                )

    def _clusters_differ(self) -> Iterator[SettingError]:
        yield from super()._clusters_differ()
        seen: set[str] = set()
        for position, cluster in enumerate(self.clusters):
            pool = cluster.pool(self.project)
            if position and cluster.name is None and pool in seen:
                yield SettingError("each cluster is trusted once", got=self._said(cluster), field="trusted_clusters")
            seen.add(pool)

    def writable(self, name: str, backend: Backend, state: str) -> str | None:
        """Where the agents of this deployment, `name`, may write and delete, if this backend keeps a state there."""
        same = isinstance(backend, GcsState) and backend.bucket == self.storage.bucket
        return f"bucket {self.storage.bucket}" if same else None

    def warnings(self) -> list[str]:
        """What is allowed and likely to surprise, as `setting: what happens`."""
        found = super().warnings()
        storage = rules.region_of(self.storage.location or "")
        if storage is not None:
            regions = (rules.region_of(cluster.location or "") for cluster in self.clusters)
            found += self.far_clusters("location", regions, storage)
        compressions = {"xcom": self.xcom.compression or "none"}
        if self.state_store:
            compressions["state_store"] = self.state_store.compression
        found += [
            f"{setting}.compression: gcsfs 2026.8.2 and later upload compressed values in the background and drop them "
            "when the task ends, and the next task receives the path; use none, or gcsfs<2026.8.2 in the agents' image"
            for setting, compression in compressions.items()
            if compression != "none"
        ]
        if self.xcom.connection_id is not None:
            found.append(
                f"xcom.connection_id: the Airflow connection {self.xcom.connection_id} must exist, or every write and "
                "read of an XCom fails; without connection_id the pods' own identity is used"
            )
        found += [
            f"{setting(worker)}.roles: {each.role} is on all of the project {each.scope.removeprefix('projects/')}"
            for worker, own in self.identities().items()
            for each in own.roles
            if each.scope.count("/") == 1
        ]
        return found

    @field_validator("labels")
    @classmethod
    def _labels(cls, labels: Tags) -> Tags:
        rules.labels(labels)
        return labels

    @model_validator(mode="after")
    def _account_id_fits(self, info: ValidationInfo) -> Self:
        if (name := (info.context or {}).get("name")) and self.identity.mechanism != "direct":
            unnamed = [
                worker
                for worker, own in self.identities().items()
                if not (own.existing_service_account or own.service_account_id)
            ]
            given = {worker: default_name(name, worker) for worker in unnamed}
            default_names_fit(rules.service_account_id, "service_account_id", "a service account's id", given)
        return self
