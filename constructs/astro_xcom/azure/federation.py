"""The managed identity that agents use with their Kubernetes service accounts (workload identity)."""

from collections.abc import Mapping, Sequence
from inspect import signature

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_azurerm.data_azurerm_user_assigned_identity import DataAzurermUserAssignedIdentity
from cdktf_cdktf_provider_azurerm.federated_identity_credential import FederatedIdentityCredential
from cdktf_cdktf_provider_azurerm.role_assignment import RoleAssignment
from cdktf_cdktf_provider_azurerm.user_assigned_identity import UserAssignedIdentity
from constructs import Construct

from astro_xcom.azure.aks import AksOidcIssuer
from astro_xcom.errors import SettingError
from astro_xcom.lifecycle import NEW_FIRST
from astro_xcom.permissions import RoleOn
from astro_xcom.rules import azure as rules
from astro_xcom.rules import common, places
from astro_xcom.tokens import check_if_known, is_known
from astro_xcom.xcom import PodIdentity

AUDIENCE = "api://AzureADTokenExchange"
ANNOTATION = "azure.workload.identity/client-id"
LABEL = "azure.workload.identity/use"


class FederatedIdentityRef(Construct):
    """A new or existing user-assigned identity that the agents use.

    - `name`, `resource_group`: of the identity.
    - `location`: create the identity there. Default: look up an existing identity.
    - `tenant_id`: the identity's tenant. Default: looked up.
    - `tags`: tags of a new identity.
    - `grantable`: whether this app assigns the identity its roles. Off, the identity's owner assigns them.
    """

    managed = False
    """Whether this app creates its federated credentials."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        resource_group: str,
        location: str | None = None,
        tenant_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        grantable: bool | None = None,
    ) -> None:
        check_if_known(rules.identity if location else rules.existing_identity, name)
        check_if_known(rules.existing_resource_group, resource_group)
        check_if_known(rules.location, location)
        check_if_known(rules.guid, tenant_id)
        check_if_known(rules.tags, tags)
        super().__init__(scope, id_)
        self.name = name
        self.grantable = self.managed if grantable is None else grantable
        """Whether its roles are ours to assign."""
        self.grants: dict[str, RoleAssignment] = {}
        """Its roles on storage, by scope: Azure refuses the same one again."""
        self.dependencies: list[ITerraformDependable] = []
        """What has to exist before an agent starts."""
        self.resource: UserAssignedIdentity | DataAzurermUserAssignedIdentity
        if location is None:
            self.resource = DataAzurermUserAssignedIdentity(
                self, "identity", name=name, resource_group_name=resource_group
            )
        else:
            self.resource = UserAssignedIdentity(
                self, "identity", name=name, resource_group_name=resource_group, location=location, tags=tags
            )
            self.dependencies.append(self.resource)
        self.client_id: str = self.resource.client_id
        self.principal_id: str = self.resource.principal_id
        self.tenant_id: str = self.resource.tenant_id if tenant_id is None else tenant_id

    def assign_roles(self, roles: Sequence[RoleOn]) -> list[RoleAssignment]:
        """Assign further roles, in addition to the role on XComs."""
        _check_roles(roles)
        made = [
            RoleAssignment(
                self,
                f"permission-{rules.role_key(given.role, given.scope)}",
                scope=given.scope,
                role_definition_name=given.role,
                principal_id=self.principal_id,
                principal_type="ServicePrincipal",  # as for the XComs
                skip_service_principal_aad_check=True,
            )
            for given in roles
        ]
        self.dependencies += made
        return made

    @property
    def pod_identity(self) -> PodIdentity:
        """What the agents' service accounts and pods carry. A pod without the label gets no token."""
        return PodIdentity(annotations={ANNOTATION: self.client_id}, labels={LABEL: "true"}, holder=self.client_id)


