"""Workers with an identity of their own: exact trust, their own permissions and no other's, and marks only there.

Real Terraform core and real Helm; policies are evaluated by tests/e2e/iam.py, roles by their members.
"""

import json
from pathlib import Path

import pytest
import yaml

from astro_xcom.chart_values import IDENTITIES
from astro_xcom.deployments import read_deployments
from astro_xcom.report import check, read_state
from astro_xcom.synthesis import synthesized
from e2e import iam
from support import GOLDEN, Applied, Body, Run, render

pytestmark = pytest.mark.terraform

MARKS = {
    "aws": "eks.amazonaws.com/role-arn",
    "azure": "azure.workload.identity/client-id",
    "gcp": "iam.gke.io/gcp-service-account",
}
SUBJECT = "system:serviceaccount:astro:prod-"
OTHERS = {f"{SUBJECT}{name}" for name in ("worker-default-worker", "dag-processor", "triggerer", "sentinel")}
FINANCE = {f"{SUBJECT}worker-finance"}
ML = {f"{SUBJECT}worker-ml"}
CONTEXT = {"aws:ResourceAccount": "111122223333", "kms:ViaService": "s3.us-east-1.amazonaws.com"}
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:airflow/x"
LEDGER = "arn:aws:s3:::acme-ledger/x"
XCOM, STATE = (f"arn:aws:s3:::acme-astro-xcom-workers/{folder}/x" for folder in ("xcom", "state"))


