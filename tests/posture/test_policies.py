"""What parliament says of every policy document on AWS, as it stands in applied state."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from astro_xcom.posture import accepted
from astro_xcom.settings import Deployment
from posture.scanners import Scanners
from support import Applied, Body, Run

pytestmark = [pytest.mark.terraform, pytest.mark.posture]

Linted = tuple[str, str, list[Body]]
"""(where, which, what parliament found)"""
ROLE = {("aws_iam_role", "assume_role_policy"), ("aws_iam_role_policy", "policy")}
BUCKET = {("aws_s3_bucket_policy", "policy")}
KEY = {("aws_kms_key", "policy")}
KINDS = {
    "aws-plain": ROLE | BUCKET,
    "aws-example": ROLE | BUCKET | KEY,
    "aws-maximal": ROLE | BUCKET | KEY,
    "aws-existing": ROLE,
    "aws-existing-role": BUCKET | {("output", "access_policy")},
}
EXPECTED = {
    ("aws_iam_role", "MALFORMED"): "Statement contains neither Resource nor NotResource",
    ("aws_iam_role", "UNKNOWN_FEDERATION_SOURCE"): r"arn:aws[a-z-]*:iam::111122223333:oidc-provider/oidc\.eks\..+",
    ("aws_s3_bucket_policy", "MISMATCHED_TYPE"): r"Type mismatch: s3:TlsVersion .* Numeric but given \['1\.2'\]",
    ("aws_s3_bucket_policy", "UNKNOWN_CONDITION_FOR_ACTION"): (
        "Unknown condition s3:TlsVersion for action s3:(InitiateReplication|PutAccessPointPublicAccessBlock)"
    ),
    ("aws_kms_key", "RESOURCE_STAR"): r"\['kms:.*",
}
"""(where, finding) -> all that its detail may say. Nothing of a role's permissions is among them."""


def documents(run: Run) -> Iterator[tuple[str, str, str]]:
    """(where, which, policy document)."""
    for resource in run.state["values"]["root_module"]["resources"]:
        for key in ("policy", "assume_role_policy"):
            if resource["mode"] == "managed" and resource["values"].get(key):
                yield resource["type"], key, resource["values"][key]
    if "access_policy" in run.state["values"]["outputs"]:
        yield "output", "access_policy", run.output("access_policy")


@pytest.fixture(scope="module")
def linted(every_stack: dict[str, Path], applied: Applied, scanners: Scanners) -> dict[str, list[Linted]]:
    def lint(name: str) -> list[Linted]:
        run = applied(every_stack[name])
        return [(where, which, scanners.parliament(policy)) for where, which, policy in documents(run)]

    return {name: lint(name) for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_parliament_finds_nothing_but_what_is_accepted(name: str, linted: dict[str, list[Linted]]) -> None:
    assert {(where, which) for where, which, _ in linted[name]} == KINDS[name]
    for where, _, findings in linted[name]:
        for finding in findings:
            pattern = EXPECTED.get((where, finding["issue"]), "nothing")
            assert re.fullmatch(pattern, str(finding["detail"])), (where, finding)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_accepted_is_what_is_found(
    name: str, linted: dict[str, list[Linted]], deployments: dict[str, Deployment]
) -> None:
    found = {(where, finding["issue"]) for where, _, findings in linted[name] for finding in findings}
    assert found <= set(EXPECTED)
    assert {issue for _, issue in found} == {each.id for each in accepted("parliament", [deployments[name]])}


@pytest.mark.parametrize(
    ("change", "issue"),
    [
        ({"Resource": "*"}, "RESOURCE_STAR"),
        ({"Action": "s3:*", "Resource": "*"}, "RESOURCE_STAR"),
        ({"Action": "s3:PutObjekt"}, "UNKNOWN_ACTION"),
        ({"Resource": "arn:aws:s3:::acme-xcom"}, "RESOURCE_MISMATCH"),
    ],
)
def test_parliament_finds_what_is_bad(change: dict[str, str], issue: str, scanners: Scanners) -> None:
    good = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::acme-xcom/xcom/*"}
    policy = {"Version": "2012-10-17", "Statement": [good]}
    assert scanners.parliament(json.dumps(policy)) == []
    policy["Statement"] = [{**good, **change}]
    assert [finding["issue"] for finding in scanners.parliament(json.dumps(policy))] == [issue]
