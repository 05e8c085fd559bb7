"""A deployment on AWS."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from astro_xcom.errors import SettingError, attempt
from astro_xcom.rules import aws as rules
from astro_xcom.rules import common, limits, places
from astro_xcom.settings.backend import Backend, S3State
from astro_xcom.settings.base import AwsRegion, Count, Flag, Settings, Tags, together
from astro_xcom.settings.claims import Claim, Identity, grant
from astro_xcom.settings.deployment import Cluster, Deployment, Storage, check_force_destroy
from astro_xcom.settings.permissions import AwsPolicyStatement
from astro_xcom.settings.workers import default_names_fit
from astro_xcom.workers import Worker, default_name, setting, with_others

# The settings that an existing role may have, too.
OF_ANY_ROLE = {"existing_role", "mechanism", "former_mechanism", "workers"}
# What a worker's role has from that of all others.
OF_BOTH_ROLES = {"path", "permissions_boundary", "max_session_duration_seconds"}


class EksCluster(Cluster):
    """An EKS cluster. Terraform looks up a cluster that is given by name, but not one given by its OIDC provider."""

    name: Annotated[str, AfterValidator(rules.eks_cluster)] | None = None
    """Looks up the OIDC provider and the endpoint, with the credentials of the plan."""
    region: AwsRegion | None = None
    """Region of the cluster `name`. Default: the deployment's."""
    oidc_provider_arn: Annotated[str, AfterValidator(rules.oidc_provider_arn)] | None = None
    """The IAM OIDC provider to trust. Default: the provider of the cluster `name`."""
    authentication: Literal["exec", "token"] = "exec"
    """exec: Terraform's machine runs `aws eks get-token`; token: a 15-minute token, which needs no aws command."""

    @property
    def said(self) -> str:
        """How the settings name it."""
        return self.name or self.oidc_provider_arn or ""

    @together
    def _can_be_trusted(self) -> Iterator[str | SettingError]:
        if self.name is None and self.oidc_provider_arn is None:
            yield SettingError("needs a name (then its OIDC provider is looked up) or an oidc_provider_arn")


