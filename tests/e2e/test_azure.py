"""XComs on Azure: from deployments.yaml to a value that another agent reads."""

import json
from dataclasses import replace
from typing import Any

import pytest

from e2e.agents import IMPATIENT
from e2e.azure import Assignment, Azure, OpenAzure
from e2e.chain import Broken
from e2e.gate import Answer, Forward, Request
from e2e.tokens import Invented

pytestmark = pytest.mark.e2e

CONNECTION = "AIRFLOW_CONN_WASB_XCOM"
OBJECT_STORAGE = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
ROLE = "Storage Blob Data Contributor"
DEPLOYMENTS = {"azure-example": {}, "azure-maximal": {"audience": "api://acme-exchange"}}
"""With what the webhook of their clusters was set up."""
SCOPES = {"azure-example": "/blobServices/default/containers/xcom", "azure-maximal": ""}
"""Below the account."""
FORBIDDEN = "write of .*: HttpResponseError: .* 'Forbidden'\nErrorCode:AuthorizationPermissionMismatch"
SILENT = "read of .*: got 'abfs://.* instead of the value; .*not authorized to perform containers/blobs/write"
"""With compression, as here, an upload that is refused is reported by nobody."""
WITHOUT = {
    "containers/blobs/read": FORBIDDEN,
    "containers/blobs/write": SILENT,
    "containers/blobs/delete": "purge of .*: RuntimeError: .*not authorized to perform containers/blobs/delete",
}
NO_CONNECTION = "write of .*: ValueError: .* Must provide either a connection_string or account_name with credentials"
SOMEBODY = "22222222-2222-2222-2222-222222222222"


def connection(azure: Azure, **changes: Any) -> dict[str, str]:
    """The writer's Airflow connection with changes of its extra."""
    found = json.loads(next(iter(azure.pods.values())).env[CONNECTION])
    return {CONNECTION: json.dumps(found | {"extra": json.dumps(json.loads(found["extra"]) | changes)})}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_value_written_by_one_agent_is_read_by_another(name: str, open_azure: OpenAzure) -> None:
    with open_azure(name, **DEPLOYMENTS[name]) as world:
        world.check()


def test_agents_of_the_standby_cluster_reach_the_container(open_azure: OpenAzure) -> None:
    with open_azure("azure-maximal", **DEPLOYMENTS["azure-maximal"]) as world:
        world.subscription.cluster = Invented(world.subscription.issuers[1])
        world.check()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_this_role_is_granted(name: str, open_azure: OpenAzure) -> None:
    with open_azure(name) as world:
        made = world.subscription
    granted = [grant for grant in made.grants if grant.role == ROLE]  # others have nothing to do with XComs
    assert granted == [Assignment(role=ROLE, scope=made.account + SCOPES[name], principal=made.principal)]


def test_without_a_role_xcoms_break(azure: Azure) -> None:
    azure.subscription.assignments.clear()
    with pytest.raises(Broken, match=FORBIDDEN):
        azure.check()


def test_a_role_of_the_client_id_is_nobodys(azure: Azure) -> None:
    azure.subscription.assignments[0].principal = azure.subscription.client_id
    with pytest.raises(Broken, match=FORBIDDEN):
        azure.check()


def test_readers_only_read(azure: Azure) -> None:
    azure.subscription.assignments[0].role = "Storage Blob Data Reader"
    with pytest.raises(Broken, match=SILENT):
        azure.check()


@pytest.mark.parametrize("action", WITHOUT)
def test_without_one_of_these_actions_xcoms_break(action: str, azure: Azure) -> None:
    azure.subscription.roles[ROLE].remove(action)
    with pytest.raises(Broken, match=WITHOUT[action]):
        azure.check()


def test_the_other_actions_of_the_role_are_not_needed(azure: Azure) -> None:
    azure.subscription.roles[ROLE].intersection_update(WITHOUT)
    azure.check()
    assert "GET /acmeastroxcom/xcom?restype=container 403" in azure.gate.requests  # asked for all the same


def test_a_worker_with_an_identity_of_its_own_shares_xcoms_with_the_others(open_azure: OpenAzure) -> None:
    with open_azure("azure-workers") as world:
        others, finance = (world.pods[f"prod-worker-{name}"] for name in ("default-worker", "finance"))
        world.pods = {"finance": finance, "others": others}
        world.check()
        world.pods["finance"] = replace(finance, service_account_annotations=others.service_account_annotations)
        with pytest.raises(Broken, match="AADSTS700213"):
            world.check()


