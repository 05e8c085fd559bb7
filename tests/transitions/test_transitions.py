"""What an edit of an applied deployment does: each row of edits.yaml, from state to state, by real Terraform core.

The providers echo; what replaces a resource is the real providers' own rule. No cloud is asked.
"""

import contextlib
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from astro_xcom.deployments import read_deployments
from astro_xcom.errors import SettingErrors
from astro_xcom.plan import Forecast, forecast, read_plan
from once import made_once
from support import Body, edited, read, synth_file

pytestmark = pytest.mark.terraform

TABLE = yaml.safe_load(Path(__file__).with_name("edits.yaml").read_text())
EDITS = [
    pytest.param(
        edit,
        cloud,
        id=f"{cloud}: {edit['name']}",
        # The whole table takes a quarter of an hour: in CI only what would lose the most, each edit on one cloud.
        marks=() if "forgotten" in edit and cloud == edit["clouds"][-1] else pytest.mark.long,
    )
    for edit in TABLE["edits"]
    for cloud in edit["clouds"]
]
REFUSED = 3
KEPT = {
    "aws_s3_bucket", "aws_kms_key", "aws_kms_alias",
    "azurerm_storage_account", "azurerm_storage_container", "azurerm_resource_group",
    "google_storage_bucket", "google_kms_key_ring", "google_kms_crypto_key",
}  # fmt: skip
"""What no edit destroys while the storage is protected. An identity that is renamed is replaced, new first."""


def stack(deployment: Body, folder: Path) -> Path:
    """The synthesized stack of one deployment."""
    folder.mkdir(parents=True)
    name = f"{deployment['cloud']}-edited"
    file = folder / "deployments.yaml"
    file.write_text(yaml.safe_dump({"deployments": {name: deployment}}))
    return synth_file(file, folder / "out")[name]


@dataclass(frozen=True)
class Change:
    """What became of an applied stack."""

    status: int
    plan: Body
    operations: list[Body]

    def actions(self, *wanted: str) -> list[str]:
        """The types of the planned changes of these kinds."""
        changes = self.plan.get("resource_changes", [])
        return [each["type"] for each in changes if set(wanted) & set(each["change"]["actions"])]

    @property
    def uninstalled(self) -> bool:
        """Whether the agents go, and no others come."""
        changes = self.plan.get("resource_changes", [])
        return any(each["type"] == "helm_release" and each["change"]["actions"] == ["delete"] for each in changes)

    def times(self, operation: str) -> tuple[float, float]:
        """When the first operation of a kind began, and when the last one was over."""
        op, type_ = operation.split()
        found = [each for each in self.operations if (each["op"], each["type"]) == (op, type_)]
        assert found, f"no {operation} among {[(each['op'], each['type']) for each in self.operations]}"
        return min(each["time"] for each in found), max(each["end"] for each in found)


def change(shared: Path, before: Path, after: Path, out: Path, *options: str) -> Change:
    """Apply a stack to the state that another one left."""
    command = [sys.executable, str(shared / "standin" / "change"), *options, str(before), str(after), str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, REFUSED), done.stdout + done.stderr
    log = out / "order.jsonl"
    operations = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return Change(done.returncode, json.loads((out / "plan.json").read_text()), operations)


def applied(deployment: Body, shared: Path, session_folder: Path) -> Path:
    """The state that the first apply of a deployment leaves; applied once, whichever process asks for it."""
    key = hashlib.sha256(json.dumps(deployment, sort_keys=True).encode()).hexdigest()[:16]

    def apply_first(folder: Path) -> None:
        change(shared, Path("-"), stack(deployment, folder / "stack"), folder / "applied")

    return made_once(session_folder / f"transition-{key}", apply_first) / "applied" / "v2.tfstate"


def codes(said: Forecast) -> set[str]:
    """What `check --plan` says, but for what is fine."""
    return {f"{effect.kind} {effect.code}" for effect in said.effects if effect.kind != "fine"}


@pytest.mark.parametrize(("edit", "cloud"), EDITS)
def test_an_edit(edit: Body, cloud: str, shared: Path, session_folder: Path, tmp_path: Path) -> None:
    v1 = edited(TABLE["bases"][cloud], edit.get("before", {}))
    state = applied(v1, shared, session_folder)
    # What only changes in place is planned; there is no order to see, and an apply takes as long again.
    options = () if {"forgotten", "destroyed", "order"} & edit.keys() else ("--no-apply",)
    done = change(shared, state, stack(edited(v1, edit["edit"]), tmp_path / "stack"), tmp_path / "out", *options)

    def expected(key: str) -> list[str]:
        found = edit.get(key, [])
        return found.get(cloud, []) if isinstance(found, dict) else found  # type: ignore[no-any-return]

    deployment = read_deployments(tmp_path / "stack" / "deployments.yaml")[f"{cloud}-edited"]
    said = forecast(deployment, read_plan((tmp_path / "out" / "plan.json").read_text()))
    assert codes(said) == set(expected("says"))
    assert (done.status == REFUSED) == edit.get("refused", False)
    if done.status == REFUSED:
        return
    protected = v1["storage"].get("protect_from_destroy", True)
    destroyed = [each["type"] for each in done.operations if each["op"] == "delete"]
    assert not protected or not KEPT & set(destroyed)
    assert not protected or not done.uninstalled
    assert set(destroyed) == set(expected("destroyed"))
    assert set(done.actions("forget")) == set(expected("forgotten"))
    assert not Counter(done.actions("delete")) - Counter(destroyed)
    times = [done.times(operation) for operation in expected("order")]
    for (_, end), (begin, _), operation in zip(times, times[1:], expected("order")[1:], strict=False):
        assert end <= begin, f"{operation} began too early"


