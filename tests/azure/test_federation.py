import pytest
from cdktf import TerraformStack, TerraformVariable, Testing
from cdktf_cdktf_provider_azurerm.federated_identity_credential import FederatedIdentityCredential

from astro_xcom.azure import AksOidcIssuer, FederatedIdentity
from astro_xcom.errors import SettingError
from astro_xcom.permissions import RoleOn
from support import Body, of_type, only, resolved, synth

ISSUER = "https://westeurope.oic.prod-aks.azure.com/11111111-1111-1111-1111-111111111111/22222222-2222-2222-2222-222222222222/"
SUBJECTS = ["system:serviceaccount:astro:worker", "system:serviceaccount:astro:triggerer"]
TENANT = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def stack() -> TerraformStack:
    return TerraformStack(Testing.app(), "test")


def federated(stack: TerraformStack, **changes: object) -> FederatedIdentity:
    if "issuers" not in changes:
        changes["issuers"] = [AksOidcIssuer(stack, "oidc", issuer=ISSUER, key="prod")]
    given = {"name": "astro-xcom", "resource_group": "data", "location": "westeurope", "subjects": SUBJECTS, **changes}
    return FederatedIdentity(stack, "identity", **given)  # type: ignore[arg-type]


def credentials(body: Body) -> dict[str, Body]:
    return {credential["name"]: credential for credential in of_type(body, "azurerm_federated_identity_credential")}


def owner(identity: str) -> Body:
    """How a credential names its identity: CDK Terrain's azurerm 5 has another argument."""
    if FederatedIdentityCredential.__module__.startswith("cdktn_"):
        return {"user_assigned_identity_id": f"${{{identity}.id}}"}
    return {"parent_id": f"${{{identity}.id}}", "resource_group_name": f"${{{identity}.resource_group_name}}"}


def test_each_service_account_has_a_credential_of_its_own(stack: TerraformStack) -> None:
    federated(stack)
    body = synth(stack)
    (user,) = body["resource"]["azurerm_user_assigned_identity"]
    found = credentials(body)
    assert set(found) == {"prod_astro_triggerer", "prod_astro_worker"}
    assert found["prod_astro_worker"] == {
        "name": "prod_astro_worker",
        "issuer": ISSUER,
        "subject": "system:serviceaccount:astro:worker",
        "audience": ["api://AzureADTokenExchange"],
        **owner(f"azurerm_user_assigned_identity.{user}"),
        "lifecycle": {"create_before_destroy": True},
    }


def test_credentials_are_made_one_after_another_over_all_clusters(stack: TerraformStack) -> None:
    issuers = [
        AksOidcIssuer(stack, "one", issuer=ISSUER),
        AksOidcIssuer(stack, "two", cluster_name="standby", resource_group="aks"),
    ]
    made = federated(stack, issuers=issuers)
    body = synth(stack)
    addresses = {
        f"azurerm_federated_identity_credential.{address}": credential
        for address, credential in body["resource"]["azurerm_federated_identity_credential"].items()
    }
    chain = [address for address, credential in addresses.items() if "depends_on" not in credential]
    while len(chain) < len(addresses):
        (following,) = [name for name, found in addresses.items() if found.get("depends_on") == chain[-1:]]
        chain.append(following)
    assert [addresses[address]["name"] for address in chain] == [
        "one_astro_worker", "one_astro_triggerer", "two_astro_worker", "two_astro_triggerer",
    ]  # fmt: skip
    assert made.dependencies[1:] == made.credentials
    assert len(made.credentials) == 4


def test_a_new_service_account_keeps_every_other_address(stack: TerraformStack) -> None:
    federated(stack)
    before = set(synth(stack)["resource"]["azurerm_federated_identity_credential"])
    other = TerraformStack(Testing.app(), "test")
    federated(other, subjects=["system:serviceaccount:astro:another", *reversed(SUBJECTS)])
    assert before < set(synth(other)["resource"]["azurerm_federated_identity_credential"])


@pytest.mark.parametrize("issuer", [ISSUER, "https://oidc.example.com/a", "https://oidc.example.com/a/"])
def test_an_issuer_is_kept_to_the_letter(stack: TerraformStack, issuer: str) -> None:
    federated(stack, issuers=[AksOidcIssuer(stack, "oidc", issuer=issuer)])
    assert {credential["issuer"] for credential in credentials(synth(stack)).values()} == {issuer}


