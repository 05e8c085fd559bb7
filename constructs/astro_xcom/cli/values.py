"""`astro-xcom values`: the chart values as a file, for those who install the chart without Terraform."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.cli.applied import named, read_applied
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.errors import SettingError, SettingErrors, with_hint
from astro_xcom.files import read_file, read_text, replace_files
from astro_xcom.report import State, check, planned_facts
from astro_xcom.settings import AwsDeployment, Deployment
from astro_xcom.synthesis import synthesized
from astro_xcom.terminal import say, tell
from astro_xcom.values_document import MARK, document, unknown
from astro_xcom.workers import named as of_worker
from astro_xcom.yaml_files import parse


@app.command()
def values(
    name: Annotated[str, typer.Argument(help="A deployment.")],
    state: Annotated[
        Path | None,
        typer.Option(
            help="What Terraform recorded of the deployment: the output of `terraform show -json` or `terraform output "
            "-json`; - is stdin. Needed where only Terraform knows a value, such as the client id on Azure."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write, instead of stdout.", show_default=False)
    ] = None,
    compare: Annotated[
        bool, typer.Option("--check", help="Write nothing. Exit code 1 if the file of -o has other values.")
    ] = False,
    file: File = DEPLOYMENTS,
) -> None:
    """Write the chart values that the release gets, as YAML: for Argo CD, Flux and `agent.release: false`.

    Needs no cloud and no Terraform. If only Terraform knows a value, the command needs --state.
    """
    if compare and output is None:
        raise SettingError("--check compares with a file: name it with --output")
    deployment = chosen(read_deployments(file), [name], file=file.name)[name]
    found = _values(name, deployment, state, file)
    text = document(name, found)
    if output is None:
        sys.stdout.write(text)
    elif compare:
        old = _old(output, found)
        if old:
            again = f"`astro-xcom values {name} -o {output}`" + (" with --state" if state else "")
            say(f"{output}: {with_hint(old, again)}")
            raise typer.Exit(1)
        tell(f"{output}: has the values of {name}")
    else:
        _write(output, text)
        tell(str(output))


def _values(name: str, deployment: Deployment, state: Path | None, file: Path) -> dict[str, Any]:
    """Raises SettingErrors for what is not known, and for the state of another storage or identity."""
    body = synthesized({name: deployment}, file=file.name)[name]
    applied = None if state is None else read_applied(state)
    try:
        found = planned_facts(deployment, body, applied)[0].agent_values
        if state is not None and applied is not None:
            _check_state(state, deployment, body, applied)
    except SettingError as error:
        raise SettingErrors([f"{named(state)}: {error}" if state else str(error)]) from None
    missing = list(unknown(found))
    if missing:
        raise SettingErrors([f"{file.name}: {name}: {_not_known(deployment, *each, state)}" for each in missing])
    return found


def _check_state(state: Path, deployment: Deployment, body: dict[str, Any], applied: State) -> None:
    """The agents must not be told of storage or an identity that is not there yet."""
    other = [each for each in check(deployment, body, applied).findings if each.kind in ("storage", "identity")]
    new = [
        worker
        for worker in deployment.workers
        if worker not in applied.stack.workers
        and any(each.applied is None and (each.item or "").startswith(of_worker("", worker)) for each in other)
    ]
    if new and all(each.applied is None for each in other):
        raise SettingErrors(
            [
                f"{named(state)}: the state has no identity of the worker {worker} yet: apply the deployment first"
                for worker in new
            ]
        )
    if other:
        raise SettingErrors(
            [
                f"{named(state)}: is the state of another deployment, or the deployment must be applied first: "
                f"{each.kind} {each.item} is {each.applied} there; the file says {each.now}"
                for each in other
            ]
        )


def _not_known(deployment: Deployment, path: str, what: str, state: Path | None) -> str:
    problem = f"{path} needs a value that only Terraform knows: {what}"
    if state is not None:
        return f"{problem}; {named(state)} does not have it: apply the deployment first"
    hint = "--state with the output of `terraform output -json`"
    if isinstance(deployment, AwsDeployment) and deployment.account_id is None:
        hint += ", or account_id in the deployment"
    return with_hint(problem, hint)


def _old(output: Path, now: dict[str, Any]) -> str | None:
    """Why a file must be written again. Comments and the order of keys do not count."""
    try:
        return None if parse(read_text(output)) == now else "does not have the values that the deployment gives now"
    except SettingError as error:
        return "no such file" if isinstance(error.__cause__, FileNotFoundError) else str(error)


def _write(output: Path, text: str) -> None:
    try:
        theirs = output.is_file() and not read_file(output).startswith(MARK.encode())
    except SettingError as error:
        raise SettingErrors([f"{output}: {error}"]) from None
    if theirs:
        raise SettingError(f"{output}: was not written by this command", hint="another file, or to delete this one")
    replace_files({output: text.encode()})
