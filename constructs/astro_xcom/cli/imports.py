"""`astro-xcom imports`: what a deployment can take up that exists already, as lines to paste."""

import json
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.imports import importable


@app.command("imports")
def imports_command(
    name: Annotated[str, typer.Argument(help="A deployment.")],
    file: File = DEPLOYMENTS,
) -> None:
    """List what the deployment creates and can import, by name, with the id of each.

    The output is YAML for `imports` of the deployment. Keep the lines of what exists. A line that is a comment needs an
    id that the cloud chose: it says how to find it.
    """
    deployment = chosen(read_deployments(file), [name], file=file.name)[name]
    typer.echo("imports:")
    for thing, each in importable(name, deployment).items():
        key = json.dumps(thing) if " " in thing else thing
        typer.echo(f"  # {key}: {each.find}" if each.id is None else f"  {key}: {json.dumps(each.id)}")
