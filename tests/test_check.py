"""`astro-xcom check`: the facts against the goldens, the differences against applied states."""

import copy
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from astro_xcom.cli import app as cli
from astro_xcom.deployments import read_deployments
from astro_xcom.errors import SettingError
from astro_xcom.report import Document, Report, WorkerReport, check, read_state
from astro_xcom.report.compare import MOVED
from astro_xcom.report.compare import _causes as causes_of
from astro_xcom.report.terraform import Known, planned
from astro_xcom.synthesis import synthesized
from support import EXAMPLE, GOLDEN, Applied, Body
from test_rules import deployments

FILES = {
    name: file
    for file in [EXAMPLE / "deployments.yaml", *sorted(GOLDEN.glob("*/deployments.yaml"))]
    for name in yaml.safe_load(file.read_text())["deployments"]
}
ONE_IDENTITY = [name for name in FILES if not name.endswith("-workers")]
"""The others are in test_workers.py."""
UNKNOWN = "(known after apply"
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/other/providers"
SUBNET = f"{GROUP}/Microsoft.Network/virtualNetworks/data/subnets/agents"
CUSTOMER_KEY = {
    "key_id": "https://acme-keys.vault.azure.net/keys/xcom",
    "vault_id": f"{GROUP}/Microsoft.KeyVault/vaults/acme-keys",
}
THEIR_IDENTITY = {"identity.name": "agents", "identity.existing": True, "identity.resource_group": "ids"}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command, in the folder of the example: arguments -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(EXAMPLE)

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["astro-xcom", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        out, err = capsys.readouterr()
        if isinstance(done.value.code, str):  # what Python does with it
            return 1, out, err + done.value.code
        return done.value.code or 0, out, err

    return command


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """Of every deployment, before it is applied."""
    found: dict[str, Report] = {}
    for file in dict.fromkeys(FILES.values()):
        deployments = read_deployments(file)
        bodies = synthesized(deployments, file=file.name)
        found |= {name: check(deployments[name], body) for name, body in bodies.items()}
    return found


def test_several_deployments_are_a_table_and_one_has_its_details(run: Run, tmp_path: Path) -> None:
    code, out, err = run()
    lines = [line.split("  ") for line in out.splitlines()]
    table = [[cell.strip() for cell in line if cell.strip()] for line in lines[:4]]
    assert (code, err) == (0, "")
    assert table[0] == ["deployment", "cloud", "storage", "XComs", "trusted", "values expire", "for others", "warnings"]
    assert table[1][:6] == [
        *("aws-example", "aws", "acme-astro-xcom", "s3://acme-astro-xcom/xcom", "5 accounts", "30 days"),
    ]
    assert [row[2] for row in table[2:]] == ["acmeastroxcom/xcom", "acme-astro-xcom-gcp"]
    assert out.endswith("\nTo see all of one deployment: astro-xcom check aws-example\n")
    assert "Service accounts" not in out
    assert "Service accounts" in run("aws-example")[1]
    _, out, _ = run("--file", GOLDEN / "gcp" / "deployments.yaml")
    assert "existing shared.acme.example" in out
    assert "by the owner's rules" in out
    warnings = out.partition("\nWarnings\n")[2].splitlines()
    assert any(line.startswith("  - gcp-") for line in warnings)


def test_a_refused_file_is_json_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("deployments: {a: {cloud: gcp, projekt: x}}")
    code, out, err = run("--file", file, "--json")
    document = json.loads(out)
    assert (code, document["deployments"]) == (1, {})
    assert document["refused"] == err.splitlines()
    assert any(line.startswith("mine.yaml: a.projekt: is not a setting") for line in document["refused"])


def golden(name: str) -> Body:
    body: Body = json.loads((GOLDEN / name.partition("-")[0] / f"{name}.json").read_text())
    return body


def agrees(shown: str, text: str) -> bool:
    """Whether this is what Terraform JSON says, references apart."""
    literal = re.split(r"(?<!\$)\$\{[^}]*\}", text)
    pattern = ".+".join(re.escape(part.replace("$${", "${").replace("%%{", "%{")) for part in literal)
    return re.fullmatch(pattern, shown, re.DOTALL) is not None


# ---- facts


@pytest.mark.parametrize("name", FILES)
def test_the_facts_of_outputs_and_values_are_those_of_the_golden(name: str, reports: dict[str, Report]) -> None:
    report, body = reports[name], golden(name)
    output = {key: entry["value"] for key, entry in body["output"].items()}
    (values,) = [local for key, local in body["locals"].items() if key.startswith("agent-values")]
    own = [subject for told in output.get("worker_identities", {}).values() for subject in told["trusted_subjects"]]
    assert [account.subject for account in report.service_accounts] == [*output["trusted_subjects"], *own]
    assert report.xcom.path == output["xcom_path"]
    assert (report.state_store.path if report.state_store else None) == output.get("state_store_path")
    environment = report.environment["commonEnv"]
    assert list(environment) == [entry["name"] for entry in values["commonEnv"]]
    for entry in values["commonEnv"]:
        assert agrees(environment[entry["name"]], entry["value"])
    for shown, key in ((report.annotations, "annotations"), (report.labels, "labels")):
        assert shown.keys() == values.get(key, {}).keys()
        assert all(agrees(value, values[key][mark]) for mark, value in shown.items())
    for release in body["resource"].get("helm_release", {}).values():
        assert report.release
        assert report.release.model_dump() == {key: release[key] for key in report.release.model_dump()}
    assert (report.release is None) == ("helm_release" not in body["resource"])


@pytest.mark.parametrize("name", ["aws-example", "gcp-example"])
def test_what_the_pods_get_is_whole_before_the_first_apply(name: str, reports: dict[str, Report]) -> None:
    values = yaml.safe_load((GOLDEN / name.partition("-")[0] / f"{name}.values.yaml").read_text())
    assert reports[name].environment["commonEnv"] == {entry["name"]: entry["value"] for entry in values["commonEnv"]}
    assert reports[name].annotations == values["annotations"]


@pytest.mark.parametrize("name", [name for name in ONE_IDENTITY if name.startswith("aws")])
def test_permissions_and_trust_on_aws_are_those_of_the_golden(name: str, reports: dict[str, Report]) -> None:
    documents = golden(name)["data"]["aws_iam_policy_document"]
    (access,) = [document for key, document in documents.items() if "access" in key]
    beside = [statement for key, of in documents.items() if "permission" in key for statement in of["statement"]]
    attached = list(golden(name)["resource"].get("aws_iam_role_policy_attachment", {}).values())
    permissions = list(reports[name].permissions)
    for one in reversed(attached):
        assert permissions.pop().allowed == (f"what the policy {one['policy_arn']} allows",)
    for permission, statement in zip(permissions, [*access["statement"], *beside], strict=True):
        assert list(permission.allowed) == sorted(statement["actions"])
        found = sorted(
            (each["test"], each["variable"], ", ".join(sorted(each["values"])))
            for each in statement.get("condition", [])
        )
        back = f" only if {' and '.join(map(' '.join, found))}" if found else ""
        assert all(map(agrees, permission.on, [each + back for each in sorted(statement["resources"])]))
    trust = [statement for key, document in documents.items() if "trust" in key for statement in document["statement"]]
    web = [statement for statement in trust if statement["actions"] == ["sts:AssumeRoleWithWebIdentity"]]
    for account in reports[name].service_accounts:
        through_web = [through for through in account.trusted_through if "OIDC provider" in through]
        for through, statement in zip(through_web, web, strict=True):
            conditions = {each["variable"].rpartition(":")[2]: each["values"] for each in statement["condition"]}
            assert account.subject in conditions["sub"]
            assert [through["audience"]] == conditions["aud"]
            assert agrees(through["OIDC provider"], statement["principals"][0]["identifiers"][0])


OF_THE_CLOUD = {
    "aws": {},
    "aws by EKS Pod Identity": {"identity.mechanism": "pod_identity"},
    "azure": {},
    "gcp": {},
    "gcp directly": {"identity.mechanism": "direct", "cluster.project_number": "123456789012"},
}


@pytest.mark.parametrize("of", OF_THE_CLOUD)
def test_components_without_an_identity_are_trusted_nowhere(of: str, tmp_path: Path) -> None:
    values = {"serviceAccount": {"sentinel": {"create": False, "name": "watcher"}}}
    case = {**OF_THE_CLOUD[of], "agent.untrusted": ["dagProcessor", "sentinel"], "agent.values": values}
    file = tmp_path / "deployments.yaml"
    file.write_text(json.dumps({"deployments": deployments(of.split()[0], {"a": case})}))
    found = read_deployments(file)
    body = synthesized(found, file=file.name)["a"]
    report = check(found["a"], body)
    *trusted, processor, sentinel = report.service_accounts
    assert [account.trusted for account in report.service_accounts] == [True, True, False, False]
    assert all(account.trusted_through for account in trusted)
    assert (processor.subject, processor.used_by) == (
        "system:serviceaccount:astro:prod-dag-processor",
        ("dagProcessor",),
    )
    assert (sentinel.subject, sentinel.made_by_chart) == ("system:serviceaccount:astro:watcher", False)
    assert (processor.trusted_through, sentinel.trusted_through) == ((), ())
    assert "The owner of the service account watcher must create it in astro." in report.for_others
    cloud = json.dumps({type_: made for type_, made in body["resource"].items() if type_ != "helm_release"})
    cloud += json.dumps([body["data"], body["output"]["trusted_subjects"]])
    assert [name in cloud for name in ("prod-triggerer", "prod-dag-processor", "watcher")] == [True, False, False]


def test_pod_identity_is_shown_for_each_cluster(reports: dict[str, Report]) -> None:
    through = {account.subject: account.trusted_through for account in reports["aws-pod-identity"].service_accounts}
    clusters = ("eu-west-1:111122223333:cluster/data-standby", "us-east-1:111122223333:cluster/data-pods")
    assert len(through) == 6
    for of in through.values():
        assert list(of) == [{"EKS Pod Identity": f"arn:aws:eks:{cluster}"} for cluster in clusters]
    assert reports["aws-pod-identity"].annotations == {}
    assert [sorted(each) for each in reports["aws-both"].service_accounts[0].trusted_through] == [
        ["OIDC provider", "audience"], ["EKS Pod Identity"],
    ]  # fmt: skip
    assert list(reports["aws-both"].annotations) == ["eks.amazonaws.com/role-arn"]


def changed(body: Body, type_: str, **arguments: Any) -> Body:
    """A stack with one resource of a type changed; without it, where nothing is given."""
    body = copy.deepcopy(body)
    address, one = next(iter(body["resource"][type_].items()))
    if arguments:
        one |= arguments
    else:
        del body["resource"][type_][address]
    return body


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, {"association": "none"}),
        ({"namespace": "other"}, {"association": "none"}),
    ],
)
def test_what_lacks_an_association_is_not_called_trusted(arguments: Body, said: dict[str, str]) -> None:
    deployment = read_deployments(FILES["aws-both"])["aws-both"]
    report = check(deployment, changed(golden("aws-both"), "aws_eks_pod_identity_association", **arguments))
    lacking = [each for one in report.service_accounts for each in one.trusted_through if said.items() <= each.items()]
    assert len(lacking) == 1


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("azure")])
def test_trust_and_role_on_azure_are_those_of_the_golden(name: str, reports: dict[str, Report]) -> None:
    resources = golden(name)["resource"]
    credentials = list(resources.get("azurerm_federated_identity_credential", {}).values())
    shown = [
        (account.subject, through) for account in reports[name].service_accounts for through in account.trusted_through
    ]
    assert len(shown) == len(credentials)
    for credential in credentials:
        assert any(
            subject == credential["subject"]
            and agrees(through["issuer"], credential["issuer"])
            and [through["audience"]] == credential["audience"]
            for subject, through in shown
        )
    permission, *beside = reports[name].permissions
    assert permission.allowed == ("Storage Blob Data Contributor",)
    assert permission.on[0].startswith("/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/")
    assignments = resources.get("azurerm_role_assignment", {}).items()
    given = [each for key, each in assignments if "identity_permission" in key]
    assert sorted((*each.allowed, *each.on) for each in beside) == sorted(
        (each["role_definition_name"], each["scope"]) for each in given
    )


