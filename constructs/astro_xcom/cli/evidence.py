"""`astro-xcom evidence`: what a reviewer asks of a deployment, on one page."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.cli.applied import named, read_applied
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.evidence import Volume, evidence, markdown
from astro_xcom.files import replace_files
from astro_xcom.synthesis import synthesized
from astro_xcom.terminal import tell


@app.command("evidence")
def evidence_command(
    name: Annotated[str, typer.Argument(help="A deployment.")],
    state: Annotated[
        Path | None,
        typer.Option(
            help="What Terraform recorded of the deployment: the output of `terraform show -json`, or of `terraform "
            "output -json`, which has names only; - is stdin."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write, instead of stdout.", show_default=False)
    ] = None,
    values_per_day: Annotated[
        int | None, typer.Option(help="Add the requests and GB-months for this many values a day.", show_default=False)
    ] = None,
    value_bytes: Annotated[int, typer.Option(help="With --values-per-day: the size of a value.")] = 10_000,
    reads: Annotated[int, typer.Option(help="With --values-per-day: how often each value is read.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of Markdown.")] = False,
    file: File = DEPLOYMENTS,
) -> None:
    """Write a page for reviewers: who can read, encryption, network, retention, residency, logs, accepted findings.

    The page says of each fact whether it is planned or applied. Needs no cloud and no Terraform. The page names
    differences from the applied state, but the command does not fail because of them: `check --state` does.
    """
    volume = None
    if values_per_day is not None:
        volume = Volume(values_per_day=values_per_day, bytes_per_value=value_bytes, reads_per_value=reads)
    deployment = chosen(read_deployments(file), [name], file=file.name)[name]
    applied = None if state is None else read_applied(state)
    body = synthesized({name: deployment}, file=file.name)[name]
    try:
        found = evidence(name, deployment, body, applied, file=file.name, volume=volume)
    except SettingError as error:
        raise SettingErrors([f"{named(state)}: {error}" if state else str(error)]) from None
    text = markdown(found)
    if as_json:
        text = json.dumps(found.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        replace_files({output: text.encode()})
        tell(str(output))
