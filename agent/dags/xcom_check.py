"""Shows that XComs work on this deployment, or says why not: run it once after each change of storage or identity.

A green task proves nothing about XComs: with compression on, Airflow reports a refused upload to nobody, and the next
task receives the value's path as its value. So a second task, which may run on another worker, compares the values.

Needs nothing but Airflow 3.2 or later. It leaves a few objects (about 10 MB) under the XCom path, which expire like
all others.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import ObjectStoragePath, dag, get_current_context, task
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
from airflow.sdk.execution_time.xcom import resolve_xcom_backend

PUSH_QUEUE = PULL_QUEUE = "default"
"""The `queues` of the workers to check. Give a second worker's queue to one of them to check both."""

LONGEST = timedelta(minutes=15)
"""Of one task. Some clients try for minutes, and an anonymous one on Azure for ever."""

SECTION = "common.io"
BACKEND = "XComObjectStorageBackend"
COMPRESSIONS = ("", "zip", "gzip", "bz2", "lzma", "xz")
SUFFIXES = (".zip", ".gz", ".bz2", ".lzma", ".xz")
MAGIC = {b"PK": "zip", b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"]\x00": "lzma"}
IDENTITY = {
    "s3": (
        ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    ),
    "abfs": (("AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"),),
    "gs": (),
}
"""What the cloud's webhook puts into a pod, one of these (the second on AWS is EKS Pod Identity's); on GKE the metadata
server is asked instead."""
MARKS = {
    "s3": "annotation eks.amazonaws.com/role-arn, or the EKS Pod Identity association, of its service account",
    "abfs": "label azure.workload.identity/use of the pod, or the annotation azure.workload.identity/client-id of its "
    "service account,",
    "gs": "annotation iam.gke.io/gcp-service-account of its service account",
}
CAUSES = (
    (
        ("is not supported. Make sure it is installed",),
        "COMPRESSION is not one of zip, gzip, bz2, lzma, xz; to switch it off leave the variable out",
    ),
    (
        ("No module named", "not installed", "Install "),
        "the agents' image lacks a package: see requirements-<cloud>.txt",
    ),
    (("isn't defined",), "the XCom path names an Airflow connection that this worker does not know"),
    (
        ("Must provide either a connection_string or account_name",),
        "the Airflow connection in the XCom path is missing, or its `extra` is not valid JSON or lacks account_name",
    ),
    (
        ("AssumeRoleWithWebIdentity", "AADSTS", "Invalid Credentials", "iam.serviceAccounts.getAccessToken"),
        "the cloud's identity does not trust this pod's service account, namespace or cluster",
    ),
    (
        ("NoCredentials", "nonymous", "IdentityCredential", "DefaultAzureCredential", "svc.id.goog["),
        "the pod has no identity: the {mark} is missing, or the pod is older than it",
    ),
    (
        ("storage.buckets.",),
        "the bucket does not exist, or the service account lacks roles/storage.legacyBucketReader, without which an "
        "empty bucket looks missing",
    ),
    (("CreateBucket", "NoSuchBucket"), "the bucket does not exist, or may not be listed"),
    (("ContainerNotFound", "container does not exist"), "the container does not exist"),
    (
        ("BadZipFile",),
        "its object cannot be read, and zip hides why: most often the identity may not decrypt with the key of the "
        "bucket (on AWS kms:Decrypt)",
    ),
    (("kms:", "KMS"), "the identity may not use the key of the bucket"),
    (
        ("Forbidden", "ermission", "not authorized", "enied"),
        "the identity may not do this below this path: compare the XCom path with what it is granted",
    ),
)
"""What the text of an error tells: the first that fits."""


LARGEST = "0123456789" * 500_000


def values() -> dict[str, Any]:
    """What is pushed, by XCom key. The same in every task."""
    return {
        "empty": "",
        "number": 0,
        "truth": False,
        "unicode": "grüße, 世界 🚀 \\ \" '",
        "nested": {"rows": [1, 2.5, True, None, {"deep": ["x"] * 3}], "": {}},
        "path": "s3://not-a-path/of-this-deployment",
        "kilobyte": "x" * 1_000,
        "megabytes": LARGEST,
    }


def cause(error: object, scheme: str) -> str:
    """An error in the words of the deployment."""
    text = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)
    for parts, meaning in CAUSES:
        if any(part in text for part in parts):
            return f"{meaning.format(mark=MARKS.get(scheme, 'identity'))} ({text[:400]})"
    return text[:600]


def base_path() -> str:
    """Where this worker keeps XComs."""
    return str(conf.get(SECTION, "xcom_objectstorage_path", fallback=""))


def scheme() -> str:
    """s3, abfs or gs."""
    return base_path().partition(":")[0]


def wrong_settings() -> list[str]:
    """What in this worker's environment keeps values out of the storage, or makes each write fail."""
    found = []
    if BACKEND not in (base.__name__ for base in resolve_xcom_backend().__mro__):
        backend = conf.get("core", "xcom_backend", fallback="")
        found.append(
            f"AIRFLOW__CORE__XCOM_BACKEND is {backend!r}, which is no {BACKEND}: values stay in Airflow's "
            "database; set xcomBackend"
        )
    if "://" not in base_path():
        found.append(f"XCOM_OBJECTSTORAGE_PATH is {base_path()!r}: it must be the URL of a folder")
    threshold = conf.get(SECTION, "xcom_objectstorage_threshold", fallback="-1")
    if not threshold.isdigit() or int(threshold) > len(LARGEST):
        found.append(f"XCOM_OBJECTSTORAGE_THRESHOLD is {threshold!r}: values stay in Airflow's database; set '0'")
    compression = conf.get(SECTION, "xcom_objectstorage_compression", fallback="")
    if compression not in COMPRESSIONS:
        found.append(f"XCOM_OBJECTSTORAGE_COMPRESSION is {compression!r}: must be one of {', '.join(COMPRESSIONS[1:])}")
    missing = [[name for name in way if not os.environ.get(name)] for way in IDENTITY.get(scheme(), ())]
    if missing and all(missing):
        names = " and ".join(min(missing, key=len))
        found.append(f"{names} missing: the {MARKS[scheme()]} is missing, or the pod is older than it")
    return found


