import json

import pytest
from cdktf import TerraformStack, TerraformVariable, Testing

from astro_xcom.azure import (
    AksOidcIssuer,
    FederatedIdentity,
    XComAccount,
    XComAccountRef,
    XComContainer,
    XComContainerRef,
)
from astro_xcom.errors import SettingError
from support import Body, of_type, only, resolved, synth

ACCOUNT = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/data/providers/Microsoft.Storage"
    "/storageAccounts/acmexcom"
)
ISSUER = "https://westeurope.oic.prod-aks.azure.com/11111111-1111-1111-1111-111111111111/22222222-2222-2222-2222-222222222222/"


@pytest.fixture
def stack() -> TerraformStack:
    return TerraformStack(Testing.app(), "test")


@pytest.fixture
def account(stack: TerraformStack) -> XComAccount:
    return XComAccount(stack, "account", name="acmexcom", resource_group="data", location="westeurope")


@pytest.fixture
def adopted(stack: TerraformStack) -> XComAccountRef:
    return XComAccount.from_id(stack, "adopted", ACCOUNT)


def identity(stack: TerraformStack) -> FederatedIdentity:
    return FederatedIdentity(
        stack,
        "identity",
        name="astro-xcom",
        resource_group="data",
        location="westeurope",
        issuers=[AksOidcIssuer(stack, "oidc", issuer=ISSUER)],
        subjects=["system:serviceaccount:astro:worker"],
    )


def rules(body: Body) -> dict[str, Body]:
    return {rule["name"]: rule for rule in only(body, "azurerm_storage_management_policy")["rule"]}


def connection(stack: TerraformStack, storage: XComContainerRef) -> tuple[str, Body, Body]:
    """The variable, the connection and its extra, with the places that Terraform encodes."""
    ((variable, value),) = storage.location.env.items()
    text = resolved(stack, value)
    found = synth(stack)["locals"]
    (outer_name,) = [name for name in found if text == f"${{jsonencode(local.{name})}}"]
    outer = found[outer_name]
    (inner_name,) = [name for name in found if outer["extra"] == f"${{jsonencode(local.{name})}}"]
    return variable, outer, found[inner_name]


def test_a_container_is_private_and_kept_and_made_through_arm(stack: TerraformStack, account: XComAccount) -> None:
    XComContainer(stack, "storage", account=account)
    body = synth(stack)
    (name,) = body["resource"]["azurerm_storage_account"]
    assert only(body, "azurerm_storage_container") == {
        "name": "xcom",
        "storage_account_id": f"${{azurerm_storage_account.{name}.id}}",
        "container_access_type": "private",
        "lifecycle": {"prevent_destroy": True},
    }


@pytest.mark.parametrize(("retention_days", "version_days"), [(1, 1), (7, 7), (30, 7), (365, 7)])
def test_one_number_sets_the_whole_lifecycle(
    stack: TerraformStack, account: XComAccount, retention_days: int, version_days: int
) -> None:
    XComContainer(stack, "storage", account=account, name="shared", path="team/xcom", retention_days=retention_days)
    found = rules(synth(stack))
    assert found == {
        "expire-xcoms": {
            "name": "expire-xcoms",
            "enabled": True,
            "filters": {"blob_types": ["blockBlob"], "prefix_match": ["shared/team/xcom/"]},
            "actions": {"base_blob": {"delete_after_days_since_modification_greater_than": retention_days}},
        },
        "remove-deleted-versions": {
            "name": "remove-deleted-versions",
            "enabled": True,
            "filters": {"blob_types": ["blockBlob"], "prefix_match": ["shared/"]},
            "actions": {
                "version": {"delete_after_days_since_creation": version_days},
                "snapshot": {"delete_after_days_since_creation_greater_than": version_days},
            },
        },
    }


def test_state_does_not_expire(stack: TerraformStack, account: XComAccount) -> None:
    storage = XComContainer(stack, "storage", account=account, state_store_path="state")
    expiring = [
        rule["filters"]["prefix_match"] for rule in rules(synth(stack)).values() if "base_blob" in rule["actions"]
    ]
    assert expiring == [["xcom/xcom/"]]
    assert storage.location.state_store_url == "abfs://wasb_xcom@xcom/state"


def test_a_container_without_a_path_expires_whole(stack: TerraformStack, account: XComAccount) -> None:
    storage = XComContainer(stack, "storage", account=account, path="")
    assert rules(synth(stack))["expire-xcoms"]["filters"]["prefix_match"] == ["xcom/"]
    assert storage.location.url == "abfs://wasb_xcom@xcom"


def test_the_role_is_granted_on_the_container(stack: TerraformStack, account: XComAccount) -> None:
    storage = XComContainer(stack, "storage", account=account)
    grant = storage.grant_read_write(identity(stack))
    body = synth(stack)
    (container,) = body["resource"]["azurerm_storage_container"]
    (user,) = body["resource"]["azurerm_user_assigned_identity"]
    assert only(body, "azurerm_role_assignment") == {
        "scope": f"${{azurerm_storage_container.{container}.id}}",
        "role_definition_name": "Storage Blob Data Contributor",
        "principal_id": f"${{azurerm_user_assigned_identity.{user}.principal_id}}",
        "principal_type": "ServicePrincipal",
        "skip_service_principal_aad_check": True,
    }
    assert grant in storage.dependencies