class AwsStorage(Storage):
    """The S3 bucket, new or existing."""

    bucket: str
    """Name of the bucket, unique in the world. A new bucket is created in the deployment's region."""
    existing: Flag = False
    """true: use an existing bucket; it is not modified, including its lifecycle."""
    account_id: Annotated[str, AfterValidator(rules.aws_account_id)] | None = None
    """The account of an existing bucket: agents use no bucket of this name that another account has, or creates
    after the owner deleted it. A new bucket is in the deployment's account, and agents use no other."""
    encryption: Literal["SSE-S3", "SSE-KMS"] = "SSE-S3"
    """SSE-S3: S3's own keys, free; SSE-KMS: a KMS key, which costs money."""
    kms_key_arn: Annotated[str, AfterValidator(rules.kms_key_arn)] | None = None
    """Key for SSE-KMS. Default: SSE-KMS creates a key. An existing bucket with SSE-KMS needs its key's ARN here."""
    former_kms_key_arns: tuple[Annotated[str, AfterValidator(rules.kms_key_arn)], ...] = ()
    """Keys that encrypted earlier values: agents may still decrypt with them. Remove a key once the values that it
    encrypted have expired."""
    access_log_bucket: Annotated[str, AfterValidator(rules.existing_s3_bucket)] | None = None
    """An existing bucket in the same region and account. S3 writes its server access logs there, under `<bucket>/`.

    The log bucket's policy must let logging.s3.amazonaws.com put objects. Default: no access logs.
    """
    eventbridge_notifications: Flag = False
    """true: S3 notifies Amazon EventBridge when an object is written or deleted."""
    force_destroy: Flag = False
    """true: `destroy` empties the bucket first. Apply this setting before you destroy."""

    @together
    def _bucket_fits(self) -> Iterator[str | SettingError]:
        check = rules.existing_s3_bucket if self.existing else rules.s3_bucket
        yield from attempt(check, self.bucket, field="bucket")

    @together
    def _logs_fit(self) -> Iterator[str | SettingError]:
        for field in ("access_log_bucket", "eventbridge_notifications"):
            if self.existing and getattr(self, field):
                yield SettingError(
                    "is not used for an existing bucket: remove it", got=getattr(self, field), field=field
                )
        if self.access_log_bucket == self.bucket:
            yield SettingError(
                "must be another bucket: each log would be logged in turn",
                got=self.access_log_bucket,
                field="access_log_bucket",
            )

    @together
    def _owner_fits(self) -> Iterator[str | SettingError]:
        if self.account_id is None:
            return
        place = places.bucket_place(self.bucket)
        if not self.existing:
            yield SettingError(
                "is only for an existing bucket; one made here is of the deployment's account, which account_id of the "
                "deployment says",
                got=self.account_id,
                field="account_id",
            )
        elif place and place[0] != self.account_id:
            yield SettingError(
                f"must be the account that the bucket's name says, {place[0]}",
                got=self.account_id,
                hint=f'"{place[0]}"',
                field="account_id",
            )

    @together
    def _key_fits(self) -> Iterator[str | SettingError]:
        if self.kms_key_arn and self.encryption != "SSE-KMS":
            yield SettingError(
                "must be SSE-KMS to use kms_key_arn", got=self.encryption, hint='"SSE-KMS"', field="encryption"
            )

    @together
    def _former_keys_fit(self) -> Iterator[str | SettingError]:
        if len(set(self.former_kms_key_arns)) < len(self.former_kms_key_arns):
            yield SettingError("names a key twice", field="former_kms_key_arns")
        if self.kms_key_arn and self.kms_key_arn in self.former_kms_key_arns:
            yield SettingError("is the current key: remove it", got=self.kms_key_arn, field="former_kms_key_arns")

    @together
    def _existing_key_is_given(self) -> Iterator[str | SettingError]:
        if self.existing and self.encryption == "SSE-KMS" and not self.kms_key_arn:
            yield SettingError(
                "is required for an existing bucket with SSE-KMS, so that the role is granted its key",
                field="kms_key_arn",
            )

    @together
    def _may_be_emptied(self) -> Iterator[str | SettingError]:
        yield from attempt(check_force_destroy, self, self.force_destroy, self.existing)


class AwsRole(Settings):
    """An IAM role, new or existing."""

    role_name: Annotated[str, AfterValidator(rules.iam_role)] | None = None
    """Name of a new role. Default: `<deployment>-xcom`; of a worker `<deployment>-xcom-<worker>`."""
    policy_name: Annotated[str, AfterValidator(rules.iam_policy_name)] | None = None
    """Name of the role's inline policy; keep the existing name of a policy that you import. Default:
    `storage-<bucket>`."""
    existing_role: Annotated[str, AfterValidator(rules.existing_iam_role)] | None = None
    """Name or ARN of an existing role. It is not modified: its owner attaches the output `access_policy` and adds the
    trust."""
    path: Annotated[str, AfterValidator(rules.iam_path)] = "/"
    permissions_boundary: Annotated[str, AfterValidator(rules.iam_policy_arn)] | None = None
    max_session_duration_seconds: Annotated[Count, Field(ge=3600, le=43200)] = 3600
    """How long credentials of the role may last at most. A pod's credentials are renewed in time."""
    policy_arns: tuple[Annotated[str, AfterValidator(rules.attached_policy_arn)], ...] = ()
    """Managed policies to attach to the role in addition to its access to XComs: for the secrets backend, remote
    logs or tasks."""
    policy_statements: tuple[AwsPolicyStatement, ...] = ()
    """Statements of a second inline policy: what the role may do in addition to its access to XComs."""

    def within(self, other: "AwsRole") -> Self:
        """With the place and the bounds of another role, where nothing is said of its own."""
        fields = () if self.existing_role else OF_BOTH_ROLES - self.model_fields_set
        return self.model_copy(update={field: getattr(other, field) for field in fields})

    @field_validator("policy_arns")
    @classmethod
    def _each_policy_once(cls, arns: tuple[str, ...]) -> tuple[str, ...]:
        rules.attached_policies(arns)
        return arns

    @field_validator("policy_statements")
    @classmethod
    def _each_sid_once(cls, statements: tuple[AwsPolicyStatement, ...]) -> tuple[AwsPolicyStatement, ...]:
        rules.statement_ids(statement.sid for statement in statements)
        rules.inline_policy_size(sum(len(statement.model_dump_json(exclude_none=True)) for statement in statements))
        return statements

    @together
    def _made_or_existing(self) -> Iterator[str | SettingError]:
        unused = sorted(self.model_fields_set - OF_ANY_ROLE)
        if self.existing_role and unused:
            rule = f"is an existing role and is not modified: remove {', '.join(unused)}"
            if self.policy_arns:
                rule += f"; its owner must attach {', '.join(self.policy_arns)}"
            if self.policy_statements:
                actions = dict.fromkeys(action for each in self.policy_statements for action in each.actions)
                rule += f"; its owner must allow {', '.join(actions)}"
            yield SettingError(rule, got=self.existing_role, field="existing_role")
        elif self.policy_name == rules.BESIDE:
            yield SettingError(
                "is the name of the policy with policy_statements", got=self.policy_name, field="policy_name"
            )


