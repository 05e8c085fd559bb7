"""`astro-xcom push`: upload one stack to HCP Terraform and follow its run."""

import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.cli.source import From, stack_in, synthesized_files
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.hcp import api
from astro_xcom.hcp.bundle import archive, check_self_contained
from astro_xcom.hcp.local_state import check_no_local_state
from astro_xcom.hcp.push import Push, RunOptions, Variable
from astro_xcom.hcp.run import CHANGES, UNCHANGED
from astro_xcom.hcp.stack_files import body, helm_commands
from astro_xcom.hcp.target import target
from astro_xcom.hcp.token import find_token, own_home
from astro_xcom.imports import importable, not_there
from astro_xcom.plan import UNREAD, Forecast, forecast, read_plan
from astro_xcom.secret_text import is_secret
from astro_xcom.terminal import say, tell


@app.command()
def push(
    stack: Annotated[str, typer.Argument(help="The stack: a deployment's name.")],
    file: File = DEPLOYMENTS,
    source: From = None,
    organization: Annotated[
        str | None, typer.Option(help="The organization, if the deployment has no state.hcp.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="The project in which a new workspace is created.")] = None,
    workspace: Annotated[str | None, typer.Option(help="The workspace. By default the stack's name.")] = None,
    hostname: Annotated[str | None, typer.Option(help="The host. By default app.terraform.io.")] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Set this environment variable in the workspace. May be repeated."),
    ] = None,
    sensitive_env: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Like --env, but nobody can read the value there.")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Start a run that only plans and cannot be applied.")
    ] = False,
    auto_apply: Annotated[
        bool, typer.Option("--auto-apply", help="Apply without asking, unless the plan says STOP.")
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Accept a STOP of the plan by its code. May be repeated."),
    ] = None,
    message: Annotated[str | None, typer.Option(help="Message of the run; the archive's SHA-256 is appended.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the run after creating it.")] = False,
    timeout: Annotated[float, typer.Option(metavar="MINUTES", help="How long to wait for the run.", min=0)] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")] = False,
) -> None:
    """Upload a stack to its workspace, creating the workspace if needed, start a run, and say what its plan does.

    Exit code 0: nothing to change, or applied (with --no-wait: the run is created). 1: an error, or the run ended
    without being applied. 2: changes are planned but not applied. 130: interrupted; the run continues.
    """
    if importlib.util.find_spec("pytfe") is None:
        raise SettingError("push needs the package pytfe", hint="the extra `hcp` of this package")
    if plan_only and auto_apply:
        raise SettingError("--plan-only and --auto-apply exclude one another")
    if no_wait and auto_apply and UNREAD not in (allow or []):
        hint = f"--allow {UNREAD}, or to leave out --no-wait"
        raise SettingError("--no-wait --auto-apply: nobody would read the plan before it is applied", hint=hint)
    wished = _variables(env or [], sensitive_env or [], os.environ)
    if source is None:
        deployments = chosen(read_deployments(file), [stack], file=file.name)
        check_no_local_state(stack, deployments[stack], file)
        files = synthesized_files(deployments, file)[stack]
    else:
        deployments = {}
        files = stack_in(source, stack)
    check_self_contained(stack, files)
    parsed = body(files)
    to = target(stack, parsed, organization=organization, project=project, workspace=workspace, hostname=hostname)
    token = find_token(to.hostname, os.environ, own_home(), option=hostname)
    for command in helm_commands(parsed):
        say(
            f"{stack}: warning: Helm calls `{command}`, which HCP Terraform's own workers may lack"
            f"{'; cluster.authentication: token needs no command' if command == 'aws' else ''}"
        )

    def of(document: str) -> Forecast:
        deployment = deployments.get(stack) or chosen(read_deployments(file), [stack], file=file.name)[stack]
        return forecast(deployment, read_plan(document))

    names = {each.address: thing for name in deployments for thing, each in importable(name, deployments[name]).items()}
    pushed = Push(
        api.Api(to.hostname, token, api.PATIENCE),
        to,
        stack,
        archive(files),
        forecast=of,
        advise=lambda said: not_there(said, names),
        say=say,
    )
    digest = f"sha256 {pushed.report.archive_sha256}"
    wishes = RunOptions(
        message=f"astro-xcom push {stack}, {digest}" if message is None else f"{message} ({digest})",
        variables=wished,
        plan_only=plan_only,
        auto_apply=auto_apply,
        allowed=tuple(allow or ()),
        wait=not no_wait,
        longest_wait=timeout * 60,
    )
    _go(pushed, wishes)
    report = pushed.report
    if as_json:
        sys.stdout.write(f"{report.as_json()}\n")
    for line in (report.summary(), f"{stack}: {report.result}: {report.run_url or report.workspace_url}"):
        if line:
            (say if as_json or report.exit_code not in (UNCHANGED, CHANGES) else tell)(line)
    raise typer.Exit(report.exit_code)


def _go(pushed: Push, wishes: RunOptions) -> None:
    report = pushed.report
    try:
        pushed.go(wishes)
    except (api.Failed, SettingError) as error:
        report.result = str(error)
    except KeyboardInterrupt:
        report.exit_code, report.result = 130, "interrupted; the run continues" if report.run else "interrupted"


def _variables(names: Iterable[str], sensitive: Iterable[str], environment: Mapping[str, str]) -> tuple[Variable, ...]:
    found = [*((name, False) for name in names), *((name, True) for name in sensitive)]
    problems = []
    for name, hidden in found:
        option = "--sensitive-env" if hidden else "--env"
        if name not in environment:
            problems.append(f"{option} {name}: is not set in the environment")
        elif is_secret(name, environment[name]) and not hidden:
            problems.append(f"{option} {name}: looks like a secret; try --sensitive-env {name}")
    if problems:
        raise SettingErrors(problems)
    return tuple(Variable(name=name, value=environment[name], sensitive=hidden) for name, hidden in found)
