import re
from pathlib import Path

import pytest
from cdktf import App

from astro_xcom.synthesis import make_stack
from support import Body, of_type, only, read, synth

MINIMAL = """
deployments:
  small:
    cloud: aws
    region: us-east-1
    cluster: {name: data-prod}
    agent: {namespace: astro, resource_name_prefix: prod}
    storage: {bucket: acme-xcom}
"""


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
    assert (release["chart"], release["repository"], release["version"]) == (
        "astro-remote-execution-agent",
        "https://helm.astronomer.io",
        "2.3.3",
    )
    assert (release["timeout"], release["wait"], release["atomic"]) == (900, True, False)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", {"upgrade_install": True}),
        (", upgrade_install: false", {}),
        (", take_ownership: true", {"upgrade_install": True, "take_ownership": True}),
    ],
)
def test_an_existing_release_is_taken_up_unless_told_otherwise(settings: str, expected: Body, tmp_path: Path) -> None:
    release = only(body_of(MINIMAL.replace("prefix: prod", f"prefix: prod{settings}"), tmp_path), "helm_release")
    assert {key: release[key] for key in ("upgrade_install", "take_ownership") if key in release} == expected


def test_without_a_release_the_values_are_an_output(tmp_path: Path) -> None:
    body = body_of(MINIMAL.replace("prefix: prod", "prefix: prod, release: false"), tmp_path)
    assert not of_type(body, "helm_release")
    assert "helm" not in body["provider"]
    assert body["output"]["agent_values"]["value"].startswith("${yamlencode(local.")


def test_outputs_carry_plain_names(tmp_path: Path) -> None:
    assert set(body_of(MINIMAL, tmp_path)["output"]) == {
        "bucket",
        "role_arn",
        "xcom_path",
        "annotations",
        "trusted_subjects",
        "agent_values",
    }


def test_the_role_is_named_after_the_deployment(tmp_path: Path) -> None:
    assert only(body_of(MINIMAL, tmp_path), "aws_iam_role")["name"] == "small-xcom"


@pytest.mark.parametrize(
    ("settings", "account"),
    [
        ("", r"\$\{data\.aws_caller_identity\.storage_caller_\w+\.account_id\}"),
        (', existing: true, account_id: "012345678901"', "012345678901"),
        (", existing: true", ""),
    ],
)
def test_the_account_of_the_bucket_is_that_of_whoever_makes_or_has_it(
    settings: str, account: str, tmp_path: Path
) -> None:
    body = body_of(MINIMAL.replace("bucket: acme-xcom", f"bucket: acme-xcom{settings}"), tmp_path)
    documents = body["data"]["aws_iam_policy_document"]
    (access,) = (document for name, document in documents.items() if "access" in name)
    for statement in access["statement"]:
        compared = [value for condition in statement.get("condition", []) for value in condition["values"]]
        assert re.fullmatch(account, " ".join(compared))


def test_an_existing_role_gets_no_policy_but_the_policy_is_an_output(tmp_path: Path) -> None:
    body = body_of(MINIMAL + "    identity: {existing_role: agents}\n", tmp_path)
    assert not of_type(body, "aws_iam_role")
    assert not of_type(body, "aws_iam_role_policy")
    assert body["output"]["access_policy"]["value"].startswith("${data.aws_iam_policy_document.")


def test_local_state_lies_beside_the_project_on_every_machine(tmp_path: Path) -> None:
    backend = body_of(MINIMAL, tmp_path)["terraform"]["backend"]
    assert backend == {"local": {"path": "../../../terraform.small.tfstate"}}


def test_state_in_s3_is_encrypted_and_locked(tmp_path: Path) -> None:
    text = MINIMAL + "    state: {s3: {bucket: acme-state, region: eu-west-1}}\n"
    assert body_of(text, tmp_path)["terraform"]["backend"] == {
        "s3": {
            "bucket": "acme-state",
            "key": "astro-xcom/small.tfstate",
            "region": "eu-west-1",
            "encrypt": True,
            "use_lockfile": True,
        }
    }


def test_the_providers_hold_no_credentials(tmp_path: Path) -> None:
    provider = body_of(MINIMAL, tmp_path)["provider"]
    assert provider["aws"] == [{"region": "us-east-1"}]
    (helm,) = provider["helm"]
    assert helm["kubernetes"]["exec"]["args"] == [
        "eks", "get-token", "--cluster-name", "data-prod", "--region", "us-east-1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ("{name: c, authentication: token}", {"host", "cluster_ca_certificate", "token"}),
        ("{name: c, kubeconfig: {path: ~/.kube/config}}", {"config_path"}),
        ("{name: c, kubeconfig: {path: kube, context: prod}}", {"config_path", "config_context"}),
    ],
)
def test_helm_reaches_the_cluster_as_asked(tmp_path: Path, cluster: str, expected: set[str]) -> None:
    (helm,) = body_of(MINIMAL.replace("{name: data-prod}", cluster), tmp_path)["provider"]["helm"]
    assert set(helm["kubernetes"]) == expected


def test_text_of_the_settings_is_not_a_template(tmp_path: Path) -> None:
    state = "    state: {s3: {bucket: acme-state, region: us-east-1, key: 'a ${b} %{c} ${TfToken[TOKEN.0]}'}}\n"
    body = body_of(MINIMAL + state, tmp_path)
    assert body["terraform"]["backend"]["s3"]["key"] == 'a $${b} %%{c} $${${"TfToken["}TOKEN.0]}'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("kube", "../../../kube"),
        ("./kube/config", "../../.././kube/config"),
        ("~/.kube/config", "~/.kube/config"),
        ("/k", "/k"),
    ],
)
def test_a_kubeconfig_is_found_from_the_stacks_folder(tmp_path: Path, given: str, expected: str) -> None:
    text = MINIMAL.replace("{name: data-prod}", f"{{name: c, kubeconfig: {{path: {given}}}}}")
    (helm,) = body_of(text, tmp_path)["provider"]["helm"]
    assert helm["kubernetes"] == {"config_path": expected}


def test_a_chart_folder_is_found_from_the_stacks_folder_and_has_no_repository(tmp_path: Path) -> None:
    release = only(
        body_of(MINIMAL.replace("prefix: prod", "prefix: prod, chart: ./charts/agent"), tmp_path), "helm_release"
    )
    assert release["chart"] == "../../.././charts/agent"
    assert "repository" not in release


@pytest.mark.parametrize("authentication", ["exec", "token"])
def test_the_token_is_of_the_clusters_own_region(authentication: str, tmp_path: Path) -> None:
    cluster = f"cluster: {{name: data-prod, region: eu-west-1, authentication: {authentication}}}"
    body = body_of(MINIMAL.replace("cluster: {name: data-prod}", cluster), tmp_path)
    if authentication == "exec":
        assert body["provider"]["helm"][0]["kubernetes"]["exec"]["args"][-2:] == ["--region", "eu-west-1"]
    else:
        assert only(body, "aws_eks_cluster_auth", kind="data")["region"] == "eu-west-1"
