"""The service account that agents use with their Kubernetes service accounts (Workload Identity Federation for GKE)."""

from collections.abc import Mapping, Sequence

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_google.service_account import ServiceAccount
from cdktf_cdktf_provider_google.service_account_iam_member import ServiceAccountIamMember
from cdktf_cdktf_provider_google.storage_bucket_iam_member import StorageBucketIamMember
from constructs import Construct

from astro_xcom.construct_ids import id_of
from astro_xcom.errors import SettingError
from astro_xcom.gcp.gke import GkeWorkloadPool
from astro_xcom.gcp.permissions import check_roles, grant
from astro_xcom.lifecycle import NEW_FIRST
from astro_xcom.permissions import RoleOn
from astro_xcom.rules import gcp as rules
from astro_xcom.tokens import check_if_known, is_known, namespace_and_name
from astro_xcom.xcom import PodIdentity

ANNOTATION = "iam.gke.io/gcp-service-account"


class Principals(Construct):
    """Whom the agents' roles are granted to."""

    def __init__(self, scope: Construct, id_: str, *, principals: Mapping[str, str]) -> None:
        super().__init__(scope, id_)
        self.principals = dict(principals)
        """Key of an address -> member of a role."""
        self.resource: ServiceAccount | None = None
        """The service account, if it is created here."""
        self.dependencies: list[ITerraformDependable] = []
        """What has to exist before an agent starts."""
        self.grants: dict[str, Sequence[StorageBucketIamMember]] = {}
        """Their members of buckets, by bucket: the same ones again would be one and the same."""

    def grant_roles(
        self, roles: Sequence[RoleOn], *, principals: Mapping[str, str] | None = None
    ) -> list[ITerraformDependable]:
        """Grant further roles to all, or only to these `principals`. Only adds members."""
        check_roles(roles)
        members = self.principals if principals is None else principals
        made = grant(self, roles, members, depends_on=[self.resource] if self.resource else ())
        self.dependencies += made
        return made

    @property
    def pod_identity(self) -> PodIdentity:
        """What the agents' service accounts carry: nothing, since pods act as these."""
        return PodIdentity()


class DirectPrincipals(Principals):
    """The Kubernetes service accounts themselves, without a service account of Google Cloud and without an annotation.

    ```python
    pool = GkeWorkloadPool(stack, "cluster", pool="acme-data.svc.id.goog", project_number="123456789012")
    agents = ["system:serviceaccount:astro:prod-worker-default-worker"]
    principals = DirectPrincipals(stack, "agents", pools=[pool], subjects=agents)
    ```

    Each Kubernetes service account of each pool gets its own grants. The bucket needs uniform access, and pods on the
    host's network get nothing. Creates no resource, but looks up the numbers of the pools' projects that are not given.

    - `pools`: the workload identity pools to trust.
    - `subjects`: the service accounts, as `system:serviceaccount:<namespace>:<name>`.
    """

    def __init__(
        self, scope: Construct, id_: str, *, pools: Sequence[GkeWorkloadPool], subjects: Sequence[str]
    ) -> None:
        if not pools or not subjects:
            raise SettingError("needs at least one workload pool and one subject, else nobody would get a role")
        found: dict[str, str] = {}
        self._subjects: dict[str, str] = {}
        for pool in pools:
            for subject in subjects:
                namespace, name = namespace_and_name(subject)
                key = _key(pool, namespace, name)
                if key not in found:
                    found[key] = pool.principal(namespace, name)
                    self._subjects[key] = subject
        super().__init__(scope, id_, principals=found)
        self.subjects = tuple(subjects)

    def of(self, subjects: Sequence[str]) -> dict[str, str]:
        """The principals of some of the subjects."""
        return {key: found for key, found in self.principals.items() if self._subjects[key] in subjects}


class WorkloadIdentityRef(Principals):
    """A new or existing service account that the agents use.

    - `email`: the service account's e-mail.
    """

    managed = False
    """Whether its members are ours to add."""

    def __init__(self, scope: Construct, id_: str, *, email: str) -> None:
        self.email = email
        self.member = f"serviceAccount:{email}"
        super().__init__(scope, id_, principals={"": self.member})

    @property
    def pod_identity(self) -> PodIdentity:
        """What the agents' service accounts carry. Pods get the service account's credentials through theirs."""
        return PodIdentity(annotations={ANNOTATION: self.email}, holder=self.email)