class AwsIdentity(AwsRole):
    """The IAM role, made or existing."""

    mechanism: Literal["irsa", "pod_identity", "both"] = "irsa"
    """irsa: the cluster's OIDC provider and an annotation; pod_identity: an EKS Pod Identity association for each
    service account, and no annotation; both: for a move. Pods then use IRSA, which AWS's client asks first while the
    annotation is there."""
    former_mechanism: Literal["irsa"] | None = None
    """Still trusted beside pod_identity: pods that started with the annotation run on for minutes. Remove the line once
    they are gone."""
    workers: dict[str, AwsRole] = Field(default_factory=dict)
    """Worker of the agent's values -> a role of its own in place of this one: the same access to XComs, and its own
    permissions. Its keys are those of `identity` but for the mechanism's; `path`, `permissions_boundary` and
    `max_session_duration_seconds` are as here by default."""

    @property
    def pod_identity(self) -> bool:
        """Whether service accounts get the role by EKS Pod Identity."""
        return self.mechanism != "irsa"

    @property
    def makes_roles(self) -> bool:
        """Whether any role is made here."""
        return any(not role.existing_role for role in (self, *self.workers.values()))

    @property
    def web_identity(self) -> bool:
        """Whether the role trusts OIDC providers."""
        return self.mechanism != "pod_identity" or self.former_mechanism is not None

    @together
    def _former_mechanism_fits(self) -> Iterator[str | SettingError]:
        if self.former_mechanism is None:
            return
        if not self.makes_roles:
            yield SettingError(
                "is an existing role and is not modified: remove former_mechanism",
                got=self.existing_role,
                field="existing_role",
            )
        elif self.mechanism != "pod_identity":
            yield SettingError(
                "only with mechanism: pod_identity; the other mechanisms trust IRSA anyway",
                got=self.former_mechanism,
                field="former_mechanism",
            )


