"""`astro-xcom synth`: the Terraform JSON of every deployment. main.py does the same."""

from pathlib import Path
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.departed import departed
from astro_xcom.deployments import read_deployments
from astro_xcom.settings.backend import LocalState
from astro_xcom.synthesis import output_folder, write_stacks
from astro_xcom.terminal import say, tell


@app.command("synth")
def synth_command(
    file: File = DEPLOYMENTS,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUTDIR",
            file_okay=False,
            show_default="cdktf.out",
            help="The folder to write to. Terraform looks for local states and your own files beside it.",
        ),
    ] = None,
) -> None:
    """Write OUTDIR/stacks/NAME/cdk.tf.json, the Terraform JSON of every deployment, as `python main.py` does.

    Needs no cloud and no Terraform. If a deployment is refused, nothing is written.
    """
    synthesize(file, output)


def synthesize(file: Path, output: Path | None = None) -> None:
    """Write the JSON of every deployment of a file, or say what is wrong and write nothing.

    Without `output` into cdktf.out, or wherever the cdktf command wants it. Raises SettingError or SettingErrors.
    """
    deployments = read_deployments(file)
    folder = output or output_folder()
    for name, deployment in deployments.items():
        for warning in deployment.warnings():
            say(f"{file.name}: warning: {name}.{warning}")
        backend, beside = deployment.backend(), folder.absolute().parent.resolve()
        if isinstance(backend, LocalState) and beside != file.parent.resolve():
            say(f"{file.name}: warning: {name}.state: Terraform will keep it in {beside / backend.own_name(name)}")
    for left in departed(file, deployments):
        say(f"{file.name}: warning: {left}")
    write_stacks(deployments, folder, file=file.name)
    for name in deployments:
        tell(f"{name}: {output or folder.name}/stacks/{name}/cdk.tf.json")
