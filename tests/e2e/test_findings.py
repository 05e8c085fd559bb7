"""What defaults and advice here rely on, shown with the current versions, so that a change is noticed."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from packaging.version import Version

from astro_xcom.xcom import BRANCH_SAFE, XCOM_BACKEND
from e2e.agents import INSIDE, AgentError
from e2e.aws import Aws
from e2e.chain import Broken
from e2e.dag_run import airflow_settings, airflow_version, make_database
from once import made_once
from support import PROJECT

pytestmark = pytest.mark.e2e

COMPRESSION = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION"
BACKEND = "AIRFLOW__CORE__XCOM_BACKEND"
PATH = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"
THRESHOLD = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"
VALUE = "x" * 6998
"""7,000 bytes of JSON."""


def size(aws: Aws, **env: str) -> int:
    """Of the one object that the value is stored as."""
    pod = next(iter(aws.pods.values()))
    before = aws.bucket.keys()
    with aws.agents(replace(pod, env={**pod.env, **env})) as (agent,):
        agent.write(VALUE)
    (key,) = aws.bucket.keys() - before
    return len(aws.bucket.get(key))


def test_zip_stores_without_compressing_and_gzip_compresses(aws: Aws) -> None:
    assert size(aws, **{COMPRESSION: "zip"}) > 7000
    assert size(aws, **{COMPRESSION: "gzip"}) < 700


def test_a_threshold_is_the_smallest_size_that_is_stored(aws: Aws) -> None:
    assert size(aws, **{THRESHOLD: "7000"}) > 0
    with pytest.raises(ValueError, match="not enough values"):
        size(aws, **{THRESHOLD: "7001"})


def test_a_denied_upload_is_silent_with_compression_and_an_error_without(aws: Aws) -> None:
    aws.account.take_away("s3:PutObject")
    pod = next(iter(aws.pods.values()))
    with aws.agents(pod) as (agent,):
        stored = agent.write("value")
        assert agent.read(stored) == stored
        assert "Exception ignored in" in agent.stderr
    plain = replace(pod, env={key: value for key, value in pod.env.items() if key != COMPRESSION})
    with aws.agents(plain) as (agent,), pytest.raises(AgentError, match=r"PermissionError: .* s3:PutObject"):
        agent.write("value")


def test_an_agent_reads_what_another_one_compressed_otherwise(aws: Aws) -> None:
    writer, reader, *_ = aws.pods.values()
    with aws.agents(replace(writer, env={**writer.env, COMPRESSION: "xz"}), reader) as (first, second):
        assert second.read(first.write("value")) == "value"


def test_an_object_that_is_gone_reads_as_its_path(aws: Aws) -> None:
    with aws.agents(next(iter(aws.pods.values()))) as (agent,):
        stored = agent.write("value")
        (key,) = aws.bucket.keys()
        aws.bucket.delete(key)
        assert agent.read(stored) == stored


def test_a_list_permission_with_a_prefix_condition_breaks_writes(aws: Aws) -> None:
    for statement in aws.account.role_policy:
        if "s3:ListBucket" in json.dumps(statement["Action"]):
            statement["Condition"] = {"StringLike": {"s3:prefix": ["xcom", "xcom/*"]}}
    with pytest.raises(Broken, match=r"write of .*: PermissionError"):
        aws.check()


def test_with_a_broad_role_a_missing_bucket_would_be_made(aws: Aws) -> None:
    aws.account.role_policy.append({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    other = "s3://acme-astro-xcom-of-nobody/xcom"
    pod = next(iter(aws.pods.values()))
    env = {**pod.env, "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": other}
    with aws.agents(replace(pod, env=env)) as (agent,):
        assert str(agent.write("value")).startswith(other)


@pytest.mark.parametrize(
    ("settings", "ran"),
    [
        # When one of these fails, an earlier release has mended it too: README, Troubleshooting and `check` say since
        # when.
        ({THRESHOLD: "0"}, {"branch", "short circuit", "long short circuit"}),
        ({THRESHOLD: "1000"}, {"long short circuit"}),
        ({THRESHOLD: "0", BACKEND: BRANCH_SAFE}, set()),
    ],
    ids=["threshold 0", "threshold 1000", "branch_safe_xcom"],
)
def test_mapped_tasks_that_a_branch_or_a_short_circuit_skips(
    settings: dict[str, str], ran: set[str], agents_python: Callable[[str], Path], session_folder: Path, tmp_path: Path
) -> None:
    python = agents_python("aws")
    mended = airflow_version(python) >= Version("3.4.0a0")
    home = tmp_path / "home"
    shutil.copytree(made_once(session_folder / "database", partial(make_database, python)), home)
    env = {
        **airflow_settings(home),
        "PYTHONPATH": str(PROJECT / "agent"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(INSIDE / "dags"),
        BACKEND: XCOM_BACKEND,
        PATH: f"file://{tmp_path}/xcom",
        **settings,
    }
    command = [str(python.with_name("airflow")), "dags", "test", "branches"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = set(re.findall("ran although it was to be skipped: (.*?);", done.stdout + done.stderr))
    assert found == (set() if mended else ran)


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_the_image_imports_what_its_dockerfile_checks(cloud: str, agents_python: Callable[[str], Path]) -> None:
    from e2e.image import checks, run  # the same commands as `docker build` runs after the installation

    for command in checks(cloud):
        run(agents_python(cloud), command)
