"""What holds on every cloud, from JSON to pods.

Real Terraform core with genuine provider schemas and echoing providers, and real Helm with the chart of tests/chart.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from support import GOLDEN, Applied, Body, Run, render, run_standin

pytestmark = pytest.mark.terraform


def trusted_on_aws(run: Run) -> set[str]:
    """The subjects that the role's trust policy names."""
    policy = json.loads(run.one("aws_iam_role")["assume_role_policy"])
    found: set[str] = set()
    for statement in policy["Statement"]:
        (subjects,) = [value for key, value in statement["Condition"]["StringEquals"].items() if key.endswith(":sub")]
        found |= {subjects} if isinstance(subjects, str) else set(subjects)
    return found


def trusted_on_azure(run: Run) -> set[str]:
    """The subjects of the identity's federated credentials."""
    return {credential["subject"] for credential in run.resources("azurerm_federated_identity_credential")}


def trusted_on_gcp(run: Run) -> set[str]:
    """The Kubernetes service accounts that are members of the service account."""
    members = [member["member"] for member in run.resources("google_service_account_iam_member")]
    found = [re.fullmatch(r"serviceAccount:[a-z0-9-]+\.svc\.id\.goog\[([^/]+)/([^/]+)\]", member) for member in members]
    return {f"system:serviceaccount:{match[1]}:{match[2]}" for match in found if match}


TRUSTED: dict[str, Callable[[Run], set[str]]] = {
    "aws": trusted_on_aws,
    "azure": trusted_on_azure,
    "gcp": trusted_on_gcp,
}
MARKS = {
    "aws": "eks.amazonaws.com/role-arn",
    "azure": "azure.workload.identity/client-id",
    "gcp": "iam.gke.io/gcp-service-account",
}
"""The annotation of a service account that holds the cloud's identity."""
RELEASED = [f"{cloud}-{kind}" for cloud in ("aws", "azure", "gcp") for kind in ("example", "maximal", "existing")]
EXAMPLES = ["aws-example", "azure-example", "gcp-example"]
UNPROTECTED = ["aws-maximal", "azure-maximal", "gcp-existing-account"]
"""Stacks whose storage may be destroyed."""
OPTIONAL = {
    "aws": {"aws_kms_key", "aws_kms_alias", "aws_s3_bucket_logging"},
    "azure": {"azurerm_private_endpoint"},
    "gcp": set(),
}
"""What the example makes besides what it needs."""


def cloud(name: str) -> str:
    return name.partition("-")[0]


