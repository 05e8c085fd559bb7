"""The DAG that users run: it passes where XComs work, and otherwise says why they do not."""

import gzip
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from packaging.version import Version

from astro_xcom.probe.in_pod.xcom_causes import CAUSES, said
from astro_xcom.xcom import BRANCH_SAFE, XCOM_BACKEND
from e2e.agents import INSIDE, AgentError
from e2e.aws import Aws
from e2e.azure import Azure
from e2e.dag_run import DAG, STATE_SINCE, DagRun, airflow_version, executor, make_database, parse_dags, run_dag
from e2e.gate import Answer, Forward, Request
from e2e.gcp import Gcp
from e2e.world import World
from once import made_once
from support import PROJECT

pytestmark = pytest.mark.e2e

OBJECT_STORAGE = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
STATE_PATH = "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH"
UNDECODABLE = b'{"__classname__": "builtins.set", "__version__": 99, "__data__": [1]}'
"""As a later Airflow wrote it."""
BRANCHES = {"AIRFLOW__CORE__XCOM_BACKEND": BRANCH_SAFE, "PYTHONPATH": str(PROJECT / "agent")}
"""As for DAGs with branches: without it one task fails before Airflow 3.4."""

Check = Callable[..., DagRun]


@pytest.fixture(scope="session")
def database(agents_python: Callable[[str], Path], session_folder: Path) -> Path:
    """An Airflow home with an empty database, to be copied for each run."""
    return made_once(session_folder / "database", partial(make_database, agents_python("aws")))


@pytest.fixture
def check(aws: Aws, database: Path, tmp_path: Path) -> Check:
    def run(*, before_pull: Callable[[], Mapping[str, str]] | None = None, without: str = "", **env: str) -> DagRun:
        pod = next(iter(aws.pods.values()))
        changed = {key: value for key, value in {**pod.env, **BRANCHES, **env}.items() if key != without}
        environment = aws.environment(replace(pod, env=changed))
        return run_dag(aws.airflow.python, database, tmp_path / "home", environment, before_pull=before_pull)

    return run


