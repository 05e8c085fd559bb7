"""The Cloud Storage bucket that holds XComs."""

from collections.abc import Sequence

from cdktf import ITerraformDependable, TerraformResourceLifecycle
from cdktf_cdktf_provider_google.data_google_storage_project_service_account import (
    DataGoogleStorageProjectServiceAccount,
)
from cdktf_cdktf_provider_google.kms_crypto_key import KmsCryptoKey
from cdktf_cdktf_provider_google.kms_crypto_key_iam_member import KmsCryptoKeyIamMember
from cdktf_cdktf_provider_google.kms_key_ring import KmsKeyRing
from cdktf_cdktf_provider_google.storage_bucket import (
    StorageBucket,
    StorageBucketCustomPlacementConfig,
    StorageBucketEncryption,
    StorageBucketLifecycleRule,
    StorageBucketLifecycleRuleAction,
    StorageBucketLifecycleRuleCondition,
    StorageBucketLogging,
    StorageBucketSoftDeletePolicy,
    StorageBucketVersioning,
)
from cdktf_cdktf_provider_google.storage_bucket_iam_member import StorageBucketIamMember
from constructs import Construct

from astro_xcom.construct_ids import id_of
from astro_xcom.environment import GCSFS
from astro_xcom.errors import SettingError
from astro_xcom.gcp.workload_identity import Principals
from astro_xcom.lifecycle import NEW_FIRST, protected
from astro_xcom.rules import common
from astro_xcom.rules import gcp as rules
from astro_xcom.tokens import check_if_known, is_known, once, shortest_recovery
from astro_xcom.xcom import XComLocation, object_url

ABORT_UPLOADS_AFTER_DAYS = 7
SECONDS_OF_A_DAY = 86400
ROTATION_DAYS = 90
"""After how long a key created here is rotated, unless somebody says so."""
FOLDER_NAME = 48  # as on the other clouds


class XComBucketRef(Construct):
    """A new or existing bucket that this app uses for XComs.

    - `name`: the bucket's name.
    - `path`: the folder of the XComs. Treat it as permanent: after a change, agents read old values as their paths.
    - `state_store_path`: the folder of the agents' state store. Default: none.
    - `connection_id`: the Airflow connection that the XCom path names. Default: none; agents use their pods' identity.
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
    ) -> None:
        check_if_known(rules.existing_bucket, name)
        check_if_known(common.object_path, path)
        check_if_known(common.object_path, state_store_path)
        if is_known([path, state_store_path]):
            common.separate_paths(path, state_store_path)
        check_if_known(common.connection_id, connection_id)
        super().__init__(scope, id_)
        self.name = name
        self.path = path
        self.state_store_path = state_store_path
        self.connection_id = connection_id
        self.location = XComLocation(
            compression="none",  # gcsfs 2026.8.2 and later lose compressed values when the task ends
            url=object_url("gs", name, path, connection_id=connection_id),
            state_store_url=None
            if state_store_path is None
            else object_url("gs", name, state_store_path, connection_id=connection_id),
            env=GCSFS,
            cloud="gcp",
        )
        self.dependencies: list[ITerraformDependable] = []
        """What has to exist before an agent starts."""
        self._bucket = name
        self._as_the_bucket: TerraformResourceLifecycle | None = None
        self._grants: dict[Principals, Sequence[StorageBucketIamMember]] = {}

    def folder(self, name: str) -> "XComBucketRef":
        """The folder `<path>/<name>`, for a separate group of agents. It separates values, but not permissions.

        Its XComs expire with those of the path. `name`, a DNS label, is part of addresses. Creates no resource.
        """
        return _XComFolder(self, name)

    def grant_read_write(self, identity: Principals) -> Sequence[StorageBucketIamMember]:
        """Let an identity read, write and delete objects of the bucket, and see the bucket. Only adds members.

        A second grant to the same identity changes nothing. Raises SettingError for two identities with the same id:
        the id is part of addresses.
        """
        if identity not in self._grants:
            if any(id_of(identity) == id_of(other) for other in self._grants):
                raise SettingError("each service account granted here needs an id of its own", got=id_of(identity))
            self._grants[identity] = self._grant(identity)
        return self._grants[identity]

    def _grant(self, identity: Principals) -> Sequence[StorageBucketIamMember]:
        if self._bucket in identity.grants:
            grants = identity.grants[self._bucket]
            self.dependencies += grants
            return grants
        grants = identity.grants[self._bucket] = [
            StorageBucketIamMember(
                self,
                "-".join(filter(None, (kind, id_of(identity), key))),
                bucket=self._bucket,
                role=role,
                member=member,
                depends_on=[identity.resource] if identity.resource else None,
                lifecycle=self._as_the_bucket,
            )
            for kind, role in rules.STORAGE_ROLES.items()
            for key, member in identity.principals.items()
        ]
        self.dependencies += grants
        return grants


class _XComFolder(XComBucketRef):
    """A folder of a bucket. Grants are the bucket's: a second member of the same role would be one and the same."""

    def __init__(self, bucket: XComBucketRef, name: str) -> None:
        common.dns_label(name, longest=FOLDER_NAME)
        super().__init__(
            bucket,
            once(bucket, f"folder-{name}", name),
            name=bucket.name,
            path=f"{bucket.path}/{name}" if bucket.path else name,
            state_store_path=f"{bucket.state_store_path}/{name}" if bucket.state_store_path else None,
            connection_id=bucket.connection_id,
        )
        self.bucket = bucket
        self.dependencies += bucket.dependencies

    def _grant(self, identity: Principals) -> Sequence[StorageBucketIamMember]:
        grants = self.bucket.grant_read_write(identity)
        self.dependencies += grants
        return grants


