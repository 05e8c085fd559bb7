"""`astro-xcom init`: a repository of one's own, which depends on this package."""

import difflib
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from astro_xcom.cli.app import app
from astro_xcom.cli.source import synthesized_files
from astro_xcom.deployments import CLOUDS, OTHER_NAMES, read_deployments
from astro_xcom.errors import SettingError, SettingErrors, quoted
from astro_xcom.settings import ValuesFile
from astro_xcom.starter.questions import Answers, questions
from astro_xcom.starter.repository import JSON, OURS, PACKAGES, VALUES, check_free, repository, write_new

# Chart value -> the setting that has to say the same.
SAME = {"namespace": "agent.namespace", "resourceNamePrefix": "agent.resource_name_prefix"}
NEXT = ("check --strict", "doctor {name}")


@app.command("init")
def init_command(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to write to; created if it is missing.")
    ] = Path(),
    cloud: Annotated[str | None, typer.Option(help="The cloud of the first deployment: aws, azure or gcp.")] = None,
    values: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your chart values, for example from Astro's page. Copied to DIR unchanged."),
    ] = None,
    said: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Answer a question by its setting in deployments.yaml: region=eu-west-1. May be repeated.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; use defaults for all that --set does not give.")
    ] = False,
) -> None:
    """Write a repository of your own that depends on this package: deployments, chart values, Pipfile, CI and README.

    Asks a few questions on a terminal, and uses defaults elsewhere. Overwrites nothing: if a file exists already or the
    deployment is refused, it writes nothing. Needs no network and no cloud.
    """
    asking = not yes and sys.stdin.isatty()
    kept = None if values is None else _kept(values, folder)
    check_free(folder, [*OURS, JSON, PACKAGES, *_new(kept, values, folder)])
    cloud = _cloud(cloud, asking=asking)
    given = _given(said or [], cloud, _of_values(values))
    project = str(uuid.uuid4())
    answers = _answers(cloud, given, suffix=project[:8], ask=_ask if asking else None)
    files = repository(cloud, {**answers, "project_id": project}, values=kept)
    content = b"" if values is None else values.read_bytes()
    files |= _json(files, {} if kept is None else {kept: content})
    if kept in _new(kept, values, folder):
        files[str(kept)] = content
    check_free(folder, files)
    write_new(folder, files)
    for path in sorted(files):
        typer.echo(str(folder / path))
    invented = [each.key for each in questions(cloud) if each.made_up and each.key not in given and not asking]
    if invented:
        typer.echo(f"\nMade up, to be replaced in deployments.yaml: {', '.join(invented)}")
    typer.echo(f"\nNext{'' if folder == Path() else f', in {folder}'}:")
    for command in ("pipenv install", *(f"pipenv run astro-xcom {each}" for each in NEXT)):
        typer.echo(f"  {command.format(**answers)}")


def _kept(values: Path, folder: Path) -> str:
    """Where the values file is, or will be, in the repository."""
    if not values.is_file():
        raise SettingError(f"{quoted(str(values))}: no such file")
    try:
        inside = values.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        inside = values.name
    if not inside.isprintable() or inside.partition("/")[0] in {*OURS, JSON, PACKAGES}:
        raise SettingError(
            "a values file needs a name that can be printed, and that no file written here has", got=inside
        )
    return inside


def _new(kept: str | None, values: Path | None, folder: Path) -> list[str]:
    """The values file, if it has to be written: a copy, or else the one to be edited."""
    if kept is None or values is None:
        return [VALUES]
    place = folder / kept
    return [] if place.exists() and place.samefile(values) else [kept]


def _cloud(cloud: str | None, *, asking: bool) -> str:
    if cloud is None and not asking:
        raise SettingError(f"--cloud is required where nobody can be asked: one of {', '.join(CLOUDS)}")
    return _one_of(cloud) if cloud is not None else str(typer.prompt("cloud", value_proc=_again(_one_of)))


def _one_of(cloud: str) -> str:
    if cloud not in CLOUDS:
        near = [OTHER_NAMES.get(cloud.lower()), *difflib.get_close_matches(cloud.lower(), CLOUDS, n=1)]
        raise SettingError(
            f"the cloud must be one of {', '.join(CLOUDS)}", got=cloud, hint=next(filter(None, near), None)
        )
    return cloud


def _of_values(values: Path | None) -> Answers:
    """What the user's chart values say that the settings must say too."""
    if values is None:
        return {}
    content = ValuesFile.read(values).content
    return {
        setting: content[key] for key, setting in SAME.items() if content.get(key) and isinstance(content[key], str)
    }


def _given(said: Iterable[str], cloud: str, of_values: Answers) -> Answers:
    """The answers of --set, over those of the values file."""
    keys = [question.key for question in questions(cloud)]
    given, problems = dict(of_values), []
    for each in said:
        key, equals, value = each.partition("=")
        if not equals or key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            rule = f"--set must be KEY=VALUE, with one of {', '.join(keys)}"
            problems.append(str(SettingError(rule, got=each, hint=f"{near[0]}=..." if near else None)))
        else:
            given[key] = value
    if problems:
        raise SettingErrors(problems)
    return given


def _answers(cloud: str, given: Answers, *, suffix: str, ask: Callable[..., str] | None) -> Answers:
    """An answer to every question: what was given, what somebody says now, or the default. Raises SettingErrors."""
    answers, problems = {"suffix": suffix}, []
    for question in questions(cloud):
        default = question.default(answers)
        if question.key in given:
            answer = given[question.key]
        else:
            answer = default if ask is None else ask(question.asks, default, question.rule)
        try:
            question.rule(answer)
        except SettingError as error:
            problems.append(f"{question.key}: {error}")
        answers[question.key] = answer
    if problems:
        raise SettingErrors(problems)
    return answers


def _ask(text: str, default: str, rule: Callable[[str], str]) -> str:
    return str(typer.prompt(text, default=default, value_proc=_again(rule)))


def _again(rule: Callable[[str], str]) -> Callable[[str], str]:
    """The rule for a prompt, which asks again when it is broken."""

    def check(value: str) -> str:
        try:
            return rule(value)
        except SettingError as error:
            raise typer.BadParameter(str(error)) from None

    return check


def _json(files: Mapping[str, bytes], values: Mapping[str, bytes]) -> dict[str, bytes]:
    """The Terraform JSON that these files give, as `export` writes it. Raises SettingErrors as every command does."""
    with tempfile.TemporaryDirectory() as place:
        write_new(Path(place), {**files, **values})
        file = Path(place) / "deployments.yaml"
        stacks = synthesized_files(read_deployments(file), file)
    return {
        f"{JSON}/stacks/{name}/{path}": content for name, stack in stacks.items() for path, content in stack.items()
    }
