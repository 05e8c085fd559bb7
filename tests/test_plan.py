"""`astro-xcom check --plan`: what it reads, prints and exits with. What it says of real plans: tests/transitions."""

import json
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.cli import app as cli
from support import Body

EDITS = yaml.safe_load((Path(__file__).parent / "transitions" / "edits.yaml").read_text())
KEY = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000"
SUBJECTS = [
    f"system:serviceaccount:astro:prod-{name}"
    for name in ("worker-default-worker", "worker-heavy", "dag-processor", "triggerer", "sentinel")
]
OUTPUTS = {
    "xcom_path": {"before": "s3://acme-astro-xcom/xcom", "after": "s3://acme-astro-xcom/xcom"},
    "trusted_subjects": {"before": SUBJECTS, "after": SUBJECTS},
}
Run = Callable[..., tuple[int, str, str]]


def resource(type_: str, *actions: str, before: Any = None, after: Any = None) -> Body:
    change = {"actions": list(actions), "before": before, "after": after}
    return {"address": f"{type_}.it", "type": type_, "mode": "managed", "change": change}


def plan(*changes: Body, **more: Any) -> Body:
    return {
        "timestamp": "2026-11-25T10:00:00Z",
        "planned_values": {},
        "resource_changes": list(changes),
        "output_changes": OUTPUTS,
        **more,
    }


def policy(*actions: str) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": KEY}]})


