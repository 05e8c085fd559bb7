"""The service account that agents use with their Kubernetes service accounts (Workload Identity Federation for GKE)."""

from collections.abc import Mapping, Sequence

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_google.service_account import ServiceAccount
from cdktf_cdktf_provider_google.service_account_iam_member import ServiceAccountIamMember
from cdktf_cdktf_provider_google.storage_bucket_iam_member import StorageBucketIamMember
from constructs import Construct

from astro_xcom.gcp.gke import GkeWorkloadPool
from astro_xcom.gcp.permissions import check_roles, grant
from astro_xcom.lifecycle import NEW_FIRST
from astro_xcom.names import gcp as rules
from astro_xcom.permissions import RoleOn
from astro_xcom.refusal import Refused
from astro_xcom.tokens import check, is_known, namespace_and_name
from astro_xcom.xcom import PodIdentity

ANNOTATION = "iam.gke.io/gcp-service-account"


class Principals(Construct):
    """Whom the agents' roles are granted to."""

    def __init__(self, scope: Construct, id_: str, *, principals: Mapping[str, str]) -> None:
        super().__init__(scope, id_)
        self.principals = dict(principals)
        """Key of an address -> member of a role."""
        self.resource: ServiceAccount | None = None
        """The service account, when it is made here."""
        self.dependencies: list[ITerraformDependable] = []
        """What has to exist before an agent starts."""
        self.grants: dict[str, Sequence[StorageBucketIamMember]] = {}
        """Their members of buckets, by bucket: the same ones again would be one and the same."""

    def grant_roles(
        self, roles: Sequence[RoleOn], *, principals: Mapping[str, str] | None = None
    ) -> list[ITerraformDependable]:
        """Let them, or only these `principals` of them, do more than XComs, by members of roles. Adds members only."""
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
    """The Kubernetes service accounts themselves, without a service account of Google Cloud, and without annotation.

    Grants are for each Kubernetes service account and pool. A bucket needs uniform access, and pods on the host's
    network get nothing. Makes no resource, but looks up the numbers of the pools' projects that are not given.
    """

    def __init__(
        self, scope: Construct, id_: str, *, pools: Sequence[GkeWorkloadPool], subjects: Sequence[str]
    ) -> None:
        if not pools or not subjects:
            raise Refused("needs at least one workload pool and one subject, else nobody would get a role")
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
    """A service account the agents use, whoever made it."""

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
    """A service account that exactly the given Kubernetes service accounts of the given pools can use.

    Makes a service account `account_id` in `project`, or uses the one with `email`; adds a member of
    roles/iam.workloadIdentityUser for each Kubernetes service account and pool, and removes no other. `roles` are what
    it gets beside its roles on XComs. Raises Refused for ids IAM refuses. Changing the id or project replaces the
    account; a new account of an old name has none of the
    old one's grants.
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
        check(rules.service_account_id, account_id)
        check(rules.project_id, project)
        check(rules.service_account_email, email)
        if not pools or not subjects:
            raise Refused("needs at least one workload pool and one subject, else nobody could use it")
        given = members(pools, subjects)
        if account_id is not None and project is not None and email is None:
            # Built from parts that a plan knows, so that the agents' values can be read in the plan.
            known = is_known(project)
            made = rules.email_of(account_id, project) if known else f"{account_id}@{project}.iam.gserviceaccount.com"
            super().__init__(scope, id_, email=made)
        elif email is not None and account_id is None and project is None:
            super().__init__(scope, id_, email=email)
        else:
            raise Refused("give either account_id and project, to make a service account, or email")
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
        """Use a service account that already exists, with the members it has. Makes no resource."""
        check(rules.service_account_email, email)
        return WorkloadIdentityRef(scope, id_, email=email)


def members(pools: Sequence[GkeWorkloadPool], subjects: Sequence[str]) -> dict[str, str]:
    """The IAM members for these Kubernetes service accounts, each by a stable key; pools of the same name are one."""
    return dict(_member(pool, *namespace_and_name(subject)) for pool in pools for subject in subjects)


def _member(pool: GkeWorkloadPool, namespace: str, name: str) -> tuple[str, str]:
    return _key(pool, namespace, name), f"serviceAccount:{pool.name}[{namespace}/{name}]"


def _key(pool: GkeWorkloadPool, namespace: str, name: str) -> str:
    front = pool.name.removesuffix(rules.POOL) if is_known(pool.name) else pool.node.id
    return f"{front}_{namespace}_{name}"