def test_the_issuer_of_a_cluster_is_looked_up_and_must_be_there(stack: TerraformStack) -> None:
    federated(stack, issuers=[AksOidcIssuer(stack, "oidc", cluster_name="data-prod", resource_group="aks")])
    body = synth(stack)
    cluster = only(body, "azurerm_kubernetes_cluster", kind="data")
    assert (cluster["name"], cluster["resource_group_name"]) == ("data-prod", "aks")
    (condition,) = cluster["lifecycle"]["postcondition"]
    assert condition["condition"] == "${self.oidc_issuer_enabled}"
    assert "--enable-oidc-issuer" in condition["error_message"]
    for credential in credentials(body).values():
        assert credential["issuer"].endswith(".oidc_issuer_url}")


def test_an_issuer_filled_in_later_passes(stack: TerraformStack) -> None:
    issuer = TerraformVariable(stack, "issuer", type="string").string_value
    federated(stack, issuers=[AksOidcIssuer(stack, "oidc", issuer=issuer)])
    assert {credential["issuer"] for credential in credentials(synth(stack)).values()} == {"${var.issuer}"}


def test_the_audience_of_another_cloud(stack: TerraformStack) -> None:
    federated(stack, audience="api://AzureADTokenExchangeChina")
    assert {tuple(credential["audience"]) for credential in credentials(synth(stack)).values()} == {
        ("api://AzureADTokenExchangeChina",)
    }


def test_pods_are_labelled_and_service_accounts_annotated(stack: TerraformStack) -> None:
    marks = federated(stack).pod_identity
    assert marks.labels == {"azure.workload.identity/use": "true"}
    ((key, client_id),) = marks.annotations.items()
    assert key == "azure.workload.identity/client-id"
    text = resolved(stack, client_id)
    assert text.startswith("${azurerm_user_assigned_identity.")
    assert text.endswith(".client_id}")


def test_credentials_are_added_to_an_identity_that_exists(stack: TerraformStack) -> None:
    made = federated(stack, location=None, resource_group="identities")
    body = synth(stack)
    assert set(body["resource"]) == {"azurerm_federated_identity_credential"}
    assert only(body, "azurerm_user_assigned_identity", kind="data") == {
        "name": "astro-xcom",
        "resource_group_name": "identities",
    }
    (identity,) = body["data"]["azurerm_user_assigned_identity"]
    for credential in credentials(body).values():
        assert credential.items() >= owner(f"data.azurerm_user_assigned_identity.{identity}").items()
    assert made.managed


def test_an_identity_used_as_it_is_gets_no_credentials(stack: TerraformStack) -> None:
    found = FederatedIdentity.from_name(stack, "identity", "agents", resource_group="data", tenant_id=TENANT)
    assert not found.managed
    assert found.tenant_id == TENANT
    assert found.dependencies == []
    assert "resource" not in synth(stack)


def test_tags_reach_the_identity(stack: TerraformStack) -> None:
    federated(stack, tags={"team": "data"})
    assert only(synth(stack), "azurerm_user_assigned_identity")["tags"] == {"team": "data"}


MANY = [f"system:serviceaccount:astro:worker-{number}" for number in range(21)]


def test_an_identity_holds_twenty_credentials(stack: TerraformStack) -> None:
    assert len(federated(stack, subjects=MANY[:20]).credentials) == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a b"}, 'try "a-b"'),
        ({"resource_group": "data."}, 'got "data."'),
        ({"location": "West Europe"}, 'try "westeurope"'),
        ({"tenant_id": "acme.example.com"}, "must be a GUID"),
        ({"audience": ""}, "1-600 characters"),
        ({"subjects": []}, "at least one"),
        ({"issuers": []}, "at least one"),
        ({"subjects": ["system:serviceaccount:astro:*"]}, "without wildcards"),
        ({"subjects": ["astro:worker"]}, "subject of one Kubernetes service account"),
        ({"subjects": [SUBJECTS[0], SUBJECTS[0]]}, 'trusted once; got "prod system:serviceaccount:astro:worker"'),
        ({"subjects": MANY}, 'at most 20 .*; got "21 service accounts of 1 clusters"; try workers that share'),
    ],
)
def test_what_azure_would_refuse_is_refused(stack: TerraformStack, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        federated(stack, **changes)
    federated(TerraformStack(Testing.app(), "test"))


def test_eleven_accounts_of_two_clusters_are_too_many(stack: TerraformStack) -> None:
    issuers = [AksOidcIssuer(stack, name, issuer=f"https://{name}.example.com/") for name in ("one", "two")]
    federated(stack, issuers=issuers, subjects=MANY[:10])
    with pytest.raises(SettingError, match="11 service accounts of 2 clusters"):
        FederatedIdentity(stack, "other", name="astro-xcom", resource_group="data", issuers=issuers, subjects=MANY[:11])


def test_two_clusters_with_one_issuer_are_one(stack: TerraformStack) -> None:
    issuers = [AksOidcIssuer(stack, name, issuer=ISSUER) for name in ("one", "two")]
    with pytest.raises(SettingError, match="trusted once"):
        federated(stack, issuers=issuers)


def test_a_subject_filled_in_later_has_no_name_to_give_its_credential(stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match="known when the stack is synthesized"):
        federated(stack, subjects=[TerraformVariable(stack, "subject", type="string").string_value])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"cluster_name": "data"},
        {"resource_group": "aks"},
        {"issuer": ISSUER, "resource_group": "aks"},
        {"cluster_name": "data", "resource_group": "aks", "issuer": ISSUER},
    ],
)
def test_an_issuer_is_given_one_way(stack: TerraformStack, given: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="either"):
        AksOidcIssuer(stack, "oidc", **given)


