"""`astro-xcom graph`: a picture of what each deployment creates."""

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.files import replace_files
from astro_xcom.graph import cards, mermaid, picture
from astro_xcom.synthesis import synthesized
from astro_xcom.terminal import tell

ENDINGS = {"svg": ".svg", "mermaid": ".mmd"}


@app.command()
def graph(
    stacks: Annotated[
        list[str] | None, typer.Argument(metavar="STACK", help="Deployments; all by default.", show_default=False)
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The folder for STACK.svg or, for one deployment, a file with that ending."
        ),
    ] = Path(),
    as_format: Annotated[
        Literal["svg", "mermaid"], typer.Option("--format", help="mermaid: text for Markdown, as STACK.mmd.")
    ] = "svg",
    file: File = DEPLOYMENTS,
) -> None:
    """Draw what deployments create and how the resources depend on each other, as SVG or as Mermaid.

    A box is a resource; a dashed box is only looked up. Arrows that follow from other arrows are left out. Rest the
    mouse on a box to see its address. Needs no cloud and no Terraform.
    """
    deployments = read_deployments(file)
    ending = ENDINGS[as_format]
    names = set(stacks or deployments)
    problems: list[str] = []
    try:
        deployments = chosen(deployments, stacks or [], file=file.name)
    except SettingErrors as error:
        problems += error.lines
    one_file = output.suffix == ending and not output.is_dir()
    if one_file and len(names) > 1:
        problems.append(f"{output}: is a file for one picture: name one deployment, or give a folder")
    named_as_file = output.suffix and not output.name.startswith(".") and not output.exists()
    if not one_file and (named_as_file or (output.exists() and not output.is_dir())):
        problems.append(f"{output}: must be a folder, or a file that ends in {ending}")
    if as_format == "svg" and importlib.util.find_spec("pygraphviz") is None:
        problems.append(
            str(SettingError("graph needs the package pygraphviz", hint="the extra `graph` of this package"))
        )
    if problems:
        raise SettingErrors(problems)
    bodies = synthesized(deployments, file=file.name)
    found = {name: cards(body) for name, body in bodies.items()}
    drawn = {name: (mermaid(of) if as_format == "mermaid" else picture(name, of)) for name, of in found.items()}
    pictures = {output if one_file else output / f"{name}{ending}": text.encode() for name, text in drawn.items()}
    replace_files(pictures)
    for place in pictures:
        tell(str(place))
