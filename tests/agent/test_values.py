from pathlib import Path
from typing import Any

import pytest
from cdktf import TerraformStack, Testing

from astro_xcom.agent import AgentValues
from astro_xcom.errors import SettingErrors
from astro_xcom.settings import AgentSettings, StateStoreSettings, ValuesFile, XComSettings
from astro_xcom.xcom import PodIdentity, XComLocation
from support import Body, synth

LOCATION = XComLocation(url="s3://acme/xcom", state_store_url="s3://acme/state", env={"EXTRA": "1"})
IDENTITY = PodIdentity(annotations={"eks.amazonaws.com/role-arn": "arn"}, labels={"use": "true"})


def document(agent: AgentSettings, **settings: Any) -> Body:
    stack = TerraformStack(Testing.app(), "test")
    AgentValues(stack, "values", agent=agent, location=LOCATION, pod_identity=IDENTITY, **settings)
    (found,) = synth(stack)["locals"].values()
    values: Body = found
    return values


def agent(**changes: Any) -> AgentSettings:
    return AgentSettings(namespace="astro", resource_name_prefix="prod", **changes)


def test_the_whole_document_of_a_user_without_values() -> None:
    assert document(agent()) == {
        "resourceNamePrefix": "prod",
        "namespace": "astro",
        "createNamespace": False,
        "xcomBackend": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        "commonEnv": [
            {"name": "EXTRA", "value": "1"},
            {"name": "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH", "value": "s3://acme/xcom"},
            {"name": "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD", "value": "0"},
            {"name": "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION", "value": "zip"},
        ],
        "annotations": {"eks.amazonaws.com/role-arn": "arn"},
        "labels": {"use": "true"},
        "openLineage": {"enabled": False},
        "serviceAccount": {
            "workers": {"create": True, "name": "prod-worker-default-worker"},
            "dagProcessor": {"create": True, "name": "prod-dag-processor"},
            "triggerer": {"create": True, "name": "prod-triggerer"},
            "sentinel": {"create": True, "name": "prod-sentinel"},
        },
    }


def test_a_state_store_adds_its_class_and_variables() -> None:
    values = document(agent(), state_store=StateStoreSettings(path="state"))
    assert values["stateStoreBackend"].endswith("StateStoreObjectStorageBackend")
    assert {"name": "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH", "value": "s3://acme/state"} in values[
        "commonEnv"
    ]


def test_the_users_variables_stay_in_front_of_ours() -> None:
    values = document(agent(values={"commonEnv": [{"name": "MINE", "value": "x"}]}))
    assert [entry["name"] for entry in values["commonEnv"]][:2] == ["MINE", "EXTRA"]


def test_compression_none_leaves_its_variable_out() -> None:
    names = [entry["name"] for entry in document(agent(), xcom=XComSettings(compression="none"))["commonEnv"]]
    assert not [name for name in names if name.endswith("COMPRESSION")]


def test_a_users_null_is_kept() -> None:
    assert document(agent(values={"resources": {"limits": None}}))["resources"] == {"limits": None}


def test_text_that_looks_like_a_template_is_escaped_in_keys_and_values() -> None:
    values = document(agent(values={"k${a}": "%{b} ${TfToken[TOKEN.0]} #{TfToken[TOKEN.1]}"}))
    assert values["k$${a}"] == '%%{b} $${${"TfToken["}TOKEN.0]} #{${"TfToken["}TOKEN.1]}'


def test_a_conflict_with_ours_names_both_sources(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("stateStoreBackend: my.Backend\n")
    given = agent(values_files=[ValuesFile.read("mine.yaml", folder=tmp_path)])
    with pytest.raises(SettingErrors, match=r'stateStoreBackend: "airflow.*" here, "my\.Backend" in mine\.yaml'):
        document(given, state_store=StateStoreSettings(path="state"))