def test_issuers_are_of_the_identitys_environment(stack: TerraformStack) -> None:
    issuer = "https://usgovvirginia.oic.prod-aks.azure.us/11111111-1111-1111-1111-111111111111/a/"
    issuers = [AksOidcIssuer(stack, "oidc", issuer=issuer)]
    with pytest.raises(
        SettingError, match=r"issuers\[0\] is of Azure's environment usgovernment, and location of public"
    ):
        federated(stack, issuers=issuers)
    assert federated(stack, issuers=issuers, location="usgovvirginia").managed


def test_two_clusters_of_one_key_are_told_so(stack: TerraformStack) -> None:
    issuers = [AksOidcIssuer(stack, name, issuer=f"https://{name}.example.com/", key="prod") for name in ("a", "b")]
    with pytest.raises(SettingError, match=r'each cluster needs a key of its own: .*; got "prod"'):
        federated(stack, issuers=issuers)


# ---- permissions beside XComs

VAULT = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/data/providers/Microsoft.KeyVault/vaults/acme"
)


def test_each_role_beside_xcoms_is_an_assignment_of_its_own(stack: TerraformStack) -> None:
    made = federated(stack, roles=[RoleOn(role="Key Vault Secrets User", scope=VAULT)])
    (assignment,) = of_type(synth(stack), "azurerm_role_assignment")
    assert assignment == {
        "scope": VAULT,
        "role_definition_name": "Key Vault Secrets User",
        "principal_id": assignment["principal_id"],
        "principal_type": "ServicePrincipal",
        "skip_service_principal_aad_check": True,
    }
    assert assignment["principal_id"] == resolved(stack, made.principal_id)
    assert "azurerm_role_assignment" in {each.terraform_resource_type for each in made.dependencies}  # type: ignore[attr-defined]


def test_the_address_of_a_role_does_not_depend_on_case_or_order(stack: TerraformStack) -> None:
    role = RoleOn(role="Key Vault Secrets User", scope=VAULT)
    federated(stack, roles=[RoleOn(role="Reader", scope=VAULT), role])
    other = TerraformStack(Testing.app(), "other")
    federated(other, roles=[RoleOn(role=role.role.lower(), scope=VAULT.replace("acme", "ACME"))])
    (address,) = synth(other)["resource"]["azurerm_role_assignment"]
    assert address in synth(stack)["resource"]["azurerm_role_assignment"]


@pytest.mark.parametrize(
    ("role", "scope", "message"),
    [
        ("Owner", VAULT, "administrators"),
        ("Reader", "acme", "resource id"),
        ("Reader", "${azurerm_key_vault.mine.id}", "a RoleAssignment of your own"),
    ],
)
def test_a_role_that_cannot_be_assigned_or_opens_everything_is_refused(
    stack: TerraformStack, role: str, scope: str, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        federated(stack, roles=[RoleOn(role=role, scope=scope)])


def test_a_role_is_given_once_on_a_scope(stack: TerraformStack) -> None:
    with pytest.raises(SettingError, match="once on each scope"):
        federated(stack, roles=[RoleOn(role="Reader", scope=VAULT), RoleOn(role="reader", scope=VAULT)])