@pytest.fixture(params=MARKS)
def cloud(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(cloud: str, stacks: dict[str, Path], applied: Applied) -> Run:
    return applied(stacks[f"{cloud}-workers"])


def marked(run: Run, worker: str | None, mark: str) -> str:
    """The annotation of a worker's identity, or of that of all others."""
    found: str = (
        run.output("annotations") if worker is None else run.output("worker_identities")[worker]["annotations"]
    )[mark]
    return found


def test_each_service_account_has_its_own_mark_and_nothing_else_has_one(
    cloud: str, run: Run, helm: Path, tmp_path: Path
) -> None:
    (tmp_path / "values.yaml").write_text(run.one("helm_release")["values"][0])
    of_accounts, mark = {}, MARKS[cloud]
    for document in render(helm, tmp_path / "values.yaml"):
        annotations = document["metadata"].get("annotations", {})
        if document["kind"] == "ServiceAccount":
            of_accounts[document["metadata"]["name"].removeprefix("prod-")] = annotations.pop(mark)
        elif document["kind"] == "Deployment":
            # Else pods that run would keep the identity that they started with.
            pod = document["spec"]["template"]["metadata"]["annotations"]
            assert pod[IDENTITIES] == run.agent_values["annotations"][IDENTITIES]
        if document["kind"] != "ConfigMap":  # the values themselves
            assert mark not in yaml.safe_dump(document)
    others, finance, ml = (marked(run, worker, mark) for worker in (None, "finance", "ml"))
    assert len({others, finance, ml}) == 3
    assert of_accounts == {
        **dict.fromkeys((each.removeprefix(SUBJECT) for each in OTHERS), others),
        "worker-finance": finance,
        "worker-ml": ml,
    }


def trusted(policy: str) -> set[str]:
    (statement,) = json.loads(policy)["Statement"]
    return {
        each
        for key, of in statement["Condition"]["StringEquals"].items()
        if key.endswith(":sub")
        for each in iam.items(of)
    }


def test_each_identity_is_trusted_to_its_own_service_accounts(cloud: str, run: Run) -> None:
    found: dict[str, set[str]] = {}
    if cloud == "aws":
        found = {each["name"]: trusted(each["assume_role_policy"]) for each in run.resources("aws_iam_role")}
    for each in run.resources("azurerm_federated_identity_credential"):
        found.setdefault(each["parent_id"].rpartition("/")[2], set()).add(each["subject"])
    for each in run.resources("google_service_account_iam_member"):
        account = each["service_account_id"].rpartition("/")[2].partition("@")[0]
        namespace, _, name = each["member"].partition("[")[2].removesuffix("]").partition("/")
        found.setdefault(account, set()).add(f"system:serviceaccount:{namespace}:{name}")
    assert found == {f"{cloud}-workers-xcom": OTHERS, f"{cloud}-workers-xcom-finance": FINANCE}
    assert set(run.output("trusted_subjects")) == OTHERS
    own = {name: set(told["trusted_subjects"]) for name, told in run.output("worker_identities").items()}
    assert own == {"finance": FINANCE, "ml": ML}


def policies(run: Run, role: str) -> list[iam.Statement]:
    return [
        statement
        for each in run.resources("aws_iam_role_policy")
        if each["role"] == role
        for statement in iam.statements(each["policy"])
    ]


def test_each_role_opens_its_own_extras_and_no_others(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["aws-workers"])
    key = run.one("aws_kms_key")["arn"]
    roles = {
        "aws-workers-xcom": policies(run, "aws-workers-xcom"),
        "aws-workers-xcom-finance": policies(run, "aws-workers-xcom-finance"),
        "training": iam.statements(run.output("worker_identities")["ml"]["access_policy"]),
    }
    asked = {
        ("s3:PutObject", XCOM): {*roles},
        ("s3:DeleteObject", STATE): {*roles},
        ("s3:ListBucket", "arn:aws:s3:::acme-astro-xcom-workers"): {*roles},
        ("kms:GenerateDataKey", key): {*roles},
        ("s3:PutObject", "arn:aws:s3:::acme-astro-xcom-workers/other/x"): set(),
        ("secretsmanager:GetSecretValue", SECRET): {"aws-workers-xcom"},
        ("s3:GetObject", LEDGER): {"aws-workers-xcom-finance"},
        ("s3:PutObject", LEDGER): set(),
    }
    for (action, resource), may in asked.items():
        assert {role for role, of in roles.items() if iam.allowed(action, resource, CONTEXT, of)} == may, action
    attached = [(each["role"], each["policy_arn"]) for each in run.resources("aws_iam_role_policy_attachment")]
    assert attached == [("aws-workers-xcom-finance", "arn:aws:iam::111122223333:policy/ledger")]


def granted(run: Run, cloud: str) -> dict[str, set[str]]:
    """Who has which roles."""
    found: dict[str, set[str]] = {}
    grants: list[Body] = []
    if cloud == "azure":
        names = {each["principal_id"]: each["name"] for each in run.resources("azurerm_user_assigned_identity")}
        for each in run.resources("azurerm_role_assignment"):
            on = each["scope"].rpartition("/")[2]
            found.setdefault(names[each["principal_id"]], set()).add(f"{each['role_definition_name']} on {on}")
        return found
    for type_ in ("google_storage_bucket_iam_member", "google_project_iam_member"):
        grants += run.resources(type_)
    for each in grants:
        name = each["member"].removeprefix("serviceAccount:").partition("@")[0]
        found.setdefault(name, set()).add(f"{each['role']} on {each.get('bucket') or each.get('project')}")
    return found


GRANTED = {
    "azure": {
        "azure-workers-xcom": {"Storage Blob Data Contributor on xcom", "Key Vault Secrets User on acme-secrets"},
        "azure-workers-xcom-finance": {
            "Storage Blob Data Contributor on xcom",
            "Storage Blob Data Reader on acmeledger",
        },
    },
    "gcp": {
        "gcp-workers-xcom": {"roles/secretmanager.secretAccessor on acme-secrets"},
        "gcp-workers-xcom-finance": {"roles/storage.objectViewer on acme-ledger"},
        "training": set(),
    },
}
OF_THE_BUCKET = {f"roles/storage.{role} on acme-astro-xcom-workers" for role in ("objectAdmin", "legacyBucketReader")}


@pytest.mark.parametrize("cloud", GRANTED)
def test_each_identity_has_its_own_roles_and_no_others(cloud: str, stacks: dict[str, Path], applied: Applied) -> None:
    of_all = OF_THE_BUCKET if cloud == "gcp" else set()
    expected = {name: roles | of_all for name, roles in GRANTED[cloud].items()}
    assert granted(applied(stacks[f"{cloud}-workers"]), cloud) == expected


def test_what_is_applied_is_what_the_file_says(cloud: str, run: Run) -> None:
    name = f"{cloud}-workers"
    deployment = read_deployments(GOLDEN / cloud / "deployments.yaml")[name]
    body = synthesized({name: deployment}, file="")[name]
    outputs = {key: {"value": each["value"]} for key, each in run.state["values"]["outputs"].items()}
    for applied in (run.state, outputs):
        report = check(deployment, body, read_state(json.dumps(applied)))
        assert report.findings == ()
    own = report.workers["finance"].identity
    assert "known after apply" not in json.dumps(own)


def test_a_worker_that_lost_its_own_trust_is_told(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["aws-workers"])
    deployment = read_deployments(GOLDEN / "aws" / "deployments.yaml")["aws-workers"]
    body = synthesized({"aws-workers": deployment}, file="")["aws-workers"]
    text = json.dumps(run.state).replace(':prod-worker-finance\\"', ':prod-worker-other\\"')
    found = check(deployment, body, read_state(text)).findings
    assert [each.kind for each in found] == ["trust", "trust"]
    assert all("worker finance: " in f"{each.now}{each.applied}" for each in found)
