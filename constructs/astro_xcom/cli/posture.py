"""`astro-xcom posture`: files that tell security scanners what is accepted, and why."""

from pathlib import Path
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.deployments import CLOUDS, chosen, read_deployments
from astro_xcom.posture import accepted, checkov_config, trivy_ignore
from astro_xcom.refusal import Refusals, Refused

MARK = "# Written by astro-xcom posture"


@app.command()
def posture(
    stacks: Annotated[
        list[str] | None, typer.Argument(metavar="STACK", help="Deployments; all by default.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="The folder to write to.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that others wrote.")] = False,
    file: File = DEPLOYMENTS,
) -> None:
    """Write .checkov.yaml and .trivyignore: what checkov and trivy may find on these clouds and why it is accepted.

    They hold what a cloud's deployments may fail, whatever yours have switched on: take that out, to hear when it goes
    off. A finding that is not in them is news. Needs no cloud, no Terraform and no scanner.
    """
    deployments = chosen(read_deployments(file), stacks or [], file=file.name).values()
    clouds = [cloud for cloud, kind in CLOUDS.items() if any(isinstance(one, kind) for one in deployments)]
    checkov, trivy = accepted("checkov", clouds), accepted("trivy", clouds)
    heading = (
        f"{MARK} for {', '.join(clouds)}: checks that deployments may fail there.\n"
        "# They are switched off for all that is scanned with this file: scan these stacks alone with it.\n"
        "# Your settings are not looked at: take out what they satisfy, to hear when they go off.\n"
    )
    _write(
        {
            output / ".checkov.yaml": heading + checkov_config(checkov),
            output / ".trivyignore": f"{heading}\n{trivy_ignore(trivy)}",
        },
        force=force,
    )
    for name, found in ((".checkov.yaml", checkov), (".trivyignore", trivy)):
        number = f"{len(found)} check{'' if len(found) == 1 else 's'}"
        typer.echo(f"{output / name}: {number} accepted on {', '.join(clouds)}")


def _write(texts: dict[Path, str], *, force: bool) -> None:
    """All of them, or none if one is somebody else's."""
    try:
        theirs = [path for path in texts if path.exists() and not path.read_bytes().startswith(MARK.encode())]
        if theirs and not force:
            hint = "--output with another folder, or --force"
            raise Refusals([f"{path}: {Refused('was not written by this command', hint=hint)}" for path in theirs])
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise Refusals([f"{error.filename}: cannot be written: {str(error.strerror).lower()}"]) from None
