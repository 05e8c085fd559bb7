"""Which checksums of providers go with a stack."""

import json

import pytest

from astro_xcom.hcp.lock import fits

TERRAFORM, OPENTOFU = "registry.terraform.io", "registry.opentofu.org"


def lock(constraints: str, registry: str = TERRAFORM) -> bytes:
    text = f'provider "{registry}/hashicorp/aws" {{\n  version     = "6.25.0"\n  constraints = "{constraints}"\n}}\n'
    return text.encode()


def asks(version: str) -> dict[str, bytes]:
    required = {"aws": {"source": "aws", "version": version}}
    return {"cdk.tf.json": json.dumps({"terraform": {"required_providers": required}}).encode()}


@pytest.mark.parametrize(
    ("version", "locked", "fit"),
    [
        ("6.25.0", "6.25.0", True),
        ("= 6.25", "6.25.0", True),
        ("~> 6.25", "~> 6.25", True),
        ("~> 6.25", "~> 6.25.0", False),
        (">= 6.25, < 7, != 6.26", ">= 6.25.0, != 6.26.0, < 7.0.0", True),  # as Terraform 1.11 writes it
        ("6.25.0", "6.26.0", False),
        (">= 6.25", "> 6.25.0", False),
    ],
)
def test_a_lock_file_fits_the_constraint_that_it_was_made_for(version: str, locked: str, fit: bool) -> None:
    assert fits(lock(locked), asks(version)) is fit


@pytest.mark.parametrize(
    ("binary", "registry", "fit"),
    [
        (None, TERRAFORM, True),
        (None, OPENTOFU, False),
        ("terraform", OPENTOFU, False),
        ("tofu", TERRAFORM, False),
        ("/usr/bin/tofu", OPENTOFU, True),
    ],
)
def test_a_lock_file_is_of_the_tool_in_use(
    binary: str | None, registry: str, fit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERRAFORM_BINARY_NAME", raising=False)
    if binary is not None:
        monkeypatch.setenv("TERRAFORM_BINARY_NAME", binary)
    assert fits(lock("6.25.0", registry), asks("6.25.0")) is fit
