"""XComs on AWS: from deployments.yaml to a value that another agent reads."""

from dataclasses import replace

import pytest

from e2e import iam
from e2e.aws import Aws, OpenAws
from e2e.chain import Broken
from e2e.tokens import Invented

pytestmark = pytest.mark.e2e

OBJECT_STORAGE = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
GRANTED = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
GRANTED_ON_THE_KEY = ["kms:Decrypt", "kms:GenerateDataKey"]
DEPLOYMENTS = {
    "aws-readme": GRANTED,
    "aws-example": GRANTED + GRANTED_ON_THE_KEY,
    "aws-maximal": GRANTED + GRANTED_ON_THE_KEY,
}
WITHOUT = {
    "s3:GetObject": "write of .*: PermissionError: Forbidden",
    "s3:PutObject": "read of .*: got 's3://.* instead of the value; .* s3:PutObject",
    "s3:DeleteObject": "purge of .* is still there",
    "s3:ListBucket": "write of .*: PermissionError: Forbidden",
    "kms:Decrypt": "read of .*: BadZipFile: File is not a zip file",
    "kms:GenerateDataKey": "read of .*: got 's3://.* instead of the value; .* kms:GenerateDataKey",
}
"""What breaks. With zip, as here, an upload that is refused is reported by nobody, and why a read is, neither."""


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_value_written_by_one_agent_is_read_by_another(name: str, open_aws: OpenAws) -> None:
    with open_aws(name) as world:
        world.check()


def test_agents_of_the_standby_cluster_reach_the_bucket(open_aws: OpenAws) -> None:
    with open_aws("aws-maximal") as world:
        world.account.cluster = Invented(world.account.issuers[1])
        world.check()


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_these_permissions_are_granted(name: str, open_aws: OpenAws) -> None:
    with open_aws(name) as world:
        actions = [action for statement in world.account.role_policy for action in iam.items(statement["Action"])]
    assert sorted(actions) == sorted(DEPLOYMENTS[name])


@pytest.mark.parametrize("action", WITHOUT)
def test_without_one_of_them_xcoms_break(action: str, aws: Aws) -> None:
    aws.account.take_away(action)
    with pytest.raises(Broken, match=WITHOUT[action]):
        aws.check()


def test_without_compression_a_key_that_may_not_be_used_is_named(aws: Aws) -> None:
    aws.account.take_away("kms:Decrypt")
    with pytest.raises(Broken, match=r"read of .*: PermissionError: .* kms:Decrypt"):
        aws.check(without=f"{OBJECT_STORAGE}COMPRESSION")


def test_a_bucket_of_the_name_that_a_stranger_made_gets_nothing(aws: Aws) -> None:
    aws.account.owner = "999988887777"
    with pytest.raises(Broken, match=r"write of .*: PermissionError: Forbidden"):
        aws.check()
    assert aws.bucket.keys() == set()


def test_only_s3_uses_the_key_for_an_agent(aws: Aws) -> None:
    aws.account.uses_the_key = "secretsmanager.us-east-1.amazonaws.com"
    with pytest.raises(Broken, match=r"read of .*; .* kms:GenerateDataKey"):
        aws.check()


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"PATH": "s3://acme-astro-xcom/xcom2"}, "PermissionError: Forbidden"),
        ({"PATH": "s3://acme-astro-xcom-2/xcom"}, "PermissionError: Forbidden"),
        ({"THRESHOLD": "-1"}, "0 objects appeared"),
        ({"COMPRESSION": "None"}, "ValueError: Compression None is not supported"),
        ({"COMPRESSION": "gz"}, "ValueError: Compression gz is not supported"),
    ],
)
def test_with_a_wrong_variable_xcoms_break(env: dict[str, str], why: str, aws: Aws) -> None:
    with pytest.raises(Broken, match=why):
        aws.check(**{OBJECT_STORAGE + key: value for key, value in env.items()})


def test_without_the_backend_values_stay_in_the_database(aws: Aws) -> None:
    with pytest.raises(Broken, match="0 objects appeared"):
        aws.check(without="AIRFLOW__CORE__XCOM_BACKEND")


def test_a_service_account_that_is_not_trusted_gets_no_role(aws: Aws) -> None:
    writer = next(iter(aws.pods.values()))
    for statement in aws.account.trust:
        for condition in statement["Condition"]["StringEquals"]:
            if condition.endswith(":sub"):
                statement["Condition"]["StringEquals"][condition].remove(writer.subject)
    with pytest.raises(Broken, match="sts:AssumeRoleWithWebIdentity"):
        aws.check()


def test_a_token_for_another_audience_gets_no_role(aws: Aws) -> None:
    aws.account.audience = "https://kubernetes.default.svc"
    with pytest.raises(Broken, match="sts:AssumeRoleWithWebIdentity"):
        aws.check()


def test_without_the_annotation_an_agent_is_nobody(aws: Aws) -> None:
    name, writer = next(iter(aws.pods.items()))
    aws.pods[name] = replace(writer, service_account_annotations={})
    with pytest.raises(Broken, match="NoCredentialsError"):
        aws.check()


def test_a_worker_with_a_role_of_its_own_shares_xcoms_with_the_others(open_aws: OpenAws) -> None:
    with open_aws("aws-workers") as world:
        others, finance = (world.pods[f"prod-worker-{name}"] for name in ("default-worker", "finance"))
        world.pods = {"finance": finance, "others": others}
        world.check()
        assert len(set(world.account.sessions.values())) == 2
        mark = "eks.amazonaws.com/role-arn"
        world.pods["finance"] = replace(finance, service_account_annotations=others.service_account_annotations)
        with pytest.raises(Broken, match="sts:AssumeRoleWithWebIdentity"):
            world.check()
        assert others.service_account_annotations[mark] != finance.service_account_annotations[mark]


def test_the_bucket_refuses_plain_http(open_aws: OpenAws) -> None:
    with open_aws("aws-example", tls=False) as world, pytest.raises(Broken, match="PermissionError: Forbidden"):
        world.check()
