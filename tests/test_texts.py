"""What `check --state` and `check --plan` say when everything is wrong at once, and what is handed over, as texts.

Rewrite with `make golden`, and read the difference as somebody who is called at night.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from astro_xcom.cli import app as cli
from astro_xcom.deployments import read_deployments
from support import EXAMPLE, GOLDEN, Body
from test_check import attribute, first_rule, made, replaced, resource

CLOUDS = ("aws", "azure", "gcp")
OTHER_KEY = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-00000000000f"
OTHER_TRUST = "system:serviceaccount:astro:stranger"


def tainted(type_: str) -> Callable[[Body], None]:
    return lambda state: resource(state, type_).update(tainted=True)


FAULTS: dict[str, tuple[Callable[[Body], None], ...]] = {
    "aws": (
        tainted("aws_iam_role_policy"),
        first_rule(
            "aws_s3_bucket_server_side_encryption_configuration",
            "rule",
            apply_server_side_encryption_by_default=[{"sse_algorithm": "aws:kms", "kms_master_key_id": OTHER_KEY}],
        ),
        attribute("aws_s3_bucket_public_access_block", "restrict_public_buckets", False),
        replaced("aws_s3_bucket_policy", "policy", "aws:SecureTransport", "aws:ViaAWSService"),
        replaced(
            "aws_iam_role", "assume_role_policy", "system:serviceaccount:astro:prod-aws-triggerer", OTHER_TRUST
        ),
    ),
    "azure": (
        tainted("azurerm_role_assignment"),
        attribute("azurerm_storage_account", "customer_managed_key", [{"key_vault_key_id": "https://other/keys/k"}]),
        attribute("azurerm_storage_account", "network_rules", [{"default_action": "Deny", "bypass": ["None"]}]),
        attribute("azurerm_federated_identity_credential", "subject", OTHER_TRUST),
    ),
    "gcp": (
        tainted("google_storage_bucket_iam_member"),
        attribute("google_storage_bucket", "encryption", [{"default_kms_key_name": "projects/other/keyRings/k"}]),
        attribute("google_storage_bucket", "public_access_prevention", "inherited"),
        attribute("google_service_account_iam_member", "member", "allUsers"),
    ),
}  # fmt: skip


def applied(cloud: str) -> Body:
    """A state with one fault of each kind."""
    _, _, state = made(f"{cloud}-example")
    for fault in (attribute("helm_release", "status", "failed"), *FAULTS[cloud]):
        fault(state)
    return state


def change(type_: str, *actions: str, before: Any, after: Any) -> Body:
    planned = {"actions": list(actions), "before": before, "after": after}
    return {"address": f"{type_}.it", "type": type_, "mode": "managed", "change": planned}


def aws_policy(*actions: str) -> Body:
    return {"policy": json.dumps({"Statement": [{"Action": list(actions), "Resource": OTHER_KEY}]}), "role": "r"}


PLANNED: dict[str, tuple[Body, ...]] = {
    "aws": (
        change("aws_iam_role_policy", "update", before=aws_policy("kms:Decrypt", "kms:GenerateDataKey"), after={}),
        change("aws_iam_role_policy", "create", "delete", before={"name": "x", "role": "r"},
               after={"name": "x", "role": "r"}),
    ),
    "azure": (
        change("azurerm_storage_account", "update", before={"public_network_access_enabled": True},
               after={"public_network_access_enabled": False}),
        change("azurerm_role_assignment", "delete", "create", before={"scope": "s"}, after={"scope": "s"}),
    ),
    "gcp": (
        change("google_kms_crypto_key_iam_member", "delete",
               before={"crypto_key_id": "projects/acme-keys/locations/us-central1/keyRings/data/cryptoKeys/xcom",
                       "role": "roles/cloudkms.cryptoKeyEncrypterDecrypter"}, after=None),
        change("google_storage_bucket_iam_member", "delete", "create", before={"role": "r"}, after={"role": "r"}),
    ),
}  # fmt: skip


def planned(cloud: str) -> Body:
    """A plan that meets a failed release, a tainted grant, another key, a network, and pods no longer trusted."""
    deployment = read_deployments(EXAMPLE / "deployments.yaml")[f"{cloud}-example"]
    subjects = list(deployment.agent.subjects())
    old = {"resourceNamePrefix": "old", "namespace": "astro", "workers": [{"name": "default-worker"}]}
    before = {"name": "astro-agent", "status": "failed", "values": [json.dumps(old)]}
    release = change("helm_release", "update", before=before, after={})
    return {
        "timestamp": "2026-11-25T10:00:00Z",
        "resource_changes": [*PLANNED[cloud], release],
        "output_changes": {
            "xcom_path": {"before": "xcom", "after": "xcom"},
            "trusted_subjects": {"before": subjects, "after": subjects},
        },
    }


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(("option", "document"), [("--state", applied), ("--plan", planned)])
def test_everything_that_is_wrong_is_said(
    option: str,
    document: Callable[[str], Body],
    cloud: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "it.json"
    file.write_text(json.dumps(document(cloud)))
    monkeypatch.chdir(EXAMPLE)
    monkeypatch.setattr(sys, "argv", ["astro-xcom", "check", f"{cloud}-example", option, str(file)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    said = f"exit code {end.value.code}\n\n{out if option == '--plan' else err}".replace(str(file), "FILE")
    same_as_golden(said, f"{option[2:]}-{cloud}.txt")


@pytest.mark.parametrize("which", ["example", "existing"])
@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(("command", "ending"), [("check", "txt"), ("values", "yaml"), ("evidence", "md")])
def test_what_is_handed_over_reads_so(
    command: str,
    ending: str,
    cloud: str,
    which: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = f"{cloud}-{which}"
    folder = EXAMPLE if which == "example" else GOLDEN / cloud
    arguments = [command, name]
    if command == "values" and name in ("aws-existing", "azure-example", "azure-existing"):  # Terraform knows the ids
        file = tmp_path / "it.json"
        file.write_text(json.dumps(made(name)[2]))
        arguments += ["--state", str(file)]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["astro-xcom", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    same_as_golden(capsys.readouterr().out, f"{command}-{name}.{ending}")


def same_as_golden(said: str, name: str) -> None:
    golden = GOLDEN / "texts" / name
    if os.environ.get("UPDATE_GOLDEN"):
        assert not os.environ.get("CI"), "goldens are not rewritten in CI"
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(said)
    assert said == golden.read_text()
