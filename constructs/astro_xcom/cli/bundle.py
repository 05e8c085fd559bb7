"""`astro-xcom bundle`: one stack as the archive that HCP Terraform takes."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.cli.source import From, stack_in, synthesized_files
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.files import replace_files
from astro_xcom.hcp.bundle import archive, check_self_contained
from astro_xcom.terminal import tell


@app.command()
def bundle(
    stack: Annotated[str, typer.Argument(help="The stack: a deployment's name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive to write (.tar.gz).")],
    file: File = DEPLOYMENTS,
    source: From = None,
) -> None:
    """Write the archive that `push` uploads: cdk.tf.json, assets and checksums, and nothing else.

    The same stack gives the same bytes; their SHA-256 is printed, and `push` puts it into the run's message.
    """
    if source is None:
        files = synthesized_files(chosen(read_deployments(file), [stack], file=file.name), file)[stack]
    else:
        files = stack_in(source, stack)
    check_self_contained(stack, files)
    packed = archive(files)
    replace_files({output: packed})
    tell(f"{output}: {len(packed)} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")
