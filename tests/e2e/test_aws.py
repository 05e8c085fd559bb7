"""XComs on AWS: from deployments.yaml to a value that another agent reads."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from e2e.aws import Account, Bucket
from e2e.certificates import Certificates
from e2e.chain import Broken
from e2e.gate import Gate
from e2e.world import Deploy, World

pytestmark = pytest.mark.e2e

OBJECT_STORAGE = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
GRANTED = {
    "aws-example": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"],
    "aws-maximal": [
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:ListBucket",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    ],
}
WITHOUT = {
    "s3:GetObject": "write of .*: PermissionError: Forbidden",
    "s3:PutObject": "read of .*: got 's3://.* instead of the value; .* s3:PutObject",
    "s3:DeleteObject": "purge of .* is still there",
    "s3:ListBucket": "write of .*: PermissionError: Forbidden",
    "kms:Decrypt": "read of .*: PermissionError: .* kms:Decrypt",
    "kms:GenerateDataKey": "read of .*: got 's3://.* instead of the value; .* kms:GenerateDataKey",
}
"""What breaks. With compression, as here, an upload that is refused is reported by nobody."""


@dataclass
class Aws(World):
    account: Account


@contextmanager
def opened(
    name: str, deploy: Deploy, moto: int, certificates: Certificates, python: Path, folder: Path, *, tls: bool = True
) -> Iterator[Aws]:
    deployed = deploy(name)
    account = Account.of(deployed.run)
    with Gate(moto, account.decide, certificates if tls else None) as gate:
        yield Aws(
            account=account,
            identity=account,
            store=Bucket(moto, account.bucket),
            pods=deployed.pods,
            python=python,
            emulator={"AWS_ENDPOINT_URL": gate.url, "AWS_CA_BUNDLE": str(certificates.ca)},
            folder=folder,
        )


Open = Callable[..., AbstractContextManager[Aws]]


@pytest.fixture
def open_(
    deploy: Deploy, moto: int, certificates: Certificates, agents_python: Callable[[str], Path], tmp_path: Path
) -> Open:
    return lambda name, **options: opened(name, deploy, moto, certificates, agents_python("aws"), tmp_path, **options)


@pytest.fixture
def aws(open_: Open) -> Iterator[Aws]:
    with open_("aws-example") as world:
        yield world


@pytest.mark.parametrize("name", GRANTED)
def test_a_value_written_by_one_agent_is_read_by_another(name: str, open_: Open) -> None:
    with open_(name) as world:
        world.check()


def test_agents_of_the_standby_cluster_reach_the_bucket(open_: Open) -> None:
    with open_("aws-maximal") as world:
        _, world.account.issuer = world.account.issuers
        world.check()


@pytest.mark.parametrize("name", GRANTED)
def test_these_permissions_are_granted(name: str, open_: Open) -> None:
    with open_(name) as world:
        actions = [action for statement in world.account.role_policy for action in _list(statement["Action"])]
    assert sorted(actions) == sorted(GRANTED[name])


@pytest.mark.parametrize(
    ("name", "action"), [(name, action) for name, actions in GRANTED.items() for action in actions]
)
def test_without_one_of_them_xcoms_break(name: str, action: str, open_: Open) -> None:
    with open_(name) as world:
        for statement in world.account.role_policy:
            statement["Action"] = [kept for kept in _list(statement["Action"]) if kept != action]
        with pytest.raises(Broken, match=WITHOUT[action]):
            world.check()


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


def test_the_bucket_refuses_plain_http(open_: Open) -> None:
    with open_("aws-example", tls=False) as world, pytest.raises(Broken, match="PermissionError: Forbidden"):
        world.check()


def _list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
