"""The synthesized JSON of the example and of the maximal deployments, address by address.

A changed address destroys somebody's bucket: read every changed line. Rewrite with `make golden`.
"""

import json
import os
from pathlib import Path

import pytest

from support import GOLDEN, Body


def without_metadata(value: object) -> object:
    if isinstance(value, dict):
        return {key: without_metadata(item) for key, item in value.items() if key != "//"}
    return [without_metadata(item) for item in value] if isinstance(value, list) else value


def pinned(body: Body) -> str:
    return json.dumps(without_metadata(body), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.fixture(scope="module")
def made(stacks: dict[str, Path]) -> dict[str, str]:
    """Place below tests/golden -> JSON."""
    return {
        f"{name.partition('-')[0]}/{name}.json": pinned(json.loads((folder / "cdk.tf.json").read_text()))
        for name, folder in stacks.items()
    }


def test_every_stack_equals_its_golden(made: dict[str, str]) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        assert not os.environ.get("CI"), "goldens are not rewritten in CI"
        for file in GOLDEN.glob("*/*.json"):
            file.unlink()
        for place, text in made.items():
            (GOLDEN / place).write_text(text)
    assert sorted(made) == sorted(str(file.relative_to(GOLDEN)) for file in GOLDEN.glob("*/*.json"))
    for place, text in made.items():
        assert text == (GOLDEN / place).read_text(), f"{place} changed: see `make golden`"


def test_no_trace_of_a_broken_token(stacks: dict[str, Path]) -> None:
    for folder in stacks.values():
        text = (folder / "cdk.tf.json").read_text()
        assert "TfToken[" not in text
        assert "= undefined" not in text
