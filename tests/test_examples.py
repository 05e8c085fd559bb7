"""Every example runs as its index says, and makes what its golden says. Rewrite with `make golden`."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import EXAMPLE, GOLDEN, PROJECT, Applied, Body

EXAMPLES = sorted((PROJECT / "examples").glob("*.py"))
INDEX = (PROJECT / "examples" / "README.md").read_text()
GOLDENS = GOLDEN / "examples"


def without_metadata(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_metadata(item) for key, item in value.items() if key != "//"}
    return [without_metadata(item) for item in value] if isinstance(value, list) else value


def pinned(body: Body) -> str:
    kept = {key: without_metadata(body[key]) for key in ("resource", "data", "output", "moved") if key in body}
    return json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def run(example: Path, folder: Path) -> dict[str, str]:
    """Stack -> what is pinned of it."""
    shutil.copy(example, folder)
    shutil.copy(EXAMPLE / "examples" / "agent-values.yaml", folder)
    done = subprocess.run([sys.executable, example.name], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "astro_xcom.bindings" not in done.stderr, "imports a provider before astro_xcom"
    stacks = sorted((folder / "cdktf.out" / "stacks").iterdir())
    return {stack.name: pinned(json.loads((stack / "cdk.tf.json").read_text())) for stack in stacks}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_makes_what_its_golden_says(example: Path, tmp_path: Path) -> None:
    made = run(example, tmp_path)
    goldens = GOLDENS / example.stem  # a folder, because an app may have several stacks
    if os.environ.get("UPDATE_GOLDEN"):
        assert not os.environ.get("CI"), "goldens are not rewritten in CI"
        goldens.mkdir(parents=True, exist_ok=True)
        for file in goldens.iterdir():
            file.unlink()
        for stack, text in made.items():
            (goldens / f"{stack}.json").write_text(text)
    assert sorted(made) == sorted(file.stem for file in goldens.glob("*.json"))
    for stack, text in made.items():
        assert text == (goldens / f"{stack}.json").read_text(), (
            f"{example.stem}/{stack}.json changed: see `make golden`"
        )


@pytest.mark.terraform
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_terraform_applies_an_example(example: Path, applied: Applied, tmp_path: Path) -> None:
    for stack in run(example, tmp_path):
        assert applied(tmp_path / "cdktf.out" / "stacks" / stack).plan


def test_no_golden_is_left_of_an_example_that_is_gone() -> None:
    assert sorted(folder.name for folder in GOLDENS.iterdir()) == [example.stem for example in EXAMPLES]


def test_the_index_has_a_line_for_each_example() -> None:
    assert sorted(re.findall(r"^\| \[(\w+\.py)\]\(\1\)", INDEX, re.MULTILINE)) == [example.name for example in EXAMPLES]


def test_every_cloud_has_examples() -> None:
    assert {"aws", "azure", "gcp"} <= {example.stem.partition("_")[0] for example in EXAMPLES}


def tags(example: str, stack: str) -> dict[str, Body]:
    body = json.loads((GOLDENS / example / f"{stack}.json").read_text())
    return {
        kind: resource["tags"]
        for kind, found in body["resource"].items()
        for resource in found.values()
        if "tags" in resource
    }


def test_the_aspect_tags_what_the_constructs_make_and_keeps_their_own_tags() -> None:
    common = {"team": "data-platform", "cost-center": "4711"}
    assert tags("azure_tags", "tagged") == {
        "azurerm_resource_group": common,
        "azurerm_user_assigned_identity": common,
        "azurerm_storage_account": {**common, "team": "airflow"},
    }


def test_teams_that_share_a_bucket_reach_only_their_folder() -> None:
    body = json.loads((GOLDENS / "aws_shared_bucket" / "shared-bucket.json").read_text())
    objects = [
        statement["resources"]
        for name, document in body["data"]["aws_iam_policy_document"].items()
        for statement in document["statement"]
        if statement.get("sid") == "Objects"
    ]
    assert [[resource.partition(":s3:::")[2] for resource in resources] for resources in objects] == [
        ["acme-astro-xcom/xcom/ingest/*"],
        ["acme-astro-xcom/xcom/reports/*"],
    ]
