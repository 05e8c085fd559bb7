"""Variables that would undo what this project sets: in no environment of the chart's values, on no cloud."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cdktf import TerraformStack, Testing

from astro_xcom.agent import AgentValues
from astro_xcom.environment import OVERRIDES, OWNED
from astro_xcom.errors import SettingErrors
from astro_xcom.settings import AgentSettings, Deployment, ValuesFile
from astro_xcom.synthesis import make_stack
from astro_xcom.xcom import CLOUDS, Cloud, PodIdentity, XComLocation
from support import PROJECT, read

Values = dict[str, Any]
Entries = list[Any]

DEPLOYMENTS: dict[Cloud, Values] = {
    "aws": {"region": "us-east-1", "cluster": {"name": "data-prod"}, "storage": {"bucket": "acme-xcom"}},
    "azure": {
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "location": "westeurope",
        "resource_group": {"name": "astro-xcom"},
        "cluster": {"name": "data-prod", "resource_group": "aks"},
        "storage": {"account": "acmexcom"},
    },
    "gcp": {
        "project": "acme-data",
        "cluster": {"name": "data-prod", "location": "us-central1"},
        "storage": {"bucket": "acme-xcom", "location": "us-central1"},
    },
}

# Where an environment can stand -> values with it.
PLACES: dict[str, Callable[[Entries], Values]] = {
    "commonEnv": lambda env: {"commonEnv": env},
    "workers[a].env": lambda env: {"workers": [{"name": "a", "env": env}]},
    "dagProcessor.env": lambda env: {"dagProcessor": {"env": env}},
    "triggerer.env": lambda env: {"triggerer": {"env": env}},
    "sentinel.env": lambda env: {"sentinel": {"env": env}},
    "loggingSidecar.env": lambda env: {"loggingSidecar": {"env": env}},
    "workers[a].initContainers[i].env": lambda env: {
        "workers": [{"name": "a", "initContainers": [{"name": "i", "env": env}]}]
    },
    "workers[a].extraContainers[0].env": lambda env: {"workers": [{"name": "a", "extraContainers": [{"env": env}]}]},
    "triggerer.initContainers[i].env": lambda env: {"triggerer": {"initContainers": [{"name": "i", "env": env}]}},
    "sentinel.extraContainers[i].env": lambda env: {"sentinel": {"extraContainers": [{"name": "i", "env": env}]}},
}
FROM_SECRET = {"secretKeyRef": {"name": "a", "key": "b"}}


def deployment(cloud: Cloud, values: Values, folder: Path, *, in_file: bool = False, **more: Any) -> Deployment:
    agent: Values = {"namespace": "astro", "resource_name_prefix": "prod"}
    if in_file:
        (folder / "mine.yaml").write_text(yaml.safe_dump(values))
        agent["values_files"] = ["mine.yaml"]
    else:
        agent["values"] = values
    content = {"deployments": {"d": {"cloud": cloud, **DEPLOYMENTS[cloud], "agent": agent, **more}}}
    return read(json.dumps(content), folder)["d"]


def refused(cloud: Cloud, values: Values, folder: Path, **more: Any) -> list[str]:
    with pytest.raises(SettingErrors) as caught:
        deployment(cloud, values, folder, **more)
    return caught.value.lines


def names(*, refuse: bool) -> Iterator[tuple[Cloud, str]]:
    """Each variable of the table with a cloud where it matters."""
    for override in OVERRIDES:
        if override.refused is refuse:
            for name in override.names:
                yield override.cloud or "aws", name.replace("*", "S3")


@pytest.mark.parametrize(("cloud", "name"), list(names(refuse=True)))
@pytest.mark.parametrize("entry", [{"value": "x"}, {"valueFrom": FROM_SECRET}])
def test_what_beats_the_identity_is_refused(cloud: Cloud, name: str, entry: Values, tmp_path: Path) -> None:
    (line,) = refused(cloud, {"commonEnv": [{"name": name, **entry}]}, tmp_path)
    assert f"commonEnv[{name}]: " in line
    assert "remove it" in line


EVERYWHERE: list[tuple[Cloud, str]] = [
    ("aws", "AWS_ROLE_ARN"),
    ("azure", "AZURE_FEDERATED_TOKEN_FILE"),
    ("gcp", "GOOGLE_APPLICATION_CREDENTIALS"),
    ("aws", "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH"),
    ("azure", "AIRFLOW_CONN_WASB_XCOM"),
    ("gcp", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"),
    ("gcp", "FSSPEC_GS_TOKEN_PATH"),
    ("azure", "AIRFLOW__CORE__XCOM_BACKEND_CMD"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("cloud", "name"), EVERYWHERE)
@pytest.mark.parametrize("in_file", [False, True])
def test_it_is_refused_in_every_environment(cloud: Cloud, name: str, place: str, in_file: bool, tmp_path: Path) -> None:
    values = PLACES[place]([{"name": name, "value": "x"}])
    with pytest.raises(SettingErrors) as caught:  # what may be equal to the settings is compared when the stack is made
        make_stack(Testing.app(), "d", deployment(cloud, values, tmp_path, in_file=in_file))
    (line,) = caught.value.lines
    assert f"{'mine.yaml' if in_file else 'agent.values'}: {place}[{name}]: " in line
    assert re.search("is set from|must not be set|the settings give", line)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_literal_secret_is_refused_in_every_environment_and_shown_nowhere(
    cloud: Cloud, place: str, tmp_path: Path
) -> None:
    for entry in (
        {"name": "DB_PASSWORD", "value": "hunter2"},
        {"name": "AIRFLOW_CONN_DB", "value": "postgres://airflow:hunter2@db/airflow"},
        {"name": "AIRFLOW_CONN_DB", "value": '{"conn_type": "postgres", "password": "hunter2"}'},
        {"name": "HTTPS_PROXY", "value": "http://me:hunter2@proxy:3128"},
    ):
        (line,) = refused(cloud, PLACES[place]([entry]), tmp_path)
        assert f"{place}[{entry['name']}]: would stand in Terraform's state in clear; try valueFrom" in line
        assert "hunter2" not in line


@pytest.mark.parametrize("entry", [{"value": "hunter2", "nam": "DB_PASSWORD"}, "DB_PASSWORD=hunter2", ["hunter2"]])
@pytest.mark.parametrize("place", PLACES)
def test_an_entry_without_a_name_is_refused(place: str, entry: Any, tmp_path: Path) -> None:
    (line,) = refused("aws", PLACES[place]([entry]), tmp_path)
    assert f"{place}[0]: must be a mapping with a name; got" in line
    assert not isinstance(entry, (dict, str)) or "hunter2" not in line


@pytest.mark.parametrize("name", ["A=B", "A B", "1A", "Ä", "A\n"])
@pytest.mark.parametrize("place", PLACES)
def test_a_name_that_kubernetes_refuses(place: str, name: str, tmp_path: Path) -> None:
    (line,) = refused("gcp", PLACES[place]([{"name": name, "value": "x"}]), tmp_path)
    assert f"{place}[0].name: must be letters, digits and _ . - only" in line
    assert "try" not in line


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"value": "x", "valueFrom": FROM_SECRET}, "has both value and valueFrom; keep one of them"),
        ({"valueFrom": {}}, "valueFrom must have exactly one of secretKeyRef, configMapKeyRef"),
        ({"valueFrom": {**FROM_SECRET, "fieldRef": {"fieldPath": "a"}}}, "valueFrom must have exactly one of"),
        ({"valueFrom": {"secretRef": {"name": "a"}}}, "valueFrom must have exactly one of"),
        ({"valueFrom": "a"}, "valueFrom must have exactly one of"),
        ({"value": 8080}, 'must be text; got 8080; try "8080" in quotes'),
        ({"value": None}, 'must be text; got null; try "" in quotes'),
    ],
)
@pytest.mark.parametrize("place", PLACES)
def test_a_variable_has_one_value_that_is_text(place: str, entry: Values, says: str, tmp_path: Path) -> None:
    (line,) = refused("azure", PLACES[place]([{"name": "A", **entry}]), tmp_path)
    assert f"{place}[A]: {says}" in line


@pytest.mark.parametrize("place", PLACES)
def test_a_name_twice_is_refused_in_every_environment(place: str, tmp_path: Path) -> None:
    (line,) = refused("aws", PLACES[place]([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]), tmp_path)
    assert f"{place}[A]: is there twice" in line


@pytest.mark.parametrize("given", [{"DB_PASSWORD": "hunter2"}, "A", 1])
@pytest.mark.parametrize("place", PLACES)
def test_an_environment_is_a_list(place: str, given: Any, tmp_path: Path) -> None:
    (line,) = refused("aws", PLACES[place](given), tmp_path)
    assert f"{place}: must be a list of entries with a name; got" in line
    assert "hunter2" not in line


FINE: list[Values] = [
    {"commonEnv": [{"name": "AWS_DEFAULT_REGION", "value": "eu-west-1"}]},
    {"commonEnv": [{"name": "AWS_ACCOUNT_ID", "value": "012345671234"}]},
    {"commonEnv": [{"name": "AZURE_SUBSCRIPTION_ID", "value": "x"}, {"name": "GOOGLE_CLOUD_PROJECT", "value": "x"}]},
    {"commonEnv": [{"name": "DB_PASSWORD", "valueFrom": FROM_SECRET}]},
    {"commonEnv": [{"name": "DB_PASSWORD", "valueFrom": FROM_SECRET, "value": ""}]},
    {"commonEnv": [{"name": "AIRFLOW_CONN_DB", "value": "postgres://airflow:$(DB_PASSWORD)@db/airflow"}]},
    {"commonEnv": [{"name": "AIRFLOW__SECRETS__BACKEND_KWARGS", "value": '{"connections_prefix": "a"}'}]},
    {"commonEnv": [{"name": "ASTRO_AGENT_CLIENT_API_TOKEN_FILE", "value": "/run/token"}]},
    {"commonEnv": [{"name": "A.b-c_D", "value": "x"}]},
    {"workers": [{"name": "a", "nodeSelector": {"env": "prod"}, "env": None}]},
    {"loggingSidecar": {"config": {"env": "prod", "labels": {"a": 1}}}},
]


@pytest.mark.parametrize("values", FINE)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_what_undoes_nothing_is_fine(cloud: Cloud, values: Values, tmp_path: Path) -> None:
    found = deployment(cloud, values, tmp_path)
    assert not [warning for warning in found.warnings() if "Env" in warning]
    make_stack(Testing.app(), "d", found)


@pytest.mark.parametrize(
    ("cloud", "name"),
    [
        ("azure", "AWS_ROLE_ARN"),
        ("gcp", "AWS_ACCESS_KEY_ID"),
        ("gcp", "AZURE_CLIENT_ID"),
        ("aws", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("aws", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"),
        ("azure", "STORAGE_EMULATOR_HOST"),
    ],
)
def test_the_credentials_of_another_cloud_are_for_tasks_to_use(cloud: Cloud, name: str, tmp_path: Path) -> None:
    deployment(cloud, {"commonEnv": [{"name": name, "valueFrom": FROM_SECRET}]}, tmp_path)


@pytest.mark.parametrize(
    ("cloud", "more", "entry", "says"),
    [
        *((cloud, {}, {"name": name, "value": "x"}, "botocore: ") for cloud, name in names(refuse=False)),
        (
            "aws",
            {"xcom": {"connection_id": "aws_default"}},
            {"name": "AIRFLOW_CONN_AWS_DEFAULT", "value": "aws://"},
            "is the XCom path's connection",
        ),
        ("aws", {}, {"name": "LOGS", "value": "s3://aws_default@acme-xcom/xcom/logs"}, "is in the XComs' folder"),
        ("gcp", {}, {"name": "LOGS", "value": "gs://acme-xcom/xcom"}, "is in the XComs' folder"),
        (
            "azure",
            {},
            {"name": "LOGS", "value": "abfs://xcom@acmexcom.dfs.core.windows.net/xcom/a"},
            "is in the XComs' folder",
        ),
    ],
)
def test_what_may_undo_the_settings_is_warned_of(
    cloud: Cloud, more: Values, entry: Values, says: str, tmp_path: Path
) -> None:
    for place, values in PLACES.items():
        found = [line for line in deployment(cloud, values([entry]), tmp_path, **more).warnings() if place in line]
        assert len(found) == 1
        assert found[0].startswith(f"agent: {place}[{entry['name']}]: {says}")


def test_logs_beside_the_xcoms_are_nothing_to_warn_of(tmp_path: Path) -> None:
    for value in ("s3://acme-xcom/xcom-logs", "s3://acme-logs/xcom", "gs://acme-xcom/logs"):
        found = deployment("aws", {"commonEnv": [{"name": "LOGS", "value": value}]}, tmp_path)
        assert not [line for line in found.warnings() if "LOGS" in line]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_check_says_what_it_cannot_read(cloud: Cloud, tmp_path: Path) -> None:
    container = {"name": "c", "envFrom": [{"secretRef": {"name": "x"}}]}
    values = {"workers": [{"name": "a", "extraContainers": [container]}], "triggerer": {"initContainers": [container]}}
    found = [line for line in deployment(cloud, values, tmp_path).warnings() if "cannot be read here" in line]
    assert [line.split(": ")[1] for line in found] == [
        "workers[a].extraContainers[c].envFrom",
        "triggerer.initContainers[c].envFrom",
    ]


def test_pods_of_the_account_default_are_warned_of(tmp_path: Path) -> None:
    values = {"serviceAccount": {"triggerer": {"create": False, "name": "default"}}}
    assert any(
        "every pod that names no service account" in line for line in deployment("gcp", values, tmp_path).warnings()
    )


# ---- constructs


@pytest.mark.parametrize("cloud", [*CLOUDS, None])
@pytest.mark.parametrize(
    ("of", "name"), [("aws", "AWS_ROLE_ARN"), ("azure", "AZURE_CLIENT_ID"), ("gcp", "NO_GCE_CHECK"), (None, "OURS")]
)
def test_the_construct_refuses_what_undoes_its_storage(of: Cloud | None, cloud: Cloud | None, name: str) -> None:
    entry = {"name": name, "valueFrom": FROM_SECRET}
    agent = AgentSettings(
        namespace="astro",
        resource_name_prefix="prod",
        values_files=(ValuesFile(path="mine.yaml", content={"triggerer": {"env": [entry]}}),),
    )
    location = XComLocation(url="s3://acme/xcom", env={"OURS": "1"}, cloud=cloud)
    stack = TerraformStack(Testing.app(), "test")
    if cloud not in (None, of) and of is not None:
        AgentValues(stack, "values", agent=agent, location=location, pod_identity=PodIdentity())
        return
    with pytest.raises(SettingErrors, match=rf"^mine\.yaml: triggerer\.env\[{name}\]: (must not be set|is set from)"):
        AgentValues(stack, "values", agent=agent, location=location, pod_identity=PodIdentity())


# ---- the table


def test_the_table_has_a_source_for_each_row_and_names_nothing_twice() -> None:
    listed = [name for override in OVERRIDES for name in override.names]
    assert len(listed) == len(set(listed))
    assert all(override.library and override.does and override.source for override in OVERRIDES)


def test_the_documentation_has_the_whole_table() -> None:
    page = (PROJECT / "docs" / "variables.md").read_text()
    for name in [*OWNED, *(name for override in OVERRIDES for name in override.names)]:
        assert f"`{name}`" in page, name