class FederatedIdentity(FederatedIdentityRef):
    """A user-assigned identity that only the given service accounts of the given clusters can use.

    ```python
    identity = FederatedIdentity(
        stack,
        "agents",
        name="astro-agents",
        resource_group="astro-xcom",
        location="westeurope",
        issuers=[AksOidcIssuer(stack, "cluster", cluster_name="data-prod", resource_group="aks-data")],
        subjects=["system:serviceaccount:astro:prod-worker-default-worker"],
    )
    ```

    Creates one federated credential for each service account and cluster, one after another, because Azure refuses
    concurrent ones.

    - `name`, `resource_group`: of the identity. A change replaces the identity.
    - `issuers`: the clusters to trust.
    - `subjects`: the service accounts to trust, as `system:serviceaccount:<namespace>:<name>`.
    - `location`: create the identity there; a change replaces it. Default: add the credentials to an existing identity.
    - `tenant_id`: the identity's tenant. Default: looked up.
    - `audience`: the audience of the exchanged tokens.
    - `tags`: tags of a new identity.
    - `grantable`: whether this app assigns the identity its roles. Off, the identity's owner assigns them.
    - `credential_names`: default name of a credential -> another name for it.
    - `roles`: further roles, in addition to the role on XComs.

    Raises SettingError for names that Azure refuses, for two credentials of the same tokens, for issuers of another
    environment,
    and for more credentials than an identity can hold.
    """

    managed = True

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        resource_group: str,
        issuers: Sequence[AksOidcIssuer],
        subjects: Sequence[str],
        location: str | None = None,
        tenant_id: str | None = None,
        audience: str = AUDIENCE,
        tags: Mapping[str, str] | None = None,
        grantable: bool = True,
        credential_names: Mapping[str, str] | None = None,
        roles: Sequence[RoleOn] = (),
    ) -> None:
        check_if_known(rules.audience, audience)
        _check_roles(roles)
        given = {} if credential_names is None else credential_names
        credentials = _credentials(issuers, subjects)
        of_issuers = {
            f"issuers[{position}]": places.environment_of_host(issuer.issuer)
            for position, issuer in enumerate(issuers)
            if is_known(issuer.issuer)
        }
        known = {"location": places.environment_of_location(location)} if location and is_known(location) else {}
        rules.one_environment({**known, **of_issuers})
        super().__init__(
            scope,
            id_,
            name=name,
            resource_group=resource_group,
            location=location,
            tenant_id=tenant_id,
            tags=tags,
            grantable=grantable,
        )
        self.subjects = tuple(subjects)
        self.credentials: list[FederatedIdentityCredential] = []
        for credential, (issuer, subject) in credentials.items():
            self.credentials.append(
                FederatedIdentityCredential(
                    self,
                    credential,
                    name=given.get(credential, credential),
                    issuer=issuer.issuer,
                    subject=subject,
                    audience=[audience],
                    depends_on=self.credentials[-1:] or None,
                    lifecycle=NEW_FIRST,
                    **self._owner(),
                )
            )
        self.dependencies += self.credentials
        self.assign_roles(roles)

    @staticmethod
    def from_name(
        scope: Construct,
        id_: str,
        name: str,
        *,
        resource_group: str,
        tenant_id: str | None = None,
        grantable: bool = False,
    ) -> FederatedIdentityRef:
        """Use an existing identity with its credentials, and with its roles unless `grantable` is on.

        `resource_group` and `tenant_id` (default: looked up) are those of the identity.
        """
        return FederatedIdentityRef(
            scope, id_, name=name, resource_group=resource_group, tenant_id=tenant_id, grantable=grantable
        )

    def _owner(self) -> dict[str, str]:
        """How a credential names its identity: in azurerm 5 by one argument for the two of azurerm 4."""
        if "user_assigned_identity_id" in signature(FederatedIdentityCredential.__init__).parameters:
            return {"user_assigned_identity_id": self.resource.id}
        return {"resource_group_name": self.resource.resource_group_name, "parent_id": self.resource.id}


def _check_roles(roles: Sequence[RoleOn]) -> None:
    for given in roles:
        if not is_known([given.role, given.scope]):
            raise SettingError(
                "roles must be known when the JSON is written: they are part of addresses",
                hint="a RoleAssignment of your own, with principal_id=identity.principal_id",
            )
        rules.role(given.role)
        rules.role_scope(given.scope)
    common.roles_once([(given.role, given.scope) for given in roles])


def _credentials(issuers: Sequence[AksOidcIssuer], subjects: Sequence[str]) -> dict[str, tuple[AksOidcIssuer, str]]:
    """The credentials by name. A name depends on its cluster and service account alone."""
    if not issuers or not subjects:
        raise SettingError("an identity needs at least one issuer and one subject, else nobody could use it")
    found: dict[str, tuple[AksOidcIssuer, str]] = {}
    trusted: set[tuple[str, str]] = set()
    for issuer in issuers:
        for subject in subjects:
            if not is_known(subject):
                raise SettingError(
                    "a subject must be known when the stack is synthesized", got="a value filled in later"
                )
            _, _, namespace, account = rules.subject(subject).split(":")
            name = rules.federated_credential_name(issuer.key, namespace, account)
            if (issuer.issuer, subject) in trusted:
                raise SettingError(
                    "each service account of each cluster is trusted once", got=f"{issuer.key} {subject}"
                )
            if name.lower() in {each.lower() for each in found}:
                raise SettingError(
                    "each cluster needs a key of its own: it is part of credentials' names", got=issuer.key
                )
            found[name] = (issuer, subject)
            trusted.add((issuer.issuer, subject))
    rules.credential_count(len(subjects), len(issuers))
    return found
