"""`astro-xcom graph`: a picture of what each deployment makes."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.files import replace_files
from astro_xcom.graph import cards, picture
from astro_xcom.refusal import Refusals, Refused
from astro_xcom.report import synthesized
from astro_xcom.terminal import tell


@app.command()
def graph(
    stacks: Annotated[
        list[str] | None, typer.Argument(metavar="STACK", help="Deployments; all by default.", show_default=False)
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The folder for STACK.svg; or, for one deployment, a file with that ending."
        ),
    ] = Path(),
    file: File = DEPLOYMENTS,
) -> None:
    """Draw what deployments make, and what needs what, as SVG.

    A box is a resource; dashed, it is only looked up. Arrows that follow from others are left out. Addresses show
    when the mouse rests on a box. Needs no cloud and no Terraform.
    """
    deployments = read_deployments(file)
    names = set(stacks or deployments)
    problems: list[str] = []
    try:
        deployments = chosen(deployments, stacks or [], file=file.name)
    except Refusals as error:
        problems += error.lines
    one_file = output.suffix == ".svg" and not output.is_dir()
    if one_file and len(names) > 1:
        problems.append(f"{output}: is one file, for one picture: name one deployment, or give a folder")
    if not one_file and output.exists() and not output.is_dir():
        problems.append(f"{output}: must be a folder, or a file that ends in .svg")
    if importlib.util.find_spec("pygraphviz") is None:
        problems.append(str(Refused("graph needs the package pygraphviz", hint="the extra `graph` of this package")))
    if problems:
        raise Refusals(problems)
    bodies = synthesized(deployments, file=file.name)
    drawn = {name: picture(name, cards(body)).encode() for name, body in bodies.items()}
    pictures = {output if one_file else output / f"{name}.svg": picture for name, picture in drawn.items()}
    replace_files(pictures)
    for place in pictures:
        tell(str(place))
