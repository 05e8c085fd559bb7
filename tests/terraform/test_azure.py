"""What only Azure has: a connection in JSON in JSON, one credential after another, and pods with a label."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import Applied, Body, Run, render, run_standin, synth_file

pytestmark = pytest.mark.terraform

CLIENT = "azure.workload.identity/client-id"
USE = "azure.workload.identity/use"
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
TENANT = "11111111-1111-1111-1111-111111111111"

SETTINGS: Body = {
    "cloud": "azure",
    "subscription_id": "00000000-0000-0000-0000-000000000000",
    "location": "westeurope",
    "resource_group": {"name": "astro-xcom"},
    "cluster": {"name": "data-prod", "resource_group": "aks"},
    "agent": {"namespace": "astro", "resource_name_prefix": "prod"},
    "storage": {"account": "acmexcom"},
}


@pytest.fixture(params=["azure-example", "azure-maximal", "azure-existing"])
def released(request: pytest.FixtureRequest, stacks: dict[str, Path], applied: Applied) -> Run:
    return applied(stacks[request.param])


def environment(run: Run) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in run.agent_values["commonEnv"]}


def connection(run: Run) -> tuple[str, Body, Body]:
    """(connection id, the connection, its extra), decoded as Airflow does."""
    ((variable, text),) = [(key, text) for key, text in environment(run).items() if key.startswith("AIRFLOW_CONN_")]
    outer = json.loads(text)
    assert isinstance(outer["extra"], str)
    return variable.removeprefix("AIRFLOW_CONN_").lower(), outer, json.loads(outer["extra"])


def deployed(settings: Body, folder: Path, applied: Applied) -> Run:
    (folder / "deployments.yaml").write_text(json.dumps({"deployments": {"azure-test": settings}}))
    return applied(synth_file(folder / "deployments.yaml", folder / "out")["azure-test"])


@pytest.mark.parametrize(
    ("name", "account", "more"),
    [
        ("azure-example", "acmeastroxcom", {}),
        ("azure-maximal", "acmeastroxcommax", {}),
        ("azure-existing", "acmeshared", {"account_host": "acmeshared.blob.core.usgovcloudapi.net"}),
    ],
)
def test_the_connection_decodes_to_exactly_this(
    name: str, account: str, more: Body, stacks: dict[str, Path], applied: Applied
) -> None:
    run = applied(stacks[name])
    connection_id, outer, extra = connection(run)
    outer.pop("extra")
    assert outer == {"conn_type": "azure", "login": account}
    assert extra.pop("anon") is False
    assert extra == {
        "account_name": account,
        "managed_identity_client_id": run.output("client_id"),
        "workload_identity_tenant_id": TENANT,
        **more,
    }
    assert run.output("xcom_path").startswith(f"abfs://{connection_id}@{run.output('container')}")


def test_the_identity_of_the_values_is_the_one_that_is_federated(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["azure-example"])
    identity = run.one("azurerm_user_assigned_identity")
    assert run.agent_values["annotations"][CLIENT] == identity["client_id"] == run.output("client_id")
    assert run.output("principal_id") == identity["principal_id"]
    assert {credential["parent_id"] for credential in run.resources("azurerm_federated_identity_credential")} == {
        identity["id"]
    }
    grant = run.one("azurerm_role_assignment")
    assert grant["principal_id"] == identity["principal_id"]
    assert grant["scope"] == (
        f"{SUBSCRIPTION}/resourceGroups/astro-xcom/providers/Microsoft.Storage/storageAccounts/acmeastroxcom"
        "/blobServices/default/containers/xcom"
    )


def test_pods_carry_the_label_and_service_accounts_the_annotation(released: Run, helm: Path, tmp_path: Path) -> None:
    (document,) = released.one("helm_release")["values"]
    (tmp_path / "values.yaml").write_text(document)
    pods, accounts = [], []
    for found in render(helm, tmp_path / "values.yaml"):
        if found["kind"] == "Deployment":
            pods.append(found["spec"]["template"]["metadata"]["labels"][USE])
        if found["kind"] == "ServiceAccount":
            accounts.append(found["metadata"]["annotations"][CLIENT])
    assert set(pods) == {"true"}
    assert set(accounts) == {released.output("client_id")}
    assert len(pods) >= 3


def test_the_variables_of_a_pod_are_those_of_the_state(released: Run, helm: Path, tmp_path: Path) -> None:
    (document,) = released.one("helm_release")["values"]
    (tmp_path / "values.yaml").write_text(document)
    for found in render(helm, tmp_path / "values.yaml"):
        if found["kind"] == "Deployment" and found["metadata"]["labels"]["component"] == "worker":
            (container,) = found["spec"]["template"]["spec"]["containers"]
            env = {entry["name"]: entry.get("value") for entry in container["env"]}
            assert env.items() >= environment(released).items()


def test_every_cluster_is_trusted_by_its_own_issuer(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["azure-maximal"])
    credentials = list(run.resources("azurerm_federated_identity_credential"))
    issuers = {credential["issuer"] for credential in credentials}
    assert len(issuers) == 3
    assert all(issuer.endswith("/") for issuer in issuers)
    pairs = {(credential["issuer"], credential["subject"]) for credential in credentials}
    assert pairs == {(issuer, subject) for issuer in issuers for subject in run.output("trusted_subjects")}
    assert len(credentials) == len(pairs) == 12
    assert {tuple(credential["audience"]) for credential in credentials} == {("api://acme-exchange",)}


def test_an_issuer_reaches_azure_to_the_letter(stacks: dict[str, Path], applied: Applied) -> None:
    credentials = applied(stacks["azure-existing"]).resources("azurerm_federated_identity_credential")
    assert {credential["issuer"] for credential in credentials} == {"https://oidc.example.com/clusters/prod"}


def test_a_maximal_account(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["azure-maximal"])
    account = run.one("azurerm_storage_account")
    assert account["resource_group_name"] == "Data_Platform.(prod)"
    assert account["tags"]["note"] == 'costs ${100} and 50%{x}, "quotes", back\\slash'
    (rules,) = account["network_rules"]
    assert rules["default_action"] == "Deny"
    assert sorted(rules["ip_rules"]) == ["198.51.100.0/24", "203.0.113.7"]
    assert sorted(rules["bypass"]) == ["AzureServices", "Metrics"]
    (key,) = account["customer_managed_key"]
    (grant,) = [grant for grant in run.resources("azurerm_role_assignment") if grant["scope"].endswith("/keys/xcom")]
    (identity,) = [found for found in run.resources("azurerm_user_assigned_identity") if found["name"].endswith("-key")]
    assert key["user_assigned_identity_id"] == identity["id"]
    assert grant["principal_id"] == identity["principal_id"]
    assert grant["scope"].endswith("/vaults/acme-keys/keys/xcom")


def test_an_existing_container_is_granted_by_its_id(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["azure-existing"])
    assert run.one("azurerm_role_assignment")["scope"] == (
        f"{SUBSCRIPTION}/resourceGroups/storage/providers/Microsoft.Storage/storageAccounts/acmeshared"
        "/blobServices/default/containers/shared"
    )
    assert not list(run.resources("azurerm_storage_container"))


def test_the_owner_of_an_identity_reads_what_to_assign(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["azure-existing-identity"])
    access = run.output("access")
    assert access["principal_id"] == run.output("principal_id")
    assert access["role"] == "Storage Blob Data Contributor"
    assert access["scope"].endswith("/storageAccounts/acmeshared/blobServices/default/containers/adopted")
    assert not list(run.resources("azurerm_federated_identity_credential"))


def test_values_of_an_identity_that_exists_are_whole_in_a_first_plan(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["azure-existing"])
    (change,) = [change for change in run.plan["resource_changes"] if change["type"] == "helm_release"]
    assert yaml.safe_load(change["change"]["after"]["values"][0]) == run.agent_values


def test_only_what_azure_makes_up_is_unknown_in_a_first_plan(stacks: dict[str, Path], applied: Applied) -> None:
    changes = applied(stacks["azure-example"]).plan["output_changes"]
    unknown = {name for name, change in changes.items() if change["after_unknown"] not in (False, {})}
    assert unknown == {"client_id", "principal_id", "tenant_id", "annotations", "agent_values"}


# ---- twenty credentials


def workers(number: int) -> Body:
    """Settings with this many service accounts: workers, dag processor, triggerer, sentinel."""
    values = {"workers": [{"name": f"worker-{n}"} for n in range(number - 3)]}
    return {**SETTINGS, "agent": {**SETTINGS["agent"], "values": {**VALUES, **values}}}


VALUES: Body = {
    "astroDeploymentAPIURL": "https://cluster0.external.astronomer.run/d0000000",
    "image": "images.example.com/data/agent:1.8.2",
    "imagePullSecretName": "astro-pull-secret",
    "agentTokenSecretName": "astro-agent-token",
    "secretBackend": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
}


def test_twenty_credentials_are_made_each_after_the_one_before(tmp_path: Path, applied: Applied) -> None:
    run = deployed(workers(20), tmp_path, applied)
    assert len(list(run.resources("azurerm_federated_identity_credential"))) == 20
    waits = {
        resource["address"]: [name for name in resource.get("depends_on", ()) if "federated" in name]
        for resource in run.plan["configuration"]["root_module"]["resources"]
        if resource["type"] == "azurerm_federated_identity_credential"
    }
    (first,) = [address for address, earlier in waits.items() if not earlier]
    chain = [first]
    while len(chain) < 20:
        (following,) = [address for address, earlier in waits.items() if earlier == chain[-1:]]
        chain.append(following)
    assert set(chain) == set(waits)


# ---- any text

HOSTILE = [
    "${HOME}", "$${HOME}", "%{if x}", "%%{x}", "${azurerm_storage_account.x.id}", "${TfToken[TOKEN.0]}", '"quoted"',
    "back\\slash", "\\n", '{"a": "${b}"}', "line\nbreak", "ünïcödé", "#{x}", "'", "$", "%", "${", "%{",
]  # fmt: skip
KEYS = ["costCenter", "cost-center", "cost_center2", "Cost Center3", "a.b:c", "${x}", "${TfToken[TOKEN.1]}", '"q"']


def test_any_text_of_the_settings_arrives_unchanged(tmp_path: Path, applied: Applied) -> None:
    text = "".join(HOSTILE)
    settings: dict[str, Any] = {
        **SETTINGS,
        "tags": {**{f"note-{n}": hostile for n, hostile in enumerate(HOSTILE)}, **dict.fromkeys(KEYS, "x")},
        "identity": {"audience": 'api://${x}/%{y}/"z"/\\'},
        "agent": {
            **SETTINGS["agent"],
            "chart": f"agent-{text}",
            "repository": f"https://charts.example.com/{text}",
            "values": {**VALUES, "commonEnv": [{"name": f"TEXT_{n}", "value": t} for n, t in enumerate(HOSTILE)]},
        },
    }
    run = deployed(settings, tmp_path, applied)
    for type_ in ("azurerm_storage_account", "azurerm_resource_group", "azurerm_user_assigned_identity"):
        assert run.one(type_)["tags"] == settings["tags"]
    for credential in run.resources("azurerm_federated_identity_credential"):
        assert credential["audience"] == [settings["identity"]["audience"]]
    release = run.one("helm_release")
    assert (release["chart"], release["repository"]) == (settings["agent"]["chart"], settings["agent"]["repository"])
    found = environment(run)
    assert [found[f"TEXT_{n}"] for n in range(len(HOSTILE))] == HOSTILE
    assert connection(run)[2]["anon"] is False


def test_the_connection_is_right_for_any_value_that_terraform_fills_in(
    shared: Path, tmp_path: Path, stacks: dict[str, Path]
) -> None:
    """Hostile texts in the place of the account, the client id and the tenant, and what Airflow then decodes."""
    stack = tmp_path / "stack"
    stack.mkdir()
    body = json.loads((stacks["azure-example"] / "cdk.tf.json").read_text())
    hostile = "\n".join(HOSTILE)
    encoded = base64.b64encode(hostile.encode()).decode()
    body["locals"]["hostile"] = f'${{base64decode("{encoded}")}}'
    for name, local in body["locals"].items():
        if "connection-extra" in name:
            local.update(dict.fromkeys(set(local) - {"anon"}, "${local.hostile}"))
        elif "storage_connection" in name:
            local["login"] = "${local.hostile}"
    (stack / "cdk.tf.json").write_text(json.dumps(body))
    _, outer, extra = connection(run_standin(shared, stack, tmp_path / "out"))
    assert outer["login"] == hostile
    assert extra.pop("anon") is False
    assert extra == dict.fromkeys(
        ["account_name", "managed_identity_client_id", "workload_identity_tenant_id"], hostile
    )


@pytest.mark.parametrize(
    "broken", ["data_plane_available", "storage_use_azuread", "versioning_enabled", "prefix_match"]
)
def test_terraform_refuses_a_spoilt_stack(broken: str, shared: Path, stacks: dict[str, Path], tmp_path: Path) -> None:
    text = (stacks["azure-example"] / "cdk.tf.json").read_text()
    assert f'"{broken}"' in text
    (tmp_path / "cdk.tf.json").write_text(text.replace(f'"{broken}"', f'"{broken}_"'))
    with pytest.raises(AssertionError, match=f"{broken}_"):
        run_standin(shared, tmp_path, tmp_path / "out")
