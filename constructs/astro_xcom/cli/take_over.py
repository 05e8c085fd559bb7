"""`astro-xcom take-over`: a deployment for agents, storage and identity that somebody created by hand."""

import sys
from pathlib import Path
from textwrap import indent
from typing import Annotated, Any, Literal

import typer
import yaml

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.deployments import deployments_in
from astro_xcom.deployments_text import added
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.files import replace_files
from astro_xcom.rules import azure
from astro_xcom.synthesis import synthesized
from astro_xcom.take_over import Proposal, propose, put, things
from astro_xcom.values_text import cleaned
from astro_xcom.yaml_files import parse, read_mapping


@app.command("take-over")
def take_over(
    name: Annotated[str, typer.Argument(help="The deployment to propose.")],
    all_values: Annotated[
        list[Path],
        typer.Option("--values", metavar="VALUES", help="The chart values that the agents were installed with."),
    ],
    cloud: Annotated[Literal["aws", "azure", "gcp"], typer.Option(help="The cloud that holds the XComs.")],
    release: Annotated[str | None, typer.Option(help="The Helm release that is installed.", show_default=False)] = None,
    namespace: Annotated[str | None, typer.Option(help="Its namespace.", show_default="that of the values")] = None,
    adopt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="THING", help="Use storage, identity or release as it exists; do not manage it. May be repeated."
        ),
    ] = None,
    imports: Annotated[
        bool,
        typer.Option(
            "--import",
            help="Import all that --adopt does not name. Default: storage and identity are used as they exist.",
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SETTING=VALUE", help="A setting that no value gives: region=us-east-1. May be repeated."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write it without asking.")] = False,
    file: File = DEPLOYMENTS,
) -> None:
    """Propose a deployment for agents, storage and identity that were created by hand.

    Reads the chart values and prints the deployment. If you agree, it adds the deployment to the file, and writes
    NAME-values.yaml beside it: your values without those that the settings give. Overwritten files are kept as .bak.
    Changes nothing in the cloud: plan before you apply.
    """
    values = _one(all_values, release, namespace)
    content = read_mapping(file, name=file.name, place=str(file)) if file.exists() else {}
    if name in (content.get("deployments") or {}):
        raise SettingError(f"{file.name}: {name}: exists already; choose another name, or remove it first")
    given = read_mapping(values, name=str(values))
    try:
        proposal = propose(
            cloud,
            given,
            _given(settings or ()),
            namespace=namespace,
            release=release,
            adopt=things(adopt or ()),
            imports=imports,
        )
    except SettingErrors as error:
        raise SettingErrors([f"{values}: {line}" for line in error.lines]) from None
    _ask(proposal, cloud, content.get("defaults") or {}, asking=on_a_terminal() and not yes)
    text = values.read_text(encoding="utf-8")
    if cloud == "azure":
        connection = proposal.settings.get("xcom", {}).get("connection_id", azure.DEFAULT_CONNECTION_ID)
        clean = cleaned(text, azure.connection_variable(connection))
    else:
        clean = cleaned(text)
    try:
        _check(name, proposal.settings, parse(clean) or {}, content, file)
    except SettingErrors as error:
        theirs = f"{file.name}: {name}.agent.values: "
        raise SettingErrors([line.replace(theirs, f"{values}: ") for line in error.lines]) from None
    place = file.with_name(f"{name}-values.yaml")
    proposal.settings["agent"]["values_files"] = [place.name]
    lines = yaml.safe_dump({name: proposal.settings}, sort_keys=False, allow_unicode=True)
    typer.echo(indent(lines, "  ") + "".join(f"# {note}\n" for note in proposal.notes), nl=False)
    written = added(file.read_text(encoding="utf-8") if file.exists() else "", lines, file=file.name)
    if not yes and not (on_a_terminal() and typer.confirm(f"Add this to {file}, and write {place}?", err=True)):
        typer.echo("Nothing was written; --yes writes without asking.", err=True)
        return
    for where, what in ((place, clean), (file, written)):
        _keep(where)
        replace_files({where: what.encode()})
        typer.echo(f"{where}: written", err=True)


def on_a_terminal() -> bool:
    """Whether somebody can answer."""
    return sys.stdin.isatty()


def _one(values: list[Path], release: str | None, namespace: str | None) -> Path:
    """Of several files Helm merges the maps and replaces the lists: it knows what came of it."""
    if len(values) > 1:
        line = f"helm get values {release or 'RELEASE'} -n {namespace or 'NAMESPACE'} -o yaml > values.yaml"
        raise SettingError("--values: one file, that of the release as it is", hint=line)
    return values[0]


def _given(settings: Any) -> dict[str, str]:
    problems = [f"--set: {SettingError('must be SETTING=VALUE', got=each)}" for each in settings if "=" not in each]
    if problems:
        raise SettingErrors(problems)
    return dict(each.split("=", 1) for each in settings)


def _ask(proposal: Proposal, cloud: str, defaults: dict[str, Any], *, asking: bool) -> None:
    missing = proposal.missing(cloud, defaults)
    if missing and not asking:
        raise SettingErrors([f"{path}: is in no values file; try --set {path}=..." for path in missing])
    for path, question in missing.items():
        put(proposal.settings, path, typer.prompt(question, err=True))


def _check(name: str, settings: dict[str, Any], values: dict[str, Any], content: dict[str, Any], file: Path) -> None:
    """Refuse what could not be synthesized, before anything is written."""
    there = content.get("deployments") or {}
    proposed = {**settings, "agent": {**settings["agent"], "values": values}}
    both = {**content, "deployments": {**there, name: proposed}}
    found = deployments_in(both, folder=file.parent, file=file.name)
    synthesized({name: found[name]}, file=file.name)


def _keep(place: Path) -> None:
    """Keep what is there under a name of its own."""
    if not place.exists():
        return
    number, copy = 2, place.with_name(f"{place.name}.bak")
    while copy.exists():
        copy, number = place.with_name(f"{place.name}.bak{number}"), number + 1
    replace_files({copy: place.read_bytes()})
    typer.echo(f"{copy}: the old {place.name}", err=True)
