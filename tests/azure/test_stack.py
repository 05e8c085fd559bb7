import re
from pathlib import Path

import pytest
from cdktf import App

from astro_xcom.synthesis import make_stack
from support import Body, of_type, only, read, synth

MINIMAL = """
deployments:
  small:
    cloud: azure
    subscription_id: 00000000-0000-0000-0000-000000000000
    location: westeurope
    resource_group: {name: astro-xcom}
    cluster: {name: data-prod, resource_group: aks}
    agent: {namespace: astro, resource_name_prefix: prod}
    storage: {account: acmexcom}
"""
ADOPTED = MINIMAL.replace("{name: astro-xcom}", "{name: astro-xcom, existing: true}")


def body_of(text: str, folder: Path) -> Body:
    ((name, deployment),) = read(text, folder).items()
    return synth(make_stack(App(outdir=str(folder)), name, deployment))


def test_the_release_waits_for_everything_its_pods_need(tmp_path: Path) -> None:
    body = body_of(MINIMAL, tmp_path)
    made = {f"{type_}.{name}" for type_, resources in body["resource"].items() for name in resources}
    release = only(body, "helm_release")
    assert set(release["depends_on"]) == {name for name in made if not name.startswith("helm_release.")}


def test_the_release_has_one_values_document_and_no_set(tmp_path: Path) -> None:
    release = only(body_of(MINIMAL, tmp_path), "helm_release")
    assert len(release["values"]) == 1
    assert not {"set", "set_list", "set_sensitive"} & set(release)


def test_without_a_release_the_values_are_an_output(tmp_path: Path) -> None:
    body = body_of(MINIMAL.replace("prefix: prod", "prefix: prod, release: false"), tmp_path)
    assert not of_type(body, "helm_release")
    assert "helm" not in body["provider"]
    assert body["output"]["agent_values"]["value"].startswith("${yamlencode(local.")


def test_outputs_carry_plain_names(tmp_path: Path) -> None:
    assert set(body_of(MINIMAL, tmp_path)["output"]) == {
        "account",
        "container",
        "client_id",
        "principal_id",
        "tenant_id",
        "xcom_path",
        "annotations",
        "labels",
        "trusted_subjects",
        "agent_values",
    }


def test_what_is_made_is_named_after_the_deployment(tmp_path: Path) -> None:
    body = body_of(MINIMAL.replace("    storage: {account: acmexcom}\n", ""), tmp_path)
    assert only(body, "azurerm_user_assigned_identity")["name"] == "small-xcom"
    assert re.fullmatch("smallxcom[0-9a-z]{15}", only(body, "azurerm_storage_account")["name"])


def test_an_account_without_a_name_has_another_in_another_subscription(tmp_path: Path) -> None:
    text = MINIMAL.replace("    storage: {account: acmexcom}\n", "")
    found = {
        only(body_of(text.replace("0-000000000000", f"0-00000000000{n}"), tmp_path), "azurerm_storage_account")["name"]
        for n in range(2)
    }
    assert len(found) == 2


def test_the_group_is_made_and_kept_and_holds_everything(tmp_path: Path) -> None:
    body = body_of(MINIMAL + "    tags: {team: data}\n", tmp_path)
    group = only(body, "azurerm_resource_group")
    assert group == {
        "name": "astro-xcom",
        "location": "westeurope",
        "tags": {"team": "data"},
        "lifecycle": {"prevent_destroy": True},
    }
    for type_ in ("azurerm_storage_account", "azurerm_user_assigned_identity"):
        assert only(body, type_)["resource_group_name"] == "${azurerm_resource_group.resource-group.name}"
        assert only(body, type_)["tags"] == {"team": "data"}


def test_an_existing_group_is_used_as_it_is(tmp_path: Path) -> None:
    body = body_of(ADOPTED, tmp_path)
    assert not of_type(body, "azurerm_resource_group")
    assert only(body, "azurerm_storage_account")["resource_group_name"] == "astro-xcom"


def test_the_protection_can_be_switched_off_everywhere(tmp_path: Path) -> None:
    body = body_of(MINIMAL.replace("{account: acmexcom}", "{protect_from_destroy: false}"), tmp_path)
    for type_, resources in body["resource"].items():
        assert not any(resource.get("lifecycle", {}).get("prevent_destroy") for resource in resources.values()), type_


