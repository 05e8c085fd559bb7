"""The values of Astronomer's page: accepted where the settings give the same, else told what keeps old values."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cdktf import Testing

from astro_xcom.errors import SettingErrors
from astro_xcom.synthesis import make_stack
from support import Body, edited, read, synth

VENDOR = Path(__file__).parent / "vendor"
PATH = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"
URLS = {"aws": "s3://{}acme-xcom/xcom", "azure": "abfs://{}xcom/xcom", "gcp": "gs://{}acme-xcom/xcom"}
DEFAULTS = {"aws": "aws_default", "azure": "wasb_xcom", "gcp": "google_cloud_default"}
EXISTING: dict[str, Body] = {
    "aws": {
        "region": "us-east-1",
        "cluster": {"name": "data"},
        "storage": {"bucket": "acme-xcom", "existing": True},
        "identity": {"existing_role": "astro-agents"},
    },
    "azure": {
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "location": "westeurope",
        "resource_group": {"name": "astro-xcom", "existing": True},
        "cluster": {"name": "data", "resource_group": "aks"},
        "storage": {"account": "acmeastroxcom", "existing": "container"},
        "identity": {"name": "astro-agents", "existing": True, "federate": False},
    },
    "gcp": {
        "project": "acme-data",
        "cluster": {"name": "data", "location": "us-central1"},
        "storage": {"bucket": "acme-xcom", "existing": True},
        "identity": {"existing_service_account": "astro-agents@acme-data.iam.gserviceaccount.com"},
        "xcom": {"compression": "zip"},
    },
}


def page(cloud: str, connection: str | None = None, edit: Body | None = None) -> Body:
    """The page's values, with a connection id in the path or none."""
    values: Body = yaml.safe_load((VENDOR / f"{cloud}.yaml").read_text())
    for entry in values["commonEnv"]:
        if entry["name"] == PATH:
            entry["value"] = URLS[cloud].format(f"{connection}@" if connection else "")
        elif entry["name"].startswith("AIRFLOW_CONN_") and connection:
            entry["name"] = f"AIRFLOW_CONN_{connection.upper()}"
    return edited(values, edit or {})  # type: ignore[no-any-return]


def document(cloud: str, values: Body, folder: Path, **settings: Any) -> Body:
    """What the chart gets, with tokens as they are."""
    agent = {"namespace": "astro", "resource_name_prefix": "prod", "values": values}
    deployment = edited({"cloud": cloud, "agent": agent, **EXISTING[cloud]}, settings)
    deployments = read(json.dumps({"deployments": {"hand": deployment}}), folder)
    body = synth(make_stack(Testing.app(), "hand", deployments["hand"]))
    found: Body = next(local for name, local in body["locals"].items() if name.startswith("agent-values_document"))
    return found


def said(cloud: str, values: Body, folder: Path, **settings: Any) -> list[str]:
    """The refusals, or none."""
    try:
        document(cloud, values, folder, **settings)
    except SettingErrors as refused:
        return refused.lines
    return []


KEEPS = {None: None, "default": "{}", "custom": "team_xcom"}


@pytest.mark.parametrize("theirs", KEEPS)
@pytest.mark.parametrize("ours", KEEPS)
@pytest.mark.parametrize("cloud", EXISTING)
def test_the_page_with_each_connection_id(cloud: str, ours: str | None, theirs: str | None, tmp_path: Path) -> None:
    def connection(kind: str | None) -> str | None:
        return (KEEPS[kind] or "").format(DEFAULTS[cloud]) or None

    settings = {"xcom": {"connection_id": connection(ours)}} if ours else {}
    wanted = connection(ours) or ("wasb_xcom" if cloud == "azure" else None)
    problems = said(cloud, page(cloud, connection(theirs)), tmp_path, **settings)
    if connection(theirs) == wanted:
        assert problems == []
        return
    (line,) = problems
    here = URLS[cloud].format(f"{wanted}@" if wanted else "")
    there = URLS[cloud].format(f"{connection(theirs)}@" if theirs else "")
    assert f'agent.values: commonEnv[{PATH}]: you have "{there}", the settings give "{here}": ' in line
    assert "a value already written would be read as its path, without an error; " in line
    if theirs:
        assert line.endswith(f"set xcom.connection_id: {connection(theirs)}")
    elif cloud == "azure":
        assert line.endswith("on Azure a connection is needed: run tasks that wrote values again")
    else:
        assert line.endswith("remove xcom.connection_id")


