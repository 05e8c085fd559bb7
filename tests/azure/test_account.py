import pytest
from cdktf import TerraformStack, TerraformVariable, Testing

from astro_xcom.azure import XComAccount, XComContainer
from astro_xcom.errors import SettingError
from support import of_type, only, resolved, synth

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
SUBNET = f"{SUBSCRIPTION}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/data/subnets/agents"
VAULT = f"{SUBSCRIPTION}/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/acme-keys"
ZONE = (
    f"{SUBSCRIPTION}/resourceGroups/net/providers/Microsoft.Network/privateDnsZones/privatelink.blob.core.windows.net"
)
KEY = "https://acme-keys.vault.azure.net/keys/xcom"
LOGS = f"{SUBSCRIPTION}/resourceGroups/data/providers/Microsoft.Storage/storageAccounts/acmelogs"
ACCOUNT = f"{SUBSCRIPTION}/resourceGroups/data/providers/Microsoft.Storage/storageAccounts/acmexcom"


@pytest.fixture
def stack() -> TerraformStack:
    return TerraformStack(Testing.app(), "test")


def account(stack: TerraformStack, **changes: object) -> XComAccount:
    given = {"name": "acmexcom", "resource_group": "data", "location": "westeurope", **changes}
    return XComAccount(stack, "account", **given)  # type: ignore[arg-type]


def test_an_account_is_private_keyless_versioned_and_kept(stack: TerraformStack) -> None:
    account(stack)
    found = only(synth(stack), "azurerm_storage_account")
    assert found == {
        "name": "acmexcom",
        "resource_group_name": "data",
        "location": "westeurope",
        "account_kind": "StorageV2",
        "account_tier": "Standard",
        "account_replication_type": "LRS",
        "https_traffic_only_enabled": True,
        "min_tls_version": "TLS1_2",
        "allow_nested_items_to_be_public": False,
        "cross_tenant_replication_enabled": False,
        "local_user_enabled": False,
        "shared_access_key_enabled": False,
        "default_to_oauth_authentication": True,
        "blob_properties": {
            "versioning_enabled": True,
            "delete_retention_policy": {"days": 7},
            "container_delete_retention_policy": {"days": 7},
        },
        "lifecycle": {"prevent_destroy": True},
    }


@pytest.mark.parametrize("replication", ["LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"])
def test_every_replication_is_offered(stack: TerraformStack, replication: str) -> None:
    account(stack, replication=replication)
    assert only(synth(stack), "azurerm_storage_account")["account_replication_type"] == replication


def test_recovery_days_hold_for_blobs_and_containers(stack: TerraformStack) -> None:
    account(stack, recovery_days=3)
    properties = only(synth(stack), "azurerm_storage_account")["blob_properties"]
    assert properties["delete_retention_policy"] == {"days": 3}
    assert properties["container_delete_retention_policy"] == {"days": 3}


@pytest.mark.parametrize(
    ("given", "rules"),
    [
        ({"subnets": [SUBNET]}, {"virtual_network_subnet_ids": [SUBNET], "ip_rules": [], "bypass": ["AzureServices"]}),
        (
            {"ip_rules": ["198.51.100.0/24"], "bypass": ()},
            {"virtual_network_subnet_ids": [], "ip_rules": ["198.51.100.0/24"], "bypass": ["None"]},
        ),
    ],
)
def test_with_subnets_or_addresses_everybody_else_stays_out(
    stack: TerraformStack, given: dict[str, object], rules: dict[str, object]
) -> None:
    account(stack, **given)
    assert only(synth(stack), "azurerm_storage_account")["network_rules"] == {"default_action": "Deny", **rules}


def test_a_customers_key_is_granted_before_the_account_is_made(stack: TerraformStack) -> None:
    made = account(stack, customer_managed_key_id=KEY, key_vault_id=VAULT)
    body = synth(stack)
    (identity,) = body["resource"]["azurerm_user_assigned_identity"]
    (grant_name,) = body["resource"]["azurerm_role_assignment"]
    reference = f"${{azurerm_user_assigned_identity.{identity}"
    found, grant = only(body, "azurerm_storage_account"), only(body, "azurerm_role_assignment")
    assert found["customer_managed_key"] == {
        "key_vault_key_id": KEY,
        "user_assigned_identity_id": f"{reference}.id}}",
    }
    assert found["identity"] == {"type": "UserAssigned", "identity_ids": [f"{reference}.id}}"]}
    assert found["depends_on"] == [f"azurerm_role_assignment.{grant_name}"]
    assert grant == {
        "scope": f"{VAULT}/keys/xcom",
        "role_definition_name": "Key Vault Crypto Service Encryption User",
        "principal_id": f"{reference}.principal_id}}",
        "principal_type": "ServicePrincipal",
        "skip_service_principal_aad_check": True,
        "lifecycle": {"create_before_destroy": True},
    }
    assert made.key_identity in made.dependencies


def test_a_key_filled_in_later_is_split_by_terraform(stack: TerraformStack) -> None:
    key = TerraformVariable(stack, "key", type="string").string_value
    account(stack, customer_managed_key_id=key, key_vault_id=VAULT)
    assert (
        only(synth(stack), "azurerm_role_assignment")["scope"] == f'{VAULT}/keys/${{element(split("/", var.key), 4)}}'
    )


def test_public_network_access_can_be_switched_off(stack: TerraformStack) -> None:
    account(stack, public_network_access=False)
    assert only(synth(stack), "azurerm_storage_account")["public_network_access_enabled"] is False


