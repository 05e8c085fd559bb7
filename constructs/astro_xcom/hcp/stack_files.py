"""The files of a stack in the one form that is committed and uploaded."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from astro_xcom.errors import SettingError
from astro_xcom.files import read_file
from astro_xcom.json_files import parse_json, shaped

JSON = "cdk.tf.json"
LOCK = ".terraform.lock.hcl"
ASSETS = "assets"
STACKS = "stacks"
MANIFEST = "manifest.json"
LARGEST_ASSET = 256 * 2**20

StackFiles = dict[str, bytes]
"""Path below the stack's folder -> content: cdk.tf.json, assets, and .terraform.lock.hcl if there is one."""


def read_stacks(folder: Path) -> dict[str, StackFiles]:
    """The stacks that CDKTF or `export` wrote into a folder, by name, in the committed form.

    Of what CDKTF wrote only the last synthesis counts, which its manifest tells: what lies there besides is older.
    """
    stacks = {name: _read(folder / STACKS / name, folder) for name in stack_names(folder)}
    if not stacks:
        hint = "a folder that astro-xcom export or cdktf synth wrote"
        raise SettingError(f"{folder}: has no {STACKS}/*/{JSON}", hint=hint)
    return stacks


def stack_names(folder: Path) -> list[str]:
    """The stacks of the last synthesis, or all of a folder that has no manifest."""
    there = sorted(place.parent.name for place in folder.glob(f"{STACKS}/*/{JSON}"))
    place = folder / MANIFEST
    if not place.exists():
        return there
    with at_place(place), shaped("is not what cdktf synth writes"):
        written = sorted(parse_json(read_file(place))["stacks"].keys())
        if not all(isinstance(name, str) for name in written):
            raise TypeError
    for name in written:
        if name not in there:
            raise SettingError(
                f"{folder / STACKS / name / JSON}: is missing, and {MANIFEST} names it", hint="make synth"
            )
    return written


@contextmanager
def at_place(place: Path) -> Iterator[None]:
    """Say of a refusal which file it is about."""
    try:
        yield
    except SettingError as error:
        raise SettingError(f"{place}: {error.rule}", got=error.got, hint=error.hint) from error


def body(files: StackFiles) -> dict[str, Any]:
    """The stack's Terraform JSON."""
    parsed: dict[str, Any] = parse_json(files[JSON])
    return parsed


def committed(text: bytes) -> bytes:
    """cdk.tf.json in the committed form: keys sorted, nothing in it that depends on a machine or a library's version.

    Left out: CDKTF's own notes (`//`), which Terraform ignores and which change with each version of CDKTF; and a local
    backend, since HCP Terraform keeps the state.
    """
    parsed = parse_json(text)
    for block in _annotated(parsed):
        block.pop("//", None)
    terraform = parsed.get("terraform", {})
    terraform.get("backend", {}).pop("local", None)
    if not terraform.get("backend", True):
        del terraform["backend"]
    return (json.dumps(parsed, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def local_files(parsed: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(place, path) of what Helm's provider and releases read from the disk, outside of the stack's folder."""
    for number, provider in enumerate(parsed.get("provider", {}).get("helm", [])):
        path = provider.get("kubernetes", {}).get("config_path")
        if path is not None:
            if not isinstance(path, str):
                raise TypeError("a path must be text")
            yield f"provider.helm[{number}].kubernetes.config_path", path
    for name, release in parsed.get("resource", {}).get("helm_release", {}).items():
        if release.get("chart", "").startswith((".", "/", "~")):
            yield f"resource.helm_release.{name}.chart", release["chart"]


def wanted_providers(parsed: dict[str, Any]) -> dict[str, str]:
    """`hashicorp/aws` -> version constraint, as the stack requires them."""
    required = parsed.get("terraform", {}).get("required_providers", {})
    return {provider_name(provider["source"]): str(provider.get("version", "")) for provider in required.values()}


def provider_name(source: str) -> str:
    """The source of a provider without its registry."""
    return "/".join(["hashicorp", *source.split("/")][-2:])


def backend(parsed: dict[str, Any]) -> list[str]:
    """The kinds of backend that keep the state elsewhere than in HCP Terraform."""
    return [name for name in dict(parsed.get("terraform", {}).get("backend", {})) if name != "remote"]


def named_workspace(parsed: dict[str, Any]) -> dict[str, str | None]:
    """Organization, workspace, project and hostname, as far as the stack names them."""
    terraform = parsed.get("terraform", {})
    block = terraform.get("cloud") or terraform.get("backend", {}).get("remote") or {}
    workspaces = block.get("workspaces", {})
    found = {
        "organization": block.get("organization"),
        "workspace": workspaces.get("name"),
        "project": workspaces.get("project"),
        "hostname": block.get("hostname"),
    }
    if not all(value is None or isinstance(value, str) for value in found.values()):
        raise TypeError("a name must be text")
    return found


def helm_commands(parsed: dict[str, Any]) -> list[str]:
    """What Helm's provider calls to get a token of the cluster."""
    providers = parsed.get("provider", {}).get("helm", [])
    execs = [provider["kubernetes"]["exec"] for provider in providers if "exec" in provider.get("kubernetes", {})]
    return [str(each["command"]) for each in execs]


def _read(stack: Path, folder: Path) -> StackFiles:
    links = [each for each in (stack / ASSETS).rglob("*") if each.is_symlink()] if (stack / ASSETS).is_dir() else []
    for place in (stack / JSON, stack / LOCK, stack / ASSETS, *links):
        _check_link(place, folder)
    files: StackFiles = {}
    places = [stack / LOCK, *sorted((stack / ASSETS).rglob("*"))]
    for place in places:
        if place.exists() and not place.is_dir():
            with at_place(place):
                files[place.relative_to(stack).as_posix()] = read_file(place, largest=LARGEST_ASSET)
    place = stack / JSON
    with at_place(place):
        text = read_file(place)
        try:
            with shaped("is not Terraform JSON in the shape that CDKTF writes"):
                files[JSON] = committed(text)
                for read in (local_files, wanted_providers, backend, named_workspace, helm_commands):
                    list(read(body(files)))  # fails here rather than later
                return files
        except SettingError as error:
            if isinstance(error.__cause__, ValueError):
                raise SettingError(f"is not JSON: {error.__cause__}") from error
            raise


def _check_link(place: Path, folder: Path) -> None:
    """Refuse what a link brings in from elsewhere: it would be handed over."""
    try:
        inside = place.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        inside = False
    if not inside:
        raise SettingError(f"{place}: a link leads out of {folder}", hint="to replace the link by what it names")


def _annotated(parsed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The blocks that CDKTF writes notes into. Elsewhere, in a map of tags say, `//` is a key like any other."""
    yield parsed
    for kind in ("resource", "data"):
        for blocks in parsed.get(kind, {}).values():
            yield from blocks.values()
    yield from parsed.get("module", {}).values()
