"""What only AWS has: one trust policy for several clusters, partitions, and values that a first plan shows whole."""

import json
from pathlib import Path

import pytest
import yaml

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


def test_each_cluster_is_trusted_for_its_own_tokens(stacks: dict[str, Path], applied: Applied) -> None:
    policy = json.loads(applied(stacks["aws-maximal"]).one("aws_iam_role")["assume_role_policy"])
    assert len(policy["Statement"]) == 3
    for statement in policy["Statement"]:
        host = statement["Principal"]["Federated"].partition(":oidc-provider/")[2]
        assert set(statement["Condition"]) == {"StringEquals"}
        assert set(statement["Condition"]["StringEquals"]) == {f"{host}:aud", f"{host}:sub"}
        assert statement["Condition"]["StringEquals"][f"{host}:aud"] == "sts.amazonaws.com"
