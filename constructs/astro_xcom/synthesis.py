"""Deployments -> what CDKTF writes of them, all of it or nothing."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from astro_xcom.files import check_below, remove_files, replace_files
from astro_xcom.refusal import Refused
from astro_xcom.settings import Deployment
from astro_xcom.stacks import add_stacks

if TYPE_CHECKING:
    from cdktf import App

OUT = "cdktf.out"


@contextmanager
def temporary_app() -> Iterator["App"]:
    """A CDKTF app whose output is in a folder that goes again, whatever happens."""
    if os.environ.get("SYNTH_HCL_OUTPUT") == "true":  # the cdktf command sets it to false
        raise Refused("SYNTH_HCL_OUTPUT must not be true (--hcl): the stacks are JSON", hint="to unset it")
    from cdktf import App  # only for a good file: it takes a while

    with TemporaryDirectory(prefix="astro-xcom-") as folder:
        yield App(outdir=folder)


def output_folder() -> Path:
    """The folder that the cdktf command names, or else cdktf.out."""
    return Path(os.environ.get("CDKTF_OUTDIR") or OUT)


def write_stacks(deployments: Mapping[str, Deployment], out: Path, *, file: str) -> None:
    """Write the Terraform JSON of deployments to a folder.

    Whatever fails or interrupts it leaves there what was there.
    """
    with temporary_app() as app:
        add_stacks(app, deployments, file=file)
        app.synth()
        fresh = Path(app.outdir)
        written = {place.relative_to(fresh): place.read_bytes() for place in fresh.rglob("*") if place.is_file()}
    replace_files({out / place: content for place, content in written.items()}, below=out)
    assets = [place for name in deployments for place in (out / "stacks" / name / "assets").rglob("*")]
    former = [place for place in assets if place.is_file() and place.relative_to(out) not in written]
    for place in former:
        check_below(place, out)
    remove_files(former)