def test_direct_principals_are_shown_as_they_are_granted(reports: dict[str, Report]) -> None:
    report, output = reports["gcp-direct"], golden("gcp-direct")["output"]["workload_identity_members"]["value"]
    shown = [each["principal"] for account in report.service_accounts for each in account.trusted_through]
    assert len(shown) == len(output) == 10
    assert all(any(agrees(one, text) for text in output) for one in shown)
    assert [f"{UNKNOWN}: number of acme-data)" in one for one in shown] == [True, False] * 5
    assert [(*each.allowed, *each.on) for each in report.permissions] == [
        ("roles/storage.legacyBucketReader", "acme-astro-xcom-direct"),
        ("roles/storage.objectAdmin", "acme-astro-xcom-direct"),
        ("roles/secretmanager.secretAccessor", "projects/acme-secrets"),
    ]
    assert report.annotations == {}


def test_a_role_that_one_principal_lacks_is_shown_for_the_others(reports: dict[str, Report]) -> None:
    deployment = read_deployments(FILES["gcp-direct"])["gcp-direct"]
    report = check(deployment, changed(golden("gcp-direct"), "google_project_iam_member"))
    lacking = [on for each in report.permissions for on in each.on if on.startswith("projects/acme-secrets for ")]
    assert len(lacking) == 9


@pytest.mark.parametrize("name", [name for name in ONE_IDENTITY if name.startswith("gcp") and name != "gcp-direct"])
def test_members_and_roles_on_google_cloud_are_those_of_the_golden(name: str, reports: dict[str, Report]) -> None:
    resources, report = golden(name)["resource"], reports[name]
    members = [each["member"] for each in resources.get("google_service_account_iam_member", {}).values()]
    shown = [each["workloadIdentityUser"] for account in report.service_accounts for each in account.trusted_through]
    assert sorted(shown) == sorted(members)
    kinds = ("google_storage_bucket_iam_member", "google_project_iam_member")
    roles = [each["role"] for kind in kinds for each in resources.get(kind, {}).values()]
    assert sorted(role for permission in report.permissions for role in permission.allowed) == sorted(roles)


LIFECYCLES: dict[str, Body | None] = {
    "aws-maximal": {"expire_days": 90, "below": "team/xcom/", "noncurrent_days": 7, "abort_upload_days": 7},
    "azure-maximal": {
        "expire_days": 3,
        "below": "shared-xcom/team/xcom/",
        "noncurrent_days": 3,
        "soft_delete_days": 3,
    },
    "gcp-maximal": {
        "expire_days": 90,
        "below": "team/xcom/",
        "noncurrent_days": 7,
        "abort_upload_days": 7,
        "soft_delete_days": 14,
    },
    "aws-existing": None,
    "azure-existing": None,
    "azure-existing-identity": None,
    "gcp-existing": None,
}


@pytest.mark.parametrize("name", LIFECYCLES)
def test_when_values_go(name: str, reports: dict[str, Report]) -> None:
    lifecycle = reports[name].lifecycle
    assert (lifecycle and lifecycle.model_dump(exclude_none=True)) == LIFECYCLES[name]


def test_an_object_has_the_suffix_of_its_compression(reports: dict[str, Report]) -> None:
    assert reports["aws-example"].xcom.object_key == "xcom/<dag_id>/<run_id>/<task_id>/<uuid4>.zip"
    assert reports["aws-maximal"].xcom.object_key == "team/xcom/<dag_id>/<run_id>/<task_id>/<uuid4>.gz"
    assert reports["azure-existing"].xcom.object_key == "<dag_id>/<run_id>/<task_id>/<uuid4>.zip"