@pytest.fixture(params=RELEASED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def released(name: str, stacks: dict[str, Path], applied: Applied) -> Run:
    return applied(stacks[name])


def rendered(run: Run, helm: Path, folder: Path) -> list[Body]:
    file = folder / "values.yaml"
    (document,) = run.one("helm_release")["values"]
    file.write_text(document)
    return render(helm, file)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_values_of_an_example_are_exactly_these(example: str, stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks[example])
    expected = yaml.safe_load((GOLDEN / cloud(example) / f"{example}.values.yaml").read_text())
    assert run.agent_values == expected
    assert yaml.safe_load(run.output("agent_values")) == expected


def managed(run: Run) -> set[str]:
    return {each["type"] for each in run.state["values"]["root_module"]["resources"] if each["mode"] == "managed"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_agents_do_not_notice_what_is_optional(
    example: str, readme_stacks: dict[str, Path], stacks: dict[str, Path], applied: Applied
) -> None:
    plain, whole = applied(readme_stacks[example]), applied(stacks[example])
    assert plain.agent_values == whole.agent_values
    assert managed(plain) == managed(whole) - OPTIONAL[cloud(example)]
    assert OPTIONAL[cloud(example)] <= managed(whole)


def test_every_variable_is_text(released: Run) -> None:
    assert all(isinstance(entry["value"], str) for entry in released.agent_values["commonEnv"])


def test_agents_that_need_xcoms_get_the_variables(released: Run, helm: Path, tmp_path: Path) -> None:
    wanted = {entry["name"]: entry["value"] for entry in released.agent_values["commonEnv"]}
    assert wanted["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"] == released.output("xcom_path")
    seen = []
    for document in rendered(released, helm, tmp_path):
        if document["kind"] != "Deployment" or document["metadata"]["labels"]["component"] == "sentinel":
            continue
        (container,) = document["spec"]["template"]["spec"]["containers"]
        env = {entry["name"]: entry.get("value") for entry in container["env"]}
        assert env.items() >= wanted.items()
        assert env["AIRFLOW__CORE__XCOM_BACKEND"] == released.agent_values["xcomBackend"]
        seen.append(document["metadata"]["labels"]["component"])
    workers = len(released.agent_values.get("workers", [None]))
    assert sorted(seen) == sorted(["dag-processor", "triggerer"] + ["worker"] * workers)


def test_exactly_the_trusted_service_accounts_exist_and_are_annotated(
    name: str, released: Run, helm: Path, tmp_path: Path
) -> None:
    trusted = TRUSTED[cloud(name)](released)
    documents = rendered(released, helm, tmp_path)
    made = {
        document["metadata"]["name"]: document["metadata"].get("annotations", {})
        for document in documents
        if document["kind"] == "ServiceAccount"
    }
    own = {block["name"] for block in released.agent_values["serviceAccount"].values() if not block.get("create", True)}
    used = {
        document["spec"]["template"]["spec"]["serviceAccountName"]
        for document in documents
        if document["kind"] == "Deployment"
    }
    assert used == made.keys() | own
    assert trusted == {f"system:serviceaccount:astro:{name}" for name in used}
    assert set(released.output("trusted_subjects")) == trusted
    assert all(
        annotations[MARKS[cloud(name)]] == released.agent_values["annotations"][MARKS[cloud(name)]]
        for annotations in made.values()
    )


ANNOTATED = {
    "aws-example": True,
    "aws-both": True,
    "aws-pod-identity": False,
    "aws-pod-identity-role": False,
    "gcp-example": True,
    "gcp-direct": False,
}
"""Stack -> whether its mechanism is an annotation's."""


@pytest.mark.parametrize("mechanism", ANNOTATED)
def test_annotations_are_where_they_belong_and_nowhere_else(
    mechanism: str, stacks: dict[str, Path], applied: Applied, helm: Path, tmp_path: Path
) -> None:
    run = applied(stacks[mechanism])
    marked: dict[bool, set[str]] = {True: set(), False: set()}
    for document in rendered(run, helm, tmp_path):
        text = yaml.safe_dump(document)
        marked[any(mark in text for mark in MARKS.values())].add(document["kind"])
    accounts = ANNOTATED[mechanism]
    assert ("ServiceAccount" in marked[True]) == accounts
    assert ("ServiceAccount" in marked[False]) != accounts
    assert bool(marked[True]) == accounts


def test_every_service_account_of_pod_identity_has_an_association_that_the_role_trusts(
    stacks: dict[str, Path], applied: Applied
) -> None:
    run = applied(stacks["aws-pod-identity"])
    trusted = set()
    for statement in json.loads(run.one("aws_iam_role")["assume_role_policy"])["Statement"]:
        assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        assert set(statement["Action"]) == {"sts:AssumeRole", "sts:TagSession"}
        tags = {key.rpartition("/")[2]: value for key, value in statement["Condition"]["StringEquals"].items()}
        clusters, namespaces, accounts = (
            tags[tag] if isinstance(tags[tag], list) else [tags[tag]]
            for tag in ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account")
        )
        trusted |= {(c.rpartition("/")[2], n, a) for c in clusters for n in namespaces for a in accounts}
    associations = list(run.resources("aws_eks_pod_identity_association"))
    assert {(each["cluster_name"], each["namespace"], each["service_account"]) for each in associations} == trusted
    assert {each["role_arn"] for each in associations} == {run.one("aws_iam_role")["arn"]}
    wanted = {f"system:serviceaccount:{namespace}:{account}" for _, namespace, account in trusted}
    assert set(run.output("trusted_subjects")) == wanted


def test_every_kubernetes_service_account_itself_has_each_role(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["gcp-direct"])
    assert not [*run.resources("google_service_account"), *run.resources("google_service_account_iam_member")]
    (project,) = run.data("google_project")
    wanted = {
        f"principal://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{pool}.svc.id.goog"
        f"/subject/ns/astro/sa/{subject.rpartition(':')[2]}"
        for number, pool in ((project["number"], "acme-data"), ("123456789012", "acme-fleet"))
        for subject in run.output("trusted_subjects")
    }
    for role in ("roles/storage.objectAdmin", "roles/storage.legacyBucketReader"):
        members = [each["member"] for each in run.resources("google_storage_bucket_iam_member") if each["role"] == role]
        assert sorted(members) == sorted(wanted)
    assert {each["member"] for each in run.resources("google_project_iam_member")} == wanted


@pytest.mark.parametrize("example", EXAMPLES)
def test_protected_storage_cannot_be_destroyed(
    example: str, shared: Path, stacks: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="prevent_destroy"):
        run_standin(shared, stacks[example], tmp_path, "--destroy")


@pytest.mark.parametrize("unprotected", UNPROTECTED)
def test_storage_can_be_destroyed_once_the_protection_is_off(
    unprotected: str, shared: Path, stacks: dict[str, Path], tmp_path: Path
) -> None:
    run_standin(shared, stacks[unprotected], tmp_path, "--destroy")


def test_every_golden_settles(stacks: dict[str, Path], applied: Applied) -> None:
    """Its second plan is empty, also with what a cloud sets by itself."""
    for stack in stacks.values():
        applied(stack)


def test_a_bucket_without_the_blocked_encryption_never_settles(
    shared: Path, stacks: dict[str, Path], tmp_path: Path
) -> None:
    body = json.loads((stacks["aws-example"] / "cdk.tf.json").read_text())
    (encryption,) = body["resource"]["aws_s3_bucket_server_side_encryption_configuration"].values()
    assert encryption["rule"][0].pop("blocked_encryption_types") == ["SSE-C"]
    (tmp_path / "cdk.tf.json").write_text(json.dumps(body))
    with pytest.raises(AssertionError, match="The second plan is not empty"):
        run_standin(shared, tmp_path, tmp_path / "out")


def test_terraform_refuses_a_spoilt_stack(shared: Path, stacks: dict[str, Path], tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    text = (stacks["aws-example"] / "cdk.tf.json").read_text()
    (spoilt / "cdk.tf.json").write_text(text.replace('"force_destroy"', '"force_destry"'))
    with pytest.raises(AssertionError, match="force_destry"):
        run_standin(shared, spoilt, tmp_path / "out")
