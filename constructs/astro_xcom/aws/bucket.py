"""The S3 bucket that holds XComs."""

import json
from collections.abc import Sequence
from typing import cast

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from cdktf_cdktf_provider_aws.data_aws_partition import DataAwsPartition
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
)
from cdktf_cdktf_provider_aws.s3_bucket_logging import S3BucketLoggingA
from cdktf_cdktf_provider_aws.s3_bucket_notification import S3BucketNotification
from cdktf_cdktf_provider_aws.s3_bucket_ownership_controls import (
    S3BucketOwnershipControls,
    S3BucketOwnershipControlsRule,
)
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_bucket_versioning import (
    S3BucketVersioningA,
    S3BucketVersioningVersioningConfiguration,
)
from constructs import Construct

from astro_xcom.aws.irsa import IrsaRoleRef
from astro_xcom.construct_ids import id_of
from astro_xcom.errors import SettingError, at
from astro_xcom.lifecycle import NEW_FIRST, protected
from astro_xcom.rules import aws as rules
from astro_xcom.rules import common
from astro_xcom.tokens import check_if_known, is_known, once, shortest_recovery
from astro_xcom.xcom import XComLocation, object_url

OBJECT_ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
LIST = "s3:ListBucket"
READ_WITH_KEY = "kms:Decrypt"
KEY_ACTIONS = [READ_WITH_KEY, "kms:GenerateDataKey"]
BY_S3 = ("StringLike", "kms:ViaService", "s3.*")
"""S3 uses a key in the name of whoever reads and writes. Its name ends differently in each partition."""
ABORT_UPLOADS_AFTER_DAYS = 7
OLDEST_TLS = "1.2"
FOLDER_NAME = 48  # with the longest bucket's name it still fits into the name of an inline policy