def test_the_state_backend_is_named_as_in_the_file(reports: dict[str, Report]) -> None:
    assert reports["aws-existing-role"].terraform_state == {"backend": "local", "path": "states/adopted.tfstate"}
    assert reports["gcp-maximal"].terraform_state == {
        "backend": "gcs",
        "bucket": "acme-terraform-state",
        "prefix": "xcom/max",
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("aws-example", ["the bucket acme-access-logs must let logging.s3.amazonaws.com put objects there"]),
        ("azure-example", ["privatelink.blob.core.windows.net must link it to the agents' network"]),
        ("gcp-example", ["the bucket acme-access-logs-gcp must let cloud-storage-analytics@google.com create objects"]),
        ("aws-existing-role", ["access_policy", "trusted_subjects", "agent_values"]),
        ("aws-pod-identity", ["add-on eks-pod-identity-agent", "iam:PassRole"]),
        (
            "aws-pod-identity-role",
            ["pods.eks.amazonaws.com", "sts:TagSession", "kubernetes-service-account", "access_policy"],
        ),
        ("aws-existing", ["owner of the bucket acme.shared", "namespace astro must exist", "astro-pull-secret"]),
        ("aws-maximal", ["shared-triggerer must create it in astro"]),
        ("azure-existing-identity", ["federated credential", "api://AzureADTokenExchange", "account acmeshared"]),
        ("gcp-existing-account", ["workloadIdentityUser", "[astro/prod-triggerer]", "keyRings/data/cryptoKeys/xcom"]),
        ("gcp-existing", ["owner of the bucket shared.acme.example"]),
    ],
)
def test_owners_are_told_what_to_do(name: str, words: list[str], reports: dict[str, Report]) -> None:
    text = "\n".join(reports[name].for_others)
    assert [word for word in words if word not in text] == []


GIVEN_KEY = "arn:aws:kms:us-east-1:111122223333:key/1"
GOOGLES_KEY = "projects/acme-keys/locations/us-central1/keyRings/data/cryptoKeys/xcom"
ROLES = "roles/storage.objectAdmin and roles/storage.legacyBucketReader"


