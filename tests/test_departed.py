"""What a renamed or removed deployment left beside the file is named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from astro_xcom.departed import departed
from astro_xcom.deployments import read_deployments
from support import Body

BASE = {
    "cloud": "aws",
    "region": "us-east-1",
    "cluster": {"name": "data-prod"},
    "agent": {"namespace": "astro", "resource_name_prefix": "prod"},
    "storage": {"bucket": "acme-xcom"},
}
ROLE = {"mode": "managed", "type": "aws_iam_role", "name": "identity_role_F615E672"}
STATE: Body = {
    "version": 4,
    "outputs": {"xcom_path": {"value": "s3://acme-xcom/xcom"}},
    "resources": [{**ROLE, "instances": [{"attributes": {"name": "old-xcom"}}]}],
}


def project(folder: Path, name: str = "new", state: Body | str = STATE, settings: Body | None = None) -> Path:
    """A file with one deployment, and the state of another one, `old`, beside it."""
    file = folder / "deployments.yaml"
    file.write_text(yaml.safe_dump({"deployments": {name: {**BASE, **(settings or {})}}}))
    text = state if isinstance(state, str) else json.dumps(state)
    (folder / "terraform.old.tfstate").write_text(text)
    return file


def found(file: Path) -> list[str]:
    return [str(each) for each in departed(file, read_deployments(file))]


def test_a_state_that_belongs_to_no_deployment_is_named_with_the_lines_that_keep_it(tmp_path: Path) -> None:
    (said,) = found(project(tmp_path))
    assert said.startswith("terraform.old.tfstate: holds 1 resources of a deployment that is not in the file.")
    assert '{"state": {"local": {"path": "terraform.old.tfstate"}}, "identity": {"role_name": "old-xcom"}}' in said


def test_with_these_lines_it_is_named_no_more(tmp_path: Path) -> None:
    (left,) = departed(file := project(tmp_path), read_deployments(file))
    assert not found(project(tmp_path, settings=left.settings))


@pytest.mark.parametrize(
    "settings",
    [{}, {"state": {"s3": {"bucket": "acme-state", "region": "us-east-1"}}}],
    ids=["local", "moved elsewhere"],
)
def test_a_state_of_a_deployment_of_the_file_is_its_own(settings: Body, tmp_path: Path) -> None:
    assert not found(project(tmp_path, name="old", settings=settings))


@pytest.mark.parametrize(
    "state",
    [
        {**STATE, "resources": []},
        {**STATE, "resources": [{**ROLE, "mode": "data"}]},
        {**STATE, "outputs": {}},
        {"resources": None},
        [],
        "not JSON",
        "[" * 100_000,
    ],
)
def test_what_holds_nothing_of_ours_is_not_spoken_of(state: Body | str, tmp_path: Path) -> None:
    assert not found(project(tmp_path, state=state))


def check(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("astro-xcom")), "check", "--file", str(file), *options]
    return subprocess.run(command, capture_output=True, text=True)


def test_check_says_it_of_a_whole_file(tmp_path: Path) -> None:
    file = project(tmp_path)
    said = check(file)
    assert said.returncode == 0
    assert "deployments.yaml: warning: terraform.old.tfstate: holds 1 resources" in said.stderr
    assert "terraform.old" not in check(file, "new").stderr
    assert check(file, "--strict").returncode == 1
    assert json.loads(check(file, "--json").stdout)["departed"] == found(file)