def test_without_compression_a_refused_upload_is_an_error(azure: Azure) -> None:
    azure.subscription.roles[ROLE].remove("containers/blobs/write")
    with pytest.raises(Broken, match=r"write of .*: RuntimeError: .*not authorized to perform containers/blobs/write"):
        azure.check(without=f"{OBJECT_STORAGE}COMPRESSION")


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"PATH": "abfs://wasb_xcom@xcom-2/xcom"}, FORBIDDEN),
        ({"PATH": "abfs://wasb_xcm@xcom/xcom"}, NO_CONNECTION),
        ({"PATH": "abfs://xcom/xcom"}, NO_CONNECTION),
        ({"THRESHOLD": "-1"}, "0 objects appeared"),
        ({"THRESHOLD": ""}, "AirflowConfigException: Failed to convert value to int"),
        ({"COMPRESSION": "None"}, "ValueError: Compression None is not supported"),
        ({"COMPRESSION": "gz"}, "ValueError: Compression gz is not supported"),
    ],
)
def test_with_a_wrong_variable_xcoms_break(env: dict[str, str], why: str, azure: Azure) -> None:
    with pytest.raises(Broken, match=why):
        azure.check(**{OBJECT_STORAGE + key: value for key, value in env.items()})


def test_a_path_beside_ours_is_allowed_but_not_read(azure: Azure) -> None:
    with pytest.raises(Broken, match=r"read of .*: got 'abfs://wasb_xcom@xcom/xcom2/.*' instead of the value; $"):
        azure.check(**{f"{OBJECT_STORAGE}PATH": "abfs://wasb_xcom@xcom/xcom2"})
    assert len(azure.store.keys()) == 1


def test_a_role_on_the_account_lets_agents_make_a_misspelt_container(open_azure: OpenAzure) -> None:
    with open_azure("azure-maximal", **DEPLOYMENTS["azure-maximal"]) as world:
        with pytest.raises(Broken, match=r"read of 5 MB: got 'abfs://team_2_xcom@misspelt/.* instead of the value"):
            world.check(**{f"{OBJECT_STORAGE}PATH": "abfs://team_2_xcom@misspelt/team/xcom"})
        assert "PUT /acmeastroxcommax/misspelt?restype=container 201" in world.gate.requests


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ({"account_name": "acmeelsewhere"}, FORBIDDEN),
        ({"account_name": None}, NO_CONNECTION),
        ({"tenant_id": "11111111-1111-1111-1111-111111111111"}, NO_CONNECTION),
        ({"workload_identity_tenant_id": SOMEBODY}, f"AADSTS90002: no tenant '{SOMEBODY}'"),
        ({"managed_identity_client_id": SOMEBODY}, f"AADSTS700016: no application '{SOMEBODY}'"),
    ],
)
def test_with_a_wrong_connection_xcoms_break(extra: dict[str, Any], why: str, azure: Azure) -> None:
    with pytest.raises(Broken, match=why):
        azure.check(**connection(azure, **extra), **IMPATIENT)


@pytest.mark.parametrize("anon", [True, "false"])
def test_an_anonymous_agent_asks_for_ever(anon: object, azure: Azure) -> None:
    refuse = azure.gate.decide

    def refuse_and_stop(request: Request, forward: Forward) -> Answer:
        return refuse(request, forward) if len(azure.gate.requests) < 20 else Answer(400)

    azure.gate.decide = refuse_and_stop
    with pytest.raises(Broken, match=r"write of .*: HttpResponseError"):
        azure.check(**connection(azure, anon=anon))
    assert [request.split()[::2] for request in azure.gate.requests] == [["HEAD", "409"]] * 20 + [["HEAD", "400"]]


def test_a_service_account_that_is_not_trusted_gets_no_token(azure: Azure) -> None:
    writer, reader, *_ = azure.pods.values()
    for credential in azure.subscription.credentials:
        if credential.subject == writer.subject:
            credential.subject = reader.subject
    with pytest.raises(Broken, match=f"AADSTS700213: .* subject: '{writer.subject}'"):
        azure.check(**IMPATIENT)
    assert len(azure.gate.requests) == 4, "asked four times: without impatience it takes more than a minute"


def test_a_token_for_another_audience_is_not_exchanged(azure: Azure) -> None:
    azure.subscription.audience = "api://acme-exchange"
    with pytest.raises(Broken, match=r"AADSTS700212: .* audience: 'api://acme-exchange'"):
        azure.check(**IMPATIENT)


def test_an_issuer_without_its_slash_is_another_one(azure: Azure) -> None:
    for credential in azure.subscription.credentials:
        credential.issuer = credential.issuer.removesuffix("/")
    with pytest.raises(Broken, match=f"AADSTS700211: .* issuer: '{azure.subscription.cluster.issuer}'"):
        azure.check(**IMPATIENT)


@pytest.mark.parametrize("labels", [{}, {"azure.workload.identity/use": "True"}])
def test_without_the_label_an_agent_is_nobody(labels: dict[str, str], azure: Azure) -> None:
    name, writer = next(iter(azure.pods.items()))
    azure.pods[name] = replace(writer, labels=labels)
    with pytest.raises(Broken, match=r"ClientAuthenticationError: (.*\n)+.* Missing .* 'token_file_path'"):
        azure.check(**IMPATIENT)
