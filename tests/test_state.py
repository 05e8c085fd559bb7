"""Where Terraform keeps its state: the block that each setting gives, and what is refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from cdktf import App

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.settings import Deployment, GcsState, State
from astro_xcom.settings.backend import DELETED
from astro_xcom.synthesis import make_stack
from support import EXAMPLE, PROJECT, Body, read, synth_file

S3 = {"bucket": "acme-state", "region": "us-east-1"}
AZURERM = {"storage_account_name": "acmestate", "container_name": "tfstate"}
HCP = {"organization": "acme"}


def content(state: Any, **others: Any) -> str:
    """A file with the AWS deployment of the example (and others by name), with that state."""
    example = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    deployments = {"a": state, **others}
    for number, name in enumerate(list(deployments)):
        made = json.loads(json.dumps(example["deployments"]["aws-example"]))
        made["storage"]["bucket"] += str(number)
        made["agent"] = {"resource_name_prefix": f"p{number}", "namespace": f"n{number}"}
        deployments[name] = {**made, "state": deployments[name]}
    return yaml.safe_dump({"deployments": deployments})


def block(state: Any, folder: Path) -> Body:
    """The `terraform` block, without the versions of Terraform and providers."""
    file = folder / "deployments.yaml"
    file.write_text(content(state))
    body = json.loads((synth_file(file, folder / "out")["a"] / "cdk.tf.json").read_text())
    return {key: value for key, value in body["terraform"].items() if not key.startswith("required_")}


def refused(state: Any, folder: Path, **others: Any) -> list[str]:
    with pytest.raises(SettingErrors) as problems:
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
        ({"hcp": {"organization": "a b"}}, "hcp.organization", 'got "a b"'),
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
        (
            {"azurerm": {**AZURERM, "storage_account_name": "Acme-State"}},
            "azurerm.storage_account_name",
            'got "Acme-State"',
        ),
        ({"azurerm": {**AZURERM, "container_name": "tf_state"}}, "azurerm.container_name", 'got "tf_state"'),
        ({"azurerm": {**AZURERM, "resource_group_name": "a."}}, "azurerm.resource_group_name", 'got "a."'),
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
    file = yaml.safe_load((EXAMPLE / "deployments.yaml").read_text())
    file["defaults"] = {"agent": {"namespace": "astro"}, "state": {"hcp": {**HCP, "project": "Data"}}}
    found = read(yaml.safe_dump(file), tmp_path)
    assert [deployment.backend().own_name(name) for name, deployment in found.items()] == list(found)


# ---- a state that something deletes


@pytest.mark.parametrize(
    ("path", "says"),
    [
        *((f"{folder}/a.tfstate", f"must not be in {folder}") for folder in DELETED),
        ("cdktf.out/stacks/a/terraform.tfstate", 'must not be in cdktf.out: .* try "states/terraform.tfstate"'),
        ("./CDKTF.OUT/a.tfstate", "must not be in cdktf.out"),
        ("states//.terraform/a.tfstate", "must not be in .terraform"),
        (
            "../a.tfstate",
            'inside the project.s folder; move a state that is elsewhere into it; got .* try "states/a.tfstate"',
        ),
        ("states/../../a.tfstate", "inside the project's folder"),
        ("/srv/a.tfstate", "must be a relative path inside the project's folder"),
        ("~/a.tfstate", "must be a relative path inside the project's folder"),
        ("C:/a.tfstate", "without a drive"),
        ("states\\a.tfstate", "without a drive"),
        ("a\0.tfstate", "without a drive"),
        ("a\n.tfstate", "without a drive"),
        (".", "must be a file that holds only the state"),
        ("states/", "must be a file that holds only the state"),
        ("deployments.yaml", 'must be a file that holds only the state; got .* try "states/deployments.yaml.tfstate"'),
        ("states/../main.py", "inside the project's folder"),
        ("./Pipfile", "must be a file that holds only the state"),
        (".gitignore", "must be a file that holds only the state"),
        ("docs/a.md", "must be a file that holds only the state"),
    ],
)
def test_a_local_state_is_a_file_of_the_project_that_nothing_deletes(path: str, says: str, tmp_path: Path) -> None:
    (line,) = refused({"local": {"path": path}}, tmp_path)
    assert re.match(f"a.state.local.path: .*{says}", line), line


@pytest.mark.parametrize(
    "path", ["a.tfstate", "states/a.tfstate", "./states/a", "distribution/a.tfstate", "a.b/c.tfstate"]
)
def test_any_other_file_of_the_project_may_hold_a_state(path: str, tmp_path: Path) -> None:
    assert read(content({"local": {"path": path}}), tmp_path)


def test_what_the_makefile_deletes_is_known() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    deleted = {name for names in re.findall(r"rm -rf ([\w. -]+)$", makefile, re.MULTILINE) for name in names.split()}
    assert deleted
    assert deleted <= set(DELETED)


AWS_STORE = """
  aws:
    cloud: aws
    region: us-east-1
    cluster: {name: data-prod}
    agent: {namespace: astro, resource_name_prefix: one}
    storage: {bucket: acme-xcom, path: team/xcom}
    state_store: {path: team/state}