@pytest.mark.parametrize(
    ("cloud", "changes", "says"),
    [
        (
            "aws",
            {"storage.encryption": "SSE-KMS", "storage.former_kms_key_arns": [GIVEN_KEY]},
            f"the key {GIVEN_KEY} must let",
        ),
        ("aws", {"storage.encryption": "SSE-KMS", "storage.kms_key_arn": GIVEN_KEY}, "the key policy must also allow"),
        ("aws", {"storage.existing": True}, "its bucket policy must also allow the role"),
        (
            "aws",
            {"cluster.oidc_provider_arn": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com"},
            "The OIDC provider arn:aws:iam::111122223333:oidc-provider/oidc.example.com must be registered in IAM",
        ),
        ("azure", {"storage.customer_managed_key": CUSTOMER_KEY}, "must switch purge protection and Azure RBAC on"),
        (
            "azure",
            {"cluster.issuer": "https://oidc.example.com/a/"},
            "https://oidc.example.com/a/ must have the workload identity",
        ),
        (
            "gcp",
            {"storage.encryption": "customer-managed", "storage.kms_key_name": GOOGLES_KEY},
            f"{GOOGLES_KEY} must let",
        ),
        (
            "gcp",
            {"identity": {"existing_service_account": "agents@acme-x.iam.gserviceaccount.com"}},
            "add members to it",
        ),
        (
            "gcp",
            {"trusted_clusters": [{"workload_pool": "acme-x.svc.id.goog"}]},
            "the pool acme-x.svc.id.goog, and their",
        ),
        ("azure", {"storage.network": {"subnets": [SUBNET]}}, f"the subnet {SUBNET} must give it the service endpoint"),
        ("azure", {**THEIR_IDENTITY, "identity.grant_storage": False}, "must assign the output access to the identity"),
        ("azure", {**THEIR_IDENTITY, "identity.federate": False}, "must create a federated credential for each"),
        (
            "gcp",
            {
                "identity": {
                    "existing_service_account": "agents@acme-data.iam.gserviceaccount.com",
                    "grant_storage": False,
                }
            },
            f"must grant {ROLES} on it to serviceAccount:agents@acme-data.iam.gserviceaccount.com",
        ),
    ],
)
def test_the_list_for_others_is_whole(cloud: str, changes: Body, says: str, tmp_path: Path) -> None:
    (report,) = reported(cloud, changes, tmp_path).values()
    assert [line for line in report.for_others if says in line]


def test_credentials_and_the_role_are_asked_for_apart(tmp_path: Path) -> None:
    ours = {**THEIR_IDENTITY, "identity.grant_storage": False}
    (report,) = reported("azure", ours, tmp_path).values()
    assert (len(report.service_accounts[0].trusted_through), report.permissions_made) == (1, False)
    assert not [line for line in report.for_others if "federated credential" in line]
    theirs = {**THEIR_IDENTITY, "identity.federate": False, "identity.grant_storage": True}
    (report,) = reported("azure", theirs, tmp_path).values()
    assert (report.service_accounts[0].trusted_through, report.permissions_made) == ((), True)
    assert not [line for line in report.for_others if "output access" in line]


def test_a_key_made_here_is_nobody_elses(reports: dict[str, Report]) -> None:
    assert not [line for line in reports["aws-example"].for_others if "owner of the key" in line]
    assert not [line for line in reports["aws-example"].for_others if "OIDC provider" in line]


def reported(cloud: str, changes: Body, folder: Path) -> dict[str, Report]:
    """Of the good deployment with these changes."""
    (folder / "deployments.yaml").write_text(json.dumps({"deployments": deployments(cloud, {"a": changes})}))
    found = read_deployments(folder / "deployments.yaml")
    bodies = synthesized(found, file="deployments.yaml")
    return {name: check(found[name], body) for name, body in bodies.items()}


def test_without_a_zone_somebody_names_the_private_endpoint(tmp_path: Path, run: Run) -> None:
    text = FILES["azure-example"].read_text()
    lines = [line for line in text.splitlines() if "private_dns_zone:" not in line and "values_files" not in line]
    (tmp_path / "deployments.yaml").write_text("\n".join(lines))
    document = json.loads(run("azure-example", "-f", tmp_path / "deployments.yaml", "--json")[1])
    text = "\n".join(document["deployments"]["azure-example"]["for_others"])
    assert "must let the account acmeastroxcom resolve to the private endpoint acmeastroxcom-blob" in text


def test_what_is_granted_here_and_what_is_not(reports: dict[str, Report]) -> None:
    granted = {name: (report.permissions_made, report.identity_made) for name, report in reports.items()}
    assert granted["aws-existing-role"] == granted["azure-existing-identity"] == (False, False)
    assert granted["gcp-existing-account"] == granted["azure-existing"] == (True, False)
    assert granted["aws-example"] == granted["azure-example"] == granted["gcp-example"] == (True, True)


def test_a_workspace_is_shown_with_its_project(tmp_path: Path, run: Run) -> None:
    content = yaml.safe_load((GOLDEN / "gcp" / "deployments.yaml").read_text())
    hcp = {"organization": "acme", "project": "data", "workspace": "xcom"}
    deployment = {**content["deployments"]["gcp-existing"], "state": {"hcp": hcp}}
    (tmp_path / "deployments.yaml").write_text(yaml.safe_dump({**content, "deployments": {"gcp-existing": deployment}}))
    document = json.loads(run("-f", tmp_path / "deployments.yaml", "--json")[1])
    assert document["deployments"]["gcp-existing"]["terraform_state"] == {
        "backend": "cloud",
        "hostname": "app.terraform.io",
        "organization": "acme",
        "workspaces.name": "xcom",
        "workspaces.project": "data",
    }


def test_what_a_plan_does_not_know_says_whose_it_is(reports: dict[str, Report]) -> None:
    assert reports["azure-example"].identity["client id"] == f"{UNKNOWN}: client_id of azure-example-xcom)"
    (through,) = reports["aws-example"].service_accounts[0].trusted_through
    assert through["OIDC provider"] == f"{UNKNOWN}: arn of issuer of data-prod)"
    assert reports["aws-existing"].identity["role"] == (
        f"arn:aws-us-gov:iam::{UNKNOWN}: account_id of aws_caller_identity):role/aws-existing-xcom"
    )


def test_warnings_are_those_of_the_deployment(reports: dict[str, Report]) -> None:
    for name, report in reports.items():
        assert list(report.warnings) == read_deployments(FILES[name])[name].warnings()


def test_text_of_terraform_is_read_as_terraform_reads_it() -> None:
    body = {
        "locals": {
            "document": {"text": '${"{"}TfToken[ $${x} %%{y}', "json": "${jsonencode(local.nested)}"},
            "nested": {"b": "<&>", "a": "${data.cloud_thing.it.deep[0].id}"},
        },
        "data": {"cloud_thing": {"it": {"name": "it"}}},
        "output": {"agent_values": {"value": "${yamlencode(local.document)}"}},
        "terraform": {},
    }
    values = planned(
        body, {}, Known(blocks={"data.cloud_thing.it": {"name": "it", "deep": [{"id": "7"}]}})
    ).agent_values
    assert values == {"text": "{TfToken[ ${x} %{y}", "json": '{"a":"7","b":"\\u003c\\u0026\\u003e"}'}
    other = planned(body, {}, Known(blocks={"data.cloud_thing.it": {"name": "old", "deep": [{"id": "7"}]}}))
    assert json.loads(other.agent_values["json"])["a"] == f"{UNKNOWN}: id of it)"


# ---- the command


def test_json_is_stable_sorted_and_as_documented(run: Run) -> None:
    code, out, err = run("--json")
    assert (code, err) == (0, "")
    assert run("--json")[1] == out
    document = json.loads(out)
    assert out == json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    schema = Document.model_json_schema(mode="serialization")
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    assert Document.model_validate(document).model_dump(mode="json") == document
    assert sorted(document["deployments"]) == ["aws-example", "azure-example", "gcp-example"]


@pytest.mark.parametrize("name", FILES)
def test_text_fits_80_columns_and_never_cuts_what_people_copy(
    name: str, run: Run, reports: dict[str, Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(name, "--file", FILES[name])
    report = reports[name]
    assert code == 0
    identities: list[Report | WorkerReport] = [report, *report.workers.values()]
    whole = [
        *(account.subject for account in report.service_accounts),
        *(text for account in report.service_accounts for each in account.trusted_through for text in each.values()),
        *(text for of in identities for permission in of.permissions for text in (*permission.allowed, *permission.on)),
        *(text for need in report.needs for text in (need.named, *need.by)),
        *(text for of in identities for text in of.identity.values()),
        *(text for account in report.service_accounts for text in account.annotations.values()),
        *report.storage.values(),
        *report.environment["commonEnv"].values(),
        *report.annotations.values(),
        report.xcom.path,
        report.xcom.object_key or "",
        report.xcom.backend,
        *(word for text in report.for_others for word in text.split()),
        report.state_store.backend if report.state_store else "",
    ]
    lines = out.splitlines()
    assert [text for text in whole if not any(text in line for line in lines)] == []
    long = [line.strip().removeprefix("on ") for line in lines if len(line) > 80]
    assert [line for line in long if line not in whole and line not in report.terraform_state.values()] == []
    assert "…" not in out
    assert "\x1b" not in out
    assert "TfToken" not in out
    assert "${" not in re.sub(r"\$\{(HOME|landing|aws:PrincipalTag/team)\}", "", out)  # what the settings have


def test_every_section_is_there(run: Run) -> None:
    out = run("aws-maximal", "-f", FILES["aws-maximal"])[1]
    headings = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert headings == [
        "aws-maximal",
        "Where",
        "Agents",
        "Service accounts",
        "Identity",
        "Other permissions",
        "XComs",
        "State store",
        "Storage",
        "Environment: commonEnv",
        "Annotations of the service accounts",
        "Labels of the pods",
        "Required from others",
        "Good to know",
        "Warnings",
    ]


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        *((name, "storage.existing: ") for name in ("aws-existing", "azure-existing", "gcp-existing")),
        ("azure-existing-identity", "storage.existing: "),
        *(
            (name, "storage.protect_from_destroy: ")
            for name in ("aws-maximal", "azure-maximal", "gcp-existing-account")
        ),
    ],
)
def test_the_storage_warns_alike_on_every_cloud(name: str, warned: str, reports: dict[str, Report]) -> None:
    assert [text for text in reports[name].warnings if text.startswith(warned)]
    assert not [text for text in reports[f"{name.partition('-')[0]}-example"].warnings if text.startswith("storage.")]


@pytest.mark.parametrize("name", ["aws-existing", "azure-existing", "gcp-existing"])
def test_no_days_are_stated_for_storage_that_its_owner_expires(name: str, reports: dict[str, Report]) -> None:
    assert "Values expire when the storage's owner decides." in reports[name].always[0]
    assert "30 days" not in " ".join(reports[name].always)


def test_warnings_are_errors_only_when_strict(run: Run) -> None:
    warned = ("aws-maximal", "-f", FILES["aws-maximal"])
    assert run(*warned)[0] == 0
    assert run(*warned, "--strict")[0] == 1
    assert run("aws-example", "-f", FILES["aws-example"], "--strict")[0] == 0


def test_nothing_is_left_behind(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("-f", EXAMPLE / "deployments.yaml")[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_an_environment_of_one_component_is_shown(run: Run, tmp_path: Path) -> None:
    content = yaml.safe_load((GOLDEN / "gcp" / "deployments.yaml").read_text())
    deployment = content["deployments"]["gcp-existing"]
    secret = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    deployment["agent"]["values"] |= {
        "triggerer": {"env": [{"name": "LEVEL", "value": "a\nb"}, secret], "serviceAccount": "not one"},
        "stateStoreBackend": "of.their.Own",
    }
    file = tmp_path / "deployments.yaml"
    file.write_text(yaml.safe_dump({**content, "deployments": {"gcp-existing": deployment}}))
    code, out, _ = run("-f", file)
    assert code == 0
    assert "Environment: triggerer.env" in out
    assert '  LEVEL="a\\nb"\n' in out
    assert '  KEY={"valueFrom": {"secretKeyRef": {"key": "b", "name": "a"}}}\n' in out


# ---- bad input


def test_unknown_names_are_refused_with_the_near_match(run: Run) -> None:
    code, out, err = run("aws-exampel", "nothing", "gcp-example")
    there = "a deployment must be one of aws-example, azure-example, gcp-example"
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f'deployments.yaml: {there}; got "aws-exampel"; try aws-example',
        f'deployments.yaml: {there}; got "nothing"',
    ]


def test_a_state_is_of_one_deployment(run: Run) -> None:
    code, out, err = run("--state", "state.json")
    assert (code, out) == (1, "")
    assert "needs the name of one deployment" in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be what `terraform show -json` or `terraform output -json` prints"),
        ("not JSON", 'got "not JSON"'),
        ("[1]", "got [1]"),
        ("[" * 100_000, "must be what"),
        ("{}", "it has none: is the deployment applied?"),
        ('{"format_version": "1.0"}', "it has none: is the deployment applied?"),
        ('{"format_version": "1.0", "values": {"root_module": 3}}', "not in that shape"),
        ('{"format_version": "1.2", "planned_values": {}}', "is a plan"),
        ('{"version": 4, "serial": 2, "lineage": "x"}', "is Terraform's own state file"),
        ('{"aws-example": {"bucket": "x"}}', "try `terraform output -json`"),
        ('{"vpc_id": {"value": "vpc-1"}}', "it has vpc_id"),
        ('{"xcom_path": {"value": "s3://x"}}', "must have the output trusted_subjects"),
    ],
)
def test_another_json_than_a_state_is_refused(text: str, words: str) -> None:
    with pytest.raises(SettingError, match=re.escape(words)):
        read_state(text)