@pytest.mark.parametrize("compression", ["", "zip"])
def test_tasks_that_end_before_their_upload(compression: str, gcp: Gcp, database: Path, tmp_path: Path) -> None:
    pod = next(iter(gcp.pods.values()))
    env = {**gcp.environment(pod), **BRANCHES, f"{OBJECT_STORAGE}COMPRESSION": compression}
    enforce = gcp.gate.decide

    def slowly(request: Request, forward: Forward) -> Answer:
        if "/upload/" in request.path and "hand_over" in request.target:
            time.sleep(
                20 if compression else 5
            )  # longer than it takes to end a task that does not wait, on a busy machine
        return enforce(request, forward)

    gcp.gate.decide = slowly
    home = tmp_path / "home"
    with executor(gcp.airflow.python, database, home, env) as env:
        run = run_dag(gcp.airflow.python, database, home, env, options=["--use-executor"])
    if compression:
        assert not run.passed
        assert (
            "return_value from default: its path came back instead of the value: its object never appeared"
            in run.diagnosis
        )
    else:
        assert run.passed, run.log


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_it_passes(cloud: str, database: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(cloud)
    pod = next(iter(world.pods.values()))
    run = run_dag(world.airflow.python, database, tmp_path / "home", {**world.environment(pod), **BRANCHES})
    assert run.passed, run.log
    keys = world.store.keys()
    assert len([key for key in keys if "branch.choose" not in key]) == 9
    assert not [key for key in keys if key.startswith("state/")], "what it kept in the state store is gone"


@pytest.mark.parametrize("threshold", ["0", "1000"])
def test_a_mapped_task_that_a_branch_must_skip(threshold: str, check: Check, aws: Aws) -> None:
    run = check(AIRFLOW__CORE__XCOM_BACKEND=XCOM_BACKEND, **{f"{OBJECT_STORAGE}THRESHOLD": threshold})
    wrong = threshold == "0" and airflow_version(aws.airflow.python) < Version("3.4.0a0")
    assert run.passed is not wrong, run.log
    assert run.diagnosis == (f"- {said(CAUSES['branch'], 's3')}" if wrong else "")


def test_it_reads_what_the_run_before_pushed(check: Check, aws: Aws) -> None:
    plain = f"{OBJECT_STORAGE}COMPRESSION"
    assert check(without=plain).passed
    for key in sorted(aws.bucket.keys()):
        aws.bucket.delete(key)
    second = check(without=plain)
    assert second.passed, "after a long time they are gone, as they should"
    assert "nested of an earlier run: its path came back instead of the value" in second.log
    for key in sorted(aws.bucket.keys()):
        aws.bucket.put(key, UNDECODABLE)
    third = check(without=plain)
    assert not third.passed
    assert (
        f"nested of an earlier run: its path came back instead of the value: {said(CAUSES['undecodable'], 's3')}"
        in (third.diagnosis)
    )


def test_it_uses_the_state_store(check: Check, aws: Aws) -> None:
    run = check(**{STATE_PATH: "s3://acme-astro-xcom/elsewhere"})
    if airflow_version(aws.airflow.python) < STATE_SINCE:
        assert run.passed
        return
    assert f"- state store: cannot be used: {said(CAUSES['permission'], 's3')}" in run.diagnosis


def test_each_queue_reads_what_every_other_one_wrote(check: Check, aws: Aws) -> None:
    env = {"XCOM_CHECK_QUEUES": "default, heavy work"}
    pod = next(iter(aws.pods.values()))
    with aws.agents(replace(pod, env={**pod.env, **env})) as (agent,):
        queues = agent.call(INSIDE / "dag_task.py", "queues", str(DAG))
    assert queues["queue_heavy_work.push"] == queues["queue_heavy_work.pull"] == "heavy work"
    assert queues["queue_default.push"] == queues["branch.not_chosen"] == "default"
    run = check(**env)
    assert run.passed, run.log
    assert "18 values came back as they were pushed" in run.log


@pytest.mark.parametrize("cloud", ["aws", *(pytest.param(each, marks=pytest.mark.long) for each in ("azure", "gcp"))])
def test_the_dag_processor_needs_no_identity(
    cloud: str, database: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What `agent.untrusted` relies on: it parses DAGs, and asks neither the storage nor who it is."""
    world: Aws | Azure | Gcp = request.getfixturevalue(cloud)
    pod = next(iter(world.pods.values()))
    env, home = {**pod.env, **world.emulator}, tmp_path / "home"
    shutil.copytree(database, home)
    done = parse_dags(world.airflow.python, home, env)
    assert "xcom_check" in done
    assert world.gate.requests == []


def test_a_denied_upload(check: Check, aws: Aws) -> None:
    aws.account.take_away("s3:PutObject")
    run = check()
    assert not run.passed
    assert "nested: its upload failed, and Airflow said nothing: the identity may not do this" in run.diagnosis


def test_a_key_that_may_not_decrypt(check: Check, aws: Aws) -> None:
    aws.account.take_away("kms:Decrypt")
    run = check()
    assert not run.passed
    assert "nested: cannot be pushed: its object cannot be read, and zip hides why" in run.diagnosis


def test_workers_with_different_paths(check: Check, aws: Aws) -> None:
    run = check(before_pull=lambda: {f"{OBJECT_STORAGE}PATH": "s3://acme-astro-xcom/elsewhere"})
    assert not run.passed
    assert (
        "nested from default: its path came back instead of the value: it was pushed below another path"
        in run.diagnosis
    )


def test_a_path_that_is_not_granted(aws: Aws) -> None:
    pod = next(iter(aws.pods.values()))
    env = {**pod.env, f"{OBJECT_STORAGE}PATH": "s3://acme-astro-xcom/elsewhere"}
    with aws.agents(replace(pod, env=env)) as (agent,):
        with pytest.raises(AgentError) as refused:
            agent.write("value")
        meaning = agent.call(DAG, "cause", str(refused.value), "s3")
    assert "the identity may not do this below this path" in meaning


def test_a_missing_compression_suffix_and_an_expired_object(check: Check, aws: Aws) -> None:
    def change() -> dict[str, str]:
        for key in sorted(aws.bucket.keys()):
            content = aws.bucket.get(key)
            if b"rows" in content:
                aws.bucket.put(key, gzip.compress(content))
            elif b"xxx" in content:
                aws.bucket.delete(key)
        return {}

    run = check(before_pull=change, without=f"{OBJECT_STORAGE}COMPRESSION")
    assert not run.passed
    assert "nested from default: its path came back instead of the value: its object is compressed but" in run.diagnosis
    assert (
        "kilobyte from default: its path came back instead of the value: its object was there and is gone"
        in run.diagnosis
    )


def test_a_storage_that_does_not_answer(aws: Aws, database: Path, tmp_path: Path) -> None:
    def never(request: Request, forward: Forward) -> Answer:
        time.sleep(60)
        return Answer(500)

    aws.gate.decide = never
    pod = next(iter(aws.pods.values()))
    run = run_dag(aws.airflow.python, database, tmp_path / "home", aws.environment(pod), longest_seconds=5)
    assert not run.passed
    assert "no answer within 0:00:05" in run.diagnosis


def test_a_threshold_above_all_that_is_pushed(aws: Aws) -> None:
    pod = next(iter(aws.pods.values()))
    with aws.agents(replace(pod, env={**pod.env, f"{OBJECT_STORAGE}THRESHOLD": "10000000"})) as (agent,):
        (wrong,) = agent.call(DAG, "wrong_settings")
    assert "XCOM_OBJECTSTORAGE_THRESHOLD is '10000000': values stay in Airflow's database" in wrong


def test_a_backend_class_of_ones_own(aws: Aws) -> None:
    pod = next(iter(aws.pods.values()))
    own = replace(pod, env={**pod.env, "AIRFLOW__CORE__XCOM_BACKEND": "own_backend.Own"})
    other = replace(pod, env={**pod.env, "AIRFLOW__CORE__XCOM_BACKEND": "airflow.sdk.bases.xcom.BaseXCom"})
    with aws.agents(own, other) as (right, wrong):
        assert right.call(DAG, "wrong_settings") == []
        (says,) = wrong.call(DAG, "wrong_settings")
    assert "XCOM_BACKEND is 'airflow.sdk.bases.xcom.BaseXCom', which is no XComObjectStorageBackend" in says
