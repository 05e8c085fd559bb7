"""`terraform.providers`: other versions of providers than those of the bindings."""

import json
from pathlib import Path
from typing import Any

import pytest

from astro_xcom.deployments import read_deployments
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.settings.terraform import version_constraint
from support import EXAMPLE, synth_file

PROVIDERS = {"aws": "aws", "azure": "azurerm", "gcp": "google"}


def written(folder: Path, terraform: str) -> Path:
    """The example with these lines under `defaults`."""
    (folder / "examples").symlink_to(EXAMPLE / "examples")
    text = (EXAMPLE / "deployments.yaml").read_text()
    assert "\ndefaults:\n" in text
    file = folder / "deployments.yaml"
    file.write_text(text.replace("\ndefaults:\n", f"\ndefaults:\n  terraform: {terraform}\n"))
    return file


def required(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "cdk.tf.json").read_text())["terraform"]["required_providers"]
    return {name: provider["version"] for name, provider in found.items()}


def test_each_stack_asks_for_the_versions_of_the_providers_it_has(tmp_path: Path) -> None:
    given = '{providers: {aws: "~>6.25", azurerm: ">= 4.55, <5", google: 6.50.1, helm: "3.1.1"}}'
    stacks = synth_file(written(tmp_path, given), tmp_path / "out")
    assert {name: required(folder) for name, folder in stacks.items()} == {
        "aws-example": {"aws": "~> 6.25", "helm": "3.1.1"},
        "azure-example": {"azurerm": ">= 4.55, < 5", "helm": "3.1.1"},
        "gcp-example": {"google": "6.50.1", "helm": "3.1.1"},
    }


def test_only_the_version_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = synth_file(written(tmp_path / "plain", "{providers: {}}"), tmp_path / "plain" / "out")
    other = synth_file(written(tmp_path, '{providers: {google: "~> 6.50"}}'), tmp_path / "out")
    for name, folder in other.items():
        ours, theirs = ((each / "cdk.tf.json").read_text() for each in (plain[name], folder))
        if name == "gcp-example":
            body = json.loads(theirs)
            body["terraform"]["required_providers"]["google"]["version"] = required(plain[name])["google"]
            assert body == json.loads(ours)
        else:
            assert theirs == ours


@pytest.mark.parametrize(
    ("given", "is_"),
    [
        ("6.25.0", "6.25.0"),
        ("= 6.25.0", "= 6.25.0"),
        ("~>6.25", "~> 6.25"),
        (" ~>  6.25 ", "~> 6.25"),
        (">=6.25,<7,!=6.26.0", ">= 6.25, < 7, != 6.26.0"),
        ("6.26.0-beta1", "6.26.0-beta1"),
    ],
)
def test_what_terraform_takes_is_taken(given: str, is_: str) -> None:
    assert version_constraint(given) == is_


@pytest.mark.parametrize(
    "given", ["", "latest", "6.*", "v6.25", "^6.25", "~=6.25", "==6.25", "~> 6.25 < 7", "6.25,", "6.2.5.1"]
)
def test_what_terraform_refuses_is_refused(given: str) -> None:
    with pytest.raises(SettingError, match=r'must be a version constraint of Terraform.*; try "~> 6'):
        version_constraint(given)


@pytest.mark.parametrize(
    ("terraform", "line"),
    [
        (
            "{providers: {azure: 4.55.0}}",
            "terraform.providers.azure: is not a setting; there are aws, azurerm, google, helm; try azurerm",
        ),
        (
            "{providers: {gogle: 6.50.0}}",
            "terraform.providers.gogle: is not a setting; there are aws, azurerm, google, helm; try google",
        ),
        ("{providers: {aws: 6.25}}", "terraform.providers.aws: must be text (in quotes); got 6.25"),
        ("{providers: {aws: latest}}", "terraform.providers.aws: must be a version constraint of Terraform"),
        ("{provider: {}}", "terraform.provider: is not a setting; there are providers; try providers"),
    ],
)
def test_a_refusal_names_the_place(terraform: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(SettingErrors) as refused:
        read_deployments(written(tmp_path, terraform))
    assert f"deployments.yaml: defaults.{line}" in str(refused.value)