def test_a_private_endpoint_leads_to_the_blobs_of_the_account(stack: TerraformStack) -> None:
    made = account(stack, private_endpoint_subnet=SUBNET, private_dns_zone=ZONE, tags={"team": "data"})
    endpoint = only(synth(stack), "azurerm_private_endpoint")
    connection = endpoint["private_service_connection"]
    assert (endpoint["name"], endpoint["subnet_id"]) == ("acmexcom-blob", SUBNET)
    assert (endpoint["resource_group_name"], endpoint["location"]) == ("data", "westeurope")
    assert connection["private_connection_resource_id"].startswith("${azurerm_storage_account.")
    assert (connection["subresource_names"], connection["is_manual_connection"]) == (["blob"], False)
    assert endpoint["private_dns_zone_group"] == {"name": "blob", "private_dns_zone_ids": [ZONE]}
    assert endpoint["tags"] == {"team": "data"}
    assert "lifecycle" not in endpoint
    assert made.private_endpoint in made.dependencies


def test_a_zone_that_somebody_else_adds_stays(stack: TerraformStack) -> None:
    account(stack, private_endpoint_subnet=SUBNET)
    endpoint = only(synth(stack), "azurerm_private_endpoint")
    assert "private_dns_zone_group" not in endpoint
    assert endpoint["lifecycle"] == {"ignore_changes": ["private_dns_zone_group"]}


def test_the_blobs_access_logs_go_to_the_given_account(stack: TerraformStack) -> None:
    made = account(stack, access_log_storage_account_id=LOGS)
    logs = only(synth(stack), "azurerm_monitor_diagnostic_setting")
    assert logs["storage_account_id"] == LOGS
    assert logs["target_resource_id"].endswith(".id}/blobServices/default")
    assert [log["category"] for log in logs["enabled_log"]] == ["StorageRead", "StorageWrite", "StorageDelete"]
    assert made.access_logs in made.dependencies


def test_without_a_key_of_ones_own_there_is_no_identity(stack: TerraformStack) -> None:
    account(stack)
    assert set(synth(stack)["resource"]) == {"azurerm_storage_account"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Acme-XCom"}, 'try "acmexcom"'),
        ({"resource_group": "data."}, 'got "data."'),
        ({"location": "West Europe"}, 'try "westeurope"'),
        ({"replication": "Standard_ZRS"}, "try ZRS"),
        ({"subnets": ["agents"]}, "resource id of a subnet"),
        ({"ip_rules": ["10.0.0.0/8"]}, "must be public"),
        ({"private_endpoint_subnet": "endpoints"}, "resource id of a subnet"),
        (
            {"private_endpoint_subnet": SUBNET, "private_dns_zone": ZONE.replace("blob", "file")},
            "zone for blob storage",
        ),
        ({"private_dns_zone": ZONE}, "only used with private_endpoint_subnet"),
        ({"access_log_storage_account_id": "acmelogs"}, "resource id of a storage account"),
        ({"customer_managed_key_id": KEY}, "together"),
        ({"key_vault_id": VAULT}, "together"),
        ({"customer_managed_key_id": KEY, "key_vault_id": f"{VAULT}-2"}, "key of the vault acme-keys-2"),
        ({"customer_managed_key_id": f"{KEY}/0123abcd", "key_vault_id": VAULT}, f'try "{KEY}"'),
    ],
)
def test_what_azure_would_refuse_is_refused(stack: TerraformStack, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        account(stack, **changes)
    account(stack)  # the id is still free


def test_protection_can_be_switched_off(stack: TerraformStack) -> None:
    account(stack, protect_from_destroy=False)
    assert "lifecycle" not in only(synth(stack), "azurerm_storage_account")


def test_an_existing_account_is_known_by_its_id(stack: TerraformStack) -> None:
    found = XComAccount.from_id(stack, "account", ACCOUNT)
    assert (found.name, found.account_id, found.managed) == ("acmexcom", ACCOUNT, False)
    assert "resource" not in synth(stack)


def test_an_existing_accounts_id_may_be_filled_in_later(stack: TerraformStack) -> None:
    account_id = TerraformVariable(stack, "account", type="string").string_value
    found = XComAccount.from_id(stack, "adopted", account_id)
    assert resolved(stack, found.name) == '${element(split("/", var.account), 8)}'


def test_an_account_has_one_lifecycle_and_so_one_container(stack: TerraformStack) -> None:
    made = account(stack)
    XComContainer(stack, "one", account=made)
    with pytest.raises(SettingError, match="an account for each container"):
        XComContainer(stack, "two", account=made, name="other")
    assert len(of_type(synth(stack), "azurerm_storage_management_policy")) == 1


CHINAS_ZONE = ZONE.replace("core.windows.net", "core.chinacloudapi.cn")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"private_endpoint_subnet": SUBNET, "private_dns_zone": CHINAS_ZONE},
            "private_dns_zone is of Azure's environment china, and location of public",
        ),
        (
            {"location": "usgovvirginia", "private_endpoint_subnet": SUBNET, "private_dns_zone": ZONE},
            "private_dns_zone is of Azure's environment public, and location of usgovernment",
        ),
        (
            {
                "customer_managed_key_id": "https://keys.vault.azure.cn/keys/xcom",
                "key_vault_id": VAULT.rpartition("/")[0] + "/keys",
            },
            "customer_managed_key_id is of Azure's environment china",
        ),
        ({"access_log_storage_account_id": ACCOUNT}, "must be another account"),
        ({"tags": {"azure": "x"}}, "Azure keeps keys for itself"),
        ({"tags": {"a": "x", "A": "y"}}, "more than upper and lower case"),
    ],
)
def test_what_belongs_together_is_compared(stack: TerraformStack, changes: dict[str, object], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        account(stack, **changes)
