"""The blob container that holds XComs."""

from collections.abc import Sequence
from typing import Literal

from cdktf import Fn, ITerraformDependable, TerraformLocal
from cdktf_cdktf_provider_azurerm.role_assignment import RoleAssignment
from cdktf_cdktf_provider_azurerm.storage_container import StorageContainer
from cdktf_cdktf_provider_azurerm.storage_management_policy import (
    StorageManagementPolicy,
    StorageManagementPolicyRule,
    StorageManagementPolicyRuleActions,
    StorageManagementPolicyRuleActionsBaseBlob,
    StorageManagementPolicyRuleActionsSnapshot,
    StorageManagementPolicyRuleActionsVersion,
    StorageManagementPolicyRuleFilters,
)
from constructs import Construct

from astro_xcom.azure.account import XComAccountRef
from astro_xcom.azure.federation import FederatedIdentityRef
from astro_xcom.construct_ids import id_of
from astro_xcom.errors import SettingError
from astro_xcom.lifecycle import protected
from astro_xcom.rules import azure as rules
from astro_xcom.rules import common, limits, places
from astro_xcom.tokens import check_if_known, is_known, once, shortest_recovery
from astro_xcom.xcom import XComLocation, object_url

ROLE = rules.STORAGE_ROLE
FOLDER_NAME = 48  # as on the other clouds


