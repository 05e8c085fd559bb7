"""Deployments -> stacks, loading only the providers of the clouds in use -> Terraform JSON, all of it or nothing."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from astro_xcom.errors import AstroXComError, SettingError, SettingErrors
from astro_xcom.files import check_below, remove_files, replace_files
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment

if TYPE_CHECKING:
    from cdktf import App
    from constructs import Construct

    from astro_xcom.stack import XComStack

OUT = "cdktf.out"


def make_stack(scope: "Construct", name: str, deployment: Deployment) -> "XComStack":
    """The stack of one deployment. Raises SettingError or SettingErrors for settings that contradict one another."""
    if isinstance(deployment, AwsDeployment):
        from astro_xcom.aws import AwsXComStack

        return AwsXComStack(scope, name, deployment)
    if isinstance(deployment, GcpDeployment):
        from astro_xcom.gcp import GcpXComStack

        return GcpXComStack(scope, name, deployment)
    if isinstance(deployment, AzureDeployment):
        from astro_xcom.azure import AzureXComStack

        return AzureXComStack(scope, name, deployment)
    raise TypeError(f"no stack for {type(deployment).__name__}")


def add_stacks(scope: "Construct", deployments: Mapping[str, Deployment], *, file: str) -> None:
    """A stack for each deployment. Raises SettingErrors: a line for each problem of any, starting with `file`."""
    problems: list[str] = []
    for name, deployment in deployments.items():
        try:
            make_stack(scope, name, deployment)
        except AstroXComError as error:
            problems += [f"{file}: {name}: {line}" for line in str(error).splitlines()]
    if problems:
        raise SettingErrors(problems)


@contextmanager
def temporary_app() -> Iterator["App"]:
    """A CDKTF app whose output is in a folder that goes again, whatever happens."""
    if os.environ.get("SYNTH_HCL_OUTPUT") == "true":  # the cdktf command sets it to false
        raise SettingError("SYNTH_HCL_OUTPUT must not be true (--hcl): the stacks are JSON", hint="to unset it")
    from cdktf import App  # only for a good file: it takes a while

    with TemporaryDirectory(prefix="astro-xcom-") as folder:
        yield App(outdir=folder)


@contextmanager
def synthesized_folder(deployments: Mapping[str, Deployment], *, file: str) -> Iterator[Path]:
    """A folder with what CDKTF writes, that goes again. Raises SettingErrors as add_stacks does."""
    with temporary_app() as app:
        add_stacks(app, deployments, file=file)
        app.synth()
        yield Path(app.outdir)


def synthesized(deployments: Mapping[str, Deployment], *, file: str) -> dict[str, dict[str, Any]]:
    """The Terraform JSON of each deployment. Writes nothing that stays. Raises SettingErrors as add_stacks does."""
    with temporary_app() as app:
        from cdktf import Testing

        add_stacks(app, deployments, file=file)
        return {name: json.loads(Testing.synth(cast(Any, app.node.find_child(name)))) for name in deployments}


def output_folder() -> Path:
    """The folder that the cdktf command names, or else cdktf.out."""
    return Path(os.environ.get("CDKTF_OUTDIR") or OUT)


def write_stacks(deployments: Mapping[str, Deployment], out: Path, *, file: str) -> None:
    """Write the Terraform JSON of deployments to a folder.

    Whatever fails or interrupts it leaves there what was there.
    """
    with synthesized_folder(deployments, file=file) as fresh:
        written = {place.relative_to(fresh): place.read_bytes() for place in fresh.rglob("*") if place.is_file()}
    replace_files({out / place: content for place, content in written.items()}, below=out)
    assets = [place for name in deployments for place in (out / "stacks" / name / "assets").rglob("*")]
    former = [place for place in assets if place.is_file() and place.relative_to(out) not in written]
    for place in former:
        check_below(place, out)
    remove_files(former)