def test_a_state_that_cannot_be_read_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "utf16").write_text("{}", encoding="utf-16")
    for name, words in (("absent", "no such file"), (".", "is a directory"), ("utf16", "not UTF-8 text")):
        code, out, err = run("aws-example", "--state", tmp_path / name)
        assert (code, out) == (1, "")
        assert f"{tmp_path / name}: cannot be read: {words}" in err


# ---- differences


def made(name: str) -> tuple[Any, Body, Body]:
    """(deployment, its JSON, what `terraform show -json` would say of it, with made-up values for what is unknown)."""
    from astro_xcom.report import aws, azure, gcp  # all the clouds' providers

    deployments = read_deployments(FILES[name])
    body = synthesized({name: deployments[name]}, file="deployments.yaml")[name]
    cloud = {"aws": aws, "azure": azure, "gcp": gcp}[name.partition("-")[0]]
    stack = planned(body, cloud.computed(body), Known(blocks=made_up(body)))
    outputs = {**stack.outputs, "agent_values": json.dumps(stack.agent_values)}
    state: Body = {
        "format_version": "1.0",
        "values": {
            "outputs": {key: {"value": value} for key, value in outputs.items()},
            "root_module": {
                "resources": [
                    {"mode": mode, "type": type_, "address": address, "values": made_up(body).get(address, {}) | values}
                    for mode, front, kind, blocks in (
                        ("managed", "", "resource", stack.resources),
                        ("data", "data.", "data", stack.data),
                    )
                    for type_, of in blocks.items()
                    for address, values in zip((f"{front}{type_}.{key}" for key in body[kind][type_]), of, strict=True)
                ]
            },
        },
    }
    for each in state["values"]["root_module"]["resources"]:
        if each["type"] == "helm_release":
            each["values"]["values"] = [outputs["agent_values"]]
        if each["type"] == "aws_eks_cluster":
            each["values"].setdefault("region", "us-east-1")  # the provider says where it looked
    return deployments[name], body, json.loads(json.dumps(state))


def made_up(body: Body) -> Body:
    """Address -> what the references ask of that block."""
    blocks: Body = {}
    for address, path in re.findall(
        r"\b((?:data\.)?[a-z]+_\w+\.[\w-]+)\.([a-z_]+(?:\[0\]\.[a-z_]+)*)", json.dumps(body)
    ):
        value: Any = "made-up"
        first, *rest = path.split("[0].")
        for key in reversed(rest):
            value = [{key: value}]
        kind, type_, name = ("resource", *address.split(".")) if address.count(".") == 1 else address.split(".")
        if name in body.get(kind, {}).get(type_, {}):
            blocks.setdefault(address, {"name": body[kind][type_][name].get("name")})[first] = value
    return blocks


def resource(state: Body, type_: str) -> Body:
    found: Body = next(each for each in state["values"]["root_module"]["resources"] if each["type"] == type_)
    return found


def changed_values(key: str, value: Any) -> Callable[[Body], None]:
    def change(state: Body) -> None:
        release = resource(state, "helm_release")["values"]
        release["values"] = [json.dumps({**json.loads(release["values"][0]), key: value})]

    return change


def environment(name: str, value: str) -> Callable[[Body], None]:
    def change(state: Body) -> None:
        release = resource(state, "helm_release")["values"]
        values = json.loads(release["values"][0])
        (entry,) = [entry for entry in values["commonEnv"] if entry["name"] == name]
        entry["value"] = value
        release["values"] = [json.dumps(values)]

    return change


def output(name: str, value: Any) -> Callable[[Body], None]:
    return lambda state: state["values"]["outputs"][name].update(value=value)


def attribute(type_: str, key: str, value: Any) -> Callable[[Body], None]:
    return lambda state: resource(state, type_)["values"].update({key: value})


def first_rule(type_: str, key: str, **values: Any) -> Callable[[Body], None]:
    return lambda state: resource(state, type_)["values"][key][0].update(values)


def without(type_: str) -> Callable[[Body], None]:
    return lambda state: state["values"]["root_module"]["resources"].remove(resource(state, type_))


def replaced(type_: str, key: str, old: str, new: str) -> Callable[[Body], None]:
    def change(state: Body) -> None:
        values = resource(state, type_)["values"]
        assert old in values[key]
        values[key] = values[key].replace(old, new)

    return change


XCOM = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
OWN = " only if StringEquals aws:ResourceAccount 111122223333"
SUBJECT = "system:serviceaccount:astro:prod-aws-triggerer"
MADE_UP = "through OIDC provider made-up, audience sts.amazonaws.com"
TRUST = f"{SUBJECT} {MADE_UP}"

