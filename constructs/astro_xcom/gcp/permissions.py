"""What the agents may do beside XComs."""

from collections.abc import Callable, Mapping, Sequence

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_google.project_iam_member import ProjectIamMember
from cdktf_cdktf_provider_google.secret_manager_secret_iam_member import SecretManagerSecretIamMember
from cdktf_cdktf_provider_google.storage_bucket_iam_member import StorageBucketIamMember
from constructs import Construct

from astro_xcom.errors import SettingError
from astro_xcom.permissions import RoleOn
from astro_xcom.rules import common
from astro_xcom.rules import gcp as rules
from astro_xcom.tokens import is_known


def check_roles(roles: Sequence[RoleOn]) -> None:
    """Refuse what IAM would refuse, what agents should not have, and what has no address of its own."""
    for given in roles:
        if not is_known([given.role, given.scope]):
            raise SettingError(
                "roles must be known when the JSON is written: they are part of addresses",
                hint="a ProjectIamMember or the like of your own, with member=identity.member",
            )
        rules.role(given.role)
        rules.role_scope(given.scope)
    common.roles_once([(given.role, given.scope) for given in roles])


def grant(
    identity: Construct,
    roles: Sequence[RoleOn],
    members: Mapping[str, str],
    depends_on: Sequence[ITerraformDependable] = (),
) -> list[ITerraformDependable]:
    """Add each member (key of its address -> member) to each role. Removes no other."""
    made: list[ITerraformDependable] = []
    for given in roles:
        resource, on = _place(given.scope)
        for key, member in members.items():
            id_ = "-".join(filter(None, ("permission", key, rules.role_key(given.role, given.scope))))
            made.append(resource(identity, id_, role=given.role, member=member, depends_on=[*depends_on] or None, **on))
    return made


def _place(scope: str) -> tuple[Callable[..., ITerraformDependable], dict[str, str]]:
    """The resource that adds a member there, and how it says where."""
    _, project, kind, name = (*scope.split("/"), "", "")[:4]
    if kind == "secrets":
        return SecretManagerSecretIamMember, {"project": project, "secret_id": name}
    if kind == "buckets":
        return StorageBucketIamMember, {"bucket": name}
    return ProjectIamMember, {"project": project}
