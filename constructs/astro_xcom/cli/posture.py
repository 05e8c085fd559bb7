"""`astro-xcom posture`: files that tell security scanners what is accepted, and why."""

from pathlib import Path
from textwrap import wrap
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.files import read_file, replace_files
from astro_xcom.posture import WIDTH, accepted, checkov_config, trivy_ignore
from astro_xcom.terminal import tell

MARK = "# Written by astro-xcom posture"


@app.command()
def posture(
    stacks: Annotated[
        list[str] | None, typer.Argument(metavar="STACK", help="Deployments; all by default.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="The folder to write to.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that this command did not write.")] = False,
    file: File = DEPLOYMENTS,
) -> None:
    """Write .checkov.yaml and .trivyignore: what checkov and trivy may find in these deployments, and why.

    The files list the checks that the deployments fail with the current settings. New findings, or an option switched
    off later, still fail the scan until you write the files again. Needs no cloud, no Terraform and no scanner.
    """
    every = read_deployments(file)
    wanted = chosen(every, stacks or [], file=file.name)
    names = ", ".join(name for name in every if name in wanted)  # in the order of the file, whatever was typed
    checkov, trivy = accepted("checkov", wanted.values()), accepted("trivy", wanted.values())
    heading = (
        f"{MARK}: checks that {names} may fail with the current settings. They are switched off for everything that is "
        "scanned with this file: scan only these stacks with it, and write it again when you change such a setting on "
        "purpose."
    )
    heading = "\n".join(wrap(heading, WIDTH, subsequent_indent="# ", break_on_hyphens=False)) + "\n"
    _write(
        {
            output / ".checkov.yaml": heading + checkov_config(checkov),
            output / ".trivyignore": f"{heading}\n{trivy_ignore(trivy)}",
        },
        force=force,
    )
    for file_name, found in ((".checkov.yaml", checkov), (".trivyignore", trivy)):
        number = f"{len(found)} check{'' if len(found) == 1 else 's'}"
        tell(f"{output / file_name}: {number} accepted of {names}")


def _write(texts: dict[Path, str], *, force: bool) -> None:
    """Write all files, or none if one of them was not written by this command."""
    theirs = [path for path in texts if path.is_file() and not read_file(path).startswith(MARK.encode())]
    if theirs and not force:
        hint = "--output with another folder, or --force"
        raise SettingErrors(
            [f"{path}: {SettingError('was not written by this command', hint=hint)}" for path in theirs]
        )
    replace_files({path: text.encode() for path, text in texts.items()})
