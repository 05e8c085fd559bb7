"""The probe's pods under real Airflow: all well on each cloud, and each planted fault in the DAG's words."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from astro_xcom.probe.in_pod.xcom_causes import CAUSES, said
from astro_xcom.probe.manifests import manifests
from astro_xcom.probe.report import Found, summed_up, table
from e2e.agents import IMPATIENT, INSIDE
from e2e.aws import Aws, OpenAws
from e2e.dag_run import DAG, STATE_SINCE, airflow_version
from e2e.gate import Answer, Forward, Request
from e2e.probe import Job, accounts_of, jobs, probe_of, run_jobs
from e2e.world import THRESHOLD, World

pytestmark = pytest.mark.e2e

OBJECT_STORAGE = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
Spoil = Callable[[Any, dict[str, Job]], object]
"""Gets the world of a cloud, and its pods."""


def probed(world: World, *, spoil: Spoil | None = None, only: int | None = None, **options: Any) -> Found:
    """What the probe says of a deployment, some of whose pods may be spoilt; `only` so many accounts take part."""
    probe = probe_of(world.deployed, **options)
    probe = replace(probe, subjects=probe.subjects[:only])
    running = jobs(probe, accounts_of(world.deployed))
    if spoil:
        spoil(world, running)
    text = run_jobs(world, running, manifests(probe)[0])
    found = summed_up("x", text, expected=probe.everybody)
    assert found.pods, text
    return found


KEEP_STATE = ("aws-example", "aws-maximal", "azure-example", "gcp-example", "gcp-maximal")


@pytest.mark.parametrize(
    "name", ["aws-example", "aws-maximal", "azure-example", "gcp-example", "gcp-maximal", "gcp-direct"]
)
def test_all_is_well_and_nothing_is_left(name: str, request: pytest.FixtureRequest) -> None:
    with request.getfixturevalue(f"open_{name.partition('-')[0]}")(name) as world:
        found = probed(world)
        assert found.ok, table(found)
        assert len(found.pods) >= 4
        assert {pod.read for pod in found.pods} == {9 * (len(found.pods) - 1)}
        assert all(pod.wrote for pod in found.pods)
        keeps = name in KEEP_STATE and airflow_version(world.airflow.python) >= STATE_SINCE
        assert {bool(pod.state_store) for pod in found.pods} == {keeps}
        assert world.store.keys() == set()


# ----- planted faults -----


def answers(status: int, code: str, message: str, when: Callable[[Request], bool] = lambda request: True) -> Spoil:
    """The storage answers so to some calls."""

    def spoil(world: Any, running: dict[str, Job]) -> None:
        enforce = world.gate.decide
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        headers = {"Content-Type": "application/xml", "x-ms-error-code": code}

        def decide(request: Request, forward: Forward) -> Answer:
            token = request.body.startswith(b"Action=") or "/token" in request.path
            refused = not token and when(request)
            return Answer(status, body.encode(), headers) if refused else enforce(request, forward)

        world.gate.decide = decide

    return spoil


def sets(**env: str) -> Spoil:
    """Every pod has these variables."""

    def spoil(world: World, running: dict[str, Job]) -> None:
        world.emulator = {**world.emulator, **env}  # what is set last

    return spoil


def takes_away(action: str) -> Spoil:
    """The role may not do it."""
    return lambda world, running: world.account.take_away(action)


def trusts_another_issuer(world: Any) -> None:
    """As if the agents ran in a cluster that nobody named."""
    for credential in world.subscription.credentials:
        credential.issuer = "https://elsewhere.invalid/"


def is_put(request: Request) -> bool:
    return request.method == "PUT"


def is_upload(request: Request) -> bool:
    return "/upload/" in request.path


DENIED = "User: x is not authorized to perform: s3:PutObject on resource: y {}"
AWS_FAULTS: dict[str, tuple[Spoil, str]] = {
    "no PutObject": (takes_away("s3:PutObject"), "permission"),
    "no GetObject": (takes_away("s3:GetObject"), "permission"),
    "no ListBucket": (takes_away("s3:ListBucket"), "permission"),
    "no Decrypt": (takes_away("kms:Decrypt"), "zip"),
    "no GenerateDataKey": (takes_away("kms:GenerateDataKey"), "key"),
    "another path": (sets(**{f"{OBJECT_STORAGE}PATH": "s3://acme-astro-xcom/elsewhere"}), "permission"),
    "compression": (sets(**{f"{OBJECT_STORAGE}COMPRESSION": "gz"}), "compression"),
    "scp": (answers(403, "AccessDenied", DENIED.format("with an explicit deny in a service control policy")), "scp"),
    "endpoint": (
        answers(403, "AccessDenied", DENIED.format("because no VPC endpoint policy allows the action")),
        "endpoint policy",
    ),
    "key gone": (answers(400, "KMS.NotFoundException", "Key 'arn:aws:kms:x' does not exist", is_put), "key gone"),
    "key pending": (
        answers(400, "KMS.KMSInvalidStateException", "arn:aws:kms:x is pending deletion.", is_put),
        "key unusable",
    ),
    "nothing answers": (sets(AWS_ENDPOINT_URL="https://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"), "network"),
    "no name": (sets(AWS_ENDPOINT_URL="https://nowhere.invalid", AWS_MAX_ATTEMPTS="1"), "dns"),
    "proxy": (sets(HTTPS_PROXY="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"), "proxy"),
    "certificate": (sets(AWS_CA_BUNDLE="/etc/ssl/certs/ca-certificates.crt", AWS_MAX_ATTEMPTS="1"), "tls"),
    "another cloud's image": (sets(**{f"{OBJECT_STORAGE}PATH": "gs://acme-astro-xcom/xcom"}), "package"),
    "threshold": (sets(**{THRESHOLD: "10000000"}), "XCOM_OBJECTSTORAGE_THRESHOLD is '10000000'"),
    "no backend": (
        sets(AIRFLOW__CORE__XCOM_BACKEND="airflow.sdk.bases.xcom.BaseXCom"),
        "AIRFLOW__CORE__XCOM_BACKEND is 'airflow.sdk.bases.xcom.BaseXCom', which is no XComObjectStorageBackend",
    ),
}
AZURE_FAULTS: dict[str, tuple[Spoil, str]] = {
    "network rules": (answers(403, "AuthorizationFailure", "This request is not authorized."), "network rules"),
    "no role": (lambda world, running: world.subscription.assignments.clear(), "permission"),
    "key": (answers(403, "KeyVaultEncryptionKeyNotFound", "The key vault key is not found.", is_put), "key gone"),
    "container": (answers(404, "ContainerNotFound", "The specified container does not exist.", is_put), "no container"),
    "identity": (lambda world, running: world.subscription.principals.clear(), "identity gone"),
    "cluster": (lambda world, running: trusts_another_issuer(world), "other cluster"),
    "audience": (lambda world, running: setattr(world.subscription, "audience", "x"), "audience"),
}
GCP_FAULTS: dict[str, tuple[Spoil, str]] = {
    "create": (lambda world, running: world.project.take_away("storage.objects.create"), "permission"),
    "bucket role": (lambda world, running: world.project.take_away("storage.buckets.get"), "no bucket role"),
    "trust": (lambda world, running: world.project.users.clear(), "not trusted"),
    "perimeter": (
        answers(403, "x", "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x"),
        "service controls",
    ),
    "service agent": (answers(403, "x", "Permission denied on Cloud KMS key.", is_upload), "service agent"),
}
FAULTS = [
    (f"{cloud}-example", fault, *planted)
    for cloud, faults in (("aws", AWS_FAULTS), ("azure", AZURE_FAULTS), ("gcp", GCP_FAULTS))
    for fault, planted in faults.items()
] + [("gcp-direct", "no grant", lambda world, running: world.project.members.clear(), "pod itself")]


@pytest.mark.parametrize(("name", "fault", "spoil", "cause"), FAULTS, ids=[f"{each[0]}: {each[1]}" for each in FAULTS])
def test_a_fault_is_named_by_the_probe_and_by_the_dag_alike(
    name: str, fault: str, spoil: Spoil, cause: str, request: pytest.FixtureRequest
) -> None:
    with request.getfixturevalue(f"open_{name.partition('-')[0]}")(name) as world:
        world.emulator = {**world.emulator, **IMPATIENT}
        found = probed(world, spoil=spoil, only=1)
        (path,) = {pod.path for pod in found.pods}
        words = said(CAUSES[cause], path.partition(":")[0]) if cause in CAUSES else cause
        assert not found.ok
        assert any(words in problem for problem in found.problems), table(found)
        with world.agents(next(iter(world.pods.values()))) as (agent,):
            assert words in agent.call(INSIDE / "dag_task.py", "words", str(DAG))
        left = world.store.keys()
        assert not [key for key in left if "/xcom_probe/" in key]


def test_of_two_pods_the_one_that_is_not_trusted_says_so(open_aws: OpenAws) -> None:
    def distrust(world: Any, running: dict[str, Job]) -> None:
        first = next(iter(running.values())).pod.subject
        for statement in world.account.trust:
            for condition, subjects in statement["Condition"]["StringEquals"].items():
                if condition.endswith(":sub"):
                    subjects.remove(first)

    with open_aws("aws-example") as world:
        found = probed(world, spoil=distrust, only=2, minutes=0.3)
        first, second = sorted(found.pods, key=lambda pod: pod.wrote)
        assert any(said(CAUSES["not trusted"], "s3") in problem for problem in first.problems)
        assert [problem.partition(":")[0] for problem in second.problems] == [f"from {first.account}"]
        assert world.store.keys() == set()


OLD = {
    "undecodable": b'{"__classname__": "builtins.set", "__version__": 99, "__data__": [1]}',
    "no json": b"hello",
    "no suffix": gzip.compress(b"1"),
    "expired": b"",
    "other path": b"",
}


@pytest.mark.parametrize("cause", OLD)
def test_an_old_value_is_read_or_said_why_not(cause: str, aws: Aws) -> None:
    key = f"{'elsewhere' if cause == 'other path' else 'xcom'}/dag/run/task/old"
    if OLD[cause]:
        aws.bucket.put(key, OLD[cause])
    found = probed(aws, only=1, old=f"s3://acme-astro-xcom/{key}")
    (problem,) = found.problems
    assert said(CAUSES[cause], "s3") in problem
    with aws.agents(next(iter(aws.pods.values()))) as (agent,):
        why = agent.call(INSIDE / "dag_task.py", "why_a_path", str(DAG), f"s3://acme-astro-xcom/{key}")
    assert why in problem


def test_an_old_value_that_can_be_read_is_no_problem(aws: Aws) -> None:
    aws.bucket.put("xcom/dag/run/task/old", b'"value"')
    assert probed(aws, only=1, old="s3://acme-astro-xcom/xcom/dag/run/task/old").ok
    assert aws.bucket.keys() == {"xcom/dag/run/task/old"}


def test_objects_that_cannot_be_deleted_are_named(aws: Aws) -> None:
    aws.account.take_away("s3:DeleteObject")
    found = probed(aws, only=1)
    (pod,) = found.pods
    assert "objects are still there: the identity may not delete" in found.problems[0]
    assert len(pod.left) == len(aws.store.keys())
