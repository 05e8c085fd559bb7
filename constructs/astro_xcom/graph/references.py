"""Which blocks Terraform JSON has, and which of them need which. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any, TypeVar

from astro_xcom.report.terraform import TEMPLATE, Body

REFERENCE = re.compile(r"(?<![\w.-])(?P<block>(data\.)?[a-z0-9_]+\.[\w-]+)")

Node = TypeVar("Node")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A resource, or a data source."""

    address: str
    type: str
    path: tuple[str, ...]
    """The construct's path in the stack: `("storage", "public-access-block")`."""
    looked_up: bool
    """Whether it is a data source: read, not made."""
    arguments: Body = field(repr=False, hash=False)


def blocks(body: Body) -> dict[str, Block]:
    """Address -> block, in the order of the addresses."""
    found = [
        Block(
            address=f"{front}{type_}.{name}", type=type_, path=_path(name), looked_up=bool(front), arguments=arguments
        )
        for kind, front in (("resource", ""), ("data", "data."))
        for type_, of_type in body.get(kind, {}).items()
        for name, arguments in of_type.items()
    ]
    return {block.address: block for block in sorted(found, key=lambda block: block.address)}


def _path(name: str) -> tuple[str, ...]:
    """A construct's path, which cdktf joins by _ and, if it has more than one part, ends with a hash."""
    return tuple(re.sub("_[0-9A-F]{8}$", "", name).split("_"))


def needs(body: Body, of: Mapping[str, Block]) -> dict[str, set[str]]:
    """Address -> addresses that it refers to: in expressions, in depends_on, and through its provider."""
    return {address: set(_referred(body, block)) & of.keys() - {address} for address, block in of.items()}


def _referred(body: Body, block: Block) -> Iterator[str]:
    yield from block.arguments.get("depends_on", [])
    yield from _expressed(body, block.arguments)
    name, _, alias = block.arguments.get("provider", block.type.partition("_")[0]).partition(".")
    for provider in body.get("provider", {}).get(name, []):
        if provider.get("alias", "") == alias:
            yield from _expressed(body, provider)


def _expressed(body: Body, value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for template in TEMPLATE.finditer(value):
            for reference in REFERENCE.finditer(template["expression"] or ""):
                kind, _, name = reference["block"].partition(".")
                if kind == "local":
                    yield from _expressed(body, body["locals"][name])
                else:
                    yield reference["block"]
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _expressed(body, key)
            yield from _expressed(body, item)
    elif isinstance(value, list):
        for item in value:
            yield from _expressed(body, item)


def reachable(needed: Mapping[Node, Collection[Node]]) -> dict[Node, set[Node]]:
    """Node -> everything that it needs, directly or not."""
    found: dict[Node, set[Node]] = {}
    for node in TopologicalSorter(needed).static_order():
        found[node] = set(needed[node]).union(*(found[each] for each in needed[node]))
    return found


def not_implied(needed: Mapping[Node, Collection[Node]]) -> dict[Node, set[Node]]:
    """The same needs without those that follow from others."""
    below = reachable(needed)
    return {node: set(direct).difference(*(below[each] for each in direct)) for node, direct in needed.items()}