def test_soft_delete_and_expiry_follow_from_one_number(tmp_path: Path) -> None:
    body = body_of(MINIMAL + "    xcom: {retention_days: 5}\n", tmp_path)
    expire, versions = only(body, "azurerm_storage_management_policy")["rule"]
    assert expire["actions"]["base_blob"]["delete_after_days_since_modification_greater_than"] == 5
    assert versions["actions"]["version"]["delete_after_days_since_creation"] == 5
    assert only(body, "azurerm_storage_account")["blob_properties"]["delete_retention_policy"]["days"] == 5


def test_an_existing_identity_gets_credentials_and_the_role(tmp_path: Path) -> None:
    body = body_of(ADOPTED + "    identity: {name: agents, existing: true}\n", tmp_path)
    assert not of_type(body, "azurerm_user_assigned_identity")
    assert only(body, "azurerm_user_assigned_identity", kind="data")["resource_group_name"] == "astro-xcom"
    assert len(of_type(body, "azurerm_federated_identity_credential")) == 4
    assert len(of_type(body, "azurerm_role_assignment")) == 1
    assert "access" not in body["output"]


def test_an_identity_used_as_it_is_gets_nothing_but_its_owner_is_told_what_to_do(tmp_path: Path) -> None:
    body = body_of(
        MINIMAL + "    identity: {name: a-b, existing: true, resource_group: ids, federate: false}\n", tmp_path
    )
    assert not {"azurerm_federated_identity_credential", "azurerm_role_assignment"} & set(body["resource"])
    access = body["output"]["access"]["value"]
    assert access["role"] == "Storage Blob Data Contributor"
    assert access["scope"].startswith("${azurerm_storage_container.")
    assert access["principal_id"].startswith("${data.azurerm_user_assigned_identity.")


@pytest.mark.parametrize(
    ("storage", "made"),
    [
        ("{account: shared, existing: account}", {"azurerm_storage_container"}),
        ("{account: shared, existing: container}", set()),
    ],
)
def test_existing_storage_is_left_as_it_is(storage: str, made: set[str], tmp_path: Path) -> None:
    body = body_of(ADOPTED.replace("{account: acmexcom}", storage), tmp_path)
    types = {type_ for type_ in body["resource"] if type_.startswith("azurerm_storage_")}
    assert types == made
    scope = only(body, "azurerm_role_assignment")["scope"]
    assert scope.startswith("${azurerm_storage_container." if made else "/subscriptions/")


def test_existing_storage_may_be_in_a_group_of_its_own(tmp_path: Path) -> None:
    storage = "{account: shared, existing: container, resource_group: other, role_scope: account}"
    body = body_of(MINIMAL.replace("{account: acmexcom}", storage), tmp_path)
    assert only(body, "azurerm_role_assignment")["scope"] == (
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/other/providers/Microsoft.Storage"
        "/storageAccounts/shared"
    )


def test_the_providers_hold_no_credentials(tmp_path: Path) -> None:
    provider = body_of(MINIMAL.replace("name: data-prod", "name: data-prod, authentication: exec"), tmp_path)[
        "provider"
    ]
    assert provider["azurerm"] == [
        {
            "subscription_id": "00000000-0000-0000-0000-000000000000",
            "storage_use_azuread": True,
            "resource_provider_registrations": "none",
            "features": [{"storage": [{"data_plane_available": False}]}],
        }
    ]
    (helm,) = provider["helm"]
    assert helm["kubernetes"]["exec"] == {
        "api_version": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": ["get-token", "--login", "azurecli", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630"],
    }


def test_a_known_tenant_is_used_everywhere(tmp_path: Path) -> None:
    tenant = "11111111-1111-1111-1111-111111111111"
    body = body_of(MINIMAL + f"    tenant_id: {tenant}\n", tmp_path)
    assert body["provider"]["azurerm"][0]["tenant_id"] == tenant
    assert body["output"]["tenant_id"]["value"] == tenant
    (extra,) = [local for name, local in body["locals"].items() if "connection-extra" in name]
    assert extra["workload_identity_tenant_id"] == tenant


