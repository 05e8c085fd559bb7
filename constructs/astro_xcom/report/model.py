"""The shape of a report; its JSON is what `astro-xcom check --json` prints."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from astro_xcom.field_docstrings import describe
from astro_xcom.workers import Worker, with_others

ONLY_IF = " only if "
"""Stands between what a permission is on and its conditions."""


class Model(BaseModel):
    """Frozen, with no other keys than these."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=describe)


class Trust(Model):
    """A subject that the cloud trusts, and through what."""

    subject: str
    """The `sub` claim of a service account's tokens."""
    through: dict[str, str]
    """In the cloud's words: OIDC provider and audience, issuer and audience, or the member of workloadIdentityUser."""


class Permission(Model):
    """What the agents may do, and with what."""

    allowed: tuple[str, ...]
    """IAM actions, or a role."""
    on: tuple[str, ...]
    """ARNs, a resource id or a bucket; behind ` only if ` the conditions."""


class Need(Model):
    """What the agents' identity needs beside XComs, as the chart's values say."""

    what: Literal["secrets backend", "remote logs"]
    named: str
    """The class, or where the logs go."""
    permissions: tuple[Permission, ...]
    """The least permissions. Empty if the cloud is not asked, or if this project does not know the class."""
    granted: Literal["here", "here in part", "not here", "not known here", "not needed"]
    by: tuple[str, ...] = ()
    """What grants it here, or might."""


class Lifecycle(Model):
    """When values are deleted. None: by no rule of this deployment."""

    expire_days: int | None = None
    """Values are deleted after this many days."""
    below: str | None = None
    """Where values expire: a prefix of object names, on Azure with the container in front."""
    noncurrent_days: int | None = None
    """A deleted or overwritten value stays restorable as a version for this many days."""
    soft_delete_days: int | None = None
    """Deleted values can be restored for this many more days."""
    abort_upload_days: int | None = None
    """Unfinished uploads are dropped after this many days."""


class Release(Model):
    """The Helm release."""

    name: str
    namespace: str
    chart: str
    version: str


class IdentityFacts(Model):
    """An identity, who is trusted with it and what it may do."""

    identity: dict[str, str]
    """The role, managed identity or service account, by what the cloud calls it."""
    identity_made: bool
    """Whether this deployment creates it."""
    trust: tuple[Trust, ...]
    """Empty if this deployment configures no trust."""
    permissions: tuple[Permission, ...]
    permissions_made: bool
    """Whether this deployment grants them. If not, others must grant them."""


class CloudFacts(IdentityFacts):
    """The facts of a cloud's part of a stack. The identity is that of all workers without their own."""

    place: dict[str, str]
    """Region, account, project, subscription and the like."""
    storage: dict[str, str]
    """The bucket, or account and container, by what the cloud calls it."""
    storage_made: bool
    """Whether this deployment creates it."""
    workers: dict[str, IdentityFacts] = Field(default_factory=dict)
    """Those that have an identity of their own."""
    lifecycle: Lifecycle | None
    """None: the lifecycle of the existing storage, which its owner sets."""
    clusters: tuple[str, ...] = ()
    """Clusters that Terraform looks up by name: to trust their pods, or to install the agents there."""
    for_others: tuple[str, ...] = ()
    """What the owners of existing resources must do."""
    always: tuple[str, ...] = ()
    """What holds for every deployment on this cloud."""

    def identities(self) -> dict[Worker, IdentityFacts]:
        """The identity of all others, and that of each worker that has its own."""
        return with_others(self, self.workers)

    def of(self, worker: Worker) -> "CloudFacts":
        """The same with the identity of a worker."""
        return self.model_copy(update=dict(self.identities()[worker]))


class WorkerReport(Model):
    """The identity of a worker that has its own."""

    identity: dict[str, str]
    identity_made: bool
    permissions: tuple[Permission, ...]
    permissions_made: bool
    """Whether this deployment grants them. If not, others must grant them."""
    needs: tuple[Need, ...]
    """Of the secrets backend and of remote logs."""