# ---- two edits, one after the other


def pairs(cloud: str, number: int) -> list[tuple[Body, Body]]:
    """Pairs of edits that can be applied one after the other, the first without a STOP; the same ones each time."""
    chosen = [edit for edit in TABLE["edits"] if cloud in edit["clouds"] and not {"before", "refused"} & edit.keys()]
    draw = random.Random(cloud)
    found: list[tuple[Body, Body]] = []
    with tempfile.TemporaryDirectory() as folder:
        while len(found) < number:
            first, second = draw.sample(chosen, 2)
            if "STOP" in json.dumps(first.get("says", [])):
                continue
            settings = edited(edited(TABLE["bases"][cloud], first["edit"]), second["edit"])
            with contextlib.suppress(SettingErrors):
                read(json.dumps({"deployments": {f"{cloud}-edited": settings}}), Path(folder))
                found.append((first, second))
    return found


PAIRS = [
    pytest.param(cloud, first, second, id=f"{cloud}: {first['name']}, then {second['name']}")
    for cloud in TABLE["bases"]
    for first, second in pairs(cloud, 6)
]


@pytest.mark.long
@pytest.mark.parametrize(("cloud", "first", "second"), PAIRS)
def test_two_edits(cloud: str, first: Body, second: Body, shared: Path, session_folder: Path, tmp_path: Path) -> None:
    base = TABLE["bases"][cloud]
    state = applied(base, shared, session_folder)
    v2 = edited(base, first["edit"])
    change(shared, state, stack(v2, tmp_path / "first"), tmp_path / "v2")
    v3 = edited(v2, second["edit"])
    done = change(shared, tmp_path / "v2" / "v2.tfstate", stack(v3, tmp_path / "second"), tmp_path / "v3")
    deployment = read_deployments(tmp_path / "second" / "deployments.yaml")[f"{cloud}-edited"]
    said = forecast(deployment, read_plan((tmp_path / "v3" / "plan.json").read_text()))
    protected = v2["storage"].get("protect_from_destroy", True)
    assert done.status in (0, REFUSED)
    if done.status == REFUSED or not protected:
        assert said.kind != "fine"
        return
    assert not KEPT & set(done.actions("delete"))
    assert not done.uninstalled
    outputs = done.plan["output_changes"]["trusted_subjects"]
    left_out = {account.subject for account in deployment.agent.untrusted_accounts()}
    cut_off = set(outputs["before"]) - set(outputs["after"]) - left_out
    identities = {"aws_iam_role", "azurerm_user_assigned_identity", "google_service_account"}
    if cut_off or identities & set(done.actions("delete")):
        assert said.kind in ("STOP", "QUIET")


# ---- a version that grants otherwise


def test_conditions_come_to_the_grants_in_place(shared: Path, session_folder: Path, tmp_path: Path) -> None:
    settings = edited(TABLE["bases"]["aws"], {"storage": {"encryption": "SSE-KMS"}})
    today, before = stack(settings, tmp_path / "today"), stack(settings, tmp_path / "before")
    body = json.loads((before / "cdk.tf.json").read_text())
    documents = body["data"]["aws_iam_policy_document"]
    (access,) = (document for name, document in documents.items() if "access" in name)
    conditions = [statement.pop("condition") for statement in access["statement"]]
    assert len(conditions) == 3
    (before / "cdk.tf.json").write_text(json.dumps(body))
    change(shared, Path("-"), before, tmp_path / "applied")
    done = change(shared, tmp_path / "applied" / "v2.tfstate", today, tmp_path / "out")
    assert done.actions("create", "update", "delete", "forget") == ["aws_iam_role_policy"]
    assert [(each["op"], each["type"]) for each in done.operations] == [("update", "aws_iam_role_policy")]
    deployment = read_deployments(tmp_path / "today" / "deployments.yaml")["aws-edited"]
    assert forecast(deployment, read_plan((tmp_path / "out" / "plan.json").read_text())).kind == "fine"


# ---- the printed line


def test_the_line_for_a_key_created_here_keeps_its_values_readable(
    shared: Path, session_folder: Path, tmp_path: Path
) -> None:
    v1 = edited(TABLE["bases"]["aws"], {"storage": {"encryption": "SSE-KMS"}})
    state, v2 = applied(v1, shared, session_folder), edited(v1, {"storage": {"encryption": None}})

    def apply(deployment: Body, name: str, *options: str) -> tuple[Change, Forecast]:
        folder = tmp_path / name
        done = change(shared, state, stack(deployment, folder / "stack"), folder / "out", *options)
        settings = read_deployments(folder / "stack" / "deployments.yaml")["aws-edited"]
        return done, forecast(settings, read_plan((folder / "out" / "plan.json").read_text()))

    _, said = apply(v2, "planned", "--no-apply")
    (lines,) = (effect.paste for effect in said.effects if effect.code == "key-not-readable")
    assert lines
    pasted = edited(v2, yaml.safe_load(lines))
    done, said = apply(pasted, "pasted")
    assert codes(said) == {"QUIET encryption-gap"}
    assert not done.actions("delete")
    (key,) = pasted["storage"]["former_kms_key_arns"]
    after = json.loads((tmp_path / "pasted" / "out" / "v2.state.json").read_text())
    resources = after["values"]["root_module"]["resources"]
    (policy,) = (each["values"]["policy"] for each in resources if each["type"] == "aws_iam_role_policy")
    granted = [each["Action"] for each in json.loads(policy)["Statement"] if key in each["Resource"]]
    assert granted == ["kms:Decrypt"]
