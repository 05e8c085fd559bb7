"""`astro-xcom doctor`: what must be there before an apply."""

import json
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.doctor import Check, Commands, Diagnosis, examine
from astro_xcom.doctor.commands import printable

WORDS = {"ok": "ok", "missing": "missing", "unknown": "not known"}


@app.command()
def doctor(
    name: Annotated[str, typer.Argument(help="The deployment.")],
    file: File = DEPLOYMENTS,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long each command may take.", min=1, max=600)
    ] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")] = False,
) -> None:
    """Look for what must exist before an apply: tools, login, cluster, namespace, secrets, release and so on.

    Runs your own commands (terraform, kubectl, helm, and aws, az or gcloud) and changes nothing. Prints a line for each
    check: ok; missing, with the command that creates it; or not known, because a command is absent or failed. Exit code
    1: something is missing.
    """
    deployment = chosen(read_deployments(file), [name], file=file.name)[name]
    found: list[Check] = []
    for check in examine(deployment, Commands(timeout), folder=file.absolute().parent):
        found.append(check)
        if not as_json:
            typer.echo(_line(check))
    if as_json:
        diagnosis = Diagnosis(file=file.name, deployment=name, checks=tuple(found))
        typer.echo(json.dumps(diagnosis.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False))
    if any(check.status == "missing" for check in found):
        raise typer.Exit(1)


def _line(check: Check) -> str:
    what = " ".join(filter(None, (check.check, check.of)))
    create = f"; try {check.create}" if check.create else ""
    return f"{WORDS[check.status]:<11}{printable(f'{what}: {check.says}{create}')}"
