"""What only Google Cloud has: members added one by one, keys granted before buckets, pools checked by the plan."""

import json
from pathlib import Path

import pytest
import yaml

from support import Applied, Body, Run, run_standin, synth_file

pytestmark = pytest.mark.terraform

ACCOUNT = "iam.gke.io/gcp-service-account"
PATH = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"
MEMBER_TYPES = ("google_service_account_iam_member", "google_storage_bucket_iam_member")


@pytest.fixture(params=["gcp-example", "gcp-maximal", "gcp-existing"])
def released(request: pytest.FixtureRequest, stacks: dict[str, Path], applied: Applied) -> Run:
    return applied(stacks[request.param])


def env(run: Run) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in run.agent_values["commonEnv"]}


def planned(run: Run, type_: str) -> list[Body]:
    return [change["change"] for change in run.plan["resource_changes"] if change["type"] == type_]


def addresses(stack: Path, type_: str) -> list[str]:
    body = json.loads((stack / "cdk.tf.json").read_text())
    return [f"{type_}.{name}" for name in body["resource"].get(type_, {})]


def waits_for(run: Run, address: str) -> set[str]:
    """Everything that Terraform makes before a resource, as its state has it."""
    edges = {
        resource["address"]: set(resource.get("depends_on", ()))
        for resource in run.state["values"]["root_module"]["resources"]
    }
    found: set[str] = set()
    open_ = {address}
    while open_:
        open_ = {before for each in open_ for before in edges.get(each, ())} - found
        found |= open_
    return found


def test_the_account_of_the_values_is_the_account_that_has_the_members(released: Run) -> None:
    email = released.agent_values["annotations"][ACCOUNT]
    assert released.output("service_account_email") == email
    assert {grant["member"] for grant in released.resources("google_storage_bucket_iam_member")} == {
        f"serviceAccount:{email}"
    }
    assert all(
        member["service_account_id"].endswith(f"/serviceAccounts/{email}")
        for member in released.resources("google_service_account_iam_member")
    )
    for account in released.resources("google_service_account"):
        assert account["email"] == email


def test_a_first_plan_shows_the_whole_values(released: Run) -> None:
    (change,) = planned(released, "helm_release")
    assert change["after_unknown"]["values"] == [False]
    assert yaml.safe_load(change["after"]["values"][0]) == released.agent_values


def test_a_first_plan_shows_every_member(released: Run) -> None:
    for type_ in MEMBER_TYPES:
        for change in planned(released, type_):
            assert "member" not in change["after_unknown"]
            assert change["after"]["member"].startswith("serviceAccount:")


def test_the_bucket_has_two_members_and_no_binding(released: Run) -> None:
    bucket = released.output("bucket")
    grants = [each for each in released.resources("google_storage_bucket_iam_member") if each["bucket"] == bucket]
    assert sorted(grant["role"] for grant in grants) == [
        "roles/storage.legacyBucketReader",
        "roles/storage.objectAdmin",
    ]
    types = {resource["type"] for resource in released.state["values"]["root_module"]["resources"]}
    assert not [type_ for type_ in types if type_.endswith(("_iam_binding", "_iam_policy"))]


def test_the_members_are_those_of_the_output(released: Run) -> None:
    members = list(released.resources("google_service_account_iam_member"))
    assert {member["role"] for member in members} == {"roles/iam.workloadIdentityUser"}
    assert sorted(member["member"] for member in members) == sorted(released.output("workload_identity_members"))


def test_every_trusted_project_has_exactly_the_agents_members(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["gcp-maximal"])
    accounts = ["prod-worker-default-worker", "heavy-lifting", "prod-dag-processor", "shared-triggerer"]
    assert {member["member"] for member in run.resources("google_service_account_iam_member")} == {
        f"serviceAccount:{project}.svc.id.goog[astro/{account}]"
        for project in ("acme-data", "acme-agents", "acme-fleet")
        for account in accounts
    }


@pytest.mark.parametrize("name", ["gcp-example", "gcp-maximal", "gcp-existing"])
def test_the_agents_start_after_every_member_and_the_bucket(
    name: str, stacks: dict[str, Path], applied: Applied
) -> None:
    (release,) = addresses(stacks[name], "helm_release")
    before = waits_for(applied(stacks[name]), release)
    for type_ in (*MEMBER_TYPES, "google_storage_bucket", "google_service_account"):
        assert set(addresses(stacks[name], type_)) <= before, type_