DIFFERENCES: list[tuple[str, Callable[[Body], None], list[tuple[str, str | None, str | None, str | None]], str]] = [
    (
        "aws-example",
        replaced("aws_iam_role", "assume_role_policy", SUBJECT, "system:serviceaccount:astro:old"),
        [
            ("trust", None, TRUST, None),
            ("trust", None, None, f"system:serviceaccount:astro:old {MADE_UP}"),
        ],
        "no credentials",
    ),
    (
        "aws-example",
        replaced("aws_iam_role", "assume_role_policy", "sts.amazonaws.com", "other"),
        [],
        "no credentials",
    ),
    (
        "aws-example",
        replaced("aws_iam_role_policy", "policy", "s3:PutObject", "s3:*"),
        [
            ("permission", None, f"s3:PutObject on arn:aws:s3:::acme-astro-xcom/state/*{OWN}", None),
            ("permission", None, f"s3:PutObject on arn:aws:s3:::acme-astro-xcom/xcom/*{OWN}", None),
            ("permission", None, None, f"s3:* on arn:aws:s3:::acme-astro-xcom/state/*{OWN}"),
            ("permission", None, None, f"s3:* on arn:aws:s3:::acme-astro-xcom/xcom/*{OWN}"),
        ],
        "The next apply grants it",
    ),
    (
        "azure-example",
        attribute("azurerm_role_assignment", "role_definition_name", "Reader"),
        [
            ("permission", None, "Storage Blob Data Contributor on /subscriptions/00000000-0000-0000-0000-000000000000"
             "/resourceGroups/astro-xcom/providers/Microsoft.Storage/storageAccounts/acmeastroxcom/blobServices/default"
             "/containers/xcom", None),
            ("permission", None, None, "Reader on /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups"
             "/astro-xcom/providers/Microsoft.Storage/storageAccounts/acmeastroxcom/blobServices/default/containers"
             "/xcom"),
        ],
        "The next apply grants it",
    ),
    (
        "gcp-example",
        attribute("google_service_account_iam_member", "member", "allUsers"),
        [
            ("trust", None, "system:serviceaccount:astro:prod-gcp-dag-processor through workloadIdentityUser "
             "serviceAccount:acme-data.svc.id.goog[astro/prod-gcp-dag-processor]", None),
            ("trust", None, None, "allUsers through workloadIdentityUser allUsers"),
        ],
        "no credentials",
    ),
    (
        "gcp-example",
        attribute("google_storage_bucket", "soft_delete_policy", [{"retention_duration_seconds": 604800}]),
        [("lifecycle", "soft_delete_days", "0", "7")],
        "deleted within days",
    ),
    (
        "gcp-example",
        attribute("google_storage_bucket_iam_member", "member", "allUsers"),
        [
            ("permission", None, "roles/storage.legacyBucketReader on acme-astro-xcom-gcp", None),
            ("permission", None, None, "roles/storage.legacyBucketReader on acme-astro-xcom-gcp for allUsers"),
        ],
        "The next apply grants it",
    ),
    (
        "gcp-example",
        attribute("google_storage_bucket_iam_member", "role", "roles/owner"),
        [
            ("permission", None, "roles/storage.legacyBucketReader on acme-astro-xcom-gcp", None),
            ("permission", None, None, "roles/owner on acme-astro-xcom-gcp"),
        ],
        "The next apply grants it",
    ),
    (
        "gcp-example",
        attribute("google_storage_bucket_iam_member", "condition", [{"expression": "false"}]),
        [
            ("permission", None, "roles/storage.legacyBucketReader on acme-astro-xcom-gcp", None),
            ("permission", None, None, "roles/storage.legacyBucketReader on acme-astro-xcom-gcp only if false"),
        ],
        "The next apply grants it",
    ),
    (
        "gcp-example",
        first_rule("google_storage_bucket", "lifecycle_rule", action=[{"type": "SetStorageClass"}]),
        [
            ("lifecycle", "below", "xcom/", None),
            ("lifecycle", "expire_days", "30", None),
            ("lifecycle", "rule", None,
             "action.type SetStorageClass, condition.age 30, condition.matches_prefix xcom/, "
             "condition.with_state LIVE"),
        ],
        "The next apply sets",
    ),
    (
        "aws-example",
        first_rule("aws_s3_bucket_lifecycle_configuration", "rule",
                   transition=[{"days": 1, "storage_class": "GLACIER"}]),
        [],
        "The file does not have this rule",
    ),
    (
        "aws-example",
        first_rule("aws_s3_bucket_lifecycle_configuration", "rule", status="Disabled"),
        [("lifecycle", "below", "xcom/", None), ("lifecycle", "expire_days", "30", None)],
        "The next apply sets",
    ),
    (
        "azure-example",
        first_rule("azurerm_storage_management_policy", "rule", enabled=False),
        [("lifecycle", "below", "xcom/xcom/", None), ("lifecycle", "expire_days", "30", None)],
        "The next apply sets",
    ),
    (
        "aws-example",
        without("aws_s3_bucket"),
        [
            ("lifecycle", "abort_upload_days", "7", None),
            ("lifecycle", "below", "xcom/", None),
            ("lifecycle", "expire_days", "30", None),
            ("lifecycle", "noncurrent_days", "7", None),
        ],
        "The next apply sets",
    ),
    (
        "aws-example",
        attribute("aws_s3_bucket_public_access_block", "block_public_policy", False),
        [("privacy", "block_public_policy", "true", "false")],
        "The applied setting decides who reaches the storage, and how. The next apply sets",
    ),
    (
        "aws-example",
        replaced("aws_s3_bucket_policy", "policy", '"s3:*"', '"s3:PutObject"'),
        [],
        "what it forbids is allowed",
    ),
    (
        "aws-example",
        attribute("aws_s3_bucket_policy", "policy", '{"Statement": []}'),
        [],
        "what it forbids is allowed",
    ),
    (
        "aws-example",
        attribute("aws_s3_bucket_versioning", "versioning_configuration", [{"status": "Suspended"}]),
        [("versioning", "versioning_configuration.status", "Enabled", "Suspended")],
        "decides whether a deleted or overwritten value can be restored",
    ),
    (
        "aws-example",
        first_rule("aws_s3_bucket_server_side_encryption_configuration", "rule",
                   apply_server_side_encryption_by_default=[{"sse_algorithm": "aws:kms", "kms_master_key_id": "k"}]),
        [],
        "encrypted with the applied key",
    ),
    (
        "aws-example",
        first_rule("aws_s3_bucket_server_side_encryption_configuration", "rule",
                   apply_server_side_encryption_by_default=[{"sse_algorithm": "AES256", "kms_master_key_id": ""}]),
        [],
        "existing values stay as they were written",
    ),
    (
        "azure-example",
        attribute("azurerm_storage_account", "shared_access_key_enabled", True),
        [("privacy", "shared_access_key_enabled", "false", "true")],
        "who reaches the storage",
    ),
    (
        "azure-example",
        attribute("azurerm_storage_account", "public_network_access_enabled", True),
        [("network", "public_network_access_enabled", "false", "true")],
        "agents may be refused",
    ),
    (
        "azure-example",
        attribute("azurerm_storage_account", "customer_managed_key", [{"key_vault_key_id": "https://v/keys/k"}]),
        [("key", "customer_managed_key.key_vault_key_id", None, "https://v/keys/k")],
        "Agents cannot read values of a key that they may not use",
    ),
    (
        "gcp-example",
        attribute("google_storage_bucket", "public_access_prevention", "inherited"),
        [("privacy", "public_access_prevention", "enforced", "inherited")],
        "who reaches the storage",
    ),
    (
        "gcp-example",
        attribute("google_storage_bucket", "encryption", [{"default_kms_key_name": "projects/p/k"}]),
        [],
        "encrypted with the applied key",
    ),
    (
        "aws-example",
        attribute("helm_release", "status", "failed"),
        [("release", "status", "deployed", "failed")],
        "The last installation or upgrade failed",
    ),
    (
        "gcp-example",
        lambda state: resource(state, "google_storage_bucket_iam_member").update(tainted=True),
        [],
        "The next apply deletes it and creates it again",
    ),
    (
        "gcp-example",
        output("bucket", "acme-old"),
        [],
        "can read none of these values",
    ),
    (
        "aws-example",
        output("role_arn", "arn:aws:iam::111122223333:role/old"),
        [("identity", "role", "arn:aws:iam::111122223333:role/aws-example-xcom", "arn:aws:iam::111122223333:role/old")],
        "The next apply gives them the identity from the file",
    ),
    ("aws-example", attribute("helm_release", "version", "2.3.0"), [("release", "version", "2.3.3", "2.3.0")],
     "in place"),
    ("aws-example", attribute("helm_release", "namespace", "old"), [("release", "namespace", "astro", "old")],
     "uninstalls them and then installs new agents"),
    (
        "aws-example",
        without("helm_release"),
        [
            ("release", "chart", "astro-remote-execution-agent", None),
            ("release", "name", "astro-agent", None),
            ("release", "namespace", "astro", None),
            ("release", "version", "2.3.3", None),
        ],
        "The next apply installs them, or upgrades an existing release of that name",
    ),
    (
        "aws-example",
        environment(f"{XCOM}PATH", "s3://acme-astro-xcom/old"),
        [("value", f"commonEnv[{XCOM}PATH].value", "s3://acme-astro-xcom/xcom", "s3://acme-astro-xcom/old")],
        "read values under the applied path as their paths",
    ),
    (
        "aws-example",
        environment("AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH", "s3://acme-astro-xcom/old"),
        [("value", "commonEnv[AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH].value",
          "s3://acme-astro-xcom/state", "s3://acme-astro-xcom/old")],
        "they do not find it",
    ),
    (
        "aws-example",
        environment(f"{XCOM}THRESHOLD", "1"),
        [("value", f"commonEnv[{XCOM}THRESHOLD].value", "0", "1")],
        "The running agents use the applied value",
    ),
    (
        "aws-example",
        changed_values("annotations", {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/other"}),
        [("value", "annotations.eks.amazonaws.com/role-arn", "arn:aws:iam::111122223333:role/aws-example-xcom",
          "arn:aws:iam::111122223333:role/other")],
        "a cloud identity without access",
    ),
    (
        "azure-example",
        changed_values("labels", {}),
        [("value", "labels.azure.workload.identity/use", "true", None)],
        "or as no identity",
    ),
    ("gcp-example", changed_values("namespace", "old"), [("value", "namespace", "astro", "old")], "subjects"),
    (
        "gcp-example",
        changed_values("logLevel", "DEBUG"),
        [("value", "logLevel", None, "DEBUG")],
        "The running agents use the applied value",
    ),
    ("gcp-example", changed_values("createNamespace", "false"),
     [("value", "createNamespace", "false", '"false"')], "run"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "expected", "causes"), DIFFERENCES)
def test_each_difference_is_a_finding_with_what_it_causes(
    name: str, change: Callable[[Body], None], expected: list[tuple[str, ...]], causes: str
) -> None:
    deployment, body, state = made(name)
    assert check(deployment, body, read_state(json.dumps(state))).findings == ()
    change(state)
    findings = check(deployment, body, read_state(json.dumps(state))).findings
    if expected:
        assert [(each.kind, each.item, each.now, each.applied) for each in findings] == expected
    assert causes in findings[0].causes
    for each in findings:  # what it means now, and what the next apply does
        now, _, then = each.causes.partition("ext apply")
        assert re.match(r"[A-Z].*[.;] (The n|After the n)$", now), each.causes
        assert then.endswith(".")


def test_what_azure_fills_in_is_no_difference() -> None:
    deployment, body, state = made("azure-example")
    account = resource(state, "azurerm_storage_account")["values"]
    account.pop("network_rules", None)
    for resources in body["resource"]["azurerm_storage_account"].values():
        resources.pop("network_rules", None)
    account["network_rules"] = [{"default_action": "Allow", "bypass": ["AzureServices"], "ip_rules": []}]
    assert check(deployment, body, read_state(json.dumps(state))).findings == ()


def test_an_upgrade_that_failed_is_no_agreement() -> None:
    """Terraform updates the outputs even then; the release in the state keeps the old values."""
    deployment, body, state = made("aws-example")
    release = resource(state, "helm_release")["values"]
    release["values"] = [release["values"][0].replace("s3://acme-astro-xcom/xcom", "s3://acme-astro-xcom/old")]
    (finding,) = check(deployment, body, read_state(json.dumps(state))).findings
    assert (finding.now, finding.applied) == ("s3://acme-astro-xcom/xcom", "s3://acme-astro-xcom/old")


@pytest.mark.parametrize("name", ["aws-example", "azure-example", "gcp-example"])
@pytest.mark.parametrize(
    "values",
    [
        {"commonEnv": [{"name": "DB_PASSWORD", "value": "hunter2"}]},
        {"commonEnv": [{"name": "AIRFLOW_CONN_DB", "value": "postgres://airflow:hunter2@db"}]},
        {"commonEnv": [{"name": "ASTRO_WORKSPACE_ID", "value": "https://me:hunter2@astro"}]},
        {"agentToken": "hunter2"},
        {"loggingSidecar": {"config": {"password": "hunter2"}}},
        {"image": "https://me:hunter2@registry"},
    ],
)
def test_no_difference_shows_a_secret_that_was_applied(name: str, values: Body) -> None:
    deployment, body, state = made(name)
    release = resource(state, "helm_release")["values"]
    release["values"] = [json.dumps({**json.loads(release["values"][0]), **values})]
    findings = check(deployment, body, read_state(json.dumps(state))).findings
    assert "***" in str(findings)
    assert "hunter2" not in str(findings)


def test_outputs_alone_tell_of_subjects_storage_identity_and_values() -> None:
    deployment, body, state = made("aws-example")
    outputs = state["values"]["outputs"]
    report = check(deployment, body, read_state(json.dumps(outputs)))
    assert (report.findings, report.compared) == ((), "outputs")
    old = copy.deepcopy(outputs)
    old["trusted_subjects"]["value"][-1] = "system:serviceaccount:astro:old"
    old["bucket"]["value"] = "acme-old"
    findings = check(deployment, body, read_state(json.dumps(old))).findings
    assert [(each.kind, each.now, each.applied) for each in findings] == [
        ("storage", "acme-astro-xcom", "acme-old"),
        ("trust", "system:serviceaccount:astro:prod-aws-sentinel", None),
        ("trust", None, "system:serviceaccount:astro:old"),
    ]


def test_it_says_what_outputs_cannot_tell(run: Run, tmp_path: Path) -> None:
    _, _, state = made("aws-example")
    (tmp_path / "outputs.json").write_text(json.dumps(state["values"]["outputs"]))
    code, out, _ = run("aws-example", "--state", tmp_path / "outputs.json")
    assert code == 0
    text = " ".join(out.split())
    assert "the outputs that Terraform recorded, not with the cloud: no difference in storage and identity" in text
    assert "give `terraform show" in text


def test_the_state_of_another_cloud_is_refused() -> None:
    deployment, body, _ = made("aws-example")
    _, _, other = made("gcp-example")
    with pytest.raises(SettingError, match="is not the state of this deployment: it has no output role_arn"):
        check(deployment, body, read_state(json.dumps(other)))


def test_a_trust_that_somebody_widened_is_found() -> None:
    deployment, body, state = made("aws-example")
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/x"},
        "Condition": {"StringLike": {"x:sub": "system:serviceaccount:*:*"}},
    }
    role = resource(state, "aws_iam_role")["values"]
    policy = json.loads(role["assume_role_policy"])
    anybody = {"Effect": "Allow", "Principal": "*"}
    role["assume_role_policy"] = json.dumps({"Statement": [*policy["Statement"], statement, anybody]})
    findings = check(deployment, body, read_state(json.dumps(state))).findings
    assert [each.applied for each in findings] == [
        "StringLike system:serviceaccount:*:* through OIDC provider arn:aws:iam::111122223333:oidc-provider/x, "
        "audience any",
        "any service account through OIDC provider *, audience any",
    ]


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ('"Allow"', '"Deny"', "Effect Deny"),
        ('["sts:AssumeRoleWithWebIdentity"]', '["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]', "sts:TagSession"),
        ('["sts:AssumeRoleWithWebIdentity"]', '"sts:*"', "Action sts:*"),
        ('"Action"', '"NotAction"', "NotAction sts:AssumeRoleWithWebIdentity"),
        ('"Principal"', '"NotPrincipal"', "NotPrincipal"),
        ('"Federated"', '"AWS": "*", "Federated"', 'through OIDC provider {"AWS": "*"}'),
        ('"StringEquals"', '"StringNotEquals"', "audience StringNotEquals sts.amazonaws.com"),
        (
            '"StringEquals"',
            '"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "StringEquals"',
            "only if IpAddress aws:SourceIp 192.0.2.0/24",
        ),
    ],
)
def test_a_trust_that_somebody_changed_is_found(old: str, new: str, shown: str) -> None:
    deployment, body, state = made("aws-example")
    replaced("aws_iam_role", "assume_role_policy", old, new)(state)
    findings = check(deployment, body, read_state(json.dumps(state))).findings
    assert {each.kind for each in findings} == {"trust"}
    assert any(shown in (each.applied or "") for each in findings)


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (
            '"StringEquals": {"aws:ResourceAccount": ["111122223333"]}',
            '"Bool": {"aws:SecureTransport": true}',
            "s3:ListBucket on arn:aws:s3:::acme-astro-xcom only if Bool aws:SecureTransport true",
        ),
        (
            '"Action": ["s3:ListBucket"]',
            '"NotAction": "s3:DeleteBucket"',
            f"everything but s3:DeleteBucket on arn:aws:s3:::acme-astro-xcom{OWN}",
        ),
        (
            '"Resource": ["arn:aws:s3:::acme-astro-xcom"]',
            '"NotResource": "arn:aws:s3:::other"',
            f"s3:ListBucket on everything but arn:aws:s3:::other{OWN}",
        ),
        (
            '"Effect": "Allow", "Action": ["s3:ListBucket"]',
            '"Effect": "Deny", "Action": ["s3:ListBucket"]',
            f"Deny s3:ListBucket on arn:aws:s3:::acme-astro-xcom{OWN}",
        ),
    ],
)
def test_a_permission_that_somebody_changed_is_found(old: str, new: str, shown: str) -> None:
    deployment, body, state = made("aws-example")
    replaced("aws_iam_role_policy", "policy", old, new)(state)
    findings = check(deployment, body, read_state(json.dumps(state))).findings
    assert {each.kind for each in findings} == {"permission"}
    assert shown in [each.applied for each in findings]


