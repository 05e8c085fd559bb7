"""`astro-xcom export`: the stacks as files to commit, for a workspace that follows a repository."""

from pathlib import Path
from typing import Annotated

import typer

from astro_xcom.cli.app import DEPLOYMENTS, File, app
from astro_xcom.cli.source import From, given_stacks
from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.hcp.export import check_paths, differences, kept_lock, write
from astro_xcom.hcp.lock import make_lock
from astro_xcom.hcp.stack_files import LOCK, STACKS, StackFiles, body, wanted_providers
from astro_xcom.terminal import say, tell


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to commit, such as terraform.")],
    file: File = DEPLOYMENTS,
    source: From = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 if DIR is not up to date.")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete files that belong to no stack.")] = False,
    lock: Annotated[
        bool | None,
        typer.Option(
            "--lock/--no-lock",
            help="--lock: fail without checksums of the providers. --no-lock: write none. By default they are written "
            "if the registry can be reached.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write DIR/stacks/<stack>/: cdk.tf.json, its assets, and checksums of the providers.

    The same deployments give the same bytes. A file that is up to date is not touched.
    """
    stacks = given_stacks(file, source)
    check_paths(stacks, folder)
    for name, files in stacks.items():
        files.pop(LOCK, None)  # CDKTF's is about the machine it ran on
        kept = kept_lock(folder, name, files)
        if kept is not None:
            files[LOCK] = kept
    if check:
        _check(stacks, folder, locks=lock is True)
        return
    if lock is not False:
        _add_locks(stacks, insist=lock is True)
    changes = differences(stacks, folder)
    left = write(changes, folder, prune=prune)
    for change in changes:
        if change not in left:
            tell(f"{folder / change.path}: {'written' if change.new is not None else 'deleted'}")
    for change in left:
        say(f"{folder / change.path}: belongs to no stack; --prune deletes it")
    if not changes:
        tell(f"{folder}: {_count(stacks)}, up to date")


def _check(stacks: dict[str, StackFiles], folder: Path, *, locks: bool) -> None:
    found = [str(change) for change in differences(stacks, folder)]
    if locks:
        found += [f"{STACKS}/{name}/{LOCK}: is missing" for name, files in stacks.items() if LOCK not in files]
    if found:
        raise SettingErrors(
            [
                *found,
                f"{folder} is not up to date: astro-xcom export {folder} writes it, --prune deletes what "
                "belongs to no stack",
            ]
        )
    tell(f"{folder}: {_count(stacks)}, up to date")


def _add_locks(stacks: dict[str, StackFiles], *, insist: bool) -> None:
    """A lock file for each stack without one; stacks with the same providers share it."""
    made: dict[str, bytes] = {}
    for name, files in stacks.items():
        providers = str(sorted(wanted_providers(body(files)).items()))
        if LOCK in files:
            continue
        try:
            if providers not in made:
                say(f"{name}: fetching the checksums of its providers")
                made[providers] = make_lock(files)
        except SettingError as error:
            if insist:
                raise SettingErrors([f"{name}: no checksums of the providers: {error}"]) from None
            say(
                f"no checksums of the providers: {LOCK} is left out, so runs trust whatever the registry sends: {error}"
            )
            return
        files[LOCK] = made[providers]


def _count(stacks: dict[str, StackFiles]) -> str:
    return f"{len(stacks)} stack{'' if len(stacks) == 1 else 's'}"
