"""A stack as people speak of it: cards in groups, and which needs which. Pure."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from astro_xcom.graph.references import Block, blocks, needs, not_implied, reachable
from astro_xcom.graph.words import kind, name, short
from astro_xcom.report.terraform import Body
from astro_xcom.workers import construct_id

GROUPS = {
    "agent": "Agents",
    "identity": "Identity",
    "pod-identity": "Identity",
    "storage": "Storage",
    "storage-account": "Storage",
}
OF_WORKERS = construct_id("")
"""First part of the construct's path -> heading. All others stand alone."""


def group(path: Sequence[str]) -> str | None:
    """The heading of a construct's path; None for what stands alone."""
    return "Identity" if path[0].startswith(OF_WORKERS) else GROUPS.get(path[0])


@dataclass(frozen=True, kw_only=True)
class Card:
    """A block, or several of one type that need the same and are needed by the same."""

    title: str
    group: str | None
    looked_up: bool
    lines: dict[str, str]
    """Address -> name; empty where none says anything."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What there is to draw."""

    cards: tuple[Card, ...]
    arrows: tuple[tuple[int, int], ...]
    """(card, card that it needs), without those that follow from others."""


def cards(body: Body) -> Stack:
    """The cards of a stack's Terraform JSON; the same JSON gives the same order."""
    of = blocks(body)
    needed = needs(body, of)
    alike = _alike(of, reachable(needed))
    card_of = {address: position for position, same in enumerate(alike) for address in same}
    named = Counter((block.type, name(block)) for block in of.values())
    arrows: dict[int, set[int]] = {position: set() for position in range(len(alike))}
    for address, others in needed.items():
        arrows[card_of[address]] |= {card_of[other] for other in others} - {card_of[address]}
    return Stack(
        cards=tuple(_card([of[address] for address in same], named) for same in alike),
        arrows=tuple(sorted((card, other) for card, others in not_implied(arrows).items() for other in others)),
    )


def _alike(of: dict[str, Block], below: dict[str, set[str]]) -> list[list[str]]:
    """Addresses that share a card.

    What is below and above the others of the same kind decides, so that no two cards can need each other.
    """
    above: dict[str, set[str]] = {address: set() for address in of}
    for address, others in below.items():
        for other in others:
            above[other].add(address)
    sorts = defaultdict(set)
    for address, block in of.items():
        sorts[_sort(block)].add(address)
    found = defaultdict(list)
    for address, block in of.items():
        sort = sorts[_sort(block)]
        found[_sort(block), frozenset(below[address] - sort), frozenset(above[address] - sort)].append(address)
    return list(found.values())


def _sort(block: Block) -> tuple[str, bool, str | None]:
    return block.type, block.looked_up, group(block.path)


def _named(block: Block, named: Counter[tuple[str, str]]) -> str:
    """The name of a block, with the worker whose own identity it serves where others of its type have that name."""
    own = name(block)
    worker = next((part.partition(OF_WORKERS)[2] for part in block.path if OF_WORKERS in part), "")
    return f"{own} of {worker}" if worker and named[block.type, own] > 1 else own


def _card(of: list[Block], named: Counter[tuple[str, str]]) -> Card:
    title, names = kind(of[0]), [_named(block, named) for block in of]
    if len(of) > 1:
        title = f"{len(of)} × {title}"  # noqa: RUF001 - a sign of multiplication
        shorter = [short(each) for each in names]
        names = shorter if len(set(shorter)) == len(of) else ["/".join(block.path[1:]) for block in of]
    return Card(
        title=title,
        group=group(of[0].path),
        looked_up=of[0].looked_up,
        lines=dict(zip((block.address for block in of), names, strict=True)),
    )