@pytest.mark.parametrize("cloud", EXISTING)
def test_ours_stand_once_in_the_document(cloud: str, tmp_path: Path) -> None:
    connection = {"aws": "aws_default", "azure": "wasb_xcom", "gcp": None}[cloud]
    settings = {"xcom": {"connection_id": connection}} if connection else {}
    found = document(cloud, page(cloud, connection), tmp_path, **settings)
    names = [entry["name"] for entry in found["commonEnv"]]
    assert len(names) == len(set(names))
    assert {PATH, "ASTRO_DEPLOYMENT_NAMESPACE"} <= set(names)
    assert len(found["annotations"]) == 1
    if cloud == "azure":
        assert found["labels"] == {"azure.workload.identity/use": "true", "team": "data"}


ENV = {"aws": "aws_default", "gcp": None}


def env(cloud: str, name: str, value: Any) -> Body:
    """The page with one variable changed, or added."""
    values = page(cloud, ENV.get(cloud, "wasb_xcom"))
    values["commonEnv"] = [each for each in values["commonEnv"] if each["name"] != name]
    values["commonEnv"].append({"name": name, "value": value})
    return values


def path_of(cloud: str, url: str) -> Body:
    return env(cloud, PATH, url)


THRESHOLD, COMPRESSION = (PATH.replace("PATH", each) for each in ("THRESHOLD", "COMPRESSION"))
ROLE = "arn:aws:iam::111122223333:role/team/other"
OWN = "arn:aws:iam::111122223333:role/astro-agents"
EMAIL = "other@acme-data.iam.gserviceaccount.com"
MARKS = {
    "aws": "eks.amazonaws.com/role-arn",
    "gcp": "iam.gke.io/gcp-service-account",
    "azure": "azure.workload.identity/client-id",
}
AUDIENCE = "eks.amazonaws.com/audience"
USE = "azure.workload.identity/use"
CONNECTION = "AIRFLOW_CONN_WASB_XCOM"
ACCOUNT = json.dumps({"conn_type": "azure", "login": "other", "extra": {"account_name": "other"}})
KEY = json.dumps({"conn_type": "azure", "extra": {"account_name": "acmeastroxcom", "account_key": "hidden-key"}})
DIFFERENT = [
    ("aws", path_of("aws", "s3://aws_default@other/xcom"), "set storage.bucket: other"),
    ("aws", path_of("aws", "s3://aws_default@acme-xcom/team/x"), 'set storage.path: "team/x"'),
    ("aws", path_of("aws", "s3://aws_default@acme-xcom"), 'set storage.path: ""'),
    ("aws", path_of("aws", "s3://o@other/x"), 'connection_id: o, set storage.bucket: other, set storage.path: "x"'),
    ("aws", path_of("aws", "gs://acme-xcom/xcom"), "remove it here"),
    ("azure", path_of("azure", "abfs://wasb_xcom@other/xcom"), "set storage.container: other"),
    ("aws", env("aws", THRESHOLD, "1000"), "values already written stay readable; set xcom.threshold: 1000"),
    ("aws", env("aws", THRESHOLD, "-1"), "remove it here"),
    ("aws", env("aws", COMPRESSION, "gzip"), "values already written stay readable; set xcom.compression: gzip"),
    ("aws", env("aws", COMPRESSION, ""), "set xcom.compression: none"),
    ("aws", env("aws", COMPRESSION, "None"), "set xcom.compression: none and remove it here: Airflow takes it for"),
    ("aws", env("aws", COMPRESSION, "snappy"), "remove it here: Airflow knows no such compression"),
    ("aws", env("aws", "AIRFLOW__CORE__XCOM_BACKEND", "mine.Backend"), "set xcom.backend: mine.Backend"),
    ("aws", page("aws", "aws_default", {"annotations": {MARKS["aws"]: ROLE}}), f"set identity.existing_role: {ROLE}"),
    ("aws", page("aws", "aws_default", {"annotations": {MARKS["gcp"]: EMAIL}}), "is no mark of this cloud's"),
    ("gcp", page("gcp", None, {"annotations": {MARKS["gcp"]: EMAIL}}), f"existing_service_account: {EMAIL}"),
    ("gcp", page("gcp", None, {"serviceAccount": {"triggerer": {"annotations": {MARKS["gcp"]: EMAIL}}}}), EMAIL),
    ("azure", page("azure", "wasb_xcom", {"labels": {USE: "false"}}), 'you have "false", the settings give "true"'),
    ("azure", page("azure", "wasb_xcom", {"labels": {USE: True}}), 'you have true, the settings give "true"'),
    ("azure", page("azure", "wasb_xcom", {"triggerer": {"podLabels": {USE: "no"}}}), "triggerer.podLabels.azure"),
    ("aws", page("aws", "aws_default", {"annotations": {AUDIENCE: "x"}}), "is no mark of this cloud's"),
    ("aws", env("aws", PATH.replace("XCOM_", "STATE_STORE_"), "s3://a/state"), 'set state_store.path: "state"'),
    ("azure", env("azure", CONNECTION, ACCOUNT), 'you have "other", the settings give "acmeastroxcom"'),
    ("azure", env("azure", CONNECTION, ACCOUNT), "set storage.account: other"),
    ("azure", env("azure", CONNECTION, KEY), "would stand in Terraform's state in clear"),
    ("azure", env("azure", CONNECTION, "azure://x"), "is not the JSON of a connection"),
    ("azure", env("azure", CONNECTION, json.dumps({"extra": {"tenant_id": "x"}})), "has tenant_id"),
]  # fmt: skip


