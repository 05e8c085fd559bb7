"""A deployment on AWS."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from astro_xcom import names
from astro_xcom.names import aws as rules
from astro_xcom.refusal import Refused, at
from astro_xcom.settings.base import AwsRegion, Count, Flag, Settings, Tags
from astro_xcom.settings.deployment import Cluster, Deployment, Storage
from astro_xcom.settings.state import Backend, S3State


class EksCluster(Cluster):
    """An EKS cluster: by name, and everything is looked up; or by its OIDC provider, and nothing is."""

    name: Annotated[str, AfterValidator(rules.eks_cluster)] | None = None
    """Looks up the OIDC provider and the endpoint, with the credentials of the plan."""
    region: AwsRegion | None = None
    """Region of the cluster `name`. Default: the deployment's."""
    oidc_provider_arn: Annotated[str, AfterValidator(rules.oidc_provider_arn)] | None = None
    """The IAM OIDC provider to trust. Default: the one of the cluster `name`."""
    authentication: Literal["exec", "token"] = "exec"
    """exec: `aws eks get-token` on the machine that runs Terraform; token: a 15-minute token, needs no aws command."""

    def trusted(self, region: str) -> tuple[str | None, ...]:
        """What the role trusts: an OIDC provider by ARN, or a cluster of a region (by default the given one)."""
        return (self.oidc_provider_arn,) if self.oidc_provider_arn else (self.region or region, self.name)

    @model_validator(mode="after")
    def _can_be_trusted(self) -> Self:
        if self.name is None and self.oidc_provider_arn is None:
            raise Refused("needs a name (then its OIDC provider is looked up) or an oidc_provider_arn")
        return self