class ServiceAccount(Model):
    """A Kubernetes service account of the agents."""

    subject: str
    used_by: tuple[str, ...]
    """Components of the release, as the chart's values name them."""
    made_by_chart: bool
    trusted_through: tuple[dict[str, str], ...]
    """Empty if this deployment configures no trust."""
    trusted: bool = True
    """false: `agent.untrusted` leaves it out."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Its own, beside those of all."""


class Store(Model):
    """Where the agents keep XComs, or their state."""

    path: str
    object_key: str | None
    """What Airflow 3.2 and 3.3 call an object in the bucket or container. None where Airflow does not document it."""
    object_key_from_airflow_3_4: str | None
    """What Airflow 3.4 calls it (seen in 3.4.0b2).

    Where one task writes for another, it has `write-<uuid4>` instead of `ti-<id>`. Unusual keys are quoted, long ones
    hashed, and ids are cut where the whole is too long for S3.
    """
    threshold: int
    """Values of at least so many bytes go there."""
    threshold_means: str
    compression: str
    """`none`: off."""
    compression_means: str
    backend: str
    """The class that Airflow loads."""


class Finding(Model):
    """A difference between the applied state and deployments.yaml."""

    kind: str
    """storage, identity, cluster, trust, permission, lifecycle, encryption, key, privacy, network, versioning, release,
    tainted or value."""
    item: str | None
    """Which of that kind: `expire_days`, or the path of a chart value."""
    now: str | None
    """What deployments.yaml says. None: nothing."""
    applied: str | None
    """What the state has. None: nothing."""
    causes: str
    """What follows from it."""


class Report(Model):
    """One deployment. A text `(known after apply: ...)` stands for what only Terraform will know."""

    cloud: str
    """aws, azure or gcp."""
    place: dict[str, str]
    terraform_state: dict[str, str]
    """The backend and its settings."""
    namespace: str
    release: Release | None
    """None: the values are an output, and this deployment does not install the chart."""
    service_accounts: tuple[ServiceAccount, ...]
    identity: dict[str, str]
    identity_made: bool
    permissions: tuple[Permission, ...]
    permissions_made: bool
    """Whether this deployment grants them. If not, others must grant them."""
    needs: tuple[Need, ...] = ()
    """Of the secrets backend and of remote logs."""
    workers: dict[str, WorkerReport] = Field(default_factory=dict)
    """Those that have an identity of their own."""
    storage: dict[str, str]
    storage_made: bool
    xcom: Store
    state_store: Store | None
    lifecycle: Lifecycle | None
    """None: the lifecycle of the existing storage, which its owner sets."""
    environment: dict[str, dict[str, str]]
    """Of every pod (`commonEnv`) and of single components; a value from elsewhere is JSON."""
    annotations: dict[str, str]
    """Of the service accounts."""
    labels: dict[str, str]
    """Of the pods."""
    for_others: tuple[str, ...]
    """What must be done outside of this deployment."""
    always: tuple[str, ...]
    """What holds for every deployment like this; not a warning."""
    warnings: tuple[str, ...]
    """What is likely to surprise, as `setting: what happens`."""
    findings: tuple[Finding, ...] = ()
    """Differences from the applied state, if that was given."""
    compared: Literal["nothing", "outputs", "state"] = "nothing"
    """What was given of the applied state."""


class Document(Model):
    """Everything `check --json` prints."""

    version: Literal[1] = 1
    """Changes when the shape changes in a way that readers notice."""
    file: str
    deployments: dict[str, Report] = Field(default_factory=dict)
    departed: tuple[str, ...] = ()
    """Deployments that left the file, and a state beside it."""
    refused: tuple[str, ...] = ()
    """What is wrong with the file; then there are no deployments. stderr has the same lines."""
