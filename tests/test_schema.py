"""The JSON Schema of deployments.yaml: up to date, and never stricter than the program."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from astro_xcom.deployments import CLOUDS
from astro_xcom.schema import deployments_schema
from support import EXAMPLE, GOLDEN, PROJECT

Yaml = dict[str, Any]

SCHEMA = deployments_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
GOOD: Yaml = {
    "cloud": "aws",
    "region": "us-east-1",
    "cluster": {"name": "data-prod"},
    "agent": {"namespace": "astro", "resource_name_prefix": "prod"},
    "storage": {"bucket": "acme-xcom"},
}
BAD: list[Yaml] = yaml.safe_load((PROJECT / "tests" / "bad_settings_aws.yaml").read_text(encoding="utf-8"))
# What an editor can see without the program's own rules.
SEEN_BY_EDITORS = ("is not a setting", "must be a mapping; got", "must be a list; got", "must be true or false; got",
                   "must be text (in quotes); got", "must be a whole number; got", "must be one of ", "must be 'SSE-",
                   "must be 'exec'", "must not be empty")  # fmt: skip


def put(values: Yaml, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        values = values.setdefault(key, {})
    values[last] = value


def accepts(**changes: Any) -> bool:
    """Whether the schema lets the good deployment through with other settings; `__` stands for a dot."""
    values = copy.deepcopy(GOOD)
    for path, value in changes.items():
        put(values, path.replace("__", "."), value)
    return bool(VALIDATOR.is_valid({"deployments": {"a": values}}))


def test_the_file_in_docs_is_what_the_command_prints() -> None:
    done = subprocess.run([sys.executable, "-m", "astro_xcom.schema"], capture_output=True, text=True, check=True)
    written = (PROJECT / "docs" / "deployments.schema.json").read_text(encoding="utf-8")
    assert written == done.stdout, "docs/deployments.schema.json is stale: run `make golden`"


def test_the_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_editors_find_the_schema() -> None:
    first, *_ = (EXAMPLE / "deployments.yaml").read_text().splitlines()
    assert first == "# yaml-language-server: $schema=../../docs/deployments.schema.json"


@pytest.mark.parametrize("file", [EXAMPLE / "deployments.yaml", *sorted(GOLDEN.rglob("deployments.yaml"))])
def test_the_files_of_this_project_fit(file: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"account_id": "011122223333"},
        {"tags": {"team": "data", "note": "${x}"}},
        {"tags": {}},
        {"cluster": {"name": "data-prod", "region": "eu-west-1", "authentication": "token"}},
        {"cluster__kubeconfig": {"path": "~/.kube/config", "context": None}},
        {"trusted_clusters": [{"name": "standby"}, {"oidc_provider_arn": "arn:aws:iam::111122223333:oidc-provider/a"}]},
        {"storage": {"bucket": "acme.data", "existing": True, "path": ""}},
        {"storage__kms_key_arn": None},
        {"storage__force_destroy": True, "storage__protect_from_destroy": False},
        {"identity": {"existing_role": "astro"}},
        {"identity": {"role_name": "a", "path": "/x/", "max_session_duration_seconds": 43200}},
        {"xcom": {"threshold": 0, "compression": "none", "connection_id": "aws_default", "retention_days": 36500}},
        {"state_store": {"path": "state", "compression": "gzip", "threshold": 10}},
        {"state_store": None},
        {"state": None},
        {"state": {"local": {}}},
        {"state": {"s3": {"bucket": "acme-state", "region": "us-east-1", "key": "x"}}},
        {"agent__values": {"anything": [1, None, {"deep": "x"}]}},
        {"agent__values_files": ["a.yaml", "b/c.yaml"]},
        {"agent__chart": "oci://registry.example.com/chart", "agent__repository": None},
        {"agent__timeout_seconds": 60},
    ],
)
def test_what_the_program_takes_the_schema_takes(changes: Yaml) -> None:
    assert accepts(**changes)


VISIBLE = [case for case in BAD if "set" in case and case["says"].startswith(SEEN_BY_EDITORS)]


@pytest.mark.parametrize("case", VISIBLE, ids=lambda case: " ".join(case["set"]))
def test_an_editor_sees_wrong_types_and_keys(case: Yaml) -> None:
    assert not accepts(**{path.replace(".", "__"): value for path, value in case["set"].items()})


@pytest.mark.parametrize("name", ["My_Data", "-a", "a" * 49, "", "a.b"])
def test_an_editor_sees_a_bad_name(name: str) -> None:
    assert not VALIDATOR.is_valid({"deployments": {name: GOOD}})


@pytest.mark.parametrize("name", ["a", "aws-example", "0", "a" * 48])
def test_an_editor_takes_a_good_name(name: str) -> None:
    assert VALIDATOR.is_valid({"deployments": {name: GOOD}})


@pytest.mark.parametrize(
    "content", [{}, {"deployments": {}}, {"deployments": {"a": GOOD}, "x": 1}, {"deployments": [GOOD]}, []]
)
def test_an_editor_sees_a_file_without_deployments(content: Any) -> None:
    assert not VALIDATOR.is_valid(content)


def test_keys_of_ones_own_are_free() -> None:
    assert VALIDATOR.is_valid({"x-tags": {"any": [None]}, "deployments": {"a": GOOD}})


def test_what_the_defaults_may_supply_is_not_required() -> None:
    assert VALIDATOR.is_valid({"defaults": GOOD, "deployments": {"a": {"cloud": "aws"}}})


def test_the_cloud_is_always_required() -> None:
    assert not VALIDATOR.is_valid({"deployments": {"a": {key: GOOD[key] for key in GOOD if key != "cloud"}}})


@pytest.mark.parametrize("defaults", [{"xcom": {"threshold": "0"}}, {"agent": {"nmespace": "x"}}, {"xcom": 1}])
def test_an_editor_sees_bad_defaults(defaults: Yaml) -> None:
    assert not VALIDATOR.is_valid({"defaults": defaults, "deployments": {"a": GOOD}})


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_setting_of_a_deployment_is_in_the_schema(cloud: str) -> None:
    assert set(SCHEMA["$defs"][CLOUDS[cloud].__name__]["properties"]) == set(CLOUDS[cloud].model_fields)


def test_no_setting_is_open_to_unknown_keys() -> None:
    open_to_all = [name for name, each in SCHEMA["$defs"].items() if each.get("additionalProperties") is not False]
    assert open_to_all == []


def test_the_schema_is_the_same_every_time() -> None:
    assert json.dumps(deployments_schema()) == json.dumps(deployments_schema())