def test_the_storage_agent_is_granted_the_key_before_the_bucket_is_made(
    stacks: dict[str, Path], applied: Applied
) -> None:
    run = applied(stacks["gcp-maximal"])
    (bucket,) = addresses(stacks["gcp-maximal"], "google_storage_bucket")
    assert set(addresses(stacks["gcp-maximal"], "google_kms_crypto_key_iam_member")) <= waits_for(run, bucket)
    grant, key = run.one("google_kms_crypto_key_iam_member"), run.one("google_kms_crypto_key")
    assert key["id"] == "projects/acme-data/locations/europe/keyRings/acme-astro-xcom-max/cryptoKeys/xcom"
    assert grant["crypto_key_id"] == key["id"]
    assert grant["member"].endswith("@gs-project-accounts.iam.gserviceaccount.com")
    assert run.one("google_storage_bucket")["encryption"] == [{"default_kms_key_name": key["id"]}]


def test_a_dual_region_bucket_as_terraform_has_it(stacks: dict[str, Path], applied: Applied) -> None:
    bucket = applied(stacks["gcp-maximal"]).one("google_storage_bucket")
    assert bucket["location"] == "EU"
    assert sorted(bucket["custom_placement_config"][0]["data_locations"]) == ["EUROPE-WEST1", "EUROPE-WEST4"]
    assert bucket["soft_delete_policy"][0]["retention_duration_seconds"] == 14 * 86400
    assert (bucket["uniform_bucket_level_access"], bucket["public_access_prevention"]) == (True, "enforced")


def test_no_condition_of_the_lifecycle_is_zero(stacks: dict[str, Path], applied: Applied) -> None:
    for name in ("gcp-example", "gcp-maximal", "gcp-existing-account"):
        for rule in applied(stacks[name]).one("google_storage_bucket")["lifecycle_rule"]:
            (condition,) = rule["condition"]
            given = {key: value for key, value in condition.items() if isinstance(value, int) and value is not False}
            assert given
            assert 0 not in given.values()
            assert not any(value is True for value in given.values())


def test_the_path_has_a_connection_id_only_where_one_is_set(stacks: dict[str, Path], applied: Applied) -> None:
    assert env(applied(stacks["gcp-example"]))[PATH] == "gs://acme-astro-xcom-gcp/xcom"
    assert env(applied(stacks["gcp-maximal"]))[PATH] == "gs://google_cloud_default@acme-astro-xcom-max/team/xcom"
    assert env(applied(stacks["gcp-existing"]))[PATH] == "gs://shared.acme.example"


def test_an_existing_bucket_and_account_get_members_only(stacks: dict[str, Path], applied: Applied) -> None:
    resources = applied(stacks["gcp-existing"]).state["values"]["root_module"]["resources"]
    managed = {resource["type"] for resource in resources if resource["mode"] == "managed"}
    assert managed == {*MEMBER_TYPES, "helm_release"}


CLUSTER = """
deployments:
  checked:
    cloud: gcp
    project: acme-data
    cluster: {name: data-prod, location: us-central1, workload_pool: acme-fleet.svc.id.goog}
    agent: {namespace: astro, resource_name_prefix: prod}
    storage: {bucket: acme-xcom, location: US}
"""
REFUSAL = r"(?s)GKE\s.*cluster\s.*data-prod\s.*does\s.*not\s.*have\s.*the\s.*workload\s.*identity\s.*pool"


def test_the_plan_refuses_a_cluster_of_another_pool(shared: Path, tmp_path: Path) -> None:
    file = tmp_path / "deployments.yaml"
    file.write_text(CLUSTER)
    stack = synth_file(file, tmp_path / "synth")["checked"]
    with pytest.raises(AssertionError, match=REFUSAL):
        run_standin(shared, stack, tmp_path / "out")


def test_the_plan_refuses_a_cluster_without_a_pool(shared: Path, stacks: dict[str, Path], tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    text = (stacks["gcp-example"] / "cdk.tf.json").read_text()
    whole, none = "self.workload_identity_config[0]", "slice(self.workload_identity_config, 0, 0)[0]"
    assert whole in text
    (spoilt / "cdk.tf.json").write_text(text.replace(whole, none))  # as a cluster without a pool answers
    with pytest.raises(AssertionError, match=REFUSAL) as caught:
        run_standin(shared, spoilt, tmp_path / "out")
    assert "Invalid index" not in str(caught.value)