@pytest.mark.parametrize(
    ("environment", "location", "host"),
    [
        ("public", "westeurope", None),
        ("usgovernment", "usgovvirginia", "acmexcom.blob.core.usgovcloudapi.net"),
        ("china", "chinanorth3", "acmexcom.blob.core.chinacloudapi.cn"),
    ],
)
def test_an_environment_has_its_hosts_and_the_audience_of_every_other(
    environment: str, location: str, host: str | None, tmp_path: Path
) -> None:
    body = body_of(MINIMAL.replace("westeurope", location) + f"    environment: {environment}\n", tmp_path)
    assert body["provider"]["azurerm"][0].get("environment", "public") == environment
    credentials = of_type(body, "azurerm_federated_identity_credential")
    assert {tuple(credential["audience"]) for credential in credentials} == {("api://AzureADTokenExchange",)}
    (extra,) = [local for name, local in body["locals"].items() if "connection-extra" in name]
    assert extra.get("account_host") == host


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (
            "{name: c, resource_group: aks}",
            {"host", "cluster_ca_certificate", "client_certificate", "client_key"},
        ),
        ("{name: c, resource_group: aks, authentication: exec}", {"host", "cluster_ca_certificate", "exec"}),
        ("{name: c, resource_group: aks, kubeconfig: {path: ~/.kube/config}}", {"config_path"}),
        (
            '{issuer: "https://oidc.example.com/", kubeconfig: {path: kube, context: prod}}',
            {"config_path", "config_context"},
        ),
    ],
)
def test_helm_reaches_the_cluster_as_asked(tmp_path: Path, cluster: str, expected: set[str]) -> None:
    text = MINIMAL.replace("{name: data-prod, resource_group: aks}", cluster)
    (helm,) = body_of(text, tmp_path)["provider"]["helm"]
    assert set(helm["kubernetes"]) == expected


def test_a_given_issuer_is_not_looked_up(tmp_path: Path) -> None:
    cluster = '{issuer: "https://oidc.example.com/", kubeconfig: {path: kube}}'
    body = body_of(MINIMAL.replace("{name: data-prod, resource_group: aks}", cluster), tmp_path)
    assert "data" not in body
    credentials = of_type(body, "azurerm_federated_identity_credential")
    assert {credential["issuer"] for credential in credentials} == {"https://oidc.example.com/"}
    assert {credential["name"] for credential in credentials} >= {"oidc-example-com_astro_prod-triggerer"}


def test_state_in_a_blob_container_needs_no_account_key(tmp_path: Path) -> None:
    text = MINIMAL + "    state: {azurerm: {storage_account_name: acmestate, container_name: tfstate}}\n"
    assert body_of(text, tmp_path)["terraform"]["backend"] == {
        "azurerm": {
            "storage_account_name": "acmestate",
            "container_name": "tfstate",
            "key": "astro-xcom/small.tfstate",
            "use_azuread_auth": True,
        }
    }


def test_text_of_the_settings_is_not_a_template(tmp_path: Path) -> None:
    text = MINIMAL + "    tags: {note: 'a ${b} %{c} ${TfToken[TOKEN.0]}'}\n    identity: {audience: 'api://${x}%{y}'}\n"
    body = body_of(text, tmp_path)
    assert only(body, "azurerm_storage_account")["tags"] == {"note": 'a $${b} %%{c} $${${"TfToken["}TOKEN.0]}'}
    (audience,) = of_type(body, "azurerm_federated_identity_credential")[0]["audience"]
    assert audience == "api://$${x}%%{y}"


@pytest.mark.parametrize(("issuer", "warned"), [("https://x.oic.prod-aks.azure.com/a", True), ("https://x.y/a", False)])
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_issuer_of_aks_without_its_slash_is_warned_of(issuer: str, warned: bool, slash: str, tmp_path: Path) -> None:
    cluster = f"{{issuer: {issuer}{slash}, kubeconfig: {{path: kube}}}}"
    (deployment,) = read(MINIMAL.replace("{name: data-prod, resource_group: aks}", cluster), tmp_path).values()
    found = [warning for warning in deployment.warnings() if warning.startswith("cluster")]
    expected = f"cluster: the issuer {issuer} has no closing '/': the issuers of AKS have one"
    assert found == ([expected] if warned and not slash else [])
