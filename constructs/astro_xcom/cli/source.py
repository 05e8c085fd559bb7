"""Where the commands that hand stacks over take them from."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from astro_xcom.deployments import read_deployments
from astro_xcom.errors import SettingError, quoted
from astro_xcom.hcp.lock import of_opentofu
from astro_xcom.hcp.stack_files import LOCK, StackFiles, read_stacks
from astro_xcom.settings import Deployment
from astro_xcom.synthesis import synthesized_folder
from astro_xcom.terminal import say

From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Read the stacks from a folder that `astro-xcom export` or `cdktf synth` wrote, instead of synthesizing "
        "the deployments.",
        show_default=False,
    ),
]


def given_stacks(file: Path, folder: Path | None) -> dict[str, StackFiles]:
    """The stacks of a folder, or else those that the deployments of a file give. Writes nothing."""
    return synthesized_files(read_deployments(file), file) if folder is None else read_stacks(folder)


def synthesized_files(deployments: dict[str, Deployment], file: Path) -> dict[str, StackFiles]:
    """The stacks of these deployments, which come from that file. Says what is likely to surprise."""
    for name, deployment in deployments.items():
        for warning in deployment.warnings():
            say(f"{file.name}: warning: {name}.{warning}")
    with synthesized_folder(deployments, file=file.name) as folder:
        return read_stacks(folder)


def stack_in(folder: Path, name: str) -> StackFiles:
    """One stack of a folder, for HCP Terraform, which runs Terraform and not OpenTofu."""
    stacks = read_stacks(folder)
    if name not in stacks:
        near = difflib.get_close_matches(name, stacks, n=1)
        rule = f"stack {quoted(name)}: is not in {folder}; there are {', '.join(stacks)}"
        raise SettingError(rule, hint=near[0] if near else None)
    files = stacks[name]
    if of_opentofu(files.get(LOCK, b"")):
        del files[LOCK]
        typer.echo(
            f"{name}: warning: {LOCK} in {folder} is of OpenTofu's registry, whose checksums Terraform cannot use: it "
            "stays here; try astro-xcom export without TERRAFORM_BINARY_NAME=tofu",
            err=True,
        )
    return files
