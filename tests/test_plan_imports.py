"""What `check --plan` says of imports: what changes, who loses access, what stays behind."""

import json
from pathlib import Path
from typing import Any

import pytest

from astro_xcom.plan import forecast, read_plan
from support import AGENT, BASES, Body, edited, read

PODS = ("worker-default-worker", "dag-processor", "triggerer", "sentinel")
SUBJECTS = [f"system:serviceaccount:astro:prod-{each}" for each in PODS]
OUTPUTS = {
    "xcom_path": {"before": None, "after": "s3://acme-xcom/xcom"},
    "trusted_subjects": {"before": None, "after": SUBJECTS},
}


def thing(type_: str, before: Any, after: Any, *actions: str, importing: str | None = "it", **more: Any) -> Body:
    change = {"actions": [*(actions or ("update",))], "before": before, "after": after, **more}
    if importing:
        change["importing"] = {"id": importing}
    return {"address": f"{type_}.it", "type": type_, "mode": "managed", "change": change}


def said(folder: Path, *changes: Body, cloud: str = "aws", **more: Any) -> dict[str, str]:
    """Kind and code -> what is said."""
    deployment = edited({"cloud": cloud, "agent": AGENT, **BASES[cloud]}, more)
    text = json.dumps({"resource_changes": changes, "output_changes": OUTPUTS})
    found = forecast(read(json.dumps({"deployments": {"hand": deployment}}), folder)["hand"], read_plan(text))
    return {f"{effect.kind} {effect.code}": effect.what for effect in found.effects}


PROVIDER = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com"


def trust(test: str, *subjects: str, **more: Any) -> Body:
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {test: {"oidc.example.com:sub": [*subjects]}},
    }
    return {"name": "agents", "assume_role_policy": json.dumps({"Statement": [statement, *more.get("also", ())]})}


EXACT = trust("StringEquals", *SUBJECTS)
PERSON = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::111122223333:user/kim"}}
OURS = {"Sid": "TlsOnly", "Effect": "Deny", "Action": "s3:*", "Resource": ["a", "b"]}
THEIRS = {"Sid": "Analysts", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "a"}
BUCKET = thing("aws_s3_bucket", {"bucket": "acme-xcom"}, {"bucket": "acme-xcom"}, "no-op")


def policy(*statements: Body) -> Body:
    return {"bucket": "acme-xcom", "policy": json.dumps({"Statement": [*statements]})}


def lifecycle(before: int | None, after: int, *actions: str, importing: str | None = "it") -> Body:
    def rules(days: int | None) -> Body | None:
        return {"rule": [{"expiration": [{"days": days}]}]} if days else None

    type_ = "aws_s3_bucket_lifecycle_configuration"
    return thing(type_, rules(before), rules(after), *actions, importing=importing)


def role(before: Body, after: Body) -> Body:
    return thing("aws_iam_role", before, after)


def account(*, keys: bool) -> Body:
    type_ = "azurerm_storage_account"
    return thing(type_, {"name": "acme", "shared_access_key_enabled": keys}, {"shared_access_key_enabled": False})


def bucket_policy(before: Body, after: Body) -> Body:
    return thing("aws_s3_bucket_policy", before, after)


FROM_NOW = lifecycle(None, 30, "create", importing=None)
NEW = thing("aws_s3_bucket", None, {"bucket": "a"}, "create", importing=None)
TAGGED = thing("aws_s3_bucket", {"tags": {"a": "b"}}, {"tags": None})
RENAMED = thing("aws_s3_bucket", {"bucket": "a"}, {"bucket": "b"}, "delete", "create", replace_paths=[["bucket"]])
STAR = trust("StringLike", "system:serviceaccount:astro:*")


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ([BUCKET], "fine imported", "aws_s3_bucket.it is imported from it; nothing about it changes."),
        ([TAGGED], "fine imported", "these change: tags."),
        ([lifecycle(90, 30)], "SOON expires-earlier", "after 30 days instead of 90"),
        ([BUCKET, FROM_NOW], "SOON expires-from-now", "Rules that were created by hand are replaced"),
        ([role(STAR, EXACT)], "QUIET trust-exact", f"no longer system:serviceaccount:astro:* of {PROVIDER}."),
        ([role(trust("StringEquals", *SUBJECTS, also=[PERSON]), EXACT)], "QUIET trust-exact", "user/kim."),
        ([role(EXACT, EXACT)], "fine stays-behind", "policies attached to it"),
        ([bucket_policy(policy(OURS, THEIRS), policy(OURS))], "QUIET policy-replaced", "wrote into it: Analysts."),
        ([RENAMED], "STOP import-replaced", "and then replaced, since bucket differs."),
        ([account(keys=True)], "QUIET keys-off", "storage account acme are switched off"),
    ],
)
def test_what_an_import_changes(changes: list[Body], code: str, says: str, tmp_path: Path) -> None:
    assert says in said(tmp_path, *changes)[code]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([role(EXACT, EXACT)], "QUIET trust-exact"),
        ([role(trust("StringEquals", *reversed(SUBJECTS)), EXACT)], "QUIET trust-exact"),
        (
            [bucket_policy(policy(OURS), policy({**OURS, "Sid": "Tls", "Resource": ["b", "a"]}))],
            "QUIET policy-replaced",
        ),
        ([account(keys=False)], "QUIET keys-off"),
        ([BUCKET, lifecycle(30, 30, "no-op")], "SOON expires-from-now"),
        ([NEW, FROM_NOW], "SOON expires-from-now"),
    ],
)
def test_what_stays_is_not_spoken_of(changes: list[Body], code: str, tmp_path: Path) -> None:
    assert code not in said(tmp_path, *changes)


def test_an_import_that_is_done_is_named(tmp_path: Path) -> None:
    held = thing("aws_s3_bucket", {"bucket": "a"}, {"bucket": "a"}, "no-op", importing=None)
    held["address"] = "aws_s3_bucket.storage_bucket_6AF501AE"
    found = said(tmp_path, held, imports={"bucket": True})
    assert found["fine import-done"].startswith("Already in the state: bucket.")
    assert "fine import-done" not in said(tmp_path, held)


def test_a_release_made_by_hand_may_leave_its_namespace_to_helm(tmp_path: Path) -> None:
    before = {"name": "agents", "namespace": "astro", "values": ["resourceNamePrefix: old\n"]}
    found = said(tmp_path, thing("helm_release", before, {**before, "values": ["x: 1\n"]}))
    assert "astro/old-worker-default-worker" in found["QUIET trust-dropped"]