class XComContainerRef(Construct):
    """A new or existing container that this app uses for XComs.

    - `account`: the storage account.
    - `name`: the container's name.
    - `path`: the folder of the XComs. Treat it as permanent: after a change, agents read old values as their paths.
    - `state_store_path`: the folder of the agents' state store. Default: none.
    - `connection_id`: the Airflow connection that the XCom path names.
    - `identity`: the identity that this connection names. Default: the identity that each pod carries.
    - `account_host`: the account's host, for other Azure clouds than the public one and for private endpoints.
    - `role_scope`: whether the role on XComs is assigned on the container or on the account.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: XComAccountRef,
        name: str = "xcom",
        path: str = "xcom",
        state_store_path: str | None = None,
        connection_id: str = rules.DEFAULT_CONNECTION_ID,
        identity: FederatedIdentityRef | None = None,
        account_host: str | None = None,
        role_scope: Literal["container", "account"] = "container",
    ) -> None:
        check_if_known(rules.existing_container, name)
        check_if_known(common.object_path, path)
        check_if_known(common.object_path, state_store_path)
        if is_known([path, state_store_path]):
            common.separate_paths(path, state_store_path)
        rules.connection_id(connection_id)
        if account_host is not None and is_known(account_host):
            rules.one_environment(
                {"account": account.environment, "account_host": places.environment_of_host(account_host)}
            )
        super().__init__(scope, id_)
        self.name = name
        self.path = path
        self.state_store_path = state_store_path
        self.connection_id = connection_id
        self.account = account
        self.account_host = account_host
        self.role_scope = (
            account.account_id
            if role_scope == "account"
            else f"{account.account_id}/blobServices/default/containers/{name}"
        )
        """What an identity needs the role on, by resource id."""
        self.location = XComLocation(
            url=object_url("abfs", name, path, connection_id=connection_id),
            state_store_url=None
            if state_store_path is None
            else object_url("abfs", name, state_store_path, connection_id=connection_id),
            env={rules.connection_variable(connection_id): self._connection(identity, account_host)},
            cloud="azure",
        )
        self.dependencies: list[ITerraformDependable] = [*account.dependencies]
        """What has to exist before an agent starts."""
        self._grants: dict[FederatedIdentityRef, RoleAssignment | None] = {}

    def folder(self, name: str, *, identity: FederatedIdentityRef | None = None) -> "XComContainerRef":
        """The folder `<path>/<name>`, for a separate group of agents. It separates values, but not permissions.

        Its Airflow connection names `identity`. Its XComs expire with those of the path. `name`, a DNS label, is part
        of addresses. Creates no resource.
        """
        return _XComFolder(self, name, identity)

    def grant_read_write(self, identity: FederatedIdentityRef) -> RoleAssignment | None:
        """Let an identity read, write and delete XComs. Creates nothing if the owner of the identity assigns its roles.

        A second grant to the same identity changes nothing. Raises SettingError for two identities with the same id:
        the id is part of addresses.
        """
        if identity not in self._grants:
            if any(id_of(identity) == id_of(other) for other in self._grants):
                raise SettingError("each identity granted here needs an id of its own", got=id_of(identity))
            self._grants[identity] = self._grant(identity)
        return self._grants[identity]

    def _grant(self, identity: FederatedIdentityRef) -> RoleAssignment | None:
        if not identity.grantable:
            return None
        if self.role_scope in identity.grants:
            grant = identity.grants[self.role_scope]
            self.dependencies.append(grant)
            return grant
        grant = identity.grants[self.role_scope] = RoleAssignment(
            self,
            f"grant-{id_of(identity)}",
            scope=self.role_scope,
            role_definition_name=ROLE,
            principal_id=identity.principal_id,
            principal_type="ServicePrincipal",  # else Azure looks for an identity that it may not know of yet
            skip_service_principal_aad_check=True,
        )
        self.dependencies.append(grant)
        return grant

    def _connection(self, identity: FederatedIdentityRef | None, account_host: str | None) -> str:
        """An Airflow connection as JSON, in which `extra` is JSON text of its own.

        Terraform encodes both, so that any value it fills in is right. Never `tenant_id`: that would turn `login` into
        the client id of a service principal.
        """
        extra = {
            "anon": False,
            "account_name": self.account.name,
            **({"account_host": account_host} if account_host else {}),
            **(
                {
                    "managed_identity_client_id": identity.client_id,
                    "workload_identity_tenant_id": identity.tenant_id,
                }
                if identity
                else {}
            ),
        }
        encoded = Fn.jsonencode(TerraformLocal(self, "connection-extra", extra).expression)
        connection = {"conn_type": "azure", "login": self.account.name, "extra": encoded}
        text: str = Fn.jsonencode(TerraformLocal(self, "connection", connection).expression)
        return text


class _XComFolder(XComContainerRef):
    """A folder of a container. Grants are the container's: Azure refuses the same role for the same identity again."""

    def __init__(self, container: XComContainerRef, name: str, identity: FederatedIdentityRef | None) -> None:
        common.dns_label(name, longest=FOLDER_NAME)
        super().__init__(
            container,
            once(container, f"folder-{name}", name),
            account=container.account,
            name=container.name,
            path=f"{container.path}/{name}" if container.path else name,
            state_store_path=f"{container.state_store_path}/{name}" if container.state_store_path else None,
            connection_id=container.connection_id,
            identity=identity,
            account_host=container.account_host,
        )
        self.container = container
        self.role_scope = container.role_scope
        self.dependencies = [*container.dependencies]

    def _grant(self, identity: FederatedIdentityRef) -> RoleAssignment | None:
        grant = self.container.grant_read_write(identity)
        if grant is not None:
            self.dependencies.append(grant)
        return grant