"""
AZURE_STORE = """
  azure:
    cloud: azure
    subscription_id: 00000000-0000-0000-0000-000000000000
    location: westeurope
    resource_group: {name: astro-xcom}
    cluster: {name: data-prod, resource_group: aks}
    agent: {namespace: astro, resource_name_prefix: two}
    storage: {account: acmexcom}
"""
GCP_STORE = """
  gcp:
    cloud: gcp
    project: acme-data
    cluster: {name: data-prod, location: us-central1}
    agent: {namespace: astro, resource_name_prefix: three}
    storage: {bucket: acme-xcom-gcp, location: us-central1}
"""
IN_S3 = "{{s3: {{bucket: acme-xcom, region: us-east-1, key: {}}}}}"
IN_BLOBS = "{{azurerm: {{storage_account_name: acmexcom, container_name: {}}}}}"
IN_GCS = "{gcs: {bucket: acme-xcom-gcp}}"
STORES = {"aws": AWS_STORE, "azure": AZURE_STORE, "gcp": GCP_STORE}


def with_state(of: str, state: str, change: tuple[str, str] = ("", "")) -> str:
    """All three deployments, one of which has that state."""
    assert change[0] in "".join(STORES.values())
    stores = [store + (f"    state: {state}\n" if name == of else "") for name, store in STORES.items()]
    return "deployments:" + "".join(stores).replace(*change)


@pytest.mark.parametrize("of", ["aws", "azure", "gcp"])
@pytest.mark.parametrize(
    ("state", "change", "field", "place"),
    [
        (IN_S3.format("team/xcom/a.tfstate"), ("", ""), "s3.key", "acme-xcom/team/xcom"),
        (IN_S3.format("team/state/a.tfstate"), ("", ""), "s3.key", "acme-xcom/team/state"),
        (IN_S3.format("a.tfstate"), ("path: team/xcom}\n    state_store: {path: team/state", 'path: ""'), "s3.key", "acme-xcom"),  # noqa: E501
        ("{s3: {bucket: acme-xcom, region: us-east-1}}", ("team/xcom", "astro-xcom"), "s3.key", "acme-xcom/astro-xcom"),
        (IN_S3.format("team/xcom/a"), ("acme-xcom, path", "acme-xcom, existing: true, path"), "s3.key", "acme-xcom/team/xcom"),  # noqa: E501
        (IN_BLOBS.format("xcom"), ("", ""), "azurerm.key", "container xcom of acmexcom"),
        (IN_BLOBS.format("tfstate"), ("account: acmexcom", "account: acmexcom, role_scope: account"), "azurerm.key", "account acmexcom"),  # noqa: E501
        (IN_GCS, ("", ""), "gcs.prefix", "bucket acme-xcom-gcp"),
        (IN_S3.format("old/a.tfstate"), ("acme-xcom, path", "acme-xcom, former_paths: [old], path"), "s3.key", "acme-xcom/old"),  # noqa: E501
        (IN_BLOBS.format("xcom"), ("account: acmexcom", "account: acmexcom, existing: account, resource_group: data"), "azurerm.key", "container xcom of acmexcom"),  # noqa: E501
        (IN_BLOBS.format("other"), ("account: acmexcom", "account: acmexcom, container: other, existing: container, resource_group: data"), "azurerm.key", "container other of acmexcom"),  # noqa: E501
        ("{gcs: {bucket: acme-xcom-gcp, prefix: elsewhere}}", ("gcp, location: us-central1", "gcp, existing: true"), "gcs.prefix", "bucket acme-xcom-gcp"),  # noqa: E501
    ],
)  # fmt: skip
def test_no_state_is_where_agents_of_any_deployment_may_delete_it(
    of: str, state: str, change: tuple[str, str], field: str, place: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingErrors) as problems:
        read(with_state(of, state, change), tmp_path)
    keeper = {"s3": "aws", "azurerm": "azure", "gcs": "gcp"}[field.partition(".")[0]]
    (line,) = problems.value.lines
    start = f"deployments.yaml: {of}.state.{field}: must not be in {place}, where the agents of {keeper} may delete it"
    assert line.startswith(start)


@pytest.mark.parametrize(
    "state",
    [
        IN_S3.format("team/xcom-state/a.tfstate"),
        IN_S3.format("a.tfstate"),
        "{s3: {bucket: acme-state, region: us-east-1, key: team/xcom/a.tfstate}}",
        IN_BLOBS.format("tfstate"),
        "{azurerm: {storage_account_name: acmestate, container_name: xcom}}",
        "{gcs: {bucket: acme-state}}",
    ],
)
def test_a_state_beside_the_xcoms_is_fine(state: str, tmp_path: Path) -> None:
    assert len(read(with_state("gcp", state), tmp_path)) == 3


def test_a_stack_refuses_its_state_among_its_own_xcoms(tmp_path: Path) -> None:
    deployment = read(with_state("gcp", "{gcs: {bucket: acme-state}}"), tmp_path)["gcp"]
    moved = deployment.model_copy(update={"state": State(gcs=GcsState(bucket="acme-xcom-gcp"))})
    with pytest.raises(SettingError, match="must not be in bucket acme-xcom-gcp"):
        make_stack(App(outdir=str(tmp_path)), "gcp", moved)


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