class AwsDeployment(Deployment):
    """XComs in S3, for agents on EKS that assume an IAM role (IRSA, or EKS Pod Identity)."""

    cloud: Literal["aws"] = "aws"
    region: AwsRegion
    account_id: Annotated[str, AfterValidator(rules.aws_account_id)] | None = None
    """The account to deploy to: Terraform refuses to plan with credentials of any other account."""
    tags: Tags = Field(default_factory=dict)
    """Default tags of every AWS resource."""
    cluster: EksCluster
    """Where the agents run."""
    trusted_clusters: tuple[EksCluster, ...] = ()
    """Further clusters, such as a standby, whose agents have the same names and share the storage."""
    storage: AwsStorage
    identity: AwsIdentity = Field(default_factory=AwsIdentity)

    @property
    def partition(self) -> str:
        """The partition of the region, and so of everything here."""
        return places.partition(self.region)

    @property
    def account(self) -> str | None:
        """The account of what is created here, if the settings say it: a role is in its OIDC provider's account."""
        own = [arn for field, arn in self._of_the_roles() if not field.endswith("existing_role")]
        known = (places.arn(arn).account for arn in (own if self.makes_roles else ()))
        return self.account_id or next((account for account in known if account != "aws"), None)

    @property
    def clusters(self) -> tuple[EksCluster, ...]:
        """Every cluster whose service accounts are trusted."""
        return (self.cluster, *self.trusted_clusters)

    @property
    def workers(self) -> Mapping[str, AwsRole]:
        """The workers with a role of their own, as the settings say it."""
        return self.identity.workers

    def roles(self) -> dict[Worker, AwsRole]:
        """The role of all others, and that of each worker that has its own."""
        return with_others(self.identity, {worker: own.within(self.identity) for worker, own in self.workers.items()})

    def role_name(self, name: str, worker: Worker = None) -> str:
        """What a role is called that the deployment `name` makes."""
        return self.roles()[worker].role_name or default_name(name, worker)

    @property
    def makes_roles(self) -> bool:
        """Whether any role is made here."""
        return self.identity.makes_roles

    def cluster_is(self, cluster: Cluster) -> list[Identity]:
        """What a cluster is to AWS: account, region and name; or its OIDC provider."""
        eks = cast(EksCluster, cluster)
        found = []
        if eks.name:
            region = eks.region or self.region
            found.append(Identity("EKS cluster", (places.partition(region), region, eks.name), self.account))
        if eks.oidc_provider_arn:
            found.append(Identity("OIDC provider", (eks.oidc_provider_arn,)))
        return found

    def storage_is(self, name: str) -> Identity:
        """The bucket: its name is unique in the partition."""
        return Identity("bucket", (self.partition, self.storage.bucket))

    def claims(self, name: str) -> Iterator[Claim]:
        """What the deployment `name` creates and grants, default names included. No other deployment may do so too."""
        yield from super().claims(name)
        if not self.storage.existing:
            yield Claim(what=self.storage_is(name), setting="storage.bucket", shown=self.storage.bucket)
        for worker, each in self.roles().items():
            if each.existing_role:
                continue
            role = self.role_name(name, worker)
            yield Claim(  # IAM folds the case of role names, and a path does not make them another's
                what=Identity("role", (self.partition, role.lower()), self.account),
                setting=f"{setting(worker)}.role_name",
                shown=role,
                elsewhere="" if self.account else "account_id in both if they are of two accounts",
            )

        for cluster in self.clusters if self.identity.pod_identity and not self.agent.release else ():
            # A release claims its service accounts by its prefix.
            for subject in self.agent.subjects():
                region = cluster.region or self.region
                yield grant(
                    "association", self.partition, self.account or "", region, str(cluster.name), subject,
                    setting="identity.mechanism", shown=f"{subject} of {cluster.name}",
                    way_out="another namespace or resource_name_prefix",
                )  # fmt: skip

    def contradictions(self) -> Iterator[SettingError]:
        """Settings that are right each alone, and not together."""
        yield from super().contradictions()
        storage = self.storage
        of_the_roles, keys = dict(self._of_the_roles()), dict(self._keys())
        yield from rules.one_partition({**of_the_roles, **keys}, partition=self.partition)
        existing = {field: arn for field, arn in of_the_roles.items() if field.endswith(".existing_role")}
        role = places.arn(existing["identity.existing_role"]).account if "identity.existing_role" in existing else None
        yield from rules.one_account(
            {field: arn for field, arn in of_the_roles.items() if field not in existing},
            account=role or self.account_id,
        )
        for field, arn in existing.items():
            account = places.arn(arn).account
            if self.account_id and account != self.account_id and not storage.existing:
                yield SettingError(
                    f"is in another account than account_id ({self.account_id}), and the policy of a bucket created "
                    "here does not let it in",
                    got=arn,
                    hint=f"a role of {self.account_id}, or an existing bucket whose policy allows this role",
                    field=field,
                )
        if not storage.existing:
            yield from rules.one_region(keys, region=self.region)
        yield from self._regions_fit()
        yield from self._pod_identity_fits()
        yield from self._roles_of_workers_fit()
        place = places.bucket_place(storage.access_log_bucket or "")
        if place and place != (self.account_id or place[0], self.region):
            yield SettingError(
                f"must be in the bucket's region and account; its name says {place[1]} and {place[0]}",
                got=storage.access_log_bucket,
                field="storage.access_log_bucket",
            )
        for worker, subjects in self.trusted().items():
            if self.roles()[worker].existing_role:
                continue
            try:
                rules.check_trust_policy_size(self._providers(), subjects, self._pod_identity_clusters())
            except SettingError as error:
                yield SettingError(error.rule, got=error.got, hint=error.hint, field=setting(worker))

    def _of_the_roles(self) -> Iterator[tuple[str, str]]:
        """(field, ARN) of the roles, what they trust and what bounds them."""
        for field, cluster in self._named_clusters():
            if cluster.oidc_provider_arn:
                yield f"{field}.oidc_provider_arn", cluster.oidc_provider_arn
        for worker, role in with_others(self.identity, self.workers).items():
            place = setting(worker)
            if (role.existing_role or "").startswith("arn:"):
                yield f"{place}.existing_role", str(role.existing_role)
            if role.permissions_boundary:
                yield f"{place}.permissions_boundary", role.permissions_boundary
            for position, arn in enumerate(role.policy_arns):
                yield f"{place}.policy_arns[{position}]", arn

    def _keys(self) -> Iterator[tuple[str, str]]:
        """(field, ARN) of the keys of the storage."""
        if self.storage.kms_key_arn:
            yield "storage.kms_key_arn", self.storage.kms_key_arn
        for position, arn in enumerate(self.storage.former_kms_key_arns):
            yield f"storage.former_kms_key_arns[{position}]", arn

    def _named_clusters(self) -> Iterator[tuple[str, EksCluster]]:
        yield "cluster", self.cluster
        for position, cluster in enumerate(self.trusted_clusters):
            yield f"trusted_clusters[{position}]", cluster

    def _regions_fit(self) -> Iterator[SettingError]:
        for field, cluster in self._named_clusters():
            region = cluster.region or self.region
            if places.partition(region) != self.partition:
                yield SettingError(
                    f"must be in the partition {self.partition}, as region {self.region} is",
                    got=region,
                    field=f"{field}.region",
                )
            issuer = places.issuer_region(cluster.oidc_provider_arn or "")
            if issuer and (cluster.name or cluster.region) and issuer != region:
                yield SettingError(
                    f"must be that of the cluster's oidc_provider_arn, {issuer}",
                    got=region,
                    hint=f'"{issuer}"',
                    field=f"{field}.region",
                )

    def _providers(self) -> list[str]:
        """The OIDC providers that the role trusts; of clusters that are looked up, of the same length."""
        return [
            cluster.oidc_provider_arn or places.oidc_provider_arn(cluster.region or self.region)
            for cluster in (self.clusters if self.identity.web_identity else ())
        ]

    def _pod_identity_clusters(self) -> list[str]:
        """The clusters that the role trusts by EKS Pod Identity, by ARNs of the same length."""
        return [
            rules.usual_cluster_arn(cluster.region or self.region, str(cluster.name))
            for cluster in (self.clusters if self.identity.pod_identity else ())
        ]

    def _pod_identity_fits(self) -> Iterator[SettingError]:
        identity = self.identity
        for field, cluster in self._named_clusters() if identity.pod_identity else ():
            if cluster.name is None:
                yield SettingError(
                    "needs a name: EKS Pod Identity associations are created in the cluster of that name", field=field
                )
            if cluster.name and cluster.oidc_provider_arn and not identity.web_identity:
                yield SettingError(
                    "is not used with identity.mechanism: pod_identity: remove it",
                    got=cluster.oidc_provider_arn,
                    field=f"{field}.oidc_provider_arn",
                )
        for worker, each in self.roles().items():
            role = each.existing_role or ""
            account = places.arn(role).account if role.startswith("arn:") and self.account_id else self.account_id
            # With storage that is made here it is said above.
            if identity.pod_identity and self.storage.existing and account != self.account_id:
                yield SettingError(
                    f"must be a role of the clusters' own account, {self.account_id}: EKS Pod Identity accepts no "
                    "other",
                    got=role,
                    field=f"{setting(worker)}.existing_role",
                )

    def _roles_of_workers_fit(self) -> Iterator[SettingError]:
        """A worker's role is not that of all others, by whichever of its names; two roles made here are claimed."""
        common = self.identity
        for worker, own in self.workers.items():
            if not (own.existing_role or common.existing_role):
                continue
            said, others = own.existing_role or own.role_name, common.existing_role or common.role_name
            if said and others and self._role_is(said).may_be(self._role_is(others)):
                yield SettingError(
                    "is the role of all others too: a worker without an entry in identity.workers uses that role",
                    got=said,
                    hint=f"no identity.workers.{worker}, or another role",
                    field=f"{setting(worker)}.{'existing_role' if own.existing_role else 'role_name'}",
                )

    def _role_is(self, said: str) -> Identity:
        """What a role is to IAM, by its name or ARN: a path does not make it another."""
        account = places.arn(said).account if said.startswith("arn:") else self.account_id
        return Identity("role", (said.rpartition("/")[2].lower(),), account)

    def writable(self, name: str, backend: Backend, state: str) -> str | None:
        """Where the agents of this deployment, `name`, may write and delete, if this backend keeps a state there."""
        if not isinstance(backend, S3State) or backend.bucket != self.storage.bucket:
            return None
        if backend.partition != self.partition:
            return None
        paths = [self.storage.path, *self.storage.former_paths, *([self.state_store.path] if self.state_store else [])]
        path = next((path for path in paths if common.contains(path, state)), None)
        return None if path is None else f"{backend.bucket}/{path}".rstrip("/")

    def warnings(self) -> list[str]:
        """What is allowed and likely to surprise, as `setting: what happens`."""
        found = super().warnings()
        for worker, subjects in self.trusted().items():
            size = rules.trust_policy_size(self._providers(), subjects, self._pod_identity_clusters())
            if size > limits.TRUST_POLICY.most and not self.roles()[worker].existing_role:
                found.append(
                    f"{setting(worker)}: the trust policy will have {size} characters; IAM allows "
                    f"{limits.TRUST_POLICY.most} unless the account's quota was raised, to "
                    f"{limits.RAISED_TRUST_POLICY.most} at most"
                )
        found += self.far_clusters("region", (cluster.region for cluster in self.clusters), self.region)
        if self.storage.existing:
            found += [
                f"{field}: is in {region}, but this deployment is in {self.region}: every write fails, unless the "
                f"bucket is in {region}, too"
                for field, region in ((field, places.arn(arn).region) for field, arn in self._keys())
                if region != self.region
            ]
        if isinstance(self.backend(), S3State) and cast(S3State, self.backend()).partition != self.partition:
            found.append(
                f"state.s3.region: is in another partition than region {self.region}: no credentials work in both"
            )
        if self.identity.former_mechanism:
            found.append(
                "identity.former_mechanism: remove the line once no pod runs that started with the annotation: until "
                "then the role trusts OIDC providers, too"
            )
        for worker, role in self.roles().items():
            attached = len(role.policy_arns)
            if attached > rules.USUAL_ATTACHED:
                found.append(
                    f"{setting(worker)}.policy_arns: the role will have {attached} managed policies; IAM allows "
                    f"{rules.USUAL_ATTACHED} unless the account's quota was raised"
                )
        return found

    @field_validator("tags")
    @classmethod
    def _tags(cls, tags: Tags) -> Tags:
        rules.tags(tags)
        return tags

    @model_validator(mode="after")
    def _names_by_default_fit(self, info: ValidationInfo) -> Self:
        if name := (info.context or {}).get("name"):
            unnamed = [each for each, role in self.roles().items() if not (role.role_name or role.existing_role)]
            given = {worker: self.role_name(name, worker) for worker in unnamed}
            default_names_fit(rules.iam_role, "role_name", "a role's name", given)
        return self