@pytest.mark.parametrize(("cloud", "values", "says"), DIFFERENT, ids=[f"{row[0]}: {row[2]}" for row in DIFFERENT])
def test_what_differs_is_refused_with_what_keeps_the_values(
    cloud: str, values: Body, says: str, tmp_path: Path
) -> None:
    settings = {"xcom": {"connection_id": ENV[cloud]}} if ENV.get(cloud) else {}
    (line,) = said(cloud, values, tmp_path, **settings)
    assert says in line
    assert "hidden-key" not in line


EQUAL = [
    ("aws", path_of("aws", "s3://aws_default@acme-xcom/xcom/")),
    ("aws", env("aws", THRESHOLD, "00")),
    ("aws", page("aws", "aws_default", {"annotations": {MARKS["aws"]: ""}, "xcomBackend": ""})),
    ("aws", page("aws", "aws_default", {"serviceAccount": {"annotations": {MARKS["aws"]: OWN}}})),
    ("azure", page("azure", "wasb_xcom", {"annotations": {MARKS["azure"]: "33333333-3333-3333-3333-333333333333"}})),
]  # fmt: skip


@pytest.mark.parametrize(("cloud", "values"), EQUAL)
def test_what_means_the_same_is_accepted(cloud: str, values: Body, tmp_path: Path) -> None:
    settings = {"xcom": {"connection_id": ENV[cloud]}} if ENV.get(cloud) else {}
    assert said(cloud, values, tmp_path, **settings) == []


def test_everything_that_differs_has_a_line(tmp_path: Path) -> None:
    values = page("aws", None, {"annotations": {MARKS["aws"]: ROLE}})
    values["commonEnv"][-1]["value"] = "gzip"
    lines = said("aws", values, tmp_path, xcom={"connection_id": "aws_default"})
    assert [re.sub(r".*values: (\S+):.*", r"\1", line) for line in lines] == [
        f"annotations.{MARKS['aws']}",
        f"commonEnv[{PATH}]",
        f"commonEnv[{COMPRESSION}]",
    ]


@pytest.mark.parametrize("cloud", EXISTING)
def test_the_path_that_is_accepted_is_not_warned_of(cloud: str, tmp_path: Path) -> None:
    values = page(cloud, ENV.get(cloud, "wasb_xcom"))
    agent = {"namespace": "astro", "resource_name_prefix": "prod", "values": values}
    xcom = {"xcom": {"connection_id": ENV[cloud]}} if ENV.get(cloud) else {}
    deployment = edited({"cloud": cloud, "agent": agent, **EXISTING[cloud]}, xcom)
    (found,) = read(json.dumps({"deployments": {"hand": deployment}}), tmp_path).values()
    assert not [line for line in found.warnings() if "is where XComs are kept" in line]


def test_a_client_id_that_is_not_compared_is_spoken_of(tmp_path: Path) -> None:
    agent = {"namespace": "astro", "resource_name_prefix": "prod", "values": page("azure", "wasb_xcom")}
    deployment = {"cloud": "azure", "agent": agent, **EXISTING["azure"]}
    (found,) = read(json.dumps({"deployments": {"hand": deployment}}), tmp_path).values()
    (line,) = [each for each in found.warnings() if "client-id" in each]
    assert "22222222-2222-2222-2222-222222222222 in agent.values is not used" in line
    assert "identity astro-agents" in line