class XComContainer(XComContainerRef):
    """A private container whose XComs expire.

    ```python
    account = XComAccount(stack, "account", name="acmeastroxcom", resource_group="astro-xcom", location="westeurope")
    storage = XComContainer(stack, "storage", account=account, retention_days=60)
    ```

    Creates the container, only through Azure Resource Manager, and the lifecycle of its account. An existing account
    keeps
    its own lifecycle: its owner must delete old blobs under the path.

    - `account`, `path`, `state_store_path`, `connection_id`, `identity`, `account_host`, `role_scope`: as in
      XComContainerRef.
    - `name`: a change replaces the container.
    - `former_paths`: folders that held XComs before `path` changed; objects there expire too.
    - `retention_days`: XComs expire after this many days.
    - `protect_from_destroy`: Terraform refuses to destroy the container.

    Raises SettingError for names that Azure refuses, and for a second container in an account that this app creates.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: XComAccountRef,
        name: str = "xcom",
        path: str = "xcom",
        state_store_path: str | None = None,
        connection_id: str = rules.DEFAULT_CONNECTION_ID,
        identity: FederatedIdentityRef | None = None,
        account_host: str | None = None,
        role_scope: Literal["container", "account"] = "container",
        former_paths: Sequence[str] = (),
        retention_days: int = 30,
        protect_from_destroy: bool = True,
    ) -> None:
        check_if_known(rules.container, name)
        check_if_known(common.retention_days, retention_days)
        if is_known([*former_paths, path, state_store_path]):
            common.former_paths([common.object_path(each) for each in former_paths], path, state_store_path)
        if account.node.try_find_child("lifecycle") is not None:
            raise SettingError("an account has one lifecycle: create an account for each container")
        super().__init__(
            scope,
            id_,
            account=account,
            name=name,
            path=path,
            state_store_path=state_store_path,
            connection_id=connection_id,
            identity=identity,
            account_host=account_host,
            role_scope=role_scope,
        )
        self.resource = StorageContainer(
            self,
            "container",
            name=name,
            storage_account_id=account.account_id,
            container_access_type="private",
            lifecycle=protected(protect_from_destroy),
        )
        if role_scope == "container":
            self.role_scope = self.resource.id  # a reference, so that the grant waits for the container
        self.dependencies.append(self.resource)
        self.lifecycle: StorageManagementPolicy | None = None
        if account.managed:
            self.lifecycle = StorageManagementPolicy(
                account,
                "lifecycle",
                storage_account_id=account.account_id,
                rule=self._lifecycle_rules(retention_days, former_paths),
            )
            self.dependencies.append(self.lifecycle)

    @staticmethod
    def from_name(
        scope: Construct,
        id_: str,
        name: str,
        *,
        account: XComAccountRef,
        path: str = "xcom",
        state_store_path: str | None = None,
        connection_id: str = rules.DEFAULT_CONNECTION_ID,
        identity: FederatedIdentityRef | None = None,
        account_host: str | None = None,
        role_scope: Literal["container", "account"] = "container",
    ) -> XComContainerRef:
        """Use an existing container. Creates no resource; the owner must delete old blobs under the path.

        The keywords are those of XComContainerRef.
        """
        return XComContainerRef(
            scope,
            id_,
            account=account,
            name=name,
            path=path,
            state_store_path=state_store_path,
            connection_id=connection_id,
            identity=identity,
            account_host=account_host,
            role_scope=role_scope,
        )

    def _lifecycle_rules(self, retention_days: int, former_paths: Sequence[str]) -> list[StorageManagementPolicyRule]:
        """Expiry only under the XCom path. The other rule never deletes a value that can still be read.

        A version's age counts from when it was written, not from when it was replaced; what is deleted can be restored
        by soft delete all the same.
        """

        def rule(
            name: str, prefixes: Sequence[str], actions: StorageManagementPolicyRuleActions
        ) -> StorageManagementPolicyRule:
            return StorageManagementPolicyRule(
                name=name,
                enabled=True,
                filters=StorageManagementPolicyRuleFilters(blob_types=["blockBlob"], prefix_match=[*prefixes]),
                actions=actions,
            )

        days = shortest_recovery(retention_days)
        expiring = [f"{self.name}/{path}/" if path else f"{self.name}/" for path in (self.path, *former_paths)]
        most = limits.AZURE_PREFIXES.most
        return [
            *(
                rule(
                    f"expire-xcoms-{start // most + 1}" if start else "expire-xcoms",
                    expiring[start : start + most],
                    StorageManagementPolicyRuleActions(
                        base_blob=StorageManagementPolicyRuleActionsBaseBlob(
                            delete_after_days_since_modification_greater_than=retention_days
                        )
                    ),
                )
                for start in range(0, len(expiring), most)
            ),
            rule(
                "remove-deleted-versions",
                [f"{self.name}/"],
                StorageManagementPolicyRuleActions(
                    version=StorageManagementPolicyRuleActionsVersion(delete_after_days_since_creation=days),
                    snapshot=StorageManagementPolicyRuleActionsSnapshot(
                        delete_after_days_since_creation_greater_than=days
                    ),
                ),
            ),
        ]
