"""XComs on Google Cloud: from deployments.yaml to a value that another agent reads."""

import subprocess
import threading
from collections.abc import Mapping
from dataclasses import replace

import pytest

from e2e.agents import IMPATIENT
from e2e.chain import Broken
from e2e.gate import Answer, Forward, Request
from e2e.gcp import CONNECTION, Gcp, OpenGcp
from e2e.world import THRESHOLD

pytestmark = pytest.mark.e2e

OBJECT_STORAGE = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_"
COMPRESSION = f"{OBJECT_STORAGE}COMPRESSION"
LAYOUT = "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"
NAMES = ["gcp-example", "gcp-maximal"]
REFUSED = "OSError: Forbidden: .*\n.*@acme-data.iam.gserviceaccount.com does not have"
WITHOUT = {
    "storage.objects.get": f"read of .*: {REFUSED} storage.objects.get access",
    "storage.objects.list": f"write of .*: {REFUSED} storage.objects.list access",
    "storage.objects.create": f"write of .*: {REFUSED} storage.objects.create access",
    "storage.objects.delete": "purge of .*: OSError: .* storage.objects.delete access",
    # Who may not see an empty bucket takes it for missing, and wants to make it.
    "storage.buckets.get": f"write of .*: {REFUSED} storage.buckets.create access",
}
"""What breaks."""


def test_a_value_written_by_one_agent_is_read_by_another(gcp: Gcp) -> None:
    gcp.check()


@pytest.mark.parametrize("pool", ["acme-data.svc.id.goog", "acme-agents.svc.id.goog", "acme-fleet.svc.id.goog"])
def test_agents_of_every_trusted_cluster_reach_the_bucket(pool: str, open_gcp: OpenGcp) -> None:
    with open_gcp("gcp-maximal") as world:
        world.project.pool = pool
        world.check()


@pytest.mark.parametrize("name", NAMES)
def test_these_roles_are_granted(name: str, open_gcp: OpenGcp) -> None:
    with open_gcp(name) as world:
        granted = [(member["bucket"], member["role"]) for member in world.project.members]
    assert sorted(granted) == [
        (world.project.bucket, "roles/storage.legacyBucketReader"),
        (world.project.bucket, "roles/storage.objectAdmin"),
    ]


@pytest.mark.parametrize("permission", WITHOUT)
def test_without_one_permission_xcoms_break(permission: str, gcp: Gcp) -> None:
    gcp.project.take_away(permission)
    with pytest.raises(Broken, match=WITHOUT[permission]):
        gcp.check()


def test_object_admin_alone_cannot_write_into_an_empty_bucket(gcp: Gcp) -> None:
    _with_object_admin_alone(gcp)
    with pytest.raises(Broken, match=WITHOUT["storage.buckets.get"]):
        gcp.check()


def test_object_admin_alone_is_enough_once_an_object_is_there(gcp: Gcp) -> None:
    _with_object_admin_alone(gcp)
    gcp.bucket.put("seed", b"there")
    gcp.check()


def test_with_compression_nobody_reports_a_denied_upload(gcp: Gcp) -> None:
    gcp.project.take_away("storage.objects.create")
    with pytest.raises(Broken, match=r"read of .*: got 'gs://.* instead of the value"):
        gcp.check(**{COMPRESSION: "zip"})


def test_with_compression_a_task_that_ends_before_its_upload_loses_the_value(gcp: Gcp) -> None:
    ended = threading.Event()
    decide = gcp.gate.decide

    def slowly(request: Request, forward: Forward) -> Answer:
        if "/upload/" in request.path:
            ended.wait(20)  # long enough to tell it from an upload that the task waits for
        return decide(request, forward)

    gcp.gate.decide = slowly
    writer = next(iter(gcp.pods.values()))
    with gcp.agents(replace(writer, env={**writer.env, COMPRESSION: "zip"})) as (task,):
        assert task.write("value").startswith("gs://")
        task.end()
    ended.set()
    assert gcp.bucket.keys() == set()


