from pathlib import Path

import pytest
from cdktf import App

from astro_xcom.gcp import GcpXComStack
from astro_xcom.settings import GcpDeployment
from astro_xcom.synthesis import make_stack
from support import Body, of_type, only, read, synth

MINIMAL = """
deployments:
  small:
    cloud: gcp
    project: acme-data
    cluster: {name: data-prod, location: us-central1}
    agent: {namespace: astro, resource_name_prefix: prod}
    storage: {bucket: acme-xcom, location: US}
"""
CLUSTER = "{name: data-prod, location: us-central1}"


def body_of(text: str, folder: Path) -> Body:
    ((name, deployment),) = read(text, folder).items()
    return synth(make_stack(App(outdir=str(folder)), name, deployment))


def test_the_release_waits_for_everything_its_pods_need(tmp_path: Path) -> None:
    body = body_of(MINIMAL, tmp_path)
    made = {f"{type_}.{name}" for type_, resources in body["resource"].items() for name in resources}
    release = only(body, "helm_release")
    assert set(release["depends_on"]) == {name for name in made if not name.startswith("helm_release.")}


def test_the_release_waits_for_the_members_of_an_existing_account(tmp_path: Path) -> None:
    text = MINIMAL + "    identity: {existing_service_account: agents@acme-data.iam.gserviceaccount.com}\n"
    release = only(body_of(text, tmp_path), "helm_release")
    kinds = [name.partition(".")[0] for name in release["depends_on"]]
    assert kinds.count("google_service_account_iam_member") == 4
    assert "google_service_account" not in kinds


def test_without_a_release_the_values_are_an_output(tmp_path: Path) -> None:
    body = body_of(MINIMAL.replace("prefix: prod", "prefix: prod, release: false"), tmp_path)
    assert not of_type(body, "helm_release")
    assert "helm" not in body["provider"]
    assert body["output"]["agent_values"]["value"].startswith("${yamlencode(local.")


def test_outputs_carry_plain_names(tmp_path: Path) -> None:
    assert set(body_of(MINIMAL, tmp_path)["output"]) == {
        "bucket",
        "service_account_email",
        "workload_identity_members",
        "xcom_path",
        "annotations",
        "trusted_subjects",
        "agent_values",
    }


def test_the_service_account_is_named_after_the_deployment(tmp_path: Path) -> None:
    assert only(body_of(MINIMAL, tmp_path), "google_service_account")["account_id"] == "small-xcom"


def test_the_members_are_an_output_even_when_the_accounts_owner_adds_them(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + "    identity: {existing_service_account: agents@acme-data.iam.gserviceaccount.com, federate: false}\n"
    )
    body = body_of(text, tmp_path)
    assert not of_type(body, "google_service_account")
    assert not of_type(body, "google_service_account_iam_member")
    assert (
        "serviceAccount:acme-data.svc.id.goog[astro/prod-triggerer]"
        in (body["output"]["workload_identity_members"]["value"])
    )
    assert len(of_type(body, "google_storage_bucket_iam_member")) == 2


def test_state_in_cloud_storage(tmp_path: Path) -> None:
    text = MINIMAL + "    state: {gcs: {bucket: acme-state}}\n"
    backend = body_of(text, tmp_path)["terraform"]["backend"]
    assert backend == {"gcs": {"bucket": "acme-state", "prefix": "astro-xcom/small"}}


def test_local_state_lies_beside_the_project_on_every_machine(tmp_path: Path) -> None:
    backend = body_of(MINIMAL, tmp_path)["terraform"]["backend"]
    assert backend == {"local": {"path": "../../../terraform.small.tfstate"}}


def test_the_providers_hold_no_credentials(tmp_path: Path) -> None:
    body = body_of(MINIMAL, tmp_path)
    assert body["provider"]["google"] == [{"project": "acme-data"}]
    (helm,) = body["provider"]["helm"]
    assert helm["kubernetes"]["token"].startswith("${data.google_client_config.")
    assert only(body, "google_client_config", kind="data") == {}


def test_labels_reach_the_provider_letter_by_letter(tmp_path: Path) -> None:
    body = body_of(MINIMAL + "    labels: {cost-center: '1', a_b: '', größe: groß}\n", tmp_path)
    assert body["provider"]["google"][0]["default_labels"] == {"cost-center": "1", "a_b": "", "größe": "groß"}


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (CLUSTER, {"host", "cluster_ca_certificate", "token"}),
        ("{name: c, location: us-central1-a, authentication: exec}", {"host", "cluster_ca_certificate", "exec"}),
        ("{name: c, location: us-central1, kubeconfig: {path: ~/.kube/config}}", {"config_path"}),
        (
            "{workload_pool: acme-data.svc.id.goog, kubeconfig: {path: kube, context: prod}}",
            {"config_path", "config_context"},
        ),
    ],
)
def test_helm_reaches_the_cluster_as_asked(tmp_path: Path, cluster: str, expected: set[str]) -> None:
    (helm,) = body_of(MINIMAL.replace(CLUSTER, cluster), tmp_path)["provider"]["helm"]
    assert set(helm["kubernetes"]) == expected


