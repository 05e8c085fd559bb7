"""Where Terraform keeps its state: the block that each setting gives, and what is refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from astro_xcom.refusal import Refusals
from astro_xcom.settings import Deployment
from support import PROJECT, Body, read, synth_file

S3 = {"bucket": "acme-state", "region": "us-east-1"}
AZURERM = {"storage_account_name": "acmestate", "container_name": "tfstate"}
HCP = {"organization": "acme"}


def content(state: Any, **others: Any) -> str:
    """A file with the AWS deployment of the example (and others by name), with that state."""
    example = yaml.safe_load((PROJECT / "deployments.yaml").read_text())
    deployments = {"a": state, **others}
    for number, name in enumerate(list(deployments)):
        made = json.loads(json.dumps(example["deployments"]["aws-example"]))
        made["storage"]["bucket"] += str(number)
        made["agent"] = {"resource_name_prefix": f"p{number}", "namespace": f"n{number}"}
        deployments[name] = {**made, "state": deployments[name]}
    return yaml.safe_dump({"deployments": deployments})


def block(state: Any, folder: Path) -> Body:
    """The `terraform` block, without the providers."""
    file = folder / "deployments.yaml"
    file.write_text(content(state))
    body = json.loads((synth_file(file, folder / "out")["a"] / "cdk.tf.json").read_text())
    return {key: value for key, value in body["terraform"].items() if key != "required_providers"}


def refused(state: Any, folder: Path, **others: Any) -> list[str]:
    with pytest.raises(Refusals) as problems:
        read(content(state, **others), folder)
    return [line.removeprefix("deployments.yaml: ") for line in problems.value.lines]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            {"hcp": HCP},
            {"cloud": {"hostname": "app.terraform.io", "organization": "acme", "workspaces": {"name": "a"}}},
        ),
        (
            {"hcp": {**HCP, "project": "Data", "workspace": "xcom", "hostname": "tfe.acme.com:8443"}},
            {
                "cloud": {
                    "hostname": "tfe.acme.com:8443",
                    "organization": "acme",
                    "workspaces": {"name": "xcom", "project": "Data"},
                }
            },
        ),
        (
            {"remote": {**HCP, "workspace": "xcom"}},
            {
                "backend": {
                    "remote": {
                        "hostname": "app.terraform.io",
                        "organization": "acme",
                        "workspaces": {"name": "xcom"},
                    }
                }
            },
        ),
        (
            {"azurerm": AZURERM},
            {"backend": {"azurerm": {**AZURERM, "key": "astro-xcom/a.tfstate", "use_azuread_auth": True}}},
        ),
        (
            {"gcs": {"bucket": "acme.example.com"}},
            {"backend": {"gcs": {"bucket": "acme.example.com", "prefix": "astro-xcom/a"}}},
        ),
        (
            {"s3": S3},
            {"backend": {"s3": {**S3, "encrypt": True, "key": "astro-xcom/a.tfstate", "use_lockfile": True}}},
        ),
        (None, {"backend": {"local": {"path": "../../../terraform.a.tfstate"}}}),
    ],
)
def test_each_state_gives_its_block(state: Any, expected: Body, tmp_path: Path) -> None:
    assert block(state, tmp_path) == expected


@pytest.mark.parametrize(
    ("state", "place", "says"),
    [
        ({"hcp": {}}, "hcp.organization", "is required"),
        ({"hcp": {"organization": "a b"}}, "hcp.organization", 'got "a b"; try "a-b"'),
        (
            {"hcp": {**HCP, "workspace": "a/b"}},
            "hcp.workspace",
            "must be 1-90 letters, digits, hyphens or underscores; got",
        ),
        ({"hcp": {**HCP, "project": "x"}}, "hcp.project", 'got "x"; try "Default Project"'),
        ({"hcp": {**HCP, "hostname": "https://tfe.acme.com"}}, "hcp.hostname", 'try "tfe.acme.com"'),
        ({"hcp": {**HCP, "token": "x"}}, "hcp.token", "is not a setting; there are organization, workspace"),
        ({"hcp": {**HCP, "tags": ["x"]}}, "hcp.tags", "is not a setting; there are organization, workspace"),
        ({"remote": {**HCP, "project": "Data"}}, "remote.project", "is not a setting; there are organization"),
        (
            {"hcp": HCP, "s3": S3},
            "",
            'must name exactly one of local, s3, azurerm, gcs, hcp, remote; got ["s3", "hcp"]',
        ),
        ({"hcp": HCP, "remote": HCP}, "", 'got ["hcp", "remote"]; try local: {}'),
        ({"azurerm": {**AZURERM, "storage_account_name": "Acme-State"}}, "azurerm.storage_account_name", '"acmestate"'),
        ({"azurerm": {**AZURERM, "container_name": "tf_state"}}, "azurerm.container_name", 'try "tf-state"'),
        ({"azurerm": {**AZURERM, "resource_group_name": "a."}}, "azurerm.resource_group_name", 'got "a."; try "a"'),
        ({"gcs": {"bucket": "Acme"}}, "gcs.bucket", "must be a bucket's name"),
    ],
)
def test_what_cannot_work_is_refused(state: Any, place: str, says: str, tmp_path: Path) -> None:
    (line,) = refused(state, tmp_path)
    assert line.startswith(f"a.state.{place}: " if place else "a.state: ")
    assert says in line


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"hcp": {**HCP, "workspace": "x"}}, {"hcp": {**HCP, "workspace": "x"}}),
        ({"hcp": {**HCP, "workspace": "b"}}, {"hcp": HCP}),
        ({"hcp": {**HCP, "workspace": "x", "project": "One"}}, {"hcp": {**HCP, "workspace": "x", "project": "Two"}}),
        ({"hcp": {**HCP, "workspace": "x"}}, {"remote": {**HCP, "workspace": "x"}}),
        ({"remote": {**HCP, "workspace": "x"}}, {"hcp": {**HCP, "workspace": "x", "hostname": "app.terraform.io"}}),
    ],
)
def test_two_deployments_in_one_workspace_are_refused(one: Any, other: Any, tmp_path: Path) -> None:
    (line,) = refused(one, tmp_path, b=other)
    assert line.startswith("b.state: is the state of a too, and each apply would destroy the other's resources")
    assert line.endswith('try workspace "b"')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"hcp": HCP}, {"hcp": HCP}),
        ({"hcp": {**HCP, "workspace": "x"}}, {"hcp": {"organization": "other", "workspace": "x"}}),
        ({"hcp": {**HCP, "workspace": "x"}}, {"remote": {**HCP, "workspace": "x", "hostname": "tfe.acme.com"}}),
    ],
)
def test_workspaces_of_their_own_are_fine(one: Any, other: Any, tmp_path: Path) -> None:
    found: dict[str, Deployment] = read(content(one, b=other), tmp_path)
    assert set(found) == {"a", "b"}


def test_defaults_give_each_deployment_a_workspace_of_its_own(tmp_path: Path) -> None:
    file = yaml.safe_load((PROJECT / "deployments.yaml").read_text())
    file["defaults"] = {"agent": {"namespace": "astro"}, "state": {"hcp": {**HCP, "project": "Data"}}}
    found = read(yaml.safe_dump(file), tmp_path)
    assert [deployment.backend().own_name(name) for name, deployment in found.items()] == list(found)


# ---- credentials

STATIC = re.compile(
    r"access_key|secret|password|client_secret|client_id_file|oidc_token|credentials|\btoken|private_key|sas_|connection_string",
    re.IGNORECASE,
)


def texts(value: Any, place: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in texts(item, f"{place}.{key}")]
    if isinstance(value, list):
        return [pair for number, item in enumerate(value) for pair in texts(item, f"{place}[{number}]")]
    return [(place, value)]


def test_no_static_credential_is_in_a_provider_or_a_backend(stacks: dict[str, Path]) -> None:
    assert stacks
    for name, folder in stacks.items():
        body = json.loads((folder / "cdk.tf.json").read_text())
        for place, value in texts({"provider": body["provider"], "terraform": body["terraform"]}):
            if STATIC.search(place.rpartition(".")[2]):
                assert re.fullmatch(r"\$\{data\..*\}", str(value)), f"{name}{place} = {value!r}"
        assert "variable" not in body
