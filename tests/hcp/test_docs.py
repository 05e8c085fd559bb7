"""The commands in the documentation and the example workflows are commands that there are."""

import re
import shlex

import pytest
import typer.main
import yaml

from astro_xcom.cli import app, bundle, export, push  # noqa: F401 - each makes its command
from astro_xcom.deployments import read_deployments
from support import EXAMPLE, PROJECT

PAGE = PROJECT / "docs" / "hcp-terraform.md"
WORKFLOWS = sorted((PROJECT / "examples" / "workflows").glob("*.yml"))


def commands() -> list[str]:
    text = PAGE.read_text()
    lines = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    for workflow in WORKFLOWS:
        jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
        lines += [
            step["run"].replace("${{ matrix.stack }}", "aws-example")
            for job in jobs
            for step in job["steps"]
            if "run" in step
        ]
    return [line.partition("||")[0] for line in lines if "astro-xcom " in line]


@pytest.mark.parametrize("line", commands())
def test_every_command_is_understood(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = typer.main.get_command(app.app).commands[name]  # type: ignore[attr-defined]
    command.make_context(name, arguments)


@pytest.mark.parametrize("name", ["bundle", "export", "push"])
def test_every_option_is_documented(name: str) -> None:
    text = PAGE.read_text()
    for option in typer.main.get_command(app.app).commands[name].params:  # type: ignore[attr-defined]
        names = [*option.opts, *option.secondary_opts]
        assert option.param_type_name == "argument" or any(re.search(rf"{name}\b", text) for name in names), names


def test_the_workflows_name_the_stacks_of_the_example() -> None:
    stacks = list(read_deployments(EXAMPLE / "deployments.yaml"))
    (workflow,) = [yaml.safe_load(file.read_text()) for file in WORKFLOWS if file.name == "api-driven.yml"]
    assert workflow["jobs"]["push"]["strategy"]["matrix"]["stack"] == stacks


def test_links_lead_somewhere() -> None:
    text = PAGE.read_text()
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (PAGE.parent / target).exists(), target
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in headings