def test_a_cluster_of_another_project_is_looked_up_there_and_its_pool_trusted(tmp_path: Path) -> None:
    body = body_of(MINIMAL.replace("data-prod,", "data-prod, project: acme-agents,"), tmp_path)
    assert only(body, "google_container_cluster", kind="data")["project"] == "acme-agents"
    members = [member["member"] for member in of_type(body, "google_service_account_iam_member")]
    assert members
    assert all(member.startswith("serviceAccount:acme-agents.svc.id.goog[astro/") for member in members)
    assert only(body, "google_service_account")["project"] == "acme-data"


def test_a_pool_given_by_name_is_trusted_and_nothing_looked_up(tmp_path: Path) -> None:
    text = MINIMAL.replace(CLUSTER, "{workload_pool: acme-fleet.svc.id.goog, kubeconfig: {path: kube}}")
    body = body_of(text, tmp_path)
    assert "data" not in body
    assert (
        "serviceAccount:acme-fleet.svc.id.goog[astro/prod-sentinel]"
        in (body["output"]["workload_identity_members"]["value"])
    )


def test_a_cluster_with_a_pool_of_its_own_is_looked_up_and_checked_for_that(tmp_path: Path) -> None:
    body = body_of(MINIMAL.replace("data-prod,", "data-prod, workload_pool: acme-fleet.svc.id.goog,"), tmp_path)
    (check,) = only(body, "google_container_cluster", kind="data")["lifecycle"]["postcondition"]
    assert '"acme-fleet.svc.id.goog"' in check["condition"]
    assert (
        "serviceAccount:acme-fleet.svc.id.goog[astro/prod-sentinel]"
        in (body["output"]["workload_identity_members"]["value"])
    )


def test_what_exists_is_not_made(tmp_path: Path) -> None:
    text = MINIMAL.replace("location: US", "existing: true")
    text += "    identity: {existing_service_account: agents@acme-data.iam.gserviceaccount.com, federate: false}\n"
    assert set(body_of(text, tmp_path)["resource"]) == {"google_storage_bucket_iam_member", "helm_release"}


def test_a_connection_id_is_warned_of(tmp_path: Path) -> None:
    (plain,) = read(MINIMAL, tmp_path).values()
    assert not [warning for warning in plain.warnings() if "connection" in warning]
    (named,) = read(MINIMAL + "    xcom: {connection_id: google}\n", tmp_path).values()
    (warning,) = [warning for warning in named.warnings() if "connection" in warning]
    assert warning.startswith("xcom.connection_id: the Airflow connection google must exist")
    assert any("astroDeploymentAPIURL" in warning for warning in named.warnings())


@pytest.mark.parametrize(
    ("location", "warned"),
    [("us-central1", False), ("US-CENTRAL1", False), ("US", False), ("NAM4", False), ("europe-west1", True)],
)
def test_a_cluster_in_another_region_is_warned_of(location: str, warned: bool, tmp_path: Path) -> None:
    (deployment,) = read(MINIMAL.replace("location: US", f"location: {location}"), tmp_path).values()
    found = [warning for warning in deployment.warnings() if "crosses regions" in warning]
    assert bool(found) == warned
    if warned:
        assert found[0].startswith("cluster.location: is in us-central1, and the storage is in europe-west1")


@pytest.mark.parametrize("setting", ["xcom: {compression: gzip}", "state_store: {path: state, compression: zip}"])
def test_a_compression_is_warned_of(setting: str, tmp_path: Path) -> None:
    (plain,) = read(MINIMAL, tmp_path).values()
    assert not [warning for warning in plain.warnings() if "compression" in warning]
    (compressed,) = read(f"{MINIMAL}    {setting}\n", tmp_path).values()
    (warning,) = [warning for warning in compressed.warnings() if "compression" in warning]
    assert warning.startswith(f"{setting.partition(':')[0]}.compression: gcsfs 2026.8.2 and later")


def test_python_callers_use_the_same_settings(tmp_path: Path) -> None:
    (read_,) = read(MINIMAL, tmp_path).values()
    given = GcpDeployment(
        project="acme-data",
        cluster={"name": "data-prod", "location": "us-central1"},
        agent={"namespace": "astro", "resource_name_prefix": "prod"},
        storage={"bucket": "acme-xcom", "location": "US"},
    )
    assert given == read_
    assert synth(GcpXComStack(App(outdir=str(tmp_path)), "small", given)) == body_of(MINIMAL, tmp_path)
