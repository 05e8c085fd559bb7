"""What only AWS has: one trust policy for several clusters, partitions, and values that a first plan shows whole."""

import json
from pathlib import Path

import pytest
import yaml

from e2e import iam
from support import Applied, Run

pytestmark = pytest.mark.terraform

ROLE = "eks.amazonaws.com/role-arn"


@pytest.fixture(params=["aws-example", "aws-maximal", "aws-existing"])
def released(request: pytest.FixtureRequest, stacks: dict[str, Path], applied: Applied) -> Run:
    return applied(stacks[request.param])


def test_the_role_of_the_values_is_the_role_that_was_made(released: Run) -> None:
    role = released.one("aws_iam_role")["arn"]
    assert released.agent_values["annotations"][ROLE] == role
    assert released.output("role_arn") == role


def test_a_first_plan_shows_the_whole_values(released: Run) -> None:
    (change,) = [change for change in released.plan["resource_changes"] if change["type"] == "helm_release"]
    assert change["change"]["after_unknown"]["values"] == [False]
    assert yaml.safe_load(change["change"]["after"]["values"][0]) == released.agent_values


def test_a_null_of_the_user_reaches_the_chart(stacks: dict[str, Path], applied: Applied) -> None:
    assert applied(stacks["aws-maximal"]).agent_values["podSecurityContext"] == {"fsGroup": None}


def test_partition_and_key_of_an_adopted_bucket(stacks: dict[str, Path], applied: Applied) -> None:
    run = applied(stacks["aws-existing"])
    policy = json.loads(run.one("aws_iam_role_policy")["policy"])
    resources = {statement["Sid"]: statement["Resource"] for statement in policy["Statement"]}
    assert resources["Bucket"] == "arn:aws-us-gov:s3:::acme.shared"
    assert resources["Objects"] == "arn:aws-us-gov:s3:::acme.shared/*"
    assert resources["Key"].startswith("arn:aws-us-gov:kms:")


@pytest.mark.parametrize("name", ["aws-example", "aws-existing", "aws-existing-role"])
def test_what_is_granted_is_the_bucket_of_its_account_and_the_key_by_s3(
    name: str, stacks: dict[str, Path], applied: Applied
) -> None:
    run = applied(stacks[name])
    granted = [each["policy"] for each in run.resources("aws_iam_role_policy") if each["name"].startswith("storage-")]
    policy = iam.statements(granted[0] if granted else run.output("access_policy"))
    account = {} if name == "aws-existing" else {"aws:ResourceAccount": "111122223333"}
    for statement in policy:
        action, on = (iam.items(statement[key])[0].replace("*", "x") for key in ("Action", "Resource"))
        strangers = {"aws:ResourceAccount": "999988887777", "kms:ViaService": "ec2.us-east-1.amazonaws.com"}
        for host in ("us-east-1.amazonaws.com", "cn-north-1.amazonaws.com.cn", "us-iso-east-1.c2s.ic.gov"):
            assert iam.allowed(action, on, {**account, "kms:ViaService": f"s3.{host}"}, policy)
        assert iam.allowed(action, on, strangers, policy) == (not account and action.startswith("s3:"))
        assert iam.allowed(action, on, {}, policy) == (not account and action.startswith("s3:"))


def test_each_cluster_is_trusted_for_its_own_tokens(stacks: dict[str, Path], applied: Applied) -> None:
    policy = json.loads(applied(stacks["aws-maximal"]).one("aws_iam_role")["assume_role_policy"])
    assert len(policy["Statement"]) == 3
    for statement in policy["Statement"]:
        host = statement["Principal"]["Federated"].partition(":oidc-provider/")[2]
        assert set(statement["Condition"]) == {"StringEquals"}
        assert set(statement["Condition"]["StringEquals"]) == {f"{host}:aud", f"{host}:sub"}
        assert statement["Condition"]["StringEquals"][f"{host}:aud"] == "sts.amazonaws.com"