def test_without_the_key_grant_of_cloud_storage_nothing_is_stored(open_gcp: OpenGcp) -> None:
    with open_gcp("gcp-maximal") as world:
        world.project.key_users.clear()
        with pytest.raises(Broken, match=r"write of 5 MB: OSError: Forbidden: .*\nPermission denied on Cloud KMS key"):
            world.check()


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"PATH": "gs://acme-astro-xcom-2/xcom"}, f"{REFUSED} storage.objects.list access"),
        ({"PATH": "gs://undefined@acme-astro-xcom-gcp/xcom"}, "AirflowNotFoundException: .* `undefined` isn't defined"),
        ({"THRESHOLD": "-1"}, "0 objects appeared"),
        ({"COMPRESSION": "None"}, "ValueError: Compression None is not supported"),
        ({"COMPRESSION": "gz"}, "ValueError: Compression gz is not supported"),
    ],
)
def test_with_a_wrong_variable_xcoms_break(env: Mapping[str, str], why: str, gcp: Gcp) -> None:
    with pytest.raises(Broken, match=why):
        gcp.check(**{OBJECT_STORAGE + key: value for key, value in env.items()})


@pytest.mark.parametrize("variable", ["AIRFLOW__CORE__XCOM_BACKEND", THRESHOLD])
def test_without_the_variable_values_stay_in_the_database(variable: str, gcp: Gcp) -> None:
    with pytest.raises(Broken, match="0 objects appeared"):
        gcp.check(without=variable)


def test_a_connection_in_the_path_has_to_be_defined(open_gcp: OpenGcp) -> None:
    with open_gcp("gcp-maximal") as world:
        world.emulator = {key: value for key, value in world.emulator.items() if key != CONNECTION}
        with pytest.raises(Broken, match=r"AirflowNotFoundException: .* `google_cloud_default` isn't defined"):
            world.check()


def test_a_service_account_that_is_not_trusted_gets_no_token(gcp: Gcp) -> None:
    writer = next(iter(gcp.pods.values()))
    gcp.project.users = {user for user in gcp.project.users if not user[1].endswith(f"/{writer.service_account}]")}
    with pytest.raises(Broken, match=r"write of .*: HttpError: Invalid Credentials, 401"):
        gcp.check(**IMPATIENT)
    assert gcp.node.requests[-1].endswith(" 403")


def test_without_the_annotation_an_agent_is_only_its_own_service_account(gcp: Gcp) -> None:
    name, writer = next(iter(gcp.pods.items()))
    gcp.pods[name] = replace(writer, service_account_annotations={})
    who = rf"serviceAccount:acme-data.svc.id.goog\[{writer.namespace}/{writer.service_account}\]"
    with pytest.raises(Broken, match=f"write of .*\n{who} does not have storage.objects.list access"):
        gcp.check()


def test_without_a_metadata_server_an_agent_is_nobody(gcp: Gcp) -> None:
    with pytest.raises(Broken, match=r"HttpError: Anonymous caller does not have storage.objects.get access, 401"):
        gcp.check(NO_GCE_CHECK="true")


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_keeps_the_client_from_asking_another_api_first(name: str, open_gcp: OpenGcp) -> None:
    with open_gcp(name) as world:
        env = world.environment(next(iter(world.pods.values())))
    assert env[LAYOUT] == "false"
    assert _file_system(world, env) == "gcsfs.core"
    del env[LAYOUT]
    assert _file_system(world, env) == "gcsfs.extended_gcsfs"


def _with_object_admin_alone(gcp: Gcp) -> None:
    gcp.project.members = [member for member in gcp.project.members if member["role"] == "roles/storage.objectAdmin"]


def _file_system(world: Gcp, env: Mapping[str, str]) -> str:
    script = "import gcsfs; print(gcsfs.GCSFileSystem.__module__)"
    done = subprocess.run(
        [str(world.airflow.python), "-c", script], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