class XComBucket(XComBucketRef):
    """A private, versioned, encrypted bucket whose XComs expire.

    ```python
    storage = XComBucket(stack, "storage", name="acme-astro-xcom", location="us-central1", retention_days=60)
    ```

    Creates a bucket of class Standard with uniform access and public access prevention. With `customer_managed_key` and
    without `kms_key_name`, it also creates a key ring with a key.

    - `name`: unique in the world. A change replaces the bucket.
    - `location`: a region, multi-region or dual-region. It cannot be changed later.
    - `project`: the bucket's project. Default: the project of the provider.
    - `path`, `state_store_path`, `connection_id`: as in XComBucketRef.
    - `former_paths`: folders that held XComs before `path` changed; objects there expire too.
    - `retention_days`: XComs expire after this many days, and stay restorable as a version for up to a week.
    - `dual_region`: two regions in `location`, which must contain both. They cannot be changed later.
    - `customer_managed_key`: encrypt with a Cloud KMS key, which costs money. Default: Google's own keys.
    - `kms_key_name`: an existing key in the bucket's location. Default: `customer_managed_key` creates a key.
    - `key_rotation_days`: how often a key created here gets a new version, 1-90. Default: 90.
    - `grant_kms_key`: grant the existing key to the project's Cloud Storage service agent. Off, the key's owner grants
      it.
    - `former_kms_key_names`: keys that encrypted earlier values. Cloud Storage may still decrypt with them.
    - `soft_delete_days`: 0, or 7-90. Keeps deleted versions restorable for this many more days, at the full price of
      storage, even if somebody deletes versions. Cloud Storage's own default is 7.
    - `access_log_bucket`: an existing bucket that gets Cloud Storage's usage logs. It must let
      cloud-storage-analytics@google.com create objects. Default: no access logs.
    - `protect_from_destroy`: Terraform refuses to destroy the bucket and its key.
    - `force_destroy`: destroying empties the bucket first. Without it, a bucket that holds objects is not deleted.

    Destroying deletes the versions of a key created here. The names of the key and its key ring (the bucket's name)
    cannot
    be reused: import them to create the same bucket with a key again.

    Raises SettingError for names that Cloud Storage refuses, for a key in another location and for keywords that
    contradict each other.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        location: str,
        project: str | None = None,
        path: str = "xcom",
        state_store_path: str | None = None,
        connection_id: str | None = None,
        former_paths: Sequence[str] = (),
        retention_days: int = 30,
        dual_region: Sequence[str] | None = None,
        customer_managed_key: bool = False,
        kms_key_name: str | None = None,
        key_rotation_days: int | None = None,
        grant_kms_key: bool = True,
        former_kms_key_names: Sequence[str] = (),
        soft_delete_days: int = 0,
        access_log_bucket: str | None = None,
        protect_from_destroy: bool = True,
        force_destroy: bool = False,
    ) -> None:
        check_if_known(rules.bucket, name)
        check_if_known(common.retention_days, retention_days)
        if is_known([*former_paths, path, state_store_path]):
            common.former_paths([common.object_path(each) for each in former_paths], path, state_store_path)
        check_if_known(rules.project_id, project)
        dual_region = None if dual_region is None else list(dual_region)
        if dual_region is not None and is_known(dual_region):
            rules.dual_region(dual_region)
        check_if_known(rules.kms_key_name, kms_key_name)
        check_if_known(rules.soft_delete_days, soft_delete_days)
        check_if_known(rules.existing_bucket, access_log_bucket)
        if access_log_bucket == name:
            raise SettingError("access_log_bucket must be another bucket: each log would be logged in turn", got=name)
        if is_known(location) and is_known(dual_region):
            rules.bucket_location(location, dual_region)
        if kms_key_name is not None and not customer_managed_key:
            raise SettingError("kms_key_name is only used with customer_managed_key=True")
        if kms_key_name is not None and is_known(kms_key_name) and is_known(location):
            rules.key_fits_location(kms_key_name, location)
        for former in former_kms_key_names:
            if is_known(former) and is_known(location):
                rules.key_fits_location(former, location, field="former_kms_key_names")
        if len(set(former_kms_key_names)) < len(former_kms_key_names):
            raise SettingError("former_kms_key_names names a key twice")
        if customer_managed_key and kms_key_name is None and not is_known(location):
            raise SettingError("location must be known to create a key for it; give a kms_key_name")
        if is_known(retention_days) and retention_days < 1:
            raise SettingError("retention_days must be at least 1", got=retention_days)
        own_key = customer_managed_key and kms_key_name is None
        if key_rotation_days is not None and not own_key:
            raise SettingError("key_rotation_days is only used with customer_managed_key=True and no kms_key_name")
        if not grant_kms_key and not customer_managed_key:
            raise SettingError("grant_kms_key=False is only used with customer_managed_key=True")
        if key_rotation_days is None:
            key_rotation_days = ROTATION_DAYS
        if is_known(key_rotation_days) and not 1 <= key_rotation_days <= 90:
            raise SettingError("key_rotation_days must be 1-90", got=key_rotation_days)
        if force_destroy and protect_from_destroy:
            raise SettingError("force_destroy needs protect_from_destroy=False")
        super().__init__(
            scope, id_, name=name, path=path, state_store_path=state_store_path, connection_id=connection_id
        )
        self._lifecycle = protected(protect_from_destroy)
        self.key: KmsCryptoKey | None = None
        if customer_managed_key and kms_key_name is None:
            self.key = self._key(rules.kms_location(location), project, key_rotation_days)
            kms_key_name = self.key.id
        self.kms_key_name = kms_key_name
        self._agent: DataGoogleStorageProjectServiceAccount | None = None
        self.key_grant = self._key_grant(kms_key_name, project) if kms_key_name and grant_kms_key else None
        self.former_key_grants = [self._former_key_grant(name, project) for name in former_kms_key_names]
        self.resource = StorageBucket(
            self,
            "bucket",
            name=name,
            project=project,
            location=_as_stored(location),
            custom_placement_config=None
            if dual_region is None
            else StorageBucketCustomPlacementConfig(data_locations=[_as_stored(region) for region in dual_region]),
            storage_class="STANDARD",
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning=StorageBucketVersioning(enabled=True),
            soft_delete_policy=StorageBucketSoftDeletePolicy(
                retention_duration_seconds=soft_delete_days * SECONDS_OF_A_DAY
            ),
            logging=None if access_log_bucket is None else StorageBucketLogging(log_bucket=access_log_bucket),
            encryption=None if kms_key_name is None else StorageBucketEncryption(default_kms_key_name=kms_key_name),
            lifecycle_rule=self._lifecycle_rules(retention_days, former_paths),
            force_destroy=force_destroy,
            lifecycle=self._lifecycle,
            depends_on=[*([self.key_grant] if self.key_grant else ()), *self.former_key_grants] or None,
        )
        self._bucket = self.resource.name  # a reference, so a grant waits for the bucket
        # The members go with a bucket that is replaced, and a plan knows the new one's name: it would keep them.
        self._as_the_bucket = TerraformResourceLifecycle(
            replace_triggered_by=[f"google_storage_bucket.{self.resource.friendly_unique_id}.id"]
        )
        self.dependencies.append(self.resource)

    @staticmethod
    def from_name(
        scope: Construct,
        id_: str,
        name: str,
        *,
        path: str = "xcom",
        state_store_path: str | None = None,
        connection_id: str | None = None,
    ) -> XComBucketRef:
        """Use an existing bucket. Creates no resource; the bucket's owner must let objects under the path expire.

        The keywords are those of XComBucketRef.
        """
        return XComBucketRef(
            scope, id_, name=name, path=path, state_store_path=state_store_path, connection_id=connection_id
        )

    def _key(self, location: str, project: str | None, rotation_days: int) -> KmsCryptoKey:
        ring = KmsKeyRing(self, "key-ring", name=self.name, location=location, project=project)
        return KmsCryptoKey(
            self,
            "key",
            name="xcom",
            key_ring=ring.id,
            rotation_period=f"{rotation_days * SECONDS_OF_A_DAY}s",
            lifecycle=self._lifecycle,
        )

    def _key_grant(self, kms_key_name: str, project: str | None) -> KmsCryptoKeyIamMember:
        """Cloud Storage encrypts as the project's service agent, which must hold the key before the bucket exists."""
        # Two ids: a grant on a key that was created here stays with that key, so that old values can be read.
        id_ = "key-grant" if self.key else "given-key-grant"
        return KmsCryptoKeyIamMember(
            self,
            id_,
            crypto_key_id=kms_key_name,
            role=rules.KEY_ROLE,
            member=self._storage_agent(project).member,
            lifecycle=NEW_FIRST,
        )

    def _former_key_grant(self, kms_key_name: str, project: str | None) -> KmsCryptoKeyIamMember:
        """Old values stay readable: Cloud Storage decrypts each with the key that encrypted it."""
        check_if_known(rules.kms_key_name, kms_key_name)
        return KmsCryptoKeyIamMember(
            self,
            f"former-key-grant-{kms_key_name.replace('/', '.')}",
            crypto_key_id=kms_key_name,
            role=rules.FORMER_KEY_ROLE,
            member=self._storage_agent(project).member,
            lifecycle=NEW_FIRST,
        )

    def _storage_agent(self, project: str | None) -> DataGoogleStorageProjectServiceAccount:
        self._agent = self._agent or DataGoogleStorageProjectServiceAccount(self, "storage-agent", project=project)
        return self._agent

    def _lifecycle_rules(
        self, retention_days: int, former_paths: Sequence[str]
    ) -> Sequence[StorageBucketLifecycleRule]:
        """Expiry only under the XCom path. The other rules never delete a value that can still be read.

        The states are written out: an age alone would also match versions, on the day they stop being current.
        """
        expiring = [self.path, *former_paths]
        return [
            StorageBucketLifecycleRule(
                action=StorageBucketLifecycleRuleAction(type="Delete"),
                condition=StorageBucketLifecycleRuleCondition(
                    age=retention_days,
                    matches_prefix=None if "" in expiring else [f"{path}/" for path in expiring],
                    with_state="LIVE",
                ),
            ),
            StorageBucketLifecycleRule(
                action=StorageBucketLifecycleRuleAction(type="Delete"),
                condition=StorageBucketLifecycleRuleCondition(
                    days_since_noncurrent_time=shortest_recovery(retention_days),
                    with_state="ARCHIVED",
                    send_age_if_zero=False,  # else the provider adds an age of 0
                ),
            ),
            StorageBucketLifecycleRule(
                action=StorageBucketLifecycleRuleAction(type="AbortIncompleteMultipartUpload"),
                condition=StorageBucketLifecycleRuleCondition(age=ABORT_UPLOADS_AFTER_DAYS),
            ),
        ]


def _as_stored(location: str) -> str:
    """In the upper case of Cloud Storage's answers: regions in lower case would differ and replace the bucket."""
    return location.upper() if is_known(location) else location