def test_what_was_granted_whatever_the_conditions_is_narrowed_and_not_lost() -> None:
    deployment, body, state = made("aws-example")
    for condition in (
        '"StringEquals": {"aws:ResourceAccount": ["111122223333"]}',
        '"StringLike": {"kms:ViaService": ["s3.*"]}',
    ):
        replaced("aws_iam_role_policy", "policy", condition, "")(state)
    findings = check(deployment, body, read_state(json.dumps(state))).findings
    conditions = [(each.now or "").removeprefix(each.applied or "") for each in findings]
    assert conditions == [OWN] * 7 + [" only if StringLike kms:ViaService s3.*"] * 2
    assert {each.kind for each in findings} == {"permission"}
    assert all("agents keep access" in each.causes for each in findings)


def test_the_bucket_of_a_member_is_the_same_as_the_id_that_its_provider_keeps() -> None:
    deployment, body, state = made("gcp-example")
    for each in state["values"]["root_module"]["resources"]:
        if each["type"] == "google_storage_bucket_iam_member":
            each["values"]["bucket"] = f"b/{each['values']['bucket']}"
    assert check(deployment, body, read_state(json.dumps(state))).findings == ()
    attribute("google_storage_bucket_iam_member", "bucket", "b/other")(state)
    findings = check(deployment, body, read_state(json.dumps(state))).findings
    assert [each.kind for each in findings] == ["permission", "permission"]
    assert (findings[1].applied or "").endswith(" on other")


