"""The files of a stack in the one form that is committed and uploaded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from astro_xcom.refusal import Refused

JSON = "cdk.tf.json"
LOCK = ".terraform.lock.hcl"
ASSETS = "assets"
STACKS = "stacks"

StackFiles = dict[str, bytes]
"""Path below the stack's folder -> content: cdk.tf.json, assets, and .terraform.lock.hcl if there is one."""


def read_stacks(folder: Path) -> dict[str, StackFiles]:
    """The stacks that CDKTF or `export` wrote into a folder, by name, in the committed form."""
    stacks = {place.parent.name: _read(place.parent) for place in sorted(folder.glob(f"{STACKS}/*/{JSON}"))}
    if not stacks:
        hint = "a folder that astro-xcom export or cdktf synth wrote"
        raise Refused(f"{folder}: has no {STACKS}/*/{JSON}", hint=hint)
    return stacks


def body(files: StackFiles) -> dict[str, Any]:
    """The stack's Terraform JSON."""
    parsed: dict[str, Any] = json.loads(files[JSON])
    return parsed


def committed(text: bytes) -> bytes:
    """cdk.tf.json in the committed form: keys sorted, nothing in it that depends on a machine or a library's version.

    Left out: CDKTF's own notes (`//`), which Terraform ignores and which change with each version of CDKTF; and a local
    backend, since HCP Terraform keeps the state.
    """
    parsed = json.loads(text)
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
            yield f"provider.helm[{number}].kubernetes.config_path", path
    for name, release in parsed.get("resource", {}).get("helm_release", {}).items():
        if release.get("chart", "").startswith((".", "/", "~")):
            yield f"resource.helm_release.{name}.chart", release["chart"]


def _read(folder: Path) -> StackFiles:
    try:
        places = [folder / LOCK, *sorted((folder / ASSETS).rglob("*"))]
        rest = {place.relative_to(folder).as_posix(): place.read_bytes() for place in places if place.is_file()}
        return {JSON: committed((folder / JSON).read_bytes()), **rest}
    except OSError as error:
        raise Refused(f"{error.filename}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise Refused(f"{folder / JSON}: is not JSON: {error}") from None


def _annotated(parsed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The blocks that CDKTF writes notes into. Elsewhere, in a map of tags say, `//` is a key like any other."""
    yield parsed
    for kind in ("resource", "data"):
        for blocks in parsed.get(kind, {}).values():
            yield from blocks.values()
    yield from parsed.get("module", {}).values()
