import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from astro_xcom.deployments import read_deployments
from astro_xcom.refusal import Refusals
from support import PROJECT

README = (PROJECT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_first_two_commands_are_targets() -> None:
    commands = [line.partition("#")[0].strip() for line in blocks("sh")[0].splitlines()]
    assert commands == ["make synth", "make test"]


def test_the_deployment_in_the_readme_is_read(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(PROJECT / "examples")
    for number, block in enumerate(blocks("yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block)
        assert read_deployments(file)


def test_the_messages_in_the_readme_are_what_is_said(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(PROJECT / "examples")
    file = tmp_path / "deployments.yaml"
    good = "storage: {bucket: acme-astro-xcom}\n"
    text = blocks("yaml")[0]
    assert good in text
    file.write_text(text.replace(good, "storage: {bucket: Acme_XCom}\n    xcom: {compression: gz}\n"))
    with pytest.raises(Refusals) as refused:
        read_deployments(file)
    (said,) = blocks("text")
    assert refused.value.lines == said.splitlines()


def test_the_program_in_the_readme_synthesizes(tmp_path: Path) -> None:
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert list((tmp_path / "cdktf.out" / "stacks").glob("*/cdk.tf.json"))


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (PROJECT / target).exists(), target