CLUSTERS = {
    "aws-example": ("data-prod in us-east-1", "data-new in us-east-1"),
    "azure-example": ("data-prod in the resource group aks-data", "data-new in the resource group aks-data"),
    "gcp-example": (
        "data-prod in us-central1 of the project acme-data",
        "data-new in us-central1 of the project acme-data",
    ),
}


@pytest.mark.terraform
@pytest.mark.parametrize("name", CLUSTERS)
def test_another_cluster_is_a_finding(
    name: str, stacks: dict[str, Path], applied: Applied, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "state.json").write_text(json.dumps(applied(stacks[name]).state))
    content = yaml.safe_load(FILES[name].read_text())
    content["defaults"]["agent"]["values_files"] = [str(EXAMPLE / "examples" / "agent-values.yaml")]
    content["deployments"][name]["cluster"]["name"] = "data-new"
    (tmp_path / "deployments.yaml").write_text(yaml.safe_dump(content))
    code, out, _ = run(name, "-f", tmp_path / "deployments.yaml", "--state", tmp_path / "state.json", "--json")
    findings = json.loads(out)["deployments"][name]["findings"]
    assert code == 1
    old, new = CLUSTERS[name]
    clusters = [(each["now"], each["applied"]) for each in findings if each["kind"] == "cluster"]
    assert clusters == [(new, None), (None, old)]
    # A pool is a project's; an issuer is a cluster's own.
    others = {each["kind"] for each in findings} - {"cluster"}
    assert others == (set() if name == "gcp-example" else {"trust"})


def test_an_identity_that_will_be_another_one_is_a_finding() -> None:
    deployment, body, state = made("azure-example")
    attribute("azurerm_user_assigned_identity", "name", "old")(state)
    findings = check(deployment, body, read_state(json.dumps(state))).findings
    assert ("identity", "client id", f"{UNKNOWN}: client_id of azure-example-xcom)", "made-up") in [
        (each.kind, each.item, each.now, each.applied) for each in findings
    ]


def test_findings_go_to_stderr_and_end_with_1(run: Run, tmp_path: Path) -> None:
    _, _, state = made("aws-example")
    environment(f"{XCOM}PATH", "s3://acme-astro-xcom/old")(state)
    file = tmp_path / "state.json"
    file.write_text(json.dumps(state))
    code, out, err = run("aws-example", "--state", file)
    assert code == 1
    assert "/old" not in out
    assert " ".join(out.partition("\nApplied\n")[2].split()) == (
        "- Compared with the state that Terraform recorded, not with the cloud: 1 difference in storage and identity "
        "by name, clusters, trust, permissions, lifecycle, encryption and its key, privacy, network and versioning of "
        "the storage, release and values. Nothing else is compared: `terraform plan` shows the rest, and `check "
        "--plan` what the next apply does. No state shows what others granted. "
        "- The state shows a failed upgrade of the release, and changes by hand, only after a refresh (`terraform "
        "apply -refresh-only`)."
    )
    assert err.splitlines() == [
        "deployments.yaml: aws-example: value",
        "  Agents use the applied path. After the next apply they use the path from the",
        "  file, and read values under the applied path as their paths.",
        f"    commonEnv[{XCOM}PATH].value",
        "    - s3://acme-astro-xcom/old",
        "    + s3://acme-astro-xcom/xcom",
        "- is applied, + is what the file says; `check --plan` says what the next apply does.",
    ]
    code, out, _ = run("aws-example", "--state", file, "--json")
    assert code == 1
    assert json.loads(out)["deployments"]["aws-example"]["findings"][0]["applied"] == "s3://acme-astro-xcom/old"


def test_a_state_can_come_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("{}"))
    code, out, err = run("aws-example", "--state", "-")
    assert (code, out) == (1, "")
    assert err.startswith("standard input: must have the outputs")


# ---- applied, with real Terraform core and providers that only echo


@pytest.mark.terraform
@pytest.mark.parametrize("name", FILES)
def test_what_is_applied_as_it_is_described_has_no_finding(
    name: str, stacks: dict[str, Path], applied: Applied, run: Run, tmp_path: Path
) -> None:
    state = applied(stacks[name]).state
    for number, document in enumerate((state, state["values"]["outputs"])):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(document))
        code, out, err = run(name, "-f", FILES[name], "--state", file, "--json")
        assert (code, err) == (0, "")
        assert UNKNOWN not in out or document is not state


@pytest.mark.terraform
@pytest.mark.parametrize("name", ["aws-example", "azure-example", "gcp-example"])
def test_applied_values_are_filled_in(name: str, stacks: dict[str, Path], applied: Applied) -> None:
    done = applied(stacks[name])
    deployment = read_deployments(FILES[name])[name]
    body = synthesized({name: deployment}, file="deployments.yaml")[name]
    for document in (done.state, done.state["values"]["outputs"]):
        report = check(deployment, body, read_state(json.dumps(document)))
        assert report.annotations == done.agent_values["annotations"]
        assert report.environment["commonEnv"] == {
            entry["name"]: entry["value"] for entry in done.agent_values["commonEnv"]
        }
        shown = next(iter(report.identity.values()))
        assert shown in (done.output(key) for key in ("role_arn", "client_id", "service_account_email")
                         if key in done.state["values"]["outputs"])  # fmt: skip


@pytest.mark.terraform
@pytest.mark.parametrize("name", ["aws-example", "azure-example", "gcp-example"])
def test_changed_settings_differ_from_what_is_applied(
    name: str, stacks: dict[str, Path], applied: Applied, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "state.json").write_text(json.dumps(applied(stacks[name]).state))
    content = yaml.safe_load(FILES[name].read_text())
    content["defaults"]["agent"]["values_files"] = [str(EXAMPLE / "examples" / "agent-values.yaml")]
    content["defaults"]["xcom"]["retention_days"] = 60
    content["deployments"][name]["storage"]["path"] = "other"
    content["deployments"][name]["agent"]["resource_name_prefix"] = "renamed"
    file = tmp_path / "deployments.yaml"
    file.write_text(yaml.safe_dump(content))
    code, out, err = run(name, "-f", file, "--state", tmp_path / "state.json", "--json")
    assert code == 1
    findings = json.loads(out)["deployments"][name]["findings"]
    kinds = {"trust", "lifecycle", "value", *(["permission"] if name == "aws-example" else [])}
    assert {finding["kind"] for finding in findings} == kinds
    assert "system:serviceaccount:astro:renamed-triggerer" in err
    assert "- 30\n" in err


@pytest.mark.parametrize(
    "path",
    [
        "annotations.azure.workload.identity/client-id",
        "annotations.astro-xcom/identities",
        "serviceAccount.triggerer.annotations",
        "workers[finance].serviceAccount.annotations",
    ],
)
def test_annotations_that_move_to_their_service_accounts_are_no_alarm(path: str) -> None:
    assert causes_of(path, moved=True) == MOVED
    assert causes_of(path, moved=False) != MOVED
    assert causes_of("workers[finance].queues", moved=True) != MOVED
    assert causes_of("annotations.team", moved=True) != MOVED
