"""`astro-xcom imports`: the existing resources that a deployment can import, as lines to paste."""

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
    """List the resources that the deployment creates and can import instead, by name, with their ids.

    The output is YAML for `imports` of the deployment. Keep the lines of resources that exist. A line that is a comment
    needs an id that the cloud chose, and says how to find that id.
    """
    deployment = chosen(read_deployments(file), [name], file=file.name)[name]
    typer.echo("imports:")
    for thing, each in importable(name, deployment).items():
        key = json.dumps(thing) if " " in thing else thing
        typer.echo(f"  # {key}: {each.find}" if each.id is None else f"  {key}: {json.dumps(each.id)}")
