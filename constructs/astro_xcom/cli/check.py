"""`astro-xcom check`: what will be true of each deployment, and what its applied state says instead."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from textwrap import wrap
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.cli.applied import named, read_applied
from astro_xcom.cli.plan import say_plan
from astro_xcom.cli.summary import summary
from astro_xcom.departed import departed
from astro_xcom.deployments import chosen, read_deployments
from astro_xcom.errors import SettingError, SettingErrors, printable
from astro_xcom.report import Document, Finding, Report, State, Store, WorkerReport, check
from astro_xcom.synthesis import synthesized
from astro_xcom.terminal import say, tell

WIDTH = 80
LABEL = 20
COMPARED = (
    "storage and identity by name, clusters, trust, permissions, lifecycle, encryption and its key, privacy, network "
    "and versioning of the storage, release and values"
)
LEGEND = "- is applied, + is what the file says; `check --plan` says what the next apply does."


@app.command("check")
def check_command(
    names: Annotated[list[str] | None, typer.Argument(help="Deployments; all by default.", show_default=False)] = None,
    file: File = DEPLOYMENTS,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Compare ONE deployment with what Terraform recorded of it. The file is the output of `terraform show "
            "-json` or `terraform output -json`; - is stdin. Differences are errors."
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            help="Say only what the next apply of ONE deployment does. The file is the output of `terraform show "
            "-json` of a saved plan; - is stdin."
        ),
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Accept a STOP of --plan by its code. May be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors: exit code 1.")] = False,
) -> None:
    """Say what will be true: who is trusted, what they may do, where values go, when they expire.

    Needs no cloud and no Terraform. Exit code 1: the settings are refused, or the applied state differs.
    With --plan, the worst effect of the apply decides the exit code: 0 nothing, or a STOP that was allowed; 3 SOON:
    values expire earlier, costs start, or storage is not protected; 4 QUIET: agents are cut off; 5 STOP: something is
    lost for good, or Terraform does not see what runs.
    """
    try:
        every = read_deployments(file)
        deployments = chosen(every, names or [], file=file.name)
    except SettingErrors as error:
        if as_json and plan is None:
            sys.stdout.write(_json(Document(file=file.name, refused=tuple(error.lines))) + "\n")
        raise
    if plan is not None:
        raise typer.Exit(say_plan(deployments, plan, allow or [], file=file.name, as_json=as_json))
    if allow:
        raise SettingError("--allow works only with --plan")
    applied = None if state is None else _applied(state, list(deployments))
    left = () if names else tuple(f"{each}" for each in departed(file, every))
    bodies = synthesized(deployments, file=file.name)
    try:
        reports = {name: check(deployments[name], body, applied) for name, body in bodies.items()}
    except SettingError as error:
        raise SettingErrors([f"{named(state)}: {error}" if state else str(error)]) from None
    if as_json:
        document = Document(file=file.name, deployments=dict(sorted(reports.items())), departed=left)
        sys.stdout.write(_json(document) + "\n")
    elif names or state or len(reports) == 1:
        _print(reports)
    else:
        for line in summary(reports):
            tell(line)
    found = [line for name, report in reports.items() for line in _findings(f"{file.name}: {name}", report.findings)]
    if found:
        sys.stdout.flush()  # else a reader of both may see them first
        say("\n".join([*found, LEGEND]))
    for line in left:
        say(f"{file.name}: warning: {line}")
    if found or (strict and (left or any(report.warnings for report in reports.values()))):
        raise typer.Exit(1)


def _json(document: Document) -> str:
    return json.dumps(document.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)


def _applied(file: Path, names: list[str]) -> State:
    if len(names) != 1:
        raise SettingError(f"--state needs the name of one deployment: `astro-xcom check {names[0]} --state {file}`")
    return read_applied(file)


def _findings(where: str, findings: Iterable[Finding]) -> Iterator[str]:
    """Findings with the same consequence are printed together."""
    for (kind, causes), alike in groupby(findings, key=lambda finding: (finding.kind, finding.causes)):
        yield f"{where}: {kind}"
        yield from (f"  {line}" for line in _wrapped(causes, WIDTH - 2))
        for finding in alike:
            if finding.item is not None:
                yield f"    {finding.item}"
            for sign, value in (("-", finding.applied), ("+", finding.now)):
                if value is not None:
                    yield f"    {sign} {_printable(value)}"


def _print(reports: Mapping[str, Report]) -> None:
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    for position, (name, report) in enumerate(reports.items()):
        console.print(Text(f"{chr(10) if position else ''}{name}", style="bold underline"))
        for heading, lines in _sections(report):
            console.print(Text(f"\n{heading}", style="bold yellow" if heading == "Warnings" else "bold"))
            for line in lines:
                console.print(Text(printable(line, longest=sys.maxsize)))  # whatever its length: people copy values


def _sections(report: Report) -> Iterator[tuple[str, list[str]]]:
    """Headings with their lines; those without lines are left out."""
    found: list[tuple[str, Iterable[str]]] = [
        ("Where", _where(report)),
        ("Agents", _agents(report)),
        ("Service accounts", _service_accounts(report)),
        ("Identity", _identity(report)),
        ("Other permissions", _needs(report)),
        *(
            (f"Identity of the worker {worker}", [*_identity(own), *_needs(own)])
            for worker, own in report.workers.items()
        ),
        ("XComs", _store(report.xcom)),
        ("State store", _store(report.state_store) if report.state_store else ()),
        ("Storage", _storage(report)),
        *((f"Environment: {place}", _variables(of)) for place, of in report.environment.items()),
        ("Annotations of the service accounts", _rows(report.annotations)),
        ("Labels of the pods", _rows(report.labels)),
        ("Required from others", _list(report.for_others)),
        ("Good to know", _list(report.always)),
        ("Warnings", _list(report.warnings)),
        ("Applied", _list(_applied_says(report))),
    ]
    listed = ((heading, list(lines)) for heading, lines in found)
    yield from (section for section in listed if section[1])


def _applied_says(report: Report) -> Iterator[str]:
    number = len(report.findings)
    differences = "no difference" if not number else "1 difference" if number == 1 else f"{number} differences"
    if report.compared == "state":
        yield (
            f"Compared with the state that Terraform recorded, not with the cloud: {differences} in {COMPARED}. "
            "Nothing else is compared: `terraform plan` shows the rest, and `check --plan` what the next apply does. "
            "No state shows what others granted."
        )
        if report.release:
            yield (
                "The state shows a failed upgrade of the release, and changes by hand, only after a refresh "
                "(`terraform apply -refresh-only`)."
            )
    elif report.compared == "outputs":
        yield (
            f"Compared with the outputs that Terraform recorded, not with the cloud: {differences} in storage and "
            "identity by name, subjects and values. The outputs do not show clusters, trust, permissions, lifecycle "
            "and release: give `terraform show -json` to compare those too. `terraform plan` shows the rest."
        )


def _where(report: Report) -> Iterator[str]:
    yield from _row("cloud", report.cloud)
    yield from _rows(report.place)
    for key, value in report.terraform_state.items():
        yield from _row("Terraform state", value) if key == "backend" else _row(key, value, indent=4)


def _agents(report: Report) -> Iterator[str]:
    yield from _row("namespace", report.namespace)
    if report.release is None:
        yield from _row("release", "none; the output agent_values has the chart values")
    else:
        yield from _row("release", report.release.name)
        yield from _row("chart", f"{report.release.chart} {report.release.version}")


def _service_accounts(report: Report) -> Iterator[str]:
    accounts = report.service_accounts
    alike = {str(account.trusted_through): account.trusted_through for account in accounts if account.trusted}
    for account in accounts:
        yield f"  {account.subject}"
        left_out = "" if account.trusted else "; not trusted (agent.untrusted)"
        creator = "the chart" if account.made_by_chart else "its owner"
        yield f"    used by {', '.join(account.used_by)}; created by {creator}{left_out}"
        for key, value in account.annotations.items():
            yield from _row(key, value, indent=4)
        if len(alike) > 1 and account.trusted:
            yield from _trusted(account.trusted_through)
    if len(alike) == 1:
        (through,) = alike.values()
        yield (
            "  all are trusted through"
            if through and all(account.trusted for account in accounts)
            else "  all others are trusted through"
            if through
            else "  this deployment configures no trust: see Required from others"
        )
        yield from _trusted(through)


def _trusted(through: Iterable[Mapping[str, str]]) -> Iterator[str]:
    for each in through:
        for key, value in each.items():
            yield from _row(key, value, indent=4)


def _identity(report: Report | WorkerReport) -> Iterator[str]:
    yield from _rows(report.identity)
    yield from _row("managed by", _owner(report.identity_made))
    for permission in report.permissions:
        yield "  may" if report.permissions_made else "  must be granted (by its owner)"
        for action in permission.allowed:
            yield f"    {action}"
        for place in permission.on:
            yield f"      on {place}"


def _needs(report: Report | WorkerReport) -> Iterator[str]:
    for need in report.needs:
        yield from _row(need.what, need.named)
        for permission in need.permissions:
            yield f"    needs {', '.join(permission.allowed)}"
            for place in permission.on:
                yield f"      on {place}"
        yield f"    granted {need.granted}" if need.granted != "not needed" else "    needs no cloud permissions"
        for text in need.by:
            yield f"      {text}"


def _store(store: Store) -> Iterator[str]:
    yield from _row("path", store.path)
    if store.object_key:
        yield from _row("object name", store.object_key)
    if store.object_key_from_airflow_3_4:
        yield from _row("with Airflow 3.4", store.object_key_from_airflow_3_4)
    yield from _prose("threshold", f"{store.threshold}: {store.threshold_means}")
    yield from _prose("compression", f"{store.compression}: {store.compression_means}")
    yield from _row("backend", store.backend)


def _storage(report: Report) -> Iterator[str]:
    yield from _rows(report.storage)
    yield from _row("managed by", _owner(report.storage_made))
    lifecycle = report.lifecycle
    if lifecycle is None:
        yield from _row("lifecycle", "set by the storage's owner")
        return
    for label, days, text in (
        ("values expire", lifecycle.expire_days, f"days, {f'under {lifecycle.below}' if lifecycle.below else 'all'}"),
        ("restorable", lifecycle.noncurrent_days, "days, as a noncurrent version"),
        ("soft delete", lifecycle.soft_delete_days, "days more"),
        ("unfinished uploads", lifecycle.abort_upload_days, "days"),
    ):
        if days is not None:
            yield from _row(label, f"{days} {text}" if days else "off")


def _owner(made: bool) -> str:
    return "this deployment" if made else "its owner (existing resource)"


def _rows(values: Mapping[str, str]) -> Iterator[str]:
    for key, value in values.items():
        yield from _row(key, value)


def _row(key: str, value: str, *, indent: int = 2) -> list[str]:
    """A value in one piece, whatever its length: people copy them."""
    front, value = " " * indent + key, _printable(value)
    line = f"{front:<{LABEL + 2}}{value}" if len(front) < LABEL + 2 else f"{front}  {value}"
    return [line] if len(line) <= WIDTH else [front, f"{' ' * indent}  {value}"]


def _variables(values: Mapping[str, str]) -> Iterator[str]:
    for name, value in values.items():
        line = f"  {name}={_printable(value)}"
        yield from [line] if len(line) <= WIDTH else [f"  {name}=", f"    {_printable(value)}"]


def _printable(value: str) -> str:
    return value if value.isprintable() else json.dumps(value)


def _prose(key: str, text: str) -> Iterator[str]:
    for position, line in enumerate(_wrapped(text, WIDTH - LABEL - 2)):
        yield f"  {'' if position else key:<{LABEL}}{line}"


def _list(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for position, line in enumerate(_wrapped(text, WIDTH - 4)):
            yield f"  {' ' if position else '-'} {line}"


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)