KEY_OFF = plan(
    resource("aws_iam_role_policy", "update", before={"policy": policy("kms:Decrypt", "kms:GenerateDataKey")}, after={})
)
SHORTER = plan(
    resource(
        "aws_s3_bucket_lifecycle_configuration",
        "update",
        before={"rule": [{"expiration": [{"days": 30}]}]},
        after={"rule": [{"expiration": [{"days": 7}]}]},
    )
)
RENAMED = plan(resource("aws_iam_role", "create", "delete", before={"name": "old"}, after={"name": "new"}))
LOST = {"resource_drift": [resource("helm_release", "delete", before={"name": "astro-agent"})]}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    deployments = {"one": EDITS["bases"]["aws"]}
    (tmp_path / "deployments.yaml").write_text(yaml.safe_dump({"deployments": deployments}))

    def go(document: Any, *arguments: str) -> tuple[int, str, str]:
        (tmp_path / "plan.json").write_text(document if isinstance(document, str) else json.dumps(document))
        monkeypatch.setattr(sys, "argv", ["astro-xcom", "check", "one", "--plan", "plan.json", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        code = end.value.code
        return (1, out, err + code) if isinstance(code, str) else (int(code or 0), out, err)

    return go


@pytest.mark.parametrize(
    ("document", "code", "kind"),
    [
        (plan(), 0, "fine"),
        (SHORTER, 3, "SOON expires-earlier"),
        (RENAMED, 4, "QUIET identity-replaced"),
        (KEY_OFF, 5, "STOP key-not-readable"),
        (plan(**LOST), 5, "STOP release-not-found"),
        (plan(output_changes={"xcom_path": {"actions": ["delete"], "before": "p"}}), 5, "STOP release-not-found"),
        (plan(resource("aws_s3_bucket", "delete", before={"bucket": "b"})), 5, "STOP storage-destroyed"),
        (plan(resource("acme_thing", "delete", before={"name": "x"})), 4, "QUIET destroyed"),
    ],
)
def test_the_exit_code_tells_the_worst(document: Body, code: int, kind: str, run: Run) -> None:
    status, out, err = run(document)
    assert (status, err) == (code, "")
    assert kind in out


def test_a_plan_that_protection_refused_is_read_all_the_same(run: Run) -> None:
    refused = plan(resource("aws_s3_bucket", "delete", "create", before={"bucket": "b"}), errored=True)
    assert run(refused)[0] == 5


ROLE = "arn:aws:iam::111122223333:role/"
OWN = {"heavy": {"role_arn": f"{ROLE}own", "annotations": {}, "trusted_subjects": [SUBJECTS[1]]}}
OTHERS = [each for each in SUBJECTS if each not in OWN["heavy"]["trusted_subjects"]]
PODS = {"resourceNamePrefix": "prod", "namespace": "astro", "workers": [{"name": "default-worker"}, {"name": "heavy"}]}


@pytest.mark.parametrize(
    ("identity", "after", "codes"),
    [
        ({"workers": {"heavy": {}}}, {"trusted_subjects": OTHERS, "worker_identities": OWN}, {"trust-dropped"}),
        ({"workers": {"heavy": {}}}, {"worker_identities": OWN}, set()),
        ({"workers": {"heavy": {"existing_role": "own"}}}, {"worker_identities": OWN}, {"other-identity"}),
        ({"existing_role": "own"}, {"role_arn": f"{ROLE}own"}, {"other-identity"}),
        ({}, {}, set()),
    ],
)
def test_with_pod_identity_a_role_and_its_trust_say_who_loses_access(
    identity: Body, after: Body, codes: set[str], run: Run, tmp_path: Path
) -> None:
    one = {**EDITS["bases"]["aws"], "identity": {"mechanism": "pod_identity", **identity}}
    (tmp_path / "deployments.yaml").write_text(yaml.safe_dump({"deployments": {"one": one}}))
    before: Body = {
        "annotations": {},
        "role_arn": f"{ROLE}all",
        "trusted_subjects": SUBJECTS,
        "worker_identities": None,
    }
    both = {name: {"before": before[name], "after": {**before, **after}[name]} for name in before}
    release = {"name": "astro-agent", "namespace": "astro", "values": [json.dumps(PODS)]}
    document = plan(
        resource("helm_release", "update", before=release, after=release), output_changes={**OUTPUTS, **both}
    )
    said = json.loads(run(document, "--json")[1])
    assert {effect["code"] for effect in said["effects"] if effect["kind"] == "QUIET"} == codes


def test_the_identity_of_an_azure_key_is_no_identity_of_the_agents(run: Run) -> None:
    gone = resource("azurerm_user_assigned_identity", "delete", before={"name": "key"})
    assert (
        run(plan({**gone, "address": "azurerm_user_assigned_identity.storage-account_key-identity_2741F1A1"}))[0] == 0
    )
    assert run(plan(gone))[0] == 5


def test_the_lines_to_paste_keep_old_values_readable(run: Run) -> None:
    _, out, _ = run(KEY_OFF)
    assert out == (
        "deployments.yaml: one: STOP: something is lost for good, or Terraform does not see what runs\n"
        "  STOP key-not-readable\n"
        "    Values that the key\n"
        f"    {KEY}\n"
        "    encrypted cannot be read after the apply.\n"
        "    These lines keep them readable; remove them from 2026-12-26, when its last\n"
        "    value has expired:\n"
        "        storage:\n"
        "          former_kms_key_arns:\n"
        f'            - "{KEY}"\n'
        "  QUIET encryption-gap\n"
        "    Agents lose the permission to encrypt with the old key some seconds before\n"
        "    the bucket stops using it: their writes are refused in between.\n"
        "    Apply while no task runs.\n"
    )


def test_with_these_lines_nothing_is_lost(run: Run, tmp_path: Path) -> None:
    base = EDITS["bases"]["aws"]
    deployment = {**base, "storage": {**base["storage"], "former_kms_key_arns": [KEY]}}
    (tmp_path / "deployments.yaml").write_text(yaml.safe_dump({"deployments": {"one": deployment}}))
    status, out, _ = run(KEY_OFF)
    assert status == 4
    assert "key-not-readable" not in out


def test_a_stop_is_allowed_by_its_code_alone(run: Run) -> None:
    status, out, _ = run(KEY_OFF, "--allow", "key-not-readable")
    assert status == 4
    assert "STOP key-not-readable (allowed)" in out
    status, _, err = run(KEY_OFF, "--allow", "storage-destroyed")
    assert status == 1
    assert '--allow "storage-destroyed": is no STOP of this plan; there are key-not-readable' in err
    assert run(SHORTER, "--allow", "expires-earlier")[0] == 1


def test_json_has_the_same(run: Run) -> None:
    status, out, _ = run(RENAMED, "--json")
    assert status == 4
    assert json.loads(out)["effects"][0]["code"] == "identity-replaced"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("no json", "plan.json: must be the JSON of a plan"),
        ("[]", "plan.json: must be the JSON of a plan"),
        ('{"values": {}}', "plan.json: must be the JSON of a plan"),
        ('{"resource_changes": [1]}', "plan.json: has another shape than Terraform gives a plan"),
        ('{"resource_changes": []}', "plan.json: is not the plan of a deployment"),
        (
            plan(output_changes={**OUTPUTS, "trusted_subjects": {"after": ["system:serviceaccount:b:c"]}}),
            "plan.json: is the plan of another deployment, or of other settings",
        ),
        ({**plan(), "errored": True}, "plan.json: is incomplete: Terraform could not finish it"),
        (
            plan(resource("aws_iam_role_policy", "update", before={"policy": "no json"}, after={})),
            "plan.json: has resources in another shape",
        ),
        (
            plan(resource("aws_s3_bucket_lifecycle_configuration", "update", before={"rule": 1}, after={})),
            "plan.json: has resources in another shape",
        ),
    ],
)
def test_anything_else_is_refused(document: Any, says: str, run: Run) -> None:
    status, out, err = run(document)
    assert (status, out) == (1, "")
    assert says in err


def test_every_code_of_the_table_is_one_that_can_be_said() -> None:
    source = "".join(file.read_text() for file in (Path(cli.__file__).parents[1] / "plan").glob("*.py"))
    for edit in EDITS["edits"]:
        says = edit.get("says", [])
        for each in says if isinstance(says, list) else chain.from_iterable(says.values()):
            assert f'"{each.split()[1]}"' in source