class XComBucketRef(Construct):
    """A new or existing bucket that this app uses for XComs.

    - `name`: the bucket's name.
    - `path`: the folder of the XComs. Treat it as permanent: after a change, agents read old values as their paths.
    - `state_store_path`: the folder of the agents' state store. Default: none.
    - `connection_id`: the Airflow connection that the XCom path names. Default: none; agents use their pods' identity.
    - `kms_key_arn`: the key that encrypts the bucket, if it is encrypted with SSE-KMS.
    - `former_kms_key_arns`: keys that encrypted earlier values. Agents may still decrypt with them.
    - `account_id`: the owner's account. Agents use no bucket of this name that another account has or creates later.

    Raises SettingError for a path, connection id or ARN that cannot work.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        account_id: str | None = None,
        path: str = "xcom",
        state_store_path: str | None = None,
        connection_id: str | None = None,
        kms_key_arn: str | None = None,
        former_kms_key_arns: Sequence[str] = (),
    ) -> None:
        check_if_known(rules.existing_s3_bucket, name)
        with at("account_id"):
            check_if_known(rules.aws_account_id, account_id)
        check_if_known(common.object_path, path)
        check_if_known(common.object_path, state_store_path)
        if is_known([path, state_store_path]):
            common.separate_paths(path, state_store_path)
        check_if_known(common.connection_id, connection_id)
        _check_keys(kms_key_arn, former_kms_key_arns)
        super().__init__(scope, id_)
        self.name = name
        self.account_id = account_id
        self.path = path
        self.state_store_path = state_store_path
        self.connection_id = connection_id
        self.kms_key_arn = kms_key_arn
        self.former_kms_key_arns = tuple(former_kms_key_arns)
        self.partition = DataAwsPartition(self, "partition")
        self.arn = f"arn:{self.partition.partition}:s3:::{name}"
        self.location = XComLocation(
            url=object_url("s3", name, path, connection_id=connection_id),
            state_store_url=None
            if state_store_path is None
            else object_url("s3", name, state_store_path, connection_id=connection_id),
            cloud="aws",
        )
        self.dependencies: list[ITerraformDependable] = []
        """What has to exist before an agent starts."""
        self._grants: dict[IrsaRoleRef, DataAwsIamPolicyDocument] = {}

    def folder(self, name: str) -> "XComBucketRef":
        """The folder `<path>/<name>`, for a separate group of agents: a role with access to it opens no other object.

        Its XComs expire with those of the path. `name`, a DNS label, is part of addresses. Creates no resource.
        """
        common.dns_label(name, longest=FOLDER_NAME)
        folder = XComBucketRef(
            self,
            once(self, f"folder-{name}", name),
            name=self.name,
            account_id=self.account_id,
            path=f"{self.path}/{name}" if self.path else name,
            state_store_path=f"{self.state_store_path}/{name}" if self.state_store_path else None,
            connection_id=self.connection_id,
            kms_key_arn=self.kms_key_arn,
            former_kms_key_arns=self.former_kms_key_arns,
        )
        folder.dependencies += self.dependencies
        return folder

    def access_policy(self, id_: str) -> DataAwsIamPolicyDocument:
        """The policy that an identity needs: read, write and delete under the paths, list the bucket, use its key.

        Former keys may only decrypt. ListBucket has no prefix condition: the client asks for the bucket itself before
        each write.
        """
        paths = [path for path in (self.path, self.state_store_path) if path is not None]
        objects = [f"{self.arn}/{path}/*" if path else f"{self.arn}/*" for path in paths]
        own = () if self.account_id is None else (("StringEquals", "aws:ResourceAccount", self.account_id),)
        statements = [_allow("Objects", OBJECT_ACTIONS, objects, *own), _allow("Bucket", [LIST], [self.arn], *own)]
        if self.kms_key_arn is not None:
            statements.append(_allow("Key", KEY_ACTIONS, [self.kms_key_arn], BY_S3))
        if self.former_kms_key_arns:
            statements.append(_allow("FormerKeys", [READ_WITH_KEY], self.former_kms_key_arns, BY_S3))
        return DataAwsIamPolicyDocument(self, id_, statement=statements)

    def grant_read_write(self, role: IrsaRoleRef, *, policy_name: str | None = None) -> DataAwsIamPolicyDocument:
        """Let a role read, write and delete XComs. Creates an inline policy, except for an existing role.

        `policy_name` is the inline policy's name; by default it is derived from the bucket's name. A second grant to
        the
        same role changes nothing. Raises SettingError for two roles with the same id: the id is part of addresses.
        """
        if role not in self._grants:
            if any(id_of(role) == id_of(other) for other in self._grants):
                raise SettingError("each role granted here needs an id of its own", got=id_of(role))
            self._grants[role] = self._grant(role, policy_name)
        return self._grants[role]

    def _grant(self, role: IrsaRoleRef, policy_name: str | None) -> DataAwsIamPolicyDocument:
        policy = self.access_policy(f"access-{id_of(role)}")
        if role.managed:
            grant = IamRolePolicy(
                self,
                f"grant-{id_of(role)}",
                name=policy_name or role.policy_name(f"{id_of(self)}-{self.name}", self.node.path),
                role=role.name,
                policy=policy.json,
                lifecycle=NEW_FIRST,
            )
            self.dependencies.append(grant)
            role.grants.append(grant)
        return policy


class XComBucket(XComBucketRef):
    """A private, versioned, encrypted bucket whose XComs expire.

    ```python
    storage = XComBucket(stack, "storage", name="acme-astro-xcom", retention_days=60)
    ```

    Creates the bucket with its public access block, TLS-only policy, ownership, versioning, encryption and lifecycle.
    With
    `sse_kms` and without `kms_key_arn`, it also creates a key with an alias.

    - `name`: unique in the world. A change replaces the bucket.
    - `path`, `state_store_path`, `connection_id`, `kms_key_arn`, `former_kms_key_arns`: as in XComBucketRef.
    - `former_paths`: folders that held XComs before `path` changed; objects there expire too.
    - `retention_days`: XComs expire after this many days.
    - `sse_kms`: encrypt with a KMS key, which costs money. Default: S3's own keys.
    - `access_log_bucket`: an existing bucket in the same region and account that gets S3's server access logs. Its
      policy
      must let logging.s3.amazonaws.com put objects. Default: no access logs.
    - `eventbridge_notifications`: notify EventBridge of every object that is written or deleted.
    - `protect_from_destroy`: Terraform refuses to destroy the bucket and its key.
    - `force_destroy`: destroying empties the bucket first. Without it, a bucket that holds objects is not deleted.

    Raises SettingError for names that S3 refuses and for keywords that contradict each other.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        path: str = "xcom",
        state_store_path: str | None = None,
        connection_id: str | None = None,
        former_paths: Sequence[str] = (),
        retention_days: int = 30,
        sse_kms: bool = False,
        kms_key_arn: str | None = None,
        former_kms_key_arns: Sequence[str] = (),
        access_log_bucket: str | None = None,
        eventbridge_notifications: bool = False,
        protect_from_destroy: bool = True,
        force_destroy: bool = False,
    ) -> None:
        check_if_known(rules.s3_bucket, name)
        check_if_known(common.retention_days, retention_days)
        if is_known([*former_paths, path, state_store_path]):
            common.former_paths([common.object_path(each) for each in former_paths], path, state_store_path)
        if kms_key_arn is not None and not sse_kms:
            raise SettingError("kms_key_arn is only used with sse_kms=True")
        check_if_known(rules.existing_s3_bucket, access_log_bucket)
        if access_log_bucket == name:
            raise SettingError("access_log_bucket must be another bucket: each log would be logged in turn", got=name)
        if force_destroy and protect_from_destroy:
            raise SettingError("force_destroy needs protect_from_destroy=False")
        super().__init__(
            scope,
            id_,
            name=name,
            path=path,
            state_store_path=state_store_path,
            connection_id=connection_id,
            kms_key_arn=kms_key_arn,
            former_kms_key_arns=former_kms_key_arns,
        )
        self.account_id = DataAwsCallerIdentity(self, "caller").account_id
        self._lifecycle = protected(protect_from_destroy)
        self.key: KmsKey | None = None
        if sse_kms and kms_key_arn is None:
            self.key = self._key()
            self.kms_key_arn = self.key.arn
        self.resource = S3Bucket(self, "bucket", bucket=name, force_destroy=force_destroy, lifecycle=self._lifecycle)
        bucket = self.resource.bucket  # a reference, so what follows waits for the bucket

        # One after another: S3 refuses concurrent changes of these with OperationAborted.
        self.public_access_block = S3BucketPublicAccessBlock(
            self,
            "public-access-block",
            bucket=bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            skip_destroy=True,  # a bucket that outlives the stack stays private
        )
        self.policy = S3BucketPolicy(
            self,
            "policy",
            bucket=bucket,
            policy=self._tls_only().json,
            depends_on=[self.public_access_block],
        )
        self.ownership = S3BucketOwnershipControls(
            self,
            "ownership",
            bucket=bucket,
            rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
            depends_on=[self.policy],
        )
        self.versioning = S3BucketVersioningA(
            self,
            "versioning",
            bucket=bucket,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        self.encryption = S3BucketServerSideEncryptionConfigurationA(
            self,
            "encryption",
            bucket=bucket,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    bucket_key_enabled=True if sse_kms else None,
                    # S3's own setting for new buckets since April 2026, written out: else each plan wants to undo it.
                    blocked_encryption_types=["SSE-C"],
                    apply_server_side_encryption_by_default=(
                        S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                            sse_algorithm="aws:kms" if sse_kms else "AES256", kms_master_key_id=self.kms_key_arn
                        )
                    ),
                )
            ],
        )
        self.lifecycle = S3BucketLifecycleConfiguration(
            self,
            "lifecycle",
            bucket=bucket,
            transition_default_minimum_object_size="all_storage_classes_128K",  # written out, else it drifts
            rule=self._lifecycle_rules(retention_days, former_paths),
            depends_on=[self.versioning],
        )
        self.dependencies += [
            self.resource,
            self.public_access_block,
            self.policy,
            self.ownership,
            self.versioning,
            self.encryption,
            self.lifecycle,
        ]
        self.logging: S3BucketLoggingA | None = None
        if access_log_bucket is not None:
            self.logging = S3BucketLoggingA(
                self,
                "logging",
                bucket=bucket,
                target_bucket=access_log_bucket,
                target_prefix=f"{name}/",
                depends_on=[self.ownership],
            )
            self.dependencies.append(self.logging)
        self.notification: S3BucketNotification | None = None
        if eventbridge_notifications:
            self.notification = S3BucketNotification(
                self, "notification", bucket=bucket, eventbridge=True, depends_on=[self.ownership]
            )
            self.dependencies.append(self.notification)

    def _grant(self, role: IrsaRoleRef, policy_name: str | None) -> DataAwsIamPolicyDocument:
        policy = super()._grant(role, policy_name)
        if self.kms_key_arn is not None and role.managed:  # the key's permission comes before what needs it
            grant = cast(IamRolePolicy, self.dependencies[-1])
            address = f"{IamRolePolicy.TF_RESOURCE_TYPE}.{grant.friendly_unique_id}"
            self.encryption.depends_on = [*(self.encryption.depends_on or ()), address]
        return policy

    @staticmethod
    def from_name(
        scope: Construct,
        id_: str,
        name: str,
        *,
        account_id: str | None = None,
        path: str = "xcom",
        state_store_path: str | None = None,
        connection_id: str | None = None,
        kms_key_arn: str | None = None,
        former_kms_key_arns: Sequence[str] = (),
    ) -> XComBucketRef:
        """Use an existing bucket. Creates no resource; the bucket's owner must let objects under the path expire.

        The keywords are those of XComBucketRef.
        """
        return XComBucketRef(
            scope,
            id_,
            name=name,
            account_id=account_id,
            path=path,
            state_store_path=state_store_path,
            connection_id=connection_id,
            kms_key_arn=kms_key_arn,
            former_kms_key_arns=former_kms_key_arns,
        )

    def _key(self) -> KmsKey:
        """A key of the account, used by whom IAM policies let use it (the default key policy, written out)."""
        # Not a policy document's data source: scanners take that for an identity's policy, and the star, which is this
        # key here, for every key.
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "AccountAdministration",
                    "Effect": "Allow",
                    "Action": "kms:*",
                    "Resource": "*",
                    "Principal": {"AWS": f"arn:{self.partition.partition}:iam::{self.account_id}:root"},
                }
            ],
        }
        key = KmsKey(
            self,
            "key",
            description=f"XComs in {self.name}",
            enable_key_rotation=True,
            policy=json.dumps(policy),
            lifecycle=self._lifecycle,
        )
        KmsAlias(self, "key-alias", name=f"alias/{self.name}", target_key_id=key.key_id)
        return key

    def _tls_only(self) -> DataAwsIamPolicyDocument:
        def deny(sid: str, test: str, variable: str, value: str) -> DataAwsIamPolicyDocumentStatement:
            return DataAwsIamPolicyDocumentStatement(
                sid=sid,
                effect="Deny",
                actions=["s3:*"],
                resources=[self.arn, f"{self.arn}/*"],
                principals=[DataAwsIamPolicyDocumentStatementPrincipals(type="*", identifiers=["*"])],
                condition=[DataAwsIamPolicyDocumentStatementCondition(test=test, variable=variable, values=[value])],
            )

        return DataAwsIamPolicyDocument(
            self,
            "tls-only",
            statement=[
                deny("DenyWithoutTls", "Bool", "aws:SecureTransport", "false"),
                deny("DenyOldTls", "NumericLessThan", "s3:TlsVersion", OLDEST_TLS),
            ],
        )

    def _lifecycle_rules(
        self, retention_days: int, former_paths: Sequence[str]
    ) -> Sequence[S3BucketLifecycleConfigurationRule]:
        """Expiry only under the XCom path. The other rules never delete a value that can still be read."""
        everything = [S3BucketLifecycleConfigurationRuleFilter(prefix="")]
        expiring = {"expire-xcoms": self.path, **{f"expire-xcoms-of-{path}": path for path in former_paths}}
        return [
            *(
                S3BucketLifecycleConfigurationRule(
                    id=id_,
                    status="Enabled",
                    filter=[S3BucketLifecycleConfigurationRuleFilter(prefix=f"{path}/" if path else "")],
                    expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=retention_days)],
                )
                for id_, path in expiring.items()
            ),
            S3BucketLifecycleConfigurationRule(
                id="remove-deleted-versions",
                status="Enabled",
                filter=everything,
                expiration=[S3BucketLifecycleConfigurationRuleExpiration(expired_object_delete_marker=True)],
                noncurrent_version_expiration=[
                    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(
                        noncurrent_days=shortest_recovery(retention_days)
                    )
                ],
            ),
            S3BucketLifecycleConfigurationRule(
                id="abort-multipart-uploads",
                status="Enabled",
                filter=everything,
                abort_incomplete_multipart_upload=[
                    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                        days_after_initiation=ABORT_UPLOADS_AFTER_DAYS
                    )
                ],
            ),
        ]


def _allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], *conditions: tuple[str, str, str]
) -> DataAwsIamPolicyDocumentStatement:
    return DataAwsIamPolicyDocumentStatement(
        sid=sid,
        effect="Allow",
        actions=[*actions],
        resources=[*resources],
        condition=[
            DataAwsIamPolicyDocumentStatementCondition(test=test, variable=variable, values=[value])
            for test, variable, value in conditions
        ]
        or None,
    )


def _check_keys(arn: str | None, former_arns: Sequence[str]) -> None:
    """All keys that a bucket ever had are of its own region."""
    given = {"kms_key_arn": arn, **{f"former_kms_key_arns[{n}]": former for n, former in enumerate(former_arns)}}
    keys = {argument: key for argument, key in given.items() if key is not None and is_known(key)}
    for argument, key in keys.items():
        with at(argument):
            rules.kms_key_arn(key)
    for refused in (*rules.one_partition(keys), *rules.one_region(keys)):
        raise refused