class AwsStorage(Storage):
    """The S3 bucket, made or existing."""

    bucket: str
    """Unique in the world. One made here is in the deployment's region."""
    existing: Flag = False
    """true: the bucket is there already; nothing about it is changed, not its lifecycle either."""
    encryption: Literal["SSE-S3", "SSE-KMS"] = "SSE-S3"
    """SSE-S3: keys of S3, free; SSE-KMS: a KMS key, which costs money."""
    kms_key_arn: Annotated[str, AfterValidator(rules.kms_key_arn)] | None = None
    """Key for SSE-KMS. Default: SSE-KMS makes a key of its own; an existing bucket needs its key's ARN here."""
    former_kms_key_arns: tuple[Annotated[str, AfterValidator(rules.kms_key_arn)], ...] = ()
    """Keys that encrypted earlier values: agents may still decrypt with them. Remove a key once what it encrypted has
    expired."""
    access_log_bucket: Annotated[str, AfterValidator(rules.existing_s3_bucket)] | None = None
    """An existing bucket of the same region and account that gets S3's server access logs, under `<bucket>/`.

    Its policy must let logging.s3.amazonaws.com put objects. Default: no access logs.
    """
    eventbridge_notifications: Flag = False
    """true: S3 tells Amazon EventBridge of every object that is written or deleted."""
    force_destroy: Flag = False
    """true: `destroy` empties the bucket first. Must be applied before the destroy."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check = rules.existing_s3_bucket if self.existing else rules.s3_bucket
        with at("bucket"):
            check(self.bucket)
        for field in ("access_log_bucket", "eventbridge_notifications"):
            if self.existing and getattr(self, field):
                raise Refused("is not used for an existing bucket: remove it", got=getattr(self, field), field=field)
        if self.access_log_bucket == self.bucket:
            raise Refused(
                "must be another bucket: each log would be logged in turn",
                got=self.access_log_bucket,
                field="access_log_bucket",
            )
        if self.kms_key_arn and self.encryption != "SSE-KMS":
            raise Refused(
                "must be SSE-KMS to use kms_key_arn", got=self.encryption, hint='"SSE-KMS"', field="encryption"
            )
        if self.kms_key_arn and self.kms_key_arn in self.former_kms_key_arns:
            raise Refused("is the key of today: remove it", got=self.kms_key_arn, field="former_kms_key_arns")
        if self.existing and self.encryption == "SSE-KMS" and not self.kms_key_arn:
            raise Refused(
                "is required for an existing bucket with SSE-KMS, so that the role is granted its key",
                field="kms_key_arn",
            )
        if self.force_destroy and (self.existing or self.protect_from_destroy):
            raise Refused(
                "only for a bucket made here, together with protect_from_destroy: false",
                got=True,
                hint="false",
                field="force_destroy",
            )
        return self


class AwsIdentity(Settings):
    """The IAM role, made or existing."""

    role_name: Annotated[str, AfterValidator(rules.iam_role)] | None = None
    """Default: `<deployment>-xcom`."""
    existing_role: Annotated[str, AfterValidator(rules.existing_iam_role)] | None = None
    """Name or ARN of a role to use as it is. Its owner attaches the output `access_policy` and the trust."""
    path: Annotated[str, AfterValidator(rules.iam_path)] = "/"
    permissions_boundary: Annotated[str, AfterValidator(rules.iam_policy_arn)] | None = None
    max_session_duration_seconds: Annotated[Count, Field(ge=3600, le=43200)] = 3600
    """The longest that credentials of the role may last. Those of a pod are renewed in time."""

    @model_validator(mode="after")
    def _made_or_existing(self) -> Self:
        unused = sorted(self.model_fields_set - {"existing_role"})
        if self.existing_role and unused:
            raise Refused(
                f"is used as it is: remove {', '.join(unused)}", got=self.existing_role, field="existing_role"
            )
        return self


class AwsDeployment(Deployment):
    """XComs in S3, for agents on EKS that assume an IAM role (IRSA)."""

    cloud: Literal["aws"] = "aws"
    region: AwsRegion
    account_id: Annotated[str, AfterValidator(rules.aws_account_id)] | None = None
    """Refuse to plan with credentials of any other account."""
    tags: Tags = Field(default_factory=dict)
    """Default tags of every AWS resource."""
    cluster: EksCluster
    """Where the agents run."""
    trusted_clusters: tuple[EksCluster, ...] = ()
    """More clusters whose agents, of the same names, share the storage: a standby, for example."""
    storage: AwsStorage
    identity: AwsIdentity = Field(default_factory=AwsIdentity)

    def made(self) -> list[tuple[str, str]]:
        """(setting, name) of what this deployment makes and no other may make too."""
        bucket = [] if self.storage.existing else [("storage.bucket", self.storage.bucket)]
        role = self.identity.role_name
        return [*super().made(), *bucket, *([("identity.role_name", f"{role} of {self.account_id}")] if role else [])]

    def writable(self, name: str, backend: Backend, state: str) -> str | None:
        """Where the agents of this deployment, `name`, may write and delete, if this backend keeps a state there."""
        if not isinstance(backend, S3State) or backend.bucket != self.storage.bucket:
            return None
        paths = [self.storage.path, *self.storage.former_paths, *([self.state_store.path] if self.state_store else [])]
        path = next((path for path in paths if names.contains(path, state)), None)
        return None if path is None else f"{backend.bucket}/{path}".rstrip("/")

    def warnings(self) -> list[str]:
        """What is allowed and likely to surprise, as `setting: what happens`."""
        found = super().warnings()
        clusters = 1 + len(self.trusted_clusters)
        size = rules.trust_policy_size(clusters, self.agent.subjects())
        if size > rules.USUAL_TRUST_POLICY and not self.identity.existing_role:
            found.append(
                f"identity: the trust policy will have about {size} characters; IAM allows {rules.USUAL_TRUST_POLICY} "
                "unless the account's quota was raised"
            )
        return found

    @field_validator("tags")
    @classmethod
    def _tags(cls, tags: Tags) -> Tags:
        for key, value in tags.items():
            if not 1 <= len(key) <= 128 or key.lower().startswith("aws:") or len(value) > 256:
                raise Refused(
                    "a tag's key is 1-128 characters and does not start with aws:, its value at most 256",
                    got={key: value},
                )
        return tags

    @field_validator("trusted_clusters")
    @classmethod
    def _clusters_differ(cls, clusters: tuple[EksCluster, ...], info: ValidationInfo) -> tuple[EksCluster, ...]:
        region = info.data.get("region", "")
        seen = [info.data["cluster"].trusted(region)] if "cluster" in info.data else []
        for cluster in clusters:
            trusted = cluster.trusted(region)
            if trusted in seen:
                raise Refused("each cluster is trusted once", got=trusted[-1])
            seen.append(trusted)
        return clusters