def test_the_role_can_be_granted_on_the_account(stack: TerraformStack, account: XComAccount) -> None:
    XComContainer(stack, "storage", account=account, role_scope="account").grant_read_write(identity(stack))
    body = synth(stack)
    (name,) = body["resource"]["azurerm_storage_account"]
    assert only(body, "azurerm_role_assignment")["scope"] == f"${{azurerm_storage_account.{name}.id}}"


def test_nothing_is_granted_to_an_identity_that_is_used_as_it_is(stack: TerraformStack, account: XComAccount) -> None:
    other = FederatedIdentity.from_name(stack, "identity", "agents", resource_group="data")
    assert XComContainer(stack, "storage", account=account).grant_read_write(other) is None
    assert not of_type(synth(stack), "azurerm_role_assignment")


def test_the_connection_names_account_and_identity_and_no_tenant_id(
    stack: TerraformStack, account: XComAccount
) -> None:
    who = identity(stack)
    storage = XComContainer(stack, "storage", account=account, identity=who)
    variable, outer, extra = connection(stack, storage)
    (user,) = synth(stack)["resource"]["azurerm_user_assigned_identity"]
    assert variable == "AIRFLOW_CONN_WASB_XCOM"
    assert set(outer) == {"conn_type", "login", "extra"}
    assert (outer["conn_type"], outer["login"]) == ("azure", "acmexcom")
    assert extra == {
        "anon": False,
        "account_name": "acmexcom",
        "managed_identity_client_id": f"${{azurerm_user_assigned_identity.{user}.client_id}}",
        "workload_identity_tenant_id": f"${{azurerm_user_assigned_identity.{user}.tenant_id}}",
    }
    assert "tenant_id" not in json.dumps(outer)


def test_without_an_identity_the_pods_own_is_used(stack: TerraformStack, account: XComAccount) -> None:
    storage = XComContainer(stack, "storage", account=account, account_host="acmexcom.z1.blob.core.windows.net")
    assert connection(stack, storage)[2] == {
        "anon": False,
        "account_name": "acmexcom",
        "account_host": "acmexcom.z1.blob.core.windows.net",
    }


def test_another_connection_id_gives_the_matching_variable(stack: TerraformStack, account: XComAccount) -> None:
    location = XComContainer(stack, "storage", account=account, connection_id="team_2").location
    assert location.url == "abfs://team_2@xcom/xcom"
    assert list(location.env) == ["AIRFLOW_CONN_TEAM_2"]


def test_a_container_made_in_an_existing_account_leaves_its_lifecycle_alone(
    stack: TerraformStack, adopted: XComAccountRef
) -> None:
    storage = XComContainer(stack, "storage", account=adopted)
    storage.grant_read_write(identity(stack))
    body = synth(stack)
    assert only(body, "azurerm_storage_container")["storage_account_id"] == ACCOUNT
    assert not of_type(body, "azurerm_storage_account")
    assert not of_type(body, "azurerm_storage_management_policy")


def test_an_existing_container_makes_nothing_but_the_grant(stack: TerraformStack, adopted: XComAccountRef) -> None:
    storage = XComContainer.from_name(stack, "storage", "shared", account=adopted)
    storage.grant_read_write(identity(stack))
    body = synth(stack)
    assert not of_type(body, "azurerm_storage_container")
    assert only(body, "azurerm_role_assignment")["scope"] == f"{ACCOUNT}/blobServices/default/containers/shared"


def test_protection_can_be_switched_off(stack: TerraformStack, account: XComAccount) -> None:
    XComContainer(stack, "storage", account=account, protect_from_destroy=False)
    assert "lifecycle" not in only(synth(stack), "azurerm_storage_container")


