"""The committed form of every stack in a folder: what differs from it, and how it gets there."""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.files import check_below, read_file, remove_files, replace_files
from astro_xcom.hcp.lock import fits
from astro_xcom.hcp.stack_files import (
    ASSETS,
    JSON,
    LARGEST_ASSET,
    LOCK,
    STACKS,
    StackFiles,
    at_place,
    body,
    local_files,
)

READ_BY_TERRAFORM = ("*.tf", "*.tf.json", "*.tfvars", "*.tfvars.json", LOCK, f"{ASSETS}/**/*")


@dataclass(frozen=True)
class Difference:
    """One file that is not as it should be: to be made (`old` is None), to go (`new` is None), or changed."""

    path: str
    """Below the folder, with forward slashes."""
    old: bytes | None
    new: bytes | None
    ours: bool
    """Whether it is a file that export makes for a stack that is there."""

    def __str__(self) -> str:
        """A line that names it, and for changed text a unified diff."""
        if self.old is None:
            return f"{self.path}: is missing"
        if self.new is None:
            return f"{self.path}: {'is stale' if self.ours else 'belongs to no stack'}"
        try:
            old, new = (text.decode().splitlines(keepends=True) for text in (self.old, self.new))
        except UnicodeDecodeError:
            return f"{self.path}: has other bytes"
        lines = [line if line.endswith("\n") else f"{line}\n" for line in difflib.unified_diff(old, new, "old", "new")]
        return f"{self.path}: is stale\n{''.join(lines)}".rstrip("\n")


def differences(stacks: Mapping[str, StackFiles], folder: Path) -> list[Difference]:
    """What has to change in a folder so that it holds exactly these stacks."""
    found = {path: _content(folder / path) for path in _found(folder)}
    wanted = {f"{STACKS}/{name}/{path}": content for name, files in stacks.items() for path, content in files.items()}
    return [
        Difference(path, found.get(path), wanted.get(path), ours=_is_ours(path, stacks))
        for path in sorted({*found, *wanted})
        if found.get(path) != wanted.get(path)
    ]


def kept_lock(folder: Path, name: str, files: StackFiles) -> bytes | None:
    """The lock file that the folder has for a stack, if it is about the providers that the stack requires."""
    place = folder / STACKS / name / LOCK
    lock = _content(place) if place.is_file() else None
    return lock if lock is not None and fits(lock, files) else None


def check_paths(stacks: Mapping[str, StackFiles], folder: Path) -> None:
    """Refuse a folder from which the charts and kubeconfigs of a stack are not where it says."""
    problems = []
    for name, files in stacks.items():
        seen_from = folder / STACKS / name
        for place, path in local_files(body(files)):
            if path.startswith(".") and not Path(os.path.normpath(seen_from.absolute() / path)).exists():
                hint = "a folder beside deployments.yaml"
                problems.append(
                    f"{name}: {place}: {SettingError(f'is not there, seen from {seen_from}', got=path, hint=hint)}"
                )
    if problems:
        raise SettingErrors(problems)


def write(changes: list[Difference], folder: Path, *, prune: bool) -> list[Difference]:
    """Make the changes, and return those left: what belongs to no stack goes only with `prune`.

    Raises SettingErrors before anything is written if a folder that is to go has Terraform's state in it.
    """
    gone = [change for change in changes if change.new is None and (change.ours or prune)]
    states = {state for change in gone if not change.ours for state in (folder / change.path).parent.glob("*.tfstate*")}
    if states:
        raise SettingErrors([f"{state}: is Terraform's state; move it before you prune" for state in sorted(states)])
    for change in gone:
        check_below(folder / change.path, folder)
    replace_files({folder / each.path: each.new for each in changes if each.new is not None}, below=folder)
    for change in gone:
        remove_files([folder / change.path])
        _remove_empty((folder / change.path).parent, above=folder / STACKS)
    return [change for change in changes if change.new is None and change not in gone]


def _is_ours(path: str, stacks: Mapping[str, StackFiles]) -> bool:
    _, stack, *rest = PurePosixPath(path).parts
    return stack in stacks and rest[0] in (JSON, LOCK, ASSETS)


def _found(folder: Path) -> Iterator[str]:
    """The files below `stacks` that Terraform reads."""
    for stack in sorted((folder / STACKS).glob("*")):
        for pattern in READ_BY_TERRAFORM:
            yield from (place.relative_to(folder).as_posix() for place in stack.glob(pattern) if place.is_file())


def _content(place: Path) -> bytes:
    with at_place(place):
        return read_file(place, largest=LARGEST_ASSET)


def _remove_empty(folder: Path, *, above: Path) -> None:
    while folder != above and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
