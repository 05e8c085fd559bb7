"""`astro-xcom probe`: Jobs that show in the cluster that XComs work, and what they found."""

import importlib
import secrets
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.deployments import CLOUDS, chosen, read_deployments
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.files import read_stdin, read_text, replace_files
from astro_xcom.probe.kubectl import kubectl as kubectl_with
from astro_xcom.probe.kubectl import logs
from astro_xcom.probe.manifests import Probe, manifests, secrets_left_out, to_yaml
from astro_xcom.probe.report import summed_up, table
from astro_xcom.report import read_state
from astro_xcom.report.terraform import Known, Stack, planned
from astro_xcom.settings import Deployment
from astro_xcom.synthesis import synthesized


@app.command()
def probe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The deployment.")],
    file: File = DEPLOYMENTS,
    state: Annotated[
        Path | None,
        typer.Option(
            help="What Terraform recorded of the deployment: the output of `terraform show -json` or `terraform output "
            "-json`; - is stdin. Needed where ids are known only after the apply, as on Azure."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; by default stdout.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="The cluster to run the Jobs in. By default the deployment's `cluster`.")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            metavar="CLUSTER",
            help="Another cluster in which you apply the same --run at the same time: the pods of both clusters read "
            "each other's values. May be repeated.",
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="ID", help="The name of the run. By default a new name.")] = None,
    old: Annotated[
        str, typer.Option(metavar="PATH", help="Also read an older value; PATH is what Airflow's UI shows as the XCom.")
    ] = "",
    minutes: Annotated[float, typer.Option(min=0.1, max=120, help="How long a pod waits for the others.")] = 10,
    report: Annotated[
        str | None, typer.Option(metavar="FILE", help="Read the logs of the Jobs and say what they show; - is stdin.")
    ] = None,
    kubectl: Annotated[
        bool, typer.Option("--kubectl", help="Like --report, but wait for the Jobs and read their logs with kubectl.")
    ] = False,
    context: Annotated[str | None, typer.Option(help="The kubectl context. By default the current one.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Print the command that removes everything.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")] = False,
) -> None:
    """Print the Kubernetes manifests of Jobs that show, before any DAG runs, that XComs work.

    The manifests contain one Job for each trusted service account, with the image, environment, labels and annotations
    of the agents' pods, and a ConfigMap with the program. Each Job writes a value, reads the values of all other Jobs,
    and removes its own. To apply the manifests you need permission to create Jobs and ConfigMaps in the namespace.
    With --report or --kubectl, exit code 1 means that XComs do not work.
    """
    reads = report is not None or kubectl
    _check_options(reads=reads, report=report, kubectl=kubectl, delete=delete, output=output, as_json=as_json)
    deployments = chosen(read_deployments(file), [name], file=file.name)
    applied = _stack(deployments[name], name, state, file.name)
    here, others = _clusters(deployments[name], cluster, also or [])
    found = Probe(
        name=name, values=applied.agent_values, subjects=applied.subjects, here=here, others=others,
        run=run or f"run-{secrets.token_hex(4)}", minutes=minutes, old=old,
    )  # fmt: skip
    jobs = {found.called(account): found.job_name(account) for account in found.accounts}
    options = ["--namespace", found.namespace, *(["--context", context] if context else [])]
    if delete:
        objects = [*(f"job/{job}" for job in jobs.values()), f"configmap/{found.config_map_name}"]
        typer.echo(shlex.join(["kubectl", *options, "delete", "--ignore-not-found", *objects]))
    elif reads:
        text, reasons = logs(kubectl_with(options), jobs, minutes=2 * minutes + 11) if kubectl else (_read(report), {})
        summary = summed_up(name, text, expected=found.everybody if not kubectl else jobs, reasons=reasons)
        typer.echo(summary.model_dump_json(indent=2) if as_json else table(summary))
        raise typer.Exit(0 if summary.ok else 1)
    else:
        _print(found, output, file=file.name)


def _print(found: Probe, output: Path | None, *, file: str) -> None:
    text = to_yaml(manifests(found))
    for variable in secrets_left_out(found):
        typer.echo(f"{file}: warning: {found.name}: {variable} looks like a secret and is in no manifest", err=True)
    for subject in found.former:
        typer.echo(f"{file}: warning: {found.name}: {subject} is trusted, and the release has no pod of it", err=True)
    if output is None:
        sys.stdout.write(text)
    else:
        replace_files({output: text.encode()})


def _check_options(
    *, reads: bool, report: str | None, kubectl: bool, delete: bool, output: Path | None, as_json: bool
) -> None:
    problems = []
    if kubectl and report not in (None, "-"):
        problems.append("--kubectl reads the logs itself: leave the file of --report out")
    if reads and delete:
        problems.append("--delete is not of --report: run it afterwards")
    if output is not None and (reads or delete):
        problems.append("--output is of the manifests")
    if as_json and not reads:
        problems.append("--json is of --report and --kubectl")
    if problems:
        raise SettingErrors(problems)


def _stack(deployment: Deployment, name: str, state: Path | None, file: str) -> Stack:
    """The chart's values: as they are applied, or as a plan knows them."""
    cloud = next(cloud for cloud, settings in CLOUDS.items() if isinstance(deployment, settings))
    of_cloud = importlib.import_module(f"astro_xcom.report.{cloud}")
    if state is None:
        body = synthesized({name: deployment}, file=file)[name]
        return planned(body, of_cloud.computed(body), Known())
    where = "standard input" if str(state) == "-" else str(state)
    try:
        stack = read_state(_read(str(state))).stack
        if missing := [each for each in of_cloud.OUTPUTS if each not in stack.outputs]:
            raise SettingError(f"is not the state of this deployment: it has no output {', '.join(missing)}")
    except SettingError as error:
        raise SettingErrors([f"{where}: {error}"]) from None
    return stack


def _read(file: str | None) -> str:
    where = "standard input" if file in (None, "-") else str(file)
    try:
        return read_stdin() if where == "standard input" else read_text(Path(where))
    except SettingError as error:
        raise SettingErrors([f"{where}: {error}"]) from None


def _clusters(deployment: Any, here: str | None, others: list[str]) -> tuple[str, tuple[str, ...]]:
    """The cluster of the manifests and those beside it, each by the name or the id that the settings have."""
    known = [_called(cluster) for cluster in (deployment.cluster, *deployment.trusted_clusters)]
    problems = []
    for option, given in (("--cluster", here), *(("--also", each) for each in others)):
        if given is not None and given not in known:
            rule = f"must be one of {', '.join(known)}"
            problems.append(f"{option}: {SettingError(rule, got=given)}")
    if problems:
        raise SettingErrors(problems)
    return here or known[0], tuple(dict.fromkeys(each for each in others if each != (here or known[0])))


def _called(cluster: Any) -> str:
    fields = ("name", "oidc_provider_arn", "issuer", "workload_pool")
    return next(str(value) for field in fields if (value := getattr(cluster, field, None)))