@contextmanager
def unreported() -> Iterator[list[str]]:
    """Collects the errors that Python can only print, such as that of an upload that fails when its file is closed."""
    found: list[str] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda event: found.append(f"{type(event.exc_value).__name__}: {event.exc_value}")
    try:
        yield found
    finally:
        sys.unraisablehook = before


EXPIRED = "its object was there and is gone: it expired (retention too short?) or was deleted"
NEVER_STORED = (
    "its object never appeared: the upload was refused, or cut off when the task ended (gcsfs 2026.8.2 and later do so "
    "with compression: leave XCOM_OBJECTSTORAGE_COMPRESSION out)"
)


def is_path(value: Any) -> bool:
    """Whether a value looks like what Airflow keeps in its database instead of a value."""
    return isinstance(value, str) and value.partition("://")[0] in IDENTITY and value not in values().values()


def why_a_path(path: str, *, seen: bool) -> str:
    """Why Airflow gives the path instead of the value. `seen`: whether the value was read since it was pushed."""
    if not path.startswith(base_path().rstrip("/") + "/"):
        return (
            f"it was pushed below another path than this worker's ({base_path()}): "
            "the XCom path was changed, or workers have different ones"
        )
    try:
        if not ObjectStoragePath(path).exists():
            return EXPIRED if seen else NEVER_STORED
        with ObjectStoragePath(path).open("rb", compression=None) as file:
            start = file.read(8)
    except Exception as error:
        return f"its object cannot be read: {cause(error, scheme())}"
    packed = next((name for magic, name in MAGIC.items() if start.startswith(magic)), None)
    if packed and not path.endswith(SUFFIXES):  # before Airflow 3.4 a name is <uuid4>.gz, since then <key>.json.gz
        return f"its object is compressed ({packed}) but its name has no compression suffix, so it is read as it is"
    return f"its object holds no JSON (it starts with {start!r}): something else wrote it"


def problem(name: str, got: Any, expected: Any, *, seen: bool) -> str | None:
    """What is wrong with a value that was pulled, if anything."""
    if got == expected and type(got) is type(expected):
        return None
    if got is None:
        return f"{name}: nothing came back: the push did not happen, or its XCom was deleted"
    if is_path(got):
        return f"{name}: its path came back instead of the value: {why_a_path(got, seen=seen)}; path {got}"
    return f"{name}: another value came back: {str(got)[:80]!r} instead of {str(expected)[:80]!r}"


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collects what is wrong, and ends the task with all of it, also when its time is up."""
    problems: list[str] = []
    try:
        yield problems
    except AirflowTaskTimeout:
        problems.append(
            f"no answer within {LONGEST}: the network does not lead to the storage, or the client is anonymous and "
            f"asks for ever (the {MARKS.get(scheme(), 'identity')} is missing)"
        )
    if problems:
        raise AirflowFailException("XComs do not work here:\n" + "\n".join(f"- {line}" for line in problems))


@dag(
    schedule=None,
    catchup=False,
    tags=["xcom"],
    doc_md=__doc__,
    default_args={"retries": 0, "execution_timeout": LONGEST},
)
def xcom_check() -> None:
    """Settings, then push and return, then pull and compare."""

    @task(queue=PUSH_QUEUE)
    def settings() -> None:
        with collected() as problems:
            problems += wrong_settings()
        print(f"XComs go to {base_path()}")  # noqa: T201

    @task(queue=PUSH_QUEUE)
    def push() -> None:
        ti = get_current_context()["ti"]
        with collected() as problems:
            for name, value in values().items():
                with unreported() as errors:
                    try:
                        ti.xcom_push(key=name, value=value)
                        got = ti.xcom_pull(task_ids=ti.task_id, key=name)
                    except Exception as error:
                        problems.append(f"{name}: cannot be pushed: {cause(error, scheme())}")
                        continue
                    if is_path(got) and not errors:
                        gc.collect()  # a file that is still open fails when it is closed
                if is_path(got) and errors:
                    problems.append(
                        f"{name}: its upload failed, and Airflow said nothing: {cause(errors[0], scheme())}"
                    )
                elif wrong := problem(name, got, value, seen=False):
                    problems.append(wrong)

    @task(queue=PUSH_QUEUE, show_return_value_in_logs=False)
    def hand_over() -> str:
        return LARGEST  # and ends at once: only this shows whether an upload outlives its task

    @task(queue=PULL_QUEUE)
    def pull() -> None:
        ti = get_current_context()["ti"]
        with collected() as problems:
            problems += wrong_settings()
            for task_id, name, expected in (
                ("hand_over", "return_value", LARGEST),
                *(("push", name, value) for name, value in values().items()),
            ):
                try:
                    got = ti.xcom_pull(task_ids=task_id, key=name)
                except Exception as error:
                    problems.append(f"{name}: cannot be pulled: {cause(error, scheme())}")
                    continue
                if wrong := problem(name, got, expected, seen=task_id == "push"):
                    problems.append(wrong)
        print(f"{len(values()) + 1} values came back as they were pushed")  # noqa: T201

    settings() >> push() >> hand_over() >> pull()


xcom_check()