class WorkloadIdentity(WorkloadIdentityRef):
    """A service account that only the given Kubernetes service accounts of the given pools can use.

    ```python
    identity = WorkloadIdentity(
        stack,
        "agents",
        account_id="astro-agents",
        project="acme-data",
        pools=[GkeWorkloadPool(stack, "cluster", pool="acme-data.svc.id.goog")],
        subjects=["system:serviceaccount:astro:prod-worker-default-worker"],
    )
    ```

    Adds a member of roles/iam.workloadIdentityUser for each Kubernetes service account and pool, and removes no other.

    - `pools`: the workload identity pools to trust.
    - `subjects`: the service accounts to trust, as `system:serviceaccount:<namespace>:<name>`.
    - `account_id`, `project`: create a service account of this id in this project. A change of either replaces the
      account,
      and the new account has none of the old account's grants, even under an old name.
    - `email`: use an existing service account instead.
    - `display_name`: the display name of a new account.
    - `roles`: roles that the account gets in addition to its roles on XComs.

    Raises SettingError for ids that IAM refuses.
    """

    managed = True

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        pools: Sequence[GkeWorkloadPool],
        subjects: Sequence[str],
        account_id: str | None = None,
        project: str | None = None,
        email: str | None = None,
        display_name: str = "XComs of Astro Remote Execution Agents",
        roles: Sequence[RoleOn] = (),
    ) -> None:
        check_roles(roles)
        check_if_known(rules.service_account_id, account_id)
        check_if_known(rules.project_id, project)
        check_if_known(rules.service_account_email, email)
        if not pools or not subjects:
            raise SettingError("needs at least one workload pool and one subject, else nobody could use it")
        given = members(pools, subjects)
        if account_id is not None and project is not None and email is None:
            # Built from parts that a plan knows, so that the agents' values can be read in the plan.
            known = is_known(project)
            made = rules.email_of(account_id, project) if known else f"{account_id}@{project}.iam.gserviceaccount.com"
            super().__init__(scope, id_, email=made)
        elif email is not None and account_id is None and project is None:
            super().__init__(scope, id_, email=email)
        else:
            raise SettingError("give either account_id and project, to create a service account, or email")
        self.subjects = tuple(subjects)
        self.members = tuple(given.values())
        account = f"projects/-/serviceAccounts/{self.email}"
        if account_id is not None:
            self.resource = ServiceAccount(
                self, "account", account_id=account_id, project=project, display_name=display_name
            )
            self.dependencies.append(self.resource)
            account = self.resource.name  # a reference, so the members wait for the account
        for key, member in given.items():
            self.dependencies.append(
                ServiceAccountIamMember(
                    self,
                    f"user-{key}",
                    service_account_id=account,
                    role=rules.USER_ROLE,
                    member=member,
                    # Not where the account is somebody else's: when one that was created here is handed over, the old
                    # and the new member are one and the same, and go with the old.
                    lifecycle=NEW_FIRST if self.resource else None,
                )
            )
        self.grant_roles(roles)

    @staticmethod
    def from_email(scope: Construct, id_: str, email: str) -> WorkloadIdentityRef:
        """Use an existing service account with its members. Creates no resource."""
        check_if_known(rules.service_account_email, email)
        return WorkloadIdentityRef(scope, id_, email=email)


def members(pools: Sequence[GkeWorkloadPool], subjects: Sequence[str]) -> dict[str, str]:
    """The IAM members for these Kubernetes service accounts, each by a stable key; pools of the same name are one."""
    return dict(_member(pool, *namespace_and_name(subject)) for pool in pools for subject in subjects)


def _member(pool: GkeWorkloadPool, namespace: str, name: str) -> tuple[str, str]:
    return _key(pool, namespace, name), f"serviceAccount:{pool.name}[{namespace}/{name}]"


def _key(pool: GkeWorkloadPool, namespace: str, name: str) -> str:
    front = pool.name.removesuffix(rules.POOL) if is_known(pool.name) else id_of(pool)
    return f"{front}_{namespace}_{name}"
