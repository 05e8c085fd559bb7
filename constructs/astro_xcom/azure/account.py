"""The storage account of the container that holds XComs."""

from collections.abc import Mapping, Sequence

from cdktf import Fn, ITerraformDependable, TerraformResourceLifecycle
from cdktf_cdktf_provider_azurerm.monitor_diagnostic_setting import (
    MonitorDiagnosticSetting,
    MonitorDiagnosticSettingEnabledLog,
)
from cdktf_cdktf_provider_azurerm.private_endpoint import (
    PrivateEndpoint,
    PrivateEndpointPrivateDnsZoneGroup,
    PrivateEndpointPrivateServiceConnection,
)
from cdktf_cdktf_provider_azurerm.role_assignment import RoleAssignment
from cdktf_cdktf_provider_azurerm.storage_account import (
    StorageAccount,
    StorageAccountBlobProperties,
    StorageAccountBlobPropertiesContainerDeleteRetentionPolicy,
    StorageAccountBlobPropertiesDeleteRetentionPolicy,
    StorageAccountCustomerManagedKey,
    StorageAccountIdentity,
    StorageAccountNetworkRules,
)
from cdktf_cdktf_provider_azurerm.user_assigned_identity import UserAssignedIdentity
from constructs import Construct

from astro_xcom.errors import SettingError, at
from astro_xcom.lifecycle import NEW_FIRST, protected
from astro_xcom.rules import azure as rules
from astro_xcom.rules import places
from astro_xcom.tokens import check_if_known, is_known
from astro_xcom.xcom import LONGEST_RECOVERY_DAYS

KEY_ROLE = "Key Vault Crypto Service Encryption User"
ACCESS_LOGS = ("StorageRead", "StorageWrite", "StorageDelete")
NAME_IN_ID = 8  # the position of the account's name in its resource id


class XComAccountRef(Construct):
    """A new or existing storage account in which this app may create a container.

    - `name`: the account's name.
    - `account_id`: the account's resource id. Default: the id of the account that this app creates.
    """

    managed = False
    """Whether its settings, the deletion of old blobs among them, are ours."""

    account_id: str

    def __init__(self, scope: Construct, id_: str, *, name: str, account_id: str | None = None) -> None:
        super().__init__(scope, id_)
        self.name = name
        self.environment: str | None = None
        """Azure's environment, where the location says it."""
        if account_id is not None:  # else it is being made
            self.account_id = account_id
        self.dependencies: list[ITerraformDependable] = []
        """What has to exist before an agent starts."""