def test_a_name_filled_in_later_passes_the_checks(stack: TerraformStack, account: XComAccount) -> None:
    name = TerraformVariable(stack, "name", type="string").string_value
    storage = XComContainer(stack, "storage", account=account, name=name)
    assert only(synth(stack), "azurerm_storage_container")["name"] == "${var.name}"
    assert resolved(stack, storage.location.url) == "abfs://wasb_xcom@${var.name}/xcom"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My_Data"}, 'try "my-data"'),
        ({"path": "/xcom"}, 'try "xcom"'),
        ({"state_store_path": "state/"}, 'try "state"'),
        ({"connection_id": "wasb-xcom"}, 'try "wasb_xcom"'),
    ],
)
def test_what_azure_or_airflow_would_refuse_is_refused(
    stack: TerraformStack, account: XComAccount, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        XComContainer(stack, "storage", account=account, **changes)  # type: ignore[arg-type]
    XComContainer(stack, "storage", account=account)  # the id is still free


def user(stack: TerraformStack, id_: str) -> FederatedIdentity:
    return FederatedIdentity(
        stack,
        id_,
        name=id_,
        resource_group="data",
        location="westeurope",
        issuers=[AksOidcIssuer(stack, f"{id_}-oidc", issuer=ISSUER)],
        subjects=["system:serviceaccount:astro:worker"],
    )


def test_agents_can_share_a_container_by_folders(stack: TerraformStack, account: XComAccount) -> None:
    storage = XComContainer(
        stack, "storage", account=account, state_store_path="state", account_host="blob.example.com"
    )
    for name in ("ingest", "reports"):
        agents = user(stack, f"{name}-agents")
        folder = storage.folder(name, identity=agents)
        assert folder.location.url == f"abfs://wasb_xcom@xcom/xcom/{name}"
        assert folder.location.state_store_url == f"abfs://wasb_xcom@xcom/state/{name}"
        grant = folder.grant_read_write(agents)
        assert {storage.resource, grant} <= set(folder.dependencies)
    body = synth(stack)
    assert len(of_type(body, "azurerm_storage_container")) == 1
    assert rules(body)["expire-xcoms"]["filters"]["prefix_match"] == ["xcom/xcom/"]
    grants = of_type(body, "azurerm_role_assignment")
    assert len(grants) == 2
    assert len({grant["principal_id"] for grant in grants}) == 2
    assert len({grant["scope"] for grant in grants}) == 1
    extras = [value for key, value in body["locals"].items() if "folder" in key and "extra" in key]
    assert {extra["account_host"] for extra in extras} == {"blob.example.com"}
    assert len({extra["managed_identity_client_id"] for extra in extras}) == 2


def test_an_identity_granted_several_folders_gets_the_role_once(stack: TerraformStack, account: XComAccount) -> None:
    storage, shared = XComContainer(stack, "storage", account=account), user(stack, "agents")
    for folder in (storage.folder("ingest"), storage.folder("reports"), storage):
        assert folder.grant_read_write(shared) in folder.dependencies
    assert len(of_type(synth(stack), "azurerm_role_assignment")) == 1


def test_a_folder_has_a_simple_name(stack: TerraformStack, account: XComAccount) -> None:
    with pytest.raises(SettingError, match="1-48 lower-case letters"):
        XComContainer(stack, "storage", account=account).folder("a/b")


def test_two_granted_identities_need_two_ids(stack: TerraformStack, account: XComAccount) -> None:
    storage, team = XComContainer(stack, "storage", account=account), TerraformStack(stack, "team")
    storage.grant_read_write(user(stack, "agents"))
    with pytest.raises(SettingError, match='each identity granted here needs an id of its own; got "agents"'):
        storage.folder("ingest").grant_read_write(user(team, "agents"))


def test_a_folder_grants_nothing_to_an_identity_that_is_used_as_it_is(
    stack: TerraformStack, account: XComAccount
) -> None:
    theirs = FederatedIdentity.from_name(stack, "theirs", "astro-xcom", resource_group="data")
    folder = XComContainer(stack, "storage", account=account).folder("ingest", identity=theirs)
    assert folder.grant_read_write(theirs) is None
    assert None not in folder.dependencies


def test_credentials_and_roles_are_chosen_apart(stack: TerraformStack, adopted: XComAccountRef) -> None:
    storage = XComContainer.from_name(stack, "storage", "xcom", account=adopted)
    theirs = FederatedIdentity.from_name(stack, "theirs", "agents", resource_group="ids")
    ours = FederatedIdentity.from_name(stack, "ours", "agents-2", resource_group="ids", grantable=True)
    assert storage.grant_read_write(theirs) is None
    assert storage.grant_read_write(ours) is not None
    assert len(of_type(synth(stack), "azurerm_role_assignment")) == 1


def test_a_role_on_one_container_is_assigned_once(stack: TerraformStack, adopted: XComAccountRef) -> None:
    user = identity(stack)
    one, other = (XComContainer.from_name(stack, id_, "xcom", account=adopted, path=id_) for id_ in ("a", "b"))
    assert one.grant_read_write(user) is other.grant_read_write(user)
    assert len(of_type(synth(stack), "azurerm_role_assignment")) == 1


def test_an_account_is_reached_in_its_own_environment(stack: TerraformStack, account: XComAccount) -> None:
    with pytest.raises(SettingError, match="account_host is of Azure's environment china, and account of public"):
        XComContainer(stack, "storage", account=account, account_host="acmexcom.blob.core.chinacloudapi.cn")


def test_a_rule_has_no_more_prefixes_than_azure_takes(stack: TerraformStack, account: XComAccount) -> None:
    XComContainer(stack, "storage", account=account, former_paths=[f"old-{number}" for number in range(20)])
    expiring = {name: rule for name, rule in rules(synth(stack)).items() if name.startswith("expire-xcoms")}
    assert {name: len(rule["filters"]["prefix_match"]) for name, rule in expiring.items()} == {
        "expire-xcoms": 10,
        "expire-xcoms-2": 10,
        "expire-xcoms-3": 1,
    }