class XComAccount(XComAccountRef):
    """A private storage account: TLS 1.2, Microsoft Entra ID only (no account keys), versions and soft delete.

    ```python
    account = XComAccount(stack, "account", name="acmeastroxcom", resource_group="astro-xcom", location="westeurope")
    ```

    The provider needs `storage_use_azuread`.

    - `name`, `resource_group`, `location`: a change of any of them replaces the account. The name is unique in the
      world.
    - `replication`: how the account keeps copies: LRS, ZRS, GRS, RAGRS, GZRS or RAGZRS.
    - `recovery_days`: how many days deleted blobs and containers can be restored.
    - `subnets`, `ip_rules`: the only networks that reach the account. Default: any network.
    - `bypass`: Azure services that reach the account regardless of `subnets` and `ip_rules`.
    - `public_network_access`: off, only private endpoints reach the account.
    - `private_endpoint_subnet`: create a private endpoint in this subnet, by resource id. Default: none.
    - `private_dns_zone`: the DNS zone in which the agents find the private endpoint, by resource id.
    - `access_log_storage_account_id`: an account in the same region that gets logs of who reads, writes and deletes
      blobs.
    - `customer_managed_key_id`: the URL of a key, without a version. Default: Microsoft's keys.
    - `key_vault_id`: the key's vault, by resource id. An identity is created and granted the key there before the
      account.
    - `tags`: tags of the account.
    - `protect_from_destroy`: Terraform refuses to destroy the account.

    Raises SettingError for names that Azure refuses and for keywords that contradict each other.
    """

    managed = True

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        resource_group: str,
        location: str,
        replication: str = "LRS",
        recovery_days: int = LONGEST_RECOVERY_DAYS,
        subnets: Sequence[str] = (),
        ip_rules: Sequence[str] = (),
        bypass: Sequence[str] = ("AzureServices",),
        public_network_access: bool = True,
        private_endpoint_subnet: str | None = None,
        private_dns_zone: str | None = None,
        access_log_storage_account_id: str | None = None,
        customer_managed_key_id: str | None = None,
        key_vault_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        protect_from_destroy: bool = True,
    ) -> None:
        check_if_known(rules.storage_account, name)
        check_if_known(rules.existing_resource_group, resource_group)
        check_if_known(rules.location, location)
        check_if_known(rules.replication, replication)
        for subnet in subnets:
            check_if_known(rules.subnet_id, subnet)
        rules.ip_rules(ip_rules)
        for ip_rule in ip_rules:
            check_if_known(rules.ip_rule, ip_rule)
        check_if_known(rules.subnet_id, private_endpoint_subnet)
        check_if_known(rules.blob_private_dns_zone_id, private_dns_zone)
        if private_dns_zone is not None and private_endpoint_subnet is None:
            raise SettingError("private_dns_zone is only used with private_endpoint_subnet")
        check_if_known(rules.storage_account_id, access_log_storage_account_id)
        check_if_known(rules.key_id, customer_managed_key_id)
        check_if_known(rules.key_vault_id, key_vault_id)
        if (customer_managed_key_id is None) != (key_vault_id is None):
            raise SettingError("give customer_managed_key_id and key_vault_id together")
        if customer_managed_key_id and key_vault_id and is_known([customer_managed_key_id, key_vault_id]):
            rules.key_fits_vault(customer_managed_key_id, key_vault_id)
        if access_log_storage_account_id and is_known([access_log_storage_account_id, name]):
            with at("access_log_storage_account_id"):
                rules.other_account(access_log_storage_account_id, name)
        check_if_known(rules.tags, tags)
        hosts = {"private_dns_zone": private_dns_zone, "customer_managed_key_id": customer_managed_key_id}
        of_hosts = {
            argument: places.environment_of_host(host)
            for argument, host in hosts.items()
            if host is not None and is_known(host)
        }
        environment = places.environment_of_location(location) if is_known(location) else None
        rules.one_environment({"location": environment, **of_hosts})
        super().__init__(scope, id_, name=name)
        self.environment = environment
        self.key_identity: UserAssignedIdentity | None = None
        """The identity that uses the customer's key."""
        grants: list[RoleAssignment] = []
        if customer_managed_key_id is not None:
            self.key_identity = UserAssignedIdentity(
                self,
                "key-identity",
                name=f"{name}-key",
                resource_group_name=resource_group,
                location=location,
                tags=tags,
                lifecycle=NEW_FIRST,
            )
            grants.append(
                RoleAssignment(
                    self,
                    "key-grant",
                    scope=f"{key_vault_id}/keys/{_key_name(customer_managed_key_id)}",
                    role_definition_name=KEY_ROLE,
                    principal_id=self.key_identity.principal_id,
                    principal_type="ServicePrincipal",
                    skip_service_principal_aad_check=True,
                    lifecycle=NEW_FIRST,
                )
            )
        self.resource = StorageAccount(
            self,
            "account",
            name=name,
            resource_group_name=resource_group,
            location=location,
            account_kind="StorageV2",
            account_tier="Standard",
            account_replication_type=replication,
            https_traffic_only_enabled=True,
            min_tls_version="TLS1_2",
            allow_nested_items_to_be_public=False,
            cross_tenant_replication_enabled=False,
            local_user_enabled=False,
            shared_access_key_enabled=False,
            default_to_oauth_authentication=True,
            public_network_access_enabled=None if public_network_access else False,
            blob_properties=StorageAccountBlobProperties(
                versioning_enabled=True,
                delete_retention_policy=StorageAccountBlobPropertiesDeleteRetentionPolicy(days=recovery_days),
                container_delete_retention_policy=StorageAccountBlobPropertiesContainerDeleteRetentionPolicy(
                    days=recovery_days
                ),
            ),
            network_rules=StorageAccountNetworkRules(
                default_action="Deny",
                virtual_network_subnet_ids=list(subnets),
                ip_rules=list(ip_rules),
                bypass=list(bypass) or ["None"],
            )
            if subnets or ip_rules
            else None,
            identity=StorageAccountIdentity(type="UserAssigned", identity_ids=[self.key_identity.id])
            if self.key_identity
            else None,
            customer_managed_key=StorageAccountCustomerManagedKey(
                key_vault_key_id=customer_managed_key_id, user_assigned_identity_id=self.key_identity.id
            )
            if self.key_identity
            else None,
            tags=tags,
            lifecycle=protected(protect_from_destroy),
            depends_on=grants or None,
        )
        self.account_id = self.resource.id
        self.dependencies += [*filter(None, [self.key_identity]), *grants, self.resource]
        self.private_endpoint: PrivateEndpoint | None = None
        if private_endpoint_subnet is not None:
            self.private_endpoint = self._private_endpoint(
                private_endpoint_subnet, private_dns_zone, resource_group=resource_group, location=location, tags=tags
            )
            self.dependencies.append(self.private_endpoint)
        self.access_logs: MonitorDiagnosticSetting | None = None
        if access_log_storage_account_id is not None:
            self.access_logs = MonitorDiagnosticSetting(
                self,
                "access-logs",
                name="access-logs",
                target_resource_id=f"{self.account_id}/blobServices/default",
                storage_account_id=access_log_storage_account_id,
                enabled_log=[MonitorDiagnosticSettingEnabledLog(category=category) for category in ACCESS_LOGS],
            )
            self.dependencies.append(self.access_logs)

    @staticmethod
    def from_id(scope: Construct, id_: str, account_id: str) -> XComAccountRef:
        """Use an existing account. Creates no resource; the account's owner must delete old blobs."""
        check_if_known(rules.storage_account_id, account_id)
        name = account_id.rpartition("/")[2] if is_known(account_id) else _part(account_id, NAME_IN_ID)
        return XComAccountRef(scope, id_, name=name, account_id=account_id)

    def _private_endpoint(
        self, subnet: str, zone: str | None, *, resource_group: str, location: str, tags: Mapping[str, str] | None
    ) -> PrivateEndpoint:
        name = f"{self.name}-blob"
        return PrivateEndpoint(
            self,
            "private-endpoint",
            name=name,
            resource_group_name=resource_group,
            location=location,
            subnet_id=subnet,
            private_service_connection=PrivateEndpointPrivateServiceConnection(
                name=name,
                private_connection_resource_id=self.account_id,
                is_manual_connection=False,
                subresource_names=["blob"],
            ),
            private_dns_zone_group=PrivateEndpointPrivateDnsZoneGroup(name="blob", private_dns_zone_ids=[zone])
            if zone
            else None,
            # A policy of the organisation may add the group, and then the next apply would take it away.
            lifecycle=None if zone else TerraformResourceLifecycle(ignore_changes=["private_dns_zone_group"]),
            tags=tags,
        )


def _part(resource_id: str, position: int) -> str:
    part: str = Fn.element(Fn.split("/", resource_id), position)
    return part


def _key_name(key_id: str) -> str:
    """`https://<vault>/keys/<name>` -> `<name>`."""
    return key_id.rpartition("/")[2] if is_known(key_id) else _part(key_id, 4)
